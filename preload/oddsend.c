/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "oddsend.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>

#include "../bpf/key.h"
#include "hooks.h"
#include "runtime.h"

ssize_t ss_oddsend_nothing(int fd, int flags)
{
	int saved_errno = errno;
	struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(info);

	if (!ss_runtime_is_on() || !ss_key_is_tcp(fd) ||
	    REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    info.tcpi_state == TCP_ESTABLISHED ||
	    info.tcpi_state == TCP_CLOSE_WAIT) {
		errno = saved_errno;
		return 0;
	}
	if (!(flags & MSG_NOSIGNAL))
		raise(SIGPIPE);
	errno = EPIPE;
	return -1;
}
