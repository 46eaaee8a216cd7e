/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which connections are worth registering. That costs both ends 10 to 25 us
 * (bench: churn), which an exchange of messages gives back at about 8: so one
 * that ends after an exchange or two is better left alone. And one that only
 * sends small messages is faster by TCP if that joins them (joined.h).
 * Hence a connection is on trial first, an ordinary TCP one, until it
 *
 *  - has turned often enough between writing and reading
 *    (register_after_exchanges), or
 *  - has written large messages, or
 *  - has written many small ones that TCP does not join, or
 *  - is told by the sockhash that its peer has been found worth it.
 *
 * If it then sends many small messages without an answer, and most of them by TCP, it
 * is taken out, and on trial again (flood.h).
 *
 * A read that waits inside TCP never sees what is redirected. So the socket is
 * entered for sending first, which no read minds; and for receiving only if then
 * nobody else holds it, no other process and no duplicate, and no other thread is
 * inside a read, which none begins meanwhile. Unread bytes that are moved to the
 * other queue are an event once more: it is done at the end of a read that has left
 * nothing behind.
 *
 * With two queues (no SS_MERGED) all are registered at once: of two threads that read
 * one socket, one may wait inside TCP for bytes that the other has taken, which are
 * rare there only if none came by TCP before.
 *
 * By descriptor number, atomic. What other calls than libc's do is not seen: such
 * connections stay on TCP.
 */
#ifndef SOCKSHUNT_WORTH_H
#define SOCKSHUNT_WORTH_H

#include <stdbool.h>
#include <sys/socket.h>

#include "blocking.h"
#include "flood.h"
#include "joined.h"
#include "undisturbed.h"

#define SS_WORTH_FDS 65536 /* numbers beyond have no trial */

/* struct ss_worth.state; 0: not on trial, or no longer. */
#define SS_WORTH_ON_TRIAL 1
#define SS_WORTH_SENDS	  2 /* entered for sending: its reads are TCP's */
#define SS_WORTH_COUNTS	  3 /* no trial; what is read is counted: it may leave */

#define SS_WORTH_WRITE 2 /* what was done last */

#define SS_WORTH_NOT_PLAIN (MSG_PEEK | MSG_ERRQUEUE)

/* Redirecting messages of so many bytes and more is faster in one direction, too
 * (bench: stream_*). */
#define SS_WORTH_LARGE 32768

struct ss_worth {
	unsigned char state;
	unsigned char last;  /* what was done last: read or write */
	unsigned char turns; /* from one to the other */
	unsigned char large; /* messages written */
	unsigned char alone; /* times in a row that TCP did not join writes */
	unsigned short vain; /* times it was worth it, but not the moment */
	unsigned short reads;
	unsigned short readers; /* threads inside a read */
	unsigned short writes;	/* since TCP was asked whether it joins them */
	unsigned short ask;	/* after so many */
	unsigned char left;	/* times it was taken out again */
	unsigned int forks;	/* see ss_worth_floods() */
	struct ss_joined joined;
	struct ss_flood flood;
};
extern struct ss_worth ss_worth[SS_WORTH_FDS];

/* From the configuration, when the shim starts. */
void ss_worth_start(void);

/* Whether connections with the number @fd are tried. */
bool ss_worth_may_try(int fd);

/*
 * The number @fd was given to a connection; in a cgroup, one that the kernel has @left
 * to us. False: there is no trial, and it is to be registered at once.
 */
bool ss_worth_try(int fd, bool left);

/* The number @fd is closed, or given to a new descriptor... */
void ss_worth_forget(int fd);
/* ...or its connection needs what only TCP has. Waits for who is registering it. */
void ss_worth_end(int fd);

/* @to is a duplicate of @from. */
void ss_worth_copy(int from, int to);

/* What a program was started with may be a connection. Keeps errno. */
void ss_worth_inherit(void);

/* recvmsg(2) has returned @msg, perhaps with descriptors. Keeps errno. */
void ss_worth_received(const struct msghdr *msg);

static inline bool ss_worth_is_open(int fd)
{
	return (unsigned int)fd < SS_WORTH_FDS &&
	       __atomic_load_n(&ss_worth[fd].state, __ATOMIC_RELAXED);
}

static inline bool ss_worth_is_tried(int fd)
{
	return ss_worth_is_open(fd) && ss_worth[fd].state != SS_WORTH_COUNTS;
}

/* A vfork child has closed the number @fd: it counts in its parent's memory. */
static inline void ss_worth_stop_counting(int fd)
{
	if (ss_worth_is_open(fd) && !ss_worth_is_tried(fd))
		ss_worth_forget(fd);
}

