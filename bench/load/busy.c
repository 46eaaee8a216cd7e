/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A few busy connections, beside many that are idle and some that the server
 * does not read: a message on each of the busy ones, then the answers, from a
 * server that waits in epoll for all.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "load.h"

#define MAX_EVENTS 64
#define RETRY	   64 /* turns, until the stalled ones are tried again */
#define FILL_SIZE  (64 << 10)

/* The first byte of a connection says which it is. */
#define STALLED 's'
#define OTHER	'o'

static void serve(const struct load *l, int listener)
{
	unsigned int left = l->conns + l->idle + l->stalled;
	struct epoll_event events[MAX_EVENTS];
	char *buf = allocate(l->size);
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	check(epoll >= 0, "epoll_create1");
	for (; left; left--) {
		int fd = accept_from(listener);
		struct epoll_event e = { EPOLLIN, { .fd = fd } };

		no_delay(fd);
		check(read_all(l, fd, buf, l->size), "the client has gone");
		write_all(fd, buf, l->size);
		if (buf[0] != STALLED)
			check(!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e),
			      "epoll_ctl");
	}
	for (;;) {
		int nr = epoll_wait(epoll, events, MAX_EVENTS, -1);

		check(nr >= 0, "epoll_wait");
		for (int i = 0; i < nr; i++) {
			int fd = events[i].data.fd;

			check(read_all(l, fd, buf, l->size),
			      "the client has gone");
			write_all(fd, buf, l->size);
		}
	}
}

/* Until its buffers are full. */
static void fill(const int *fds, unsigned int nr, const char *buf)
{
	for (unsigned int i = 0; i < nr; i++) {
		while (send(fds[i], buf, FILL_SIZE,
			    MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		check(errno == EAGAIN, "send");
	}
}

static int *open_all(const struct load *l, unsigned int nr, char kind)
{
	int *fds = allocate(nr * sizeof(*fds));
	char *buf = allocate(l->size);

	buf[0] = kind;
	for (unsigned int i = 0; i < nr; i++) {
		fds[i] = connect_to(l);
		no_delay(fds[i]);
		write_all(fds[i], buf, l->size);
		check(read_all(l, fds[i], buf, l->size), "the server has gone");
	}
	return fds;
}

static void play(const struct load *l)
{
	char *buf = allocate(l->size);
	char *filling = allocate(FILL_SIZE);
	int *stalled, *fds;
	uint64_t last, now;

	open_all(l, l->idle, OTHER);
	stalled = open_all(l, l->stalled, STALLED);
	fds = open_all(l, l->conns, OTHER);
	fill(stalled, l->stalled, filling);
	ready();
	last = now_nsecs();
	for (unsigned int turn = 0;; turn++) {
		if (turn % RETRY == 0)
			fill(stalled, l->stalled, filling);
		for (unsigned int i = 0; i < l->conns; i++)
			write_all(fds[i], buf, l->size);
		for (unsigned int i = 0; i < l->conns; i++)
			check(read_all(l, fds[i], buf, l->size),
			      "the server has gone");
		now = now_nsecs();
		record(now - last);
		count(CLIENT, l->conns, l->conns * l->size);
		last = now;
	}
}

const struct workload busy = { "busy", serve, play };
