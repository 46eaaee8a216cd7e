/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A blocking read must block. tcp_bpf_recvmsg() sleeps once, and if it was
 * woken for anything but data (the peer acknowledged our FIN, another thread
 * shut the socket down, a signal) it returns EAGAIN, which no blocking socket
 * ever does.
 */
#ifndef SOCKSHUNT_BLOCKING_H
#define SOCKSHUNT_BLOCKING_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

/*
 * A read of @fd has failed with errno EAGAIN. True if it must be repeated;
 * else errno is what the program is to see. Async-signal-safe.
 */
bool ss_blocking_again(int fd);

static inline bool ss_blocking_retry(int fd, int flags)
{
	return __builtin_expect(errno == EAGAIN, 0) &&
	       !(flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) &&
	       ss_blocking_again(fd);
}

#endif
