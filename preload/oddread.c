/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "oddread.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "../bpf/key.h"
#include "blocking.h"
#include "enroll.h"
#include "hooks.h"
#include "runtime.h"
#include "unmerge.h"
#include "unread.h"

#define DISCARD_MAX (1U << 20) /* of one call; TCP has no limit */

static size_t length_of(const struct msghdr *msg)
{
	size_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	return len;
}

/* Where a peek would wait for what is behind SO_PEEK_OFF, or take an urgent
 * byte for none. */
static bool waits_otherwise(int fd, bool waits, int offset, short *seen)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI };
	long long timeout = ss_blocking_timeout(fd);
	int msecs = timeout ? (int)(timeout / 1000000) : -1;

	REAL(poll)(&p, 1, offset >= 0 && waits ? msecs : 0);
	*seen = p.revents;
	return (offset >= 0 && waits) || p.revents & POLLPRI;
}

/*
 * A read of no bytes takes none; if there are none it waits, and TCP ends it
 * when it is woken, for whatever reason.
 */
ssize_t ss_oddread_nothing(int fd, struct msghdr *msg, int flags)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr peek = { .msg_iov = &iov, .msg_iovlen = 1 };
	int saved_errno = errno, offset;
	struct ss_key key;
	bool waits;
	short seen;
	ssize_t n;

	if (length_of(msg) || !ss_runtime_is_on() || !ss_key_is_tcp(fd))
		return 0;
	waits = ss_blocking_waits(fd, flags);
	offset = ss_unread_peek_off(fd);
	/* Without a peer it is not found any more, and there is an end. */
	if (ss_key_of_socket(fd, false, &key))
		flags |= MSG_DONTWAIT;
	else if (!ss_enroll_is_registered(fd, &key) ||
		 (waits_otherwise(fd, waits, offset, &seen) &&
		  !(seen & POLLERR)))
		goto nothing;
	n = REAL(recvmsg)(fd, &peek, flags | MSG_PEEK);
	if (n < 0 && !(errno == EAGAIN && waits))
		return -1;
	if (n > 0 && offset >= 0)
		ss_unread_set_peek_off(fd, offset);
nothing:
	errno = saved_errno;
	return 0;
}

static ssize_t read_all(int fd, struct msghdr *msg, size_t len, int flags);

/* Into a buffer of our own, and no further. */
static ssize_t read_and_drop(int fd, struct msghdr *msg, size_t len, int flags)
{
	struct iovec iov = { NULL, len < DISCARD_MAX ? len : DISCARD_MAX };
	struct msghdr ours = *msg;
	ssize_t n;

	iov.iov_base = mmap(NULL, iov.iov_len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (iov.iov_base == MAP_FAILED)
		return -1;
	ours.msg_iov = &iov;
	ours.msg_iovlen = 1;
	if (flags & MSG_WAITALL)
		n = read_all(fd, &ours, iov.iov_len, flags);
	else
		n = ss_recvmsg(fd, &ours, flags);
	munmap(iov.iov_base, iov.iov_len);
	if (n >= 0) {
		msg->msg_namelen = ours.msg_namelen;
		msg->msg_controllen = ours.msg_controllen;
		msg->msg_flags = ours.msg_flags;
	}
	return n;
}

/* TCP passes over the bytes; the psock would write them to the caller's. */
static ssize_t discard(int fd, struct msghdr *msg, size_t len, int flags)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr peek = { .msg_iov = &iov, .msg_iovlen = 1 };
	enum ss_unread where = ss_unread(fd);
	ssize_t n;

	while (where == SS_UNREAD_NONE && ss_blocking_waits(fd, flags) &&
	       ss_unmerge_is_not(fd)) {
		n = ss_recvmsg(fd, &peek, MSG_PEEK);
		if (n < 0)
			return n;
		where = n ? ss_unread(fd) : SS_UNREAD_TCP;
	}
	if (where == SS_UNREAD_PSOCK)
		return read_and_drop(fd, msg, len, flags & ~MSG_TRUNC);
	if (flags & MSG_WAITALL && !ss_unmerge_is_not(fd))
		return read_all(fd, msg, len, flags);
	return ss_recvmsg(fd, msg, flags);
}

