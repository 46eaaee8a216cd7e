/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Messages one way or both ways, as fast as they go: a sender that blocks, by
 * turns on all connections, and a reader that takes what there is, by epoll if
 * there is more than one. What counts is what was read. Some protocols begin with
 * greetings, and only then it is a stream.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "load.h"

#define READ_SIZE  (128 << 10)
#define MAX_EVENTS 64
#define WORK_BYTES 65536

struct side {
	const struct load *l;
	const int *fds;
	int end;
};

static void *send_all(void *arg)
{
	const struct side *s = arg;
	char *buf = allocate(s->l->size);

	for (unsigned int i = 0;; i = i + 1 == s->l->conns ? 0 : i + 1)
		write_all(s->fds[i], buf, s->l->size);
	return NULL;
}

/* As a reader that does something with what it reads; on its CPU, and no memory. */
static void work(const struct load *l, size_t bytes)
{
	uint64_t until;

	if (!l->work_usecs)
		return;
	until = now_nsecs() +
		(uint64_t)l->work_usecs * 1000 * bytes / WORK_BYTES;
	while (now_nsecs() < until)
		;
}

static void read_one(const struct side *s)
{
	char *buf = allocate(READ_SIZE);

	for (;;) {
		ssize_t n = recv(s->fds[0], buf, READ_SIZE, 0);

		check(n > 0, "recv");
		count(s->end, 0, (uint64_t)n);
		work(s->l, (size_t)n);
	}
}

static void read_many(const struct side *s)
{
	char *buf = allocate(READ_SIZE);
	struct epoll_event events[MAX_EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	check(epoll >= 0, "epoll_create1");
	for (unsigned int i = 0; i < s->l->conns; i++) {
		struct epoll_event e = { EPOLLIN, { .fd = s->fds[i] } };

		check(!epoll_ctl(epoll, EPOLL_CTL_ADD, s->fds[i], &e),
		      "epoll_ctl");
	}
	for (;;) {
		int nr = epoll_wait(epoll, events, MAX_EVENTS, -1);

		check(nr >= 0, "epoll_wait");
		for (int i = 0; i < nr; i++) {
			ssize_t n = recv(events[i].data.fd, buf, READ_SIZE,
					 MSG_DONTWAIT);

			if (n < 0 && errno == EAGAIN)
				continue;
			check(n > 0, "recv");
			count(s->end, 0, (uint64_t)n);
			work(s->l, (size_t)n);
		}
	}
}

static void run(const struct load *l, const int *fds, int end)
{
	struct side s = { l, fds, end };
	pthread_t sender;

	if (end == CLIENT && !l->both_ways)
		send_all(&s);
	if (l->both_ways)
		check(!pthread_create(&sender, NULL, send_all, &s),
		      "pthread_create");
	if (l->conns == 1)
		read_one(&s);
	read_many(&s);
}

static void greet(const struct load *l, int fd, int end)
{
	char *buf = allocate(l->size);

	for (unsigned int i = 0; i < l->greetings; i++) {
		if (end == CLIENT)
			write_all(fd, buf, l->size);
		check(read_all(l, fd, buf, l->size), "greeting");
		if (end == SERVER)
			write_all(fd, buf, l->size);
	}
	free(buf);
}

static void serve(const struct load *l, int listener)
{
	int *fds = allocate(l->conns * sizeof(*fds));

	for (unsigned int i = 0; i < l->conns; i++) {
		fds[i] = accept_from(listener);
		if (l->no_delay)
			no_delay(fds[i]);
	}
	for (unsigned int i = 0; i < l->conns; i++)
		greet(l, fds[i], SERVER);
	run(l, fds, SERVER);
}

static void play(const struct load *l)
{
	int *fds = allocate(l->conns * sizeof(*fds));

	for (unsigned int i = 0; i < l->conns; i++) {
		fds[i] = connect_to(l);
		if (l->no_delay)
			no_delay(fds[i]);
	}
	for (unsigned int i = 0; i < l->conns; i++)
		greet(l, fds[i], CLIENT);
	ready();
	run(l, fds, CLIENT);
}

const struct workload stream = { "stream", serve, play };
