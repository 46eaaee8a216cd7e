/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sends that tcp_bpf_sendmsg() does not treat as tcp_sendmsg() does. */
#ifndef SOCKSHUNT_ODDSEND_H
#define SOCKSHUNT_ODDSEND_H

#include <sys/socket.h>

#include "unmerge.h"

/* Urgent data is apart from the stream only in TCP's own queue. */
static inline void ss_oddsend_before(int fd, int flags)
{
	if (__builtin_expect(flags & MSG_OOB, 0))
		ss_unmerge_peer(fd);
}

/* A send of no bytes has succeeded: TCP refuses even that after a shutdown.
 * Returns what the send returns, with errno and SIGPIPE. */
ssize_t ss_oddsend_nothing(int fd, int flags);

#endif