/* tcp_recv_urg() runs only where TCP's own queue is read. */
static ssize_t read_urgent(int fd, struct msghdr *msg, int flags)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	struct ss_key key;
	ssize_t n;

	if (!ss_enroll_is_registered(fd, &key))
		return REAL(recvmsg)(fd, msg, flags);
	ss_unmerge(fd);
	/* While bytes wait in the psock, it would take those. */
	if (ss_unread(fd) != SS_UNREAD_PSOCK) {
		n = REAL(recvmsg)(fd, msg, flags | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return n;
	}
	if (REAL(poll)(&p, 1, 0) == 1 && p.revents & POLLPRI)
		errno = EAGAIN;
	else
		errno = EINVAL;
	return -1;
}

/* What is left to fill of @from, after @done bytes. */
static size_t remainder_of(const struct msghdr *from, size_t done,
			   struct iovec *iov)
{
	size_t n = 0;

	for (size_t i = 0; i < from->msg_iovlen; i++) {
		size_t len = from->msg_iov[i].iov_len;
		size_t skip = done < len ? done : len;

		done -= skip;
		if (len == skip)
			continue;
		iov[n].iov_base = (char *)from->msg_iov[i].iov_base + skip;
		iov[n++].iov_len = len - skip;
	}
	return n;
}

/*
 * One more piece: what came after @n bytes, or all again for a peek. Control
 * messages, of @room bytes at most, are those of the last piece, as on TCP.
 */
static ssize_t read_on(const struct ss_blocking *b, int fd, struct msghdr *msg,
		       size_t n, int flags, size_t room)
{
	struct iovec iov[msg->msg_iovlen];
	struct msghdr rest = { .msg_iov = iov };
	ssize_t more;

	rest.msg_iovlen = remainder_of(msg, flags & MSG_PEEK ? 0 : n, iov);
	if (room) {
		rest.msg_control = msg->msg_control;
		rest.msg_controllen = room;
	}
	more = ss_blocking_read(b, fd, &rest, flags & ~MSG_WAITALL);
	if (more > 0 && room) {
		msg->msg_controllen = rest.msg_controllen;
		msg->msg_flags = rest.msg_flags;
	}
	return more;
}

static size_t waiting(int fd)
{
	int bytes = 0;

	if (!REAL(ioctl)(fd, FIONREAD, &bytes))
		ss_unread_complete(fd, &bytes);
	return (size_t)bytes;
}

static ssize_t fill(struct ss_blocking *b, int fd, struct msghdr *msg, size_t n,
		    size_t len, int flags, size_t room)
{
	bool peek = flags & MSG_PEEK, over = false;
	ssize_t more;

	for (;;) {
		/* That is for the next call to report. */
		if (ss_unread_has_ended(fd) && waiting(fd) <= (peek ? n : 0))
			return (ssize_t)n;
		more = read_on(b, fd, msg, n, flags, room);
		if (more > 0)
			n = peek ? (size_t)more : n + (size_t)more;
		if (over || n >= len || more == 0 ||
		    (more < 0 && errno != EAGAIN))
			return (ssize_t)n;
		if (more < 0 || peek)
			over = !ss_blocking_wait(b, fd, peek, true);
		if (over && !ss_blocking_hides(fd))
			return (ssize_t)n;
	}
}

/*
 * TCP's queue is read to the end by TCP, unless the read was woken for nothing:
 * it has gone on without waiting in the kernel.
 */