/*
 * Around a read of any kind, of @fd while that is on trial: no registration happens
 * meanwhile but at its own end, and a read waits for one that has begun. A read that
 * is left by a jump or by cancellation counts for as long as the number lives.
 */
struct ss_worth_read {
	int fd; /* -1: not counted */
	unsigned char generation;
};
void ss_worth_begin_read_slowly(int fd);
void ss_worth_end_read_slowly(const struct ss_worth_read *r);

static inline struct ss_worth_read ss_worth_begin_read(int fd)
{
	struct ss_worth_read r = { -1, 0 };

	if (__builtin_expect(ss_worth_is_tried(fd), 0)) {
		r.fd = fd;
		r.generation = ss_blocking_generation(fd);
		ss_worth_begin_read_slowly(fd);
	}
	return r;
}

static inline void ss_worth_end_read(const struct ss_worth_read *r)
{
	if (__builtin_expect(r->fd >= 0, 0))
		ss_worth_end_read_slowly(r);
}

/* Until the end of the block. */
#define SS_WORTH_READS(fd)                                                     \
	__attribute__((cleanup(ss_worth_end_read)))                            \
	const struct ss_worth_read read_ = ss_worth_begin_read(fd)

/*
 * Between these, undisturbed, @fd is not registered: an option is set. False: it is
 * not on trial, and nothing is to be released.
 */
bool ss_worth_hold(int fd, struct ss_undisturbed *u);
void ss_worth_release(const struct ss_undisturbed *u);

/* No registration happens across a fork(2): the child would keep a duplicate. */
void ss_worth_before_fork(void);
void ss_worth_after_fork(void);
void ss_worth_after_fork_in_child(void);

/* Before a write to @fd: who asks at that moment whether others hold it must not
 * find us inside. */
void ss_worth_before_write_slowly(int fd);
static inline void ss_worth_before_write(int fd)
{
	if (ss_worth_is_open(fd) &&
	    __builtin_expect(ss_worth[fd].state == SS_WORTH_SENDS, 0))
		ss_worth_before_write_slowly(fd);
}

/*
 * A read of @fd with @flags has returned @n; or one of another kind, whose bytes are
 * not counted, or counted already; or a write. They keep errno.
 */
void ss_worth_after_odd_read(int fd, int flags, ssize_t n);
void ss_worth_after_read_slowly(int fd, int flags, ssize_t n);
/* What a read that was counted as in vain has returned after all. */
static inline void ss_worth_count_read(int fd, int flags, ssize_t n)
{
	if (ss_worth_is_open(fd) && ss_worth[fd].state == SS_WORTH_COUNTS &&
	    n > 0 && !(flags & SS_WORTH_NOT_PLAIN))
		ss_flood_read(&ss_worth[fd].flood, n);
}

static inline void ss_worth_after_read(int fd, int flags, ssize_t n)
{
	if (!ss_worth_is_open(fd))
		return;
	if (flags & MSG_OOB || ss_worth_is_tried(fd))
		ss_worth_after_read_slowly(fd, flags, n);
	else
		ss_worth_count_read(fd, flags, n);
}

/* Forks so far, from 1 on: changed in threads that fork, under no lock. */
extern unsigned int ss_worth_forks;

/*
 * Whether a write to @fd, of @len bytes, is one more of many on a TCP connection that
 * nothing is to be done after: then the caller may leave it to the original by a tail
 * call. A return behind a system call is mispredicted, so that a function in front of
 * it costs such a flood 3 %. Not if another process may have registered it: then errors
 * are told otherwise (oddsend.h). What is refused counts as a message as well, and makes
 * TCP seem to join more.
 */
static inline bool ss_worth_floods(int fd, size_t len)
{
	struct ss_worth *w = &ss_worth[fd & (SS_WORTH_FDS - 1)];

	if ((unsigned int)fd >= SS_WORTH_FDS || w->state != SS_WORTH_ON_TRIAL ||
	    w->last != SS_WORTH_WRITE || len - 1 >= SS_WORTH_LARGE - 1 ||
	    w->writes + 1 >= w->ask || w->forks != ss_worth_forks ||
	    ss_blocking_generation(fd) & SS_GENERATION_TCP)
		return false;
	w->writes++;
	return true;
}

/* sendmmsg(2), whose bytes are not counted. */
void ss_worth_after_odd_write(int fd, ssize_t n);

void ss_worth_after_write_slowly(int fd, ssize_t n);
void ss_worth_has_left(int fd); /* the sockhash: it is on trial again */
static inline void ss_worth_after_write(int fd, ssize_t n)
{
	if (ss_worth_is_tried(fd))
		ss_worth_after_write_slowly(fd, n);
	else if (ss_worth_is_open(fd) &&
		 ss_flood_write(&ss_worth[fd].flood, fd, n))
		ss_worth_has_left(fd);
}

#endif
