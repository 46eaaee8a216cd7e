/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "splice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "../bpf/abi.h"
#include "blocking.h"
#include "hooks.h"
#include "oddread.h"
#include "runtime.h"
#include "signals.h"
#include "undisturbed.h"
#include "unmerge.h"
#include "unread.h"

#define MOVE_MAX 65536 /* what a pipe holds, by default */

static ssize_t peek(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return ss_recvmsg(fd, &msg, flags | MSG_PEEK);
}

static bool has_room(int pipe)
{
	struct pollfd p = { .fd = pipe, .events = POLLOUT };

	return REAL(poll)(&p, 1, 0) == 1;
}

/* False with errno: a handler that does not restart has run. */
static bool wait_for_room(int pipe, unsigned int interruptions)
{
	struct pollfd p = { .fd = pipe, .events = POLLOUT };

	while (REAL(poll)(&p, 1, -1) < 0) {
		if (errno != EINTR || interruptions != ss_signals.interrupting)
			return false;
	}
	return true;
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

/*
 * Of two threads that splice one socket, the second waits: what the first has
 * put into its pipe it has not yet taken from the socket. By number; a signal
 * handler must not wait for the thread it interrupts.
 */
#define NR_LOCKS 64
static int locks[NR_LOCKS];

static void lock(int fd, struct ss_undisturbed *u)
{
	ss_undisturbed_begin(u);
	while (__atomic_exchange_n(&locks[fd % NR_LOCKS], 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(int fd, const struct ss_undisturbed *u)
{
	__atomic_store_n(&locks[fd % NR_LOCKS], 0, __ATOMIC_RELEASE);
	ss_undisturbed_end(u);
}

static ssize_t move_pages(int in, int out, size_t len)
{
	char *buf = mmap(NULL, 2 * MOVE_MAX, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ss_undisturbed u;
	int saved_errno;
	ssize_t n;

	if (buf == MAP_FAILED)
		return -1;
	lock(in, &u);
	n = move(in, out, buf, len < MOVE_MAX ? len : MOVE_MAX);
	saved_errno = errno;
	munmap(buf, 2 * MOVE_MAX);
	unlock(in, &u);
	errno = saved_errno;
	return n;
}

ssize_t ss_splice(int in, int out, size_t len, unsigned int flags)
{
	unsigned int interruptions = ss_signals.interrupting;
	char byte;
	ssize_t n;

	if (!len || !ss_runtime_on_for(in))
		return REAL(splice)(in, NULL, out, NULL, len, flags);
	flags |= SS_SPLICE_KNOWS;
	for (;;) {
		if (!has_room(out)) {
			if (!waits_for_room(out, flags)) {
				errno = EAGAIN;
				return -1;
			}
			if (!wait_for_room(out, interruptions))
				return -1;
		}
		switch (ss_unread(in)) {
		case SS_UNREAD_NONE:
			if (!ss_blocking_waits(in, 0) || !ss_unmerge_is_not(in))
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
