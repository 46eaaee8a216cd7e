/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * busy_poll_usecs: a wait on an accelerated socket looks again and again, that
 * long, before it sleeps: on virtual machines most of a round trip is waking
 * the other CPU. The looks are calls that take no lock (poll(2), or the call
 * itself with no timeout), so the peer's sends are not slowed.
 *
 * Each thread learns whether it pays, for reads and for waits on several
 * descriptors apart. One whose spins were in vain, because the peer needs this
 * CPU or because waits are long, stops, and tries again only after many short
 * waits; each vain try doubles their number. A thread that is idle does not
 * spin. Of the threads of one CPU one spins at a time (ss_control.spinning), so
 * there are never more than CPUs.
 */
#ifndef SOCKSHUNT_BUSYPOLL_H
#define SOCKSHUNT_BUSYPOLL_H

#include <stdbool.h>
#include <sys/types.h>

#include "../bpf/permit.h"

/* The limit of a spin; 0: busy polling is off. Written while starting. */
extern long long ss_busypoll_nsecs;

static inline bool ss_busypoll_is_on(void)
{
	return __builtin_expect(ss_busypoll_nsecs != 0, 0) &&
	       ss_may(SS_DUTY_SPIN);
}

/* Reads the configuration; when the shim starts. */
void ss_busypoll_start(void);

/*
 * The number @fd was given to an accelerated socket, or to an epoll instance
 * that watches one; or it is closed. Only hints: a wrong one costs one spin, or
 * misses one. Atomic.
 */
void ss_busypoll_mark(int fd);
void ss_busypoll_unmark(int fd);
bool ss_busypoll_is_marked(int fd);

/* False: the read that is about to begin ends at once, with errno EINTR. */
bool ss_busypoll_before_read_slowly(int fd, int flags);
static inline bool ss_busypoll_before_read(int fd, int flags)
{
	return !ss_busypoll_is_on() ||
	       ss_busypoll_before_read_slowly(fd, flags);
}

/* @n, which a read has returned; keeps errno. */
void ss_busypoll_after_read_slowly(ssize_t n);
static inline ssize_t ss_busypoll_after_read(ssize_t n)
{
	if (ss_busypoll_is_on())
		ss_busypoll_after_read_slowly(n);
	return n;
}

/* A call that waits for events: poll(2), select(2), epoll_wait(2)... */
struct ss_busypoll_call {
	/* The call without waiting: what it returns, with errno. */
	int (*look)(void *call);
	/* Whether it waits for an accelerated socket; it has been looked at,
	 * so what it points to can be read. */
	bool (*concerns)(void *call);
	void *call;
	long long timeout; /* nsecs; -1: none. After a spin: what is left */
	int result;	   /* if that ended the call, with errno */
};

/* True: the call has ended, with @call->result. */
bool ss_busypoll_spin(struct ss_busypoll_call *call);

/* It has returned, with @call->result; keeps errno. */
void ss_busypoll_learn(struct ss_busypoll_call *call);

#endif
