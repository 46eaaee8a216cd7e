/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which connections are worth registering. That costs both ends 10 to 25 us
 * (bench: churn), which an exchange of messages gives back at about 8: so one
 * that ends after an exchange or two is better left alone. And one that only
 * sends small messages is faster by TCP, which joins them into large segments.
 * Hence a connection is on trial first, an ordinary TCP one, until it
 *
 *  - has turned often enough between writing and reading
 *    (register_after_exchanges), or
 *  - has written large messages, or
 *  - is told by the sockhash that its peer has been found worth it.
 *
 * A read that waits inside TCP never sees what is redirected; and unread bytes
 * that are moved to the other queue are an event once more. So a socket is entered
 * for receiving at the end of a read that has left nothing behind, while there is
 * no other; for sending at any time.
 *
 * By descriptor number, atomic. What other calls than libc's do is not seen: such
 * connections stay on TCP.
 */
#ifndef SOCKSHUNT_WORTH_H
#define SOCKSHUNT_WORTH_H

#include <stdbool.h>
#include <sys/socket.h>

#define SS_WORTH_FDS 65536 /* numbers beyond have no trial */

struct ss_worth {
	unsigned char state; /* worth.c; 0: not on trial, or no longer */
	unsigned char last;  /* what was done last: read or write */
	unsigned char turns; /* from one to the other */
	unsigned char large; /* messages written */
	unsigned char vain;  /* times it was worth it, but not the moment */
	unsigned short reads;
	unsigned short readers; /* threads that are in one */
};
extern struct ss_worth ss_worth[SS_WORTH_FDS];

/* Of this thread: the descriptor on trial that it is reading; -1: none. A read that
 * is left otherwise than by its end leaves it, and its number on TCP. */
extern __thread int ss_worth_reading __attribute__((tls_model("initial-exec")));

/* From the configuration, when the shim starts. */
void ss_worth_start(void);

/* Whether connections with the number @fd are tried. */
bool ss_worth_may_try(int fd);

/*
 * The number @fd was given to a connection. False: there is no trial, and it is
 * to be registered at once.
 */
bool ss_worth_try(int fd);

/* The number @fd is closed, or given to a new descriptor. */
void ss_worth_forget(int fd);

/* @to is a duplicate of @from. */
void ss_worth_copy(int from, int to);

/* What a program was started with may be a connection. */
void ss_worth_inherit(void);

/* recvmsg(2) has returned @msg, perhaps with descriptors. */
void ss_worth_received(const struct msghdr *msg);

static inline bool ss_worth_is_open(int fd)
{
	return (unsigned int)fd < SS_WORTH_FDS &&
	       __atomic_load_n(&ss_worth[fd].state, __ATOMIC_RELAXED);
}

/* The connection @fd needs what only TCP has. */
#define ss_worth_never(fd) ss_worth_forget(fd)

/* Around each read of @fd with @flags, and after each write, which have
 * returned @n (of recvmmsg(2): not bytes). They keep errno. */
void ss_worth_before_read_slowly(int fd, int flags);
static inline void ss_worth_before_read(int fd, int flags)
{
	if (__builtin_expect(ss_worth_is_open(fd), 0))
		ss_worth_before_read_slowly(fd, flags);
}

void ss_worth_after_read_slowly(int fd, ssize_t n);
static inline void ss_worth_after_read(int fd, ssize_t n)
{
	if (__builtin_expect(ss_worth_reading == fd, 0) && fd >= 0)
		ss_worth_after_read_slowly(fd, n);
}

void ss_worth_after_write_slowly(int fd, ssize_t n);
static inline void ss_worth_after_write(int fd, ssize_t n)
{
	if (__builtin_expect(ss_worth_is_open(fd), 0))
		ss_worth_after_write_slowly(fd, n);
}

#endif
