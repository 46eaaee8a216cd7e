/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * spliced CONNECTIONS: two threads serve one connection by splice(2), with two
 * requests under way, until one of them ends in the midst; the other has to serve
 * the rest. Which of the two is inside a read when the connection is registered is
 * left to chance. Exit status 1: a request was not answered in time.
 */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>

#include "pair.h"

#define THREADS	  2
#define SIZE	  8
#define REQUESTS  40
#define UNDER_WAY 2
#define PATIENCE  2 /* seconds */

struct job {
	int end;
	int quit_after;
	int served, working; /* atomic */
};

/* Whether this thread ends, of those that are left. */
static int leaves(struct job *job)
{
	int served = __atomic_add_fetch(&job->served, 1, __ATOMIC_SEQ_CST);

	if (served < job->quit_after)
		return 0;
	if (__atomic_sub_fetch(&job->working, 1, __ATOMIC_SEQ_CST) > 0)
		return 1;
	__atomic_add_fetch(&job->working, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void *serve(void *arg)
{
	struct job *job = arg;
	char buf[SIZE];
	int pipes[2];

	check(!pipe(pipes), "pipe");
	for (;;) {
		ssize_t n = splice(job->end, NULL, pipes[1], NULL, SIZE, 0);

		if (n <= 0)
			break;
		n = read(pipes[0], buf, (size_t)n);
		check(send(job->end, buf, (size_t)n, 0) == n, "send");
		if (leaves(job))
			break;
	}
	close(pipes[0]);
	close(pipes[1]);
	return NULL;
}

static int ask(int end)
{
	ssize_t sent = 0, got = 0, n;
	char buf[SIZE] = "request";

	while (got < REQUESTS * SIZE) {
		while (sent < REQUESTS * SIZE &&
		       sent - got < UNDER_WAY * SIZE) {
			check(send(end, buf, SIZE, 0) == SIZE, "send");
			sent += SIZE;
		}
		n = recv(end, buf, SIZE, 0);
		if (n <= 0)
			return 0;
		got += n;
	}
	return 1;
}

static int serve_and_ask(int i)
{
	struct job job = { .quit_after = 3 + i % 12, .working = THREADS };
	pthread_t threads[THREADS];
	struct timeval patience = { PATIENCE, 0 };
	int client, answered, one = 1;

	make_pair(&client, &job.end);
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(job.end, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	for (int t = 0; t < THREADS; t++)
		check(!pthread_create(&threads[t], NULL, serve, &job),
		      "pthread_create");
	answered = ask(client);
	shutdown(client, SHUT_RDWR);
	shutdown(job.end, SHUT_RDWR);
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	close(client);
	close(job.end);
	return answered;
}

int main(int argc, char **argv)
{
	int n = argc == 2 ? atoi(argv[1]) : 0;

	if (n <= 0) {
		fprintf(stderr, "usage: spliced CONNECTIONS\n");
		return 2;
	}
	for (int i = 0; i < n; i++) {
		if (!serve_and_ask(i)) {
			fprintf(stderr, "connection %d: no answer\n", i);
			return 1;
		}
	}
	return 0;
}
