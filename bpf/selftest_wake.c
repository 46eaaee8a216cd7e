/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "selftest_wake.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/*
 * Whoever is not woken returns after this, and may then find the message. Long
 * enough for an overloaded machine: this must not fail where nothing is wrong.
 */
#define SLEEP_MSECS 3000
#define MAX_MSECS   2500

struct sleeper {
	int fd;
	ssize_t (*read)(int fd, char *buf, size_t size);
	const char *text;
	pid_t tid; /* set when it is about to sleep */
	bool woken;
	struct timespec at;
};

static ssize_t read_by_recv(int fd, char *buf, size_t size)
{
	struct timeval limit = { .tv_sec = SLEEP_MSECS / 1000,
				 .tv_usec = SLEEP_MSECS % 1000 * 1000 };

	if (fcntl(fd, F_SETFL, 0) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return -1;
	return recv(fd, buf, size, 0);
}

static ssize_t read_by_poll(int fd, char *buf, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, SLEEP_MSECS) != 1)
		return -1;
	return recv(fd, buf, size, MSG_DONTWAIT);
}

static ssize_t read_by_epoll(int fd, char *buf, size_t size)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC), n = -1;

	if (epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		n = epoll_wait(epoll, &event, 1, SLEEP_MSECS);
	if (epoll >= 0)
		close(epoll);
	return n == 1 ? recv(fd, buf, size, MSG_DONTWAIT) : -1;
}

static void *run(void *arg)
{
	struct sleeper *s = arg;
	char buf[16] = "";

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	s->woken = s->read(s->fd, buf, sizeof(buf) - 1) > 0 &&
		   !strcmp(buf, s->text);
	clock_gettime(CLOCK_MONOTONIC, &s->at);
	return NULL;
}

static bool is_asleep(struct sleeper *s)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat",
		 __atomic_load_n(&s->tid, __ATOMIC_ACQUIRE));
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state == 'S';
}

static long msecs_between(const struct timespec *from,
			  const struct timespec *to)
{
	return (to->tv_sec - from->tv_sec) * 1000 +
	       (to->tv_nsec - from->tv_nsec) / 1000000;
}

static int wakes(struct ss_selftest *t, const struct ss_pair *p,
		 ssize_t (*read)(int fd, char *buf, size_t size),
		 const char *name)
{
	struct sleeper s = { .fd = p->b, .read = read, .text = name };
	__u64 before = ss_pair_redirected(t).messages;
	struct timespec sent;
	pthread_t thread;
	bool ok;
	int err;

	NEEDS(ss_pair_enter(t, p), "cannot enter the sockhash: %s",
	      strerror(errno));
	err = pthread_create(&thread, NULL, run, &s);
	NEEDS(!err, "cannot start a thread: %s", strerror(err));
	/* Without /proc, it has most likely fallen asleep by then. */
	for (int i = 0; i < 100 && !is_asleep(&s); i++)
		usleep(50);
	clock_gettime(CLOCK_MONOTONIC, &sent);
	ok = ss_pair_send(p, name);
	pthread_join(thread, NULL);
	CHECK(ok && ss_pair_redirected(t).messages == before + 1,
	      "nothing was redirected");
	CHECK(s.woken && msecs_between(&sent, &s.at) < MAX_MSECS,
	      "a reader asleep in %s(2) is not woken", name);
	return 1;
}

int ss_selftest_wakes_recv(struct ss_selftest *t, const struct ss_pair *p)
{
	return wakes(t, p, read_by_recv, "recv");
}

int ss_selftest_wakes_poll(struct ss_selftest *t, const struct ss_pair *p)
{
	return wakes(t, p, read_by_poll, "poll");
}

int ss_selftest_wakes_epoll(struct ss_selftest *t, const struct ss_pair *p)
{
	return wakes(t, p, read_by_epoll, "epoll_wait");
}
