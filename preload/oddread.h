/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reads that ask for something tcp_bpf_recvmsg() does not know: all of it
 * (MSG_WAITALL), none of it (MSG_TRUNC discards, a length of 0 only waits),
 * or urgent data.
 */
#ifndef SOCKSHUNT_ODDREAD_H
#define SOCKSHUNT_ODDREAD_H

#include <stdbool.h>
#include <sys/socket.h>

/* Whether a read of @len bytes with @flags may be one. */
static inline bool ss_oddread_concerns(size_t len, int flags)
{
	return __builtin_expect(!len || (flags &
					 (MSG_WAITALL | MSG_TRUNC | MSG_OOB)),
				0);
}

/* recvmsg(2) of a TCP socket, once ss_runtime_on_for() it. */
ssize_t ss_oddread(int fd, struct msghdr *msg, int flags);

/* recvmsg(2) has returned @n, more than 0, from the psock. */
ssize_t ss_oddread_across(int fd, struct msghdr *msg, ssize_t n);

/* recvmmsg(2) of a TCP socket; @continued: some messages were read. */
int ss_oddread_many(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    const struct timespec *timeout, bool continued);

/* recvmsg(2) has returned 0: was that for want of a length? */
ssize_t ss_oddread_nothing(int fd, struct msghdr *msg, int flags);

/* recvmsg(2) that blocks as it should: blocking.h, in guards.c. */
ssize_t ss_recvmsg(int fd, struct msghdr *msg, int flags);

#endif
