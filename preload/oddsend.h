/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends that tcp_bpf_sendmsg() does not treat as tcp_sendmsg() does. */
#ifndef SOCKSHUNT_ODDSEND_H
#define SOCKSHUNT_ODDSEND_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "unmerge.h"
#include "worth.h"
#include "yield.h"

/* Urgent data is apart from the stream only in TCP's own queue. */
static inline void ss_oddsend_before(int fd, int flags)
{
	int saved_errno;

	ss_worth_before_write(fd);
	if (__builtin_expect(!(flags & MSG_OOB), 1))
		return;
	saved_errno = errno;
	ss_worth_end(fd);
	ss_unmerge_peer(fd);
	errno = saved_errno;
}

/*
 * A send with @flags has returned @n, of no bytes or an error. TCP refuses even
 * to send nothing after a shutdown; and it reports an error of the socket once,
 * where tcp_bpf_sendmsg() leaves it for the next call to report again. Returns
 * what the send returns, with errno and SIGPIPE.
 */
ssize_t ss_oddsend_result(int fd, ssize_t n, int flags);

/* The same for sendmmsg(2) of @n messages. */
int ss_oddsend_many(int fd, int sent, unsigned int n, bool first_is_empty,
		    int flags);

static inline ssize_t ss_oddsend_after(int fd, ssize_t n, int flags)
{
	if (__builtin_expect(n > 0, 1)) {
		ss_worth_after_write(fd, n);
		ss_yield_if_ahead(fd, flags);
		return n;
	}
	return ss_oddsend_result(fd, n, flags);
}

#endif
