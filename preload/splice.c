/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "splice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "../bpf/key.h"
#include "enroll.h"
#include "hooks.h"
#include "oddread.h"
#include "runtime.h"
#include "unmerge.h"
#include "unread.h"

#define MOVE_MAX 65536 /* what a pipe holds, by default */

static ssize_t peek(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return ss_recvmsg(fd, &msg, flags | MSG_PEEK);
}

static bool has_room(int pipe, int msecs)
{
	struct pollfd p = { .fd = pipe, .events = POLLOUT };

	return poll(&p, 1, msecs) == 1;
}

/* Whether what splice(2) would wait for may be redirected. */
static bool is_merged_and_blocks(int fd)
{
	struct ss_key key;

	return !(fcntl(fd, F_GETFL) & O_NONBLOCK) &&
	       ss_enroll_is_registered(fd, &key) && !ss_unmerge_is(fd);
}

/* A full pipe is waited for before the socket is looked at, as splice(2). */
static bool waits_for_room(int out, unsigned int flags)
{
	return !(flags & SPLICE_F_NONBLOCK) &&
	       !(fcntl(out, F_GETFL) & O_NONBLOCK);
}

/*
 * What waits in the psock goes to the pipe, and only what the pipe took is
 * then taken from the socket. The pipe gets the pages of @buf themselves, so
 * the bytes are read once more into another place.
 */
static ssize_t move(int in, int out, char *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf };
	ssize_t n = peek(in, buf, len, MSG_DONTWAIT);

	if (n <= 0)
		return n;
	iov.iov_len = (size_t)n;
	n = vmsplice(out, &iov, 1, SPLICE_F_NONBLOCK);
	if (n > 0)
		REAL(recv)(in, buf + MOVE_MAX, (size_t)n, MSG_DONTWAIT);
	return n;
}

static ssize_t move_pages(int in, int out, size_t len)
{
	char *buf = mmap(NULL, 2 * MOVE_MAX, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int saved_errno;
	ssize_t n;

	if (buf == MAP_FAILED)
		return -1;
	n = move(in, out, buf, len < MOVE_MAX ? len : MOVE_MAX);
	saved_errno = errno;
	munmap(buf, 2 * MOVE_MAX);
	errno = saved_errno;
	return n;
}

ssize_t ss_splice(int in, int out, size_t len, unsigned int flags)
{
	char byte;
	ssize_t n;

	if (!len || !ss_runtime_is_on() || !ss_key_is_tcp(in))
		return REAL(splice)(in, NULL, out, NULL, len, flags);
	for (;;) {
		if (!has_room(out, 0)) {
			if (!waits_for_room(out, flags)) {
				errno = EAGAIN;
				return -1;
			}
			if (!has_room(out, -1))
				return -1;
		}
		switch (ss_unread(in)) {
		case SS_UNREAD_NONE:
			if (!is_merged_and_blocks(in))
				return REAL(splice)(in, NULL, out, NULL, len,
						    flags);
			n = peek(in, &byte, 1, 0);
			if (n <= 0)
				return n;
			continue;
		case SS_UNREAD_TCP:
			return REAL(splice)(in, NULL, out, NULL, len, flags);
		default:
			n = move_pages(in, out, len);
			if (n >= 0 || errno != EAGAIN)
				return n;
		}
	}
}
