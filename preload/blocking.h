/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A blocking read must block. tcp_bpf_recvmsg() sleeps once, and if it was
 * woken for anything but data (the peer acknowledged our FIN, another thread
 * shut the socket down, a signal) it returns EAGAIN, which no blocking socket
 * does but at its timeout. The wait then goes on here, and the read is
 * repeated on the same socket: another thread may have closed the descriptor
 * meanwhile, and the number may be another's. Nothing is held while waiting,
 * for a handler may leave by longjmp(3).
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
 * Generations of descriptor numbers: changed before a number is closed and
 * after it is given to a new socket. Bit 0: it was given to a TCP connection.
 * Atomic. Numbers beyond the table have none, and never change.
 */
#define SS_GENERATION_TCP 1
extern unsigned char ss_generations[SS_GENERATIONS];

/* This process has set, or met, SO_RCVTIMEO: reads note when they begin. */
extern bool ss_blocking_timed;

/* What was so when a read began; a few instructions. */
struct ss_blocking {
	unsigned char generation;
	struct ss_signals signals;
	struct timespec start; /* 0: not noted */
	bool over; /* ss_blocking_go_on()'s last wait: by a signal or time */
};

static inline unsigned char ss_blocking_generation(int fd)
{
	if ((unsigned int)fd >= SS_GENERATIONS)
		return 0;
	return __atomic_load_n(&ss_generations[fd], __ATOMIC_SEQ_CST);
}

static inline void ss_blocking_begin(struct ss_blocking *b, int fd)
{
	b->generation = ss_blocking_generation(fd);
	b->signals = ss_signals;
	b->start.tv_sec = 0;
	if (__builtin_expect(ss_blocking_timed, false))
		clock_gettime(CLOCK_MONOTONIC, &b->start);
}

/* Whether a read with @flags has ended so, with @result and errno. */
static inline bool ss_blocking_concerns(ssize_t result, int flags)
{
	return __builtin_expect(result < 0, 0) && errno == EAGAIN &&
	       !(flags & (MSG_DONTWAIT | MSG_ERRQUEUE));
}

/* Whether a read of @fd with @flags waits. */
bool ss_blocking_waits(int fd, int flags);

/* Of @fd's SO_RCVTIMEO, in nanoseconds; 0: none. */
long long ss_blocking_timeout(int fd);

/* Whether bytes may be there though a wait was not ended: SO_RCVLOWAT. */
bool ss_blocking_hides(int fd);

/* Since @then of CLOCK_MONOTONIC. */
long long ss_blocking_nsecs_since(const struct timespec *then);

/*
 * Such a read of @fd, which began with @b: goes on as recvmsg(2) of @msg with
 * @flags, if @fd is a blocking TCP socket. Returns the read's result, with
 * errno.
 */
ssize_t ss_blocking_go_on(struct ss_blocking *b, int fd, struct msghdr *msg,
			  int flags);

/*
 * Waits for @fd to become readable (or @more: for something to arrive beside
 * what waits there) as the read that began with @b does; true as well, now and
 * then, if nothing came. False with errno: EAGAIN after its timeout, EINTR. A
 * signal ends it if its handler does not restart, or if the socket has a
 * timeout; any does, and a stop, if the read @has bytes. A cancellation point.
 */
bool ss_blocking_wait(struct ss_blocking *b, int fd, bool more, bool has);

/* recvmsg(2) of the socket that @fd was when the read began with @b, without
 * waiting; EBADF: the number is another's now. */
ssize_t ss_blocking_read(const struct ss_blocking *b, int fd,
			 struct msghdr *msg, int flags);

/* The number @fd is closed now... */
void ss_blocking_renumber(int fd);
/* ...or was given to a new connection. */
void ss_blocking_number_given(int fd);
void ss_blocking_renumber_range(unsigned int first, unsigned int last);

/* It was given to a TCP connection. */
void ss_blocking_is_tcp(int fd);
/* ...and now is TCP's alone again. */
void ss_blocking_is_tcp_only(int fd);

#endif
