/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A blocking read must block. tcp_bpf_recvmsg() sleeps once, and if it was
 * woken for anything but data (the peer acknowledged our FIN, another thread
 * shut the socket down, a signal) it returns EAGAIN, which no blocking socket
 * does but at its timeout. The read is then repeated, on the same socket:
 * another thread may have closed the descriptor meanwhile, and the number may
 * be another's.
 */
#ifndef SOCKSHUNT_BLOCKING_H
#define SOCKSHUNT_BLOCKING_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include "signals.h"

#define SS_GENERATIONS 65536

/*
 * Generations of descriptor numbers, modulo SS_GENERATIONS: changed before a
 * number is closed and after it is given to a new socket. Atomic. (A number
 * beyond it shares one with another: a needless change ends a read that was
 * woken for nothing, which is all it does.)
 */
extern unsigned char ss_generations[SS_GENERATIONS];

/* This process has set, or met, SO_RCVTIMEO: reads note when they begin. */
extern bool ss_blocking_timed;

/* What was so when a read began; a few instructions. */
struct ss_blocking {
	unsigned char generation;
	struct ss_signals signals;
	struct timespec start; /* 0: not noted */
	int fd;		       /* the socket, held for the repeated reads */
	int cancel;	       /* the thread's cancellation state */
};

#define SS_BLOCKING_NONE                                                       \
	{                                                                      \
		.fd = -1                                                       \
	}

static inline void ss_blocking_begin(struct ss_blocking *b, int fd)
{
	b->generation = __atomic_load_n(
		&ss_generations[(unsigned int)fd % SS_GENERATIONS],
		__ATOMIC_RELAXED);
	b->signals = ss_signals;
	if (__builtin_expect(ss_blocking_timed, false))
		clock_gettime(CLOCK_MONOTONIC, &b->start);
}

/*
 * A read of @fd that began with @b has failed with EAGAIN. True if it must be
 * repeated, on b->fd; else it has ended with *@result and errno.
 */
bool ss_blocking_repeat(struct ss_blocking *b, int fd, ssize_t *result);

/*
 * Waits for b->fd to become readable (or @more: for something to arrive beside
 * what waits there) as the read that began with @b does; true as well, now and
 * then, if nothing came. False with errno: EAGAIN after its timeout, EINTR. A
 * signal ends it if its handler does not restart, or if the socket has a
 * timeout; any does, and a stop, if the read @has bytes.
 */
bool ss_blocking_wait(struct ss_blocking *b, bool more, bool has);

/* Holds the socket @fd for that. False: there is nothing to wait for. */
bool ss_blocking_hold(struct ss_blocking *b, int fd, ssize_t *result);

/* After the repeated reads; keeps errno. Also a cancelled thread's clean-up. */
void ss_blocking_end(void *blocking);

static inline bool ss_blocking_concerns(ssize_t result, int flags)
{
	return __builtin_expect(result < 0, 0) && errno == EAGAIN &&
	       !(flags & (MSG_DONTWAIT | MSG_ERRQUEUE));
}

/* The number @fd is closed, or is given to a new socket, now. */
void ss_blocking_renumber(int fd);
void ss_blocking_renumber_range(unsigned int first, unsigned int last);

#endif
