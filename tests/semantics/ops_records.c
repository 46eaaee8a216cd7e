/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Several threads on one socket. Which byte is whose is not known beforehand,
 * so these do not send the stream but records that say where they belong.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "semantics.h"

#define MAX_THREADS 8

struct record {
	uint32_t thread, index;
	uint64_t check;
};

struct worker {
	pthread_t thread;
	uint32_t id, count;
	bool failed;
};

static uint64_t check_of(uint32_t thread, uint32_t index)
{
	return ((uint64_t)thread << 32 | index) * 0x9e3779b97f4a7c15ull;
}

static void *send_records(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < w->count; i++) {
		struct record r = { w->id, i, check_of(w->id, i) };

		if (send(self.fd, &r, sizeof(r), 0) != sizeof(r)) {
			w->failed = true;
			break;
		}
	}
	return NULL;
}

/* What any thread may get of a stream of records: its records are whole. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *seen;
static uint32_t wrong, total;

static void judge_record(const struct record *r, uint32_t threads,
			 uint32_t count)
{
	pthread_mutex_lock(&lock);
	if (r->thread >= threads || r->index >= count ||
	    r->check != check_of(r->thread, r->index) ||
	    seen[r->thread * count + r->index]++)
		wrong++;
	total++;
	pthread_mutex_unlock(&lock);
}

static uint32_t threads_that_send, records_of_each;

static void *recv_records(void *arg)
{
	struct worker *w = arg;
	struct record r;

	for (uint32_t i = 0; i < w->count; i++) {
		/* Nothing but whole records was sent, and is taken. */
		ssize_t n = recv(self.fd, &r, sizeof(r), 0);

		if (n != sizeof(r)) {
			w->failed = true;
			break;
		}
		judge_record(&r, threads_that_send, records_of_each);
	}
	return NULL;
}

static bool run_workers(uint32_t threads, uint32_t count, void *(*run)(void *))
{
	struct worker workers[MAX_THREADS];
	bool failed = false;

	memset(workers, 0, sizeof(workers));
	for (uint32_t i = 0; i < threads; i++) {
		workers[i].id = i;
		workers[i].count = count;
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			abort();
	}
	for (uint32_t i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		failed |= workers[i].failed;
	}
	return !failed;
}

static uint32_t thread_count(struct call *c)
{
	long n = number(c, 1, 2);

	return (uint32_t)(n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n);
}

/* send_records THREADS N records: each of the threads sends N */
void op_send_records(struct call *c)
{
	if (run_workers(thread_count(c), (uint32_t)number(c, 2, 1),
			send_records))
		say(c, "ok");
	else
		say(c, "failed");
}

/* recv_records THREADS N SENDERS: each of the threads takes N */
void op_recv_records(struct call *c)
{
	uint32_t threads = thread_count(c), count = (uint32_t)number(c, 2, 1);
	bool ok;

	threads_that_send = (uint32_t)number(c, 3, 2);
	records_of_each = threads * count / threads_that_send;
	seen = calloc(threads_that_send, records_of_each + 1);
	if (!seen)
		abort();
	total = wrong = 0;
	ok = run_workers(threads, count, recv_records);
	say(c, "%u, %u wrong%s", total, wrong, ok ? "" : ", failed");
	free(seen);
}
