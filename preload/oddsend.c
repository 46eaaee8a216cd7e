/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "oddsend.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>

#include "hooks.h"
#include "runtime.h"

/* SO_ERROR, which takes it; 0: none. */
static int error_of(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	REAL(getsockopt)(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

static bool is_shut(int fd)
{
	struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };
	socklen_t len = sizeof(info);

	return !REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state != TCP_ESTABLISHED &&
	       info.tcpi_state != TCP_CLOSE_WAIT;
}

static ssize_t send_nothing(int fd, ssize_t n, int flags)
{
	int saved_errno = errno, error = 0;

	if (ss_runtime_on_for(fd)) {
		error = error_of(fd);
		if (!error && is_shut(fd))
			error = EPIPE;
	}
	if (error == EPIPE && !(flags & MSG_NOSIGNAL))
		raise(SIGPIPE);
	errno = error ? error : saved_errno;
	return error ? -1 : n;
}

static void take_error(int fd)
{
	int saved_errno = errno;

	if (ss_runtime_on_for(fd))
		error_of(fd);
	errno = saved_errno;
}

int ss_oddsend_many(int fd, int sent, unsigned int n, bool first_is_empty,
		    int flags)
{
	if (sent < 0 || (sent && first_is_empty))
		return (int)ss_oddsend_result(fd, sent, flags);
	/* A later one has failed; that TCP would have told nobody either. */
	if ((unsigned int)sent < n)
		take_error(fd);
	if (sent > 0) {
		ss_worth_after_odd_write(fd, sent);
		ss_yield_if_ahead(fd, flags);
	}
	return sent;
}

ssize_t ss_oddsend_result(int fd, ssize_t n, int flags)
{
	if (n >= 0)
		return send_nothing(fd, n, flags);
	switch (errno) {
	case ECONNRESET:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
		take_error(fd);
	}
	return n;
}