static ssize_t read_all(int fd, struct msghdr *msg, size_t len, int flags)
{
	size_t room = msg->msg_controllen;
	int saved_errno = errno;
	struct ss_blocking b;
	struct ss_key key;
	bool went_on;
	ssize_t n;

	/* Inside TCP's own read, it would not see what is redirected. */
	if (ss_unmerge_crosses() == SS_CROSSING_ALWAYS && ss_unmerge_is_not(fd))
		flags &= ~MSG_WAITALL;
	ss_blocking_begin(&b, fd);
	n = REAL(recvmsg)(fd, msg, flags);
	went_on = ss_blocking_concerns(n, flags);
	if (went_on)
		n = ss_blocking_go_on(&b, fd, msg, flags);
	if (n <= 0 || (size_t)n >= len || !ss_blocking_waits(fd, flags))
		return n;
	if (went_on ? b.over || !ss_enroll_is_registered(fd, &key)
		    : !ss_unmerge_is_not(fd))
		return n;
	/* What came while there was nothing to return has restarted it. */
	b.signals = ss_signals;
	n = fill(&b, fd, msg, (size_t)n, len, flags, room);
	errno = saved_errno;
	return n;
}

ssize_t ss_oddread(int fd, struct msghdr *msg, int flags)
{
	size_t len;

	if (flags & MSG_ERRQUEUE)
		return ss_recvmsg(fd, msg, flags);
	len = length_of(msg);
	if (flags & MSG_OOB)
		return read_urgent(fd, msg, flags);
	if (!len) {
		ssize_t n = ss_recvmsg(fd, msg, flags);

		return n ? n : ss_oddread_nothing(fd, msg, flags);
	}
	if (flags & MSG_TRUNC)
		return discard(fd, msg, len, flags);
	if (flags & MSG_WAITALL)
		return read_all(fd, msg, len, flags);
	return ss_recvmsg(fd, msg, flags);
}

/*
 * A socket that was taken out of merging may have bytes in both queues, and a
 * read ends between them; its reader might take that for all there is.
 */
ssize_t ss_oddread_across(int fd, struct msghdr *msg, ssize_t n)
{
	int saved_errno = errno, at_mark = 0;
	struct ss_blocking b;
	ssize_t more = 0;

	ss_blocking_begin(&b, fd);
	/* TCP's own reads end at the urgent mark. */
	if ((size_t)n < length_of(msg) && !ss_unread_none_by_tcp(fd) &&
	    !REAL(ioctl)(fd, SIOCATMARK, &at_mark) && !at_mark &&
	    !ss_unread_has_ended(fd) && ss_unread(fd) == SS_UNREAD_TCP)
		more = read_on(&b, fd, msg, (size_t)n, 0, 0);
	errno = saved_errno;
	return more > 0 ? n + more : n;
}

static bool has_passed(const struct timespec *timeout,
		       const struct timespec *start)
{
	return timeout &&
	       ss_blocking_nsecs_since(start) >=
		       timeout->tv_sec * 1000000000LL + timeout->tv_nsec;
}

/*
 * Waits for the next of several messages. False: it will not come, or it is an
 * error, which is for the next call to report.
 */
static bool wait_for_next(int fd)
{
	struct ss_blocking b;

	if (ss_blocking_waits(fd, 0)) {
		ss_blocking_begin(&b, fd);
		if (!ss_blocking_wait(&b, fd, false, true))
			return false;
	}
	return waiting(fd) || !ss_unread_has_error(fd);
}

int ss_oddread_many(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    const struct timespec *timeout, bool continued)
{
	struct timespec start;
	int error = 0;
	socklen_t error_len = sizeof(error);
	unsigned int i;
	ssize_t len;

	/* As recvmmsg(2): before all else. */
	if (!continued &&
	    !REAL(getsockopt)(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) &&
	    error) {
		errno = error;
		return -1;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < n && !(i && has_passed(timeout, &start)); i++) {
		if ((i || continued) &&
		    (flags & MSG_DONTWAIT ? ss_unread_has_error(fd)
					  : !wait_for_next(fd)))
			break;
		len = ss_oddread(fd, &msgs[i].msg_hdr, flags & ~MSG_WAITFORONE);
		if (len < 0)
			return i ? (int)i : -1;
		msgs[i].msg_len = (unsigned int)len;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	return (int)i;
}
