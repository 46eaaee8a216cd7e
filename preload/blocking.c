/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "blocking.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#include "hooks.h"
#include "runtime.h"

static bool is_blocking_tcp(int fd)
{
	int protocol = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof(protocol);

	return flags >= 0 && !(flags & O_NONBLOCK) &&
	       !REAL(getsockopt)(fd, SOL_SOCKET, SO_PROTOCOL, &protocol,
				 &len) &&
	       protocol == IPPROTO_TCP;
}

/* Then EAGAIN is what TCP returns, too, when the time has passed. */
static bool has_timeout(int fd)
{
	struct timeval timeout = { 0, 0 };
	socklen_t len = sizeof(timeout);

	return REAL(getsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len) ||
	       timeout.tv_sec || timeout.tv_usec;
}

/*
 * Was it a signal? The kernel does not tell. If every handler restarts system
 * calls, it makes no difference. If one does not, its program expects EINTR
 * from a blocking read at any time, and might wait for it forever.
 */
static bool may_be_interrupted(void)
{
	struct sigaction action;

	for (int signal = 1; signal < NSIG; signal++) {
		if (!sigaction(signal, NULL, &action) &&
		    action.sa_handler != SIG_DFL &&
		    action.sa_handler != SIG_IGN &&
		    !(action.sa_flags & SA_RESTART))
			return true;
	}
	return false;
}

/* Data, end of file or an error is there: the next read will not wait. */
static bool is_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

bool ss_blocking_again(int fd)
{
	if (ss_runtime_is_disabled() || !is_blocking_tcp(fd)) {
		errno = EAGAIN;
		return false;
	}
	if (is_ready(fd))
		return true;
	if (has_timeout(fd)) {
		errno = EAGAIN;
		return false;
	}
	if (may_be_interrupted()) {
		errno = EINTR;
		return false;
	}
	return true;
}
