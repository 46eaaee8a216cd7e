/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * forks TIMES: a library that takes its lock across fork(2) (pthread_atfork(3)), and
 * holds it while it sets an option of a new connection, in another thread than the
 * one that forks. Neither may wait for the other for ever.
 */
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/wait.h>

#include "pair.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int over; /* atomic */

static void take(void)
{
	pthread_mutex_lock(&lock);
}

static void give(void)
{
	pthread_mutex_unlock(&lock);
}

static void *set_options(void *arg)
{
	int fd = *(int *)arg, none = 0;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		take();
		check(!setsockopt(fd, IPPROTO_TCP, TCP_INQ, &none,
				  sizeof(none)),
		      "TCP_INQ");
		give();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int times = argc == 2 ? atoi(argv[1]) : 0, fd, peer;
	pthread_t thread;

	if (times <= 0) {
		fprintf(stderr, "usage: forks TIMES\n");
		return 2;
	}
	/* Before the first connection: what comes later is called earlier. */
	pthread_atfork(take, give, give);
	make_pair(&fd, &peer);
	check(!pthread_create(&thread, NULL, set_options, &fd), "thread");
	for (int i = 0; i < times; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		check(child > 0 && waitpid(child, NULL, 0) == child, "fork");
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return 0;
}
