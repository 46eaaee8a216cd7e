/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "unread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../bpf/key.h"
#include "enroll.h"
#include "hooks.h"
#include "runtime.h"
#include "unmerge.h"

enum ss_unread ss_unread(int fd)
{
	if (REAL(recv)(fd, NULL, 1, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) >= 0)
		return SS_UNREAD_TCP;
	switch (errno) {
	case EAGAIN:
		return SS_UNREAD_NONE;
	case EFAULT:
		return SS_UNREAD_PSOCK;
	default:
		return SS_UNREAD_ERROR;
	}
}

/*
 * With nowhere to map to, TCP_ZEROCOPY_RECEIVE says how much would have to be
 * read instead: up to a page, all that waits by sequence numbers.
 */
int ss_unread_by_tcp(int fd)
{
	struct tcp_zerocopy_receive zc = { 0, 0, 0 };
	socklen_t len = sizeof(zc);

	if (!REAL(getsockopt)(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len))
		return (int)zc.recv_skip_hint;
	return errno == EIO ? 0 : -1; /* EIO: end of file */
}

void ss_unread_complete(int fd, int *bytes)
{
	int saved_errno = errno, by_tcp;

	/* tcp_bpf_ioctl() counts the psock's queue only. */
	if (ss_unmerge_any() && ss_key_is_tcp(fd) && ss_unmerge_is(fd)) {
		by_tcp = ss_unread_by_tcp(fd);
		if (by_tcp < 0) /* psock's are at most a few; peek at TCP's */
			by_tcp = (int)REAL(recv)(fd, NULL, 1 << 30,
						 MSG_PEEK | MSG_TRUNC |
							 MSG_DONTWAIT);
		if (by_tcp > 0)
			*bytes += by_tcp;
	}
	errno = saved_errno;
}

void ss_unread_at_mark(int fd, int *at)
{
	int saved_errno = errno;

	/* Whoever sent urgent data to it may have taken it out of merging. */
	if (*at && ss_runtime_is_on() && ss_unread(fd) == SS_UNREAD_PSOCK)
		*at = 0;
	errno = saved_errno;
}

int ss_unread_zerocopy(int fd, void *value, socklen_t *len)
{
	struct tcp_zerocopy_receive *zc = value;
	struct ss_key key;
	int bytes = 0;

	if (!ss_enroll_is_registered(fd, &key) || !zc || !len ||
	    *len < sizeof(*zc) ||
	    (ss_unmerge_is(fd) && ss_unread(fd) != SS_UNREAD_PSOCK))
		return REAL(getsockopt)(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE,
					value, len);
	if (REAL(ioctl)(fd, FIONREAD, &bytes))
		return -1;
	memset(zc + 1, 0, *len - sizeof(*zc));
	zc->length = 0;
	zc->recv_skip_hint = (uint32_t)bytes;
	if (bytes || !ss_unread_has_ended(fd))
		return 0;
	errno = EIO;
	return -1;
}

bool ss_unread_has_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 1 &&
	       p.revents & (POLLRDHUP | POLLERR | POLLHUP);
}
