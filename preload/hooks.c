/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The exported functions. Each calls the original with the program's own
 * arguments; what we do beside that never changes its result or errno. The
 * read family calls it again where TCP would have gone on waiting.
 */
#include "hooks.h"

#include <errno.h>
#include <pthread.h>
#include <linux/close_range.h>
#include <unistd.h>

#include "blocking.h"
#include "enroll.h"
#include "ownfd.h"
#include "runtime.h"

#define HOOK __attribute__((visibility("default")))

HOOK int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	int sock = REAL(accept)(fd, addr, len);

	if (sock >= 0) {
		ss_blocking_renumber(sock);
		ss_enroll_accepted(sock);
	}
	return sock;
}

HOOK int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int sock = REAL(accept4)(fd, addr, len, flags);

	if (sock >= 0) {
		ss_blocking_renumber(sock);
		ss_enroll_accepted(sock);
	}
	return sock;
}

HOOK int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int result;

	if (!ss_enroll_concerns(addr, len))
		return REAL(connect)(fd, addr, len);
	ss_blocking_renumber(fd);
	ss_enroll_before_connect(fd, addr);
	result = REAL(connect)(fd, addr, len);
	ss_enroll_after_connect(fd, addr, result);
	return result;
}

HOOK int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int result = REAL(getsockopt)(fd, level, name, value, len);

	/* How event loops learn that a non-blocking connect has finished. */
	if (!result && level == SOL_SOCKET && name == SO_ERROR &&
	    ss_enroll_is_pending(fd))
		ss_enroll_pending(fd);
	return result;
}

HOOK int listen(int fd, int backlog)
{
	int result = REAL(listen)(fd, backlog);

	if (!result)
		ss_enroll_listening(fd);
	return result;
}

HOOK int close(int fd)
{
	if (ss_ownfd_is(fd) && ss_ownfd_still(fd)) {
		errno = EBADF; /* the program never opened it */
		return -1;
	}
	ss_blocking_renumber(fd);
	return REAL(close)(fd);
}

HOOK void closefrom(int first)
{
	ss_blocking_renumber_range((unsigned int)first, ~0U);
	if (ss_ownfd_in_range((unsigned int)first, ~0U))
		ss_ownfd_close_around((unsigned int)first, ~0U, 0);
	else
		REAL(closefrom)(first);
}

HOOK int close_range(unsigned int first, unsigned int last, int flags)
{
	if (first <= last && !(flags & ~CLOSE_RANGE_UNSHARE))
		ss_blocking_renumber_range(first, last);
	if (first <= last && ss_ownfd_in_range(first, last))
		return ss_ownfd_close_around(first, last, flags);
	return REAL(close_range)(first, last, flags);
}

HOOK int dup2(int from, int to)
{
	if (ss_ownfd_is(to))
		ss_ownfd_yield(to);
	if (from != to)
		ss_blocking_renumber(to);
	return REAL(dup2)(from, to);
}

HOOK int dup3(int from, int to, int flags)
{
	if (ss_ownfd_is(to))
		ss_ownfd_yield(to);
	ss_blocking_renumber(to);
	return REAL(dup3)(from, to, flags);
}

HOOK int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return ss_signals_action(sig, act, old);
}

/* The read family: the original, until TCP would have returned. */
#define READ_HOOK(type, name, flags, args, params)                             \
	HOOK type name params                                                  \
	{                                                                      \
		struct ss_blocking b = { .fd = -1 };                           \
		volatile int at = fd; /* beside setjmp() in the push */        \
		ssize_t n;                                                     \
                                                                               \
		ss_blocking_begin(&b, fd);                                     \
		n = REAL(name) args;                                           \
		if (!ss_blocking_concerns(n, flags))                           \
			return (type)n;                                        \
		pthread_cleanup_push(ss_blocking_end, &b);                     \
		while (ss_blocking_concerns(n, flags) &&                       \
		       ss_blocking_repeat(&b, fd, &n)) {                       \
			at = b.fd;                                             \
			n = REAL(name) args;                                   \
		}                                                              \
		pthread_cleanup_pop(1);                                        \
		return (type)n;                                                \
	}

READ_HOOK(ssize_t, read, 0, (at, buf, len), (int fd, void *buf, size_t len))
READ_HOOK(ssize_t, readv, 0, (at, iov, n_iov),
	  (int fd, const struct iovec *iov, int n_iov))
READ_HOOK(ssize_t, recv, flags, (at, buf, len, flags),
	  (int fd, void *buf, size_t len, int flags))
READ_HOOK(ssize_t, recvfrom, flags, (at, buf, len, flags, addr, addr_len),
	  (int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
	   socklen_t *addr_len))
READ_HOOK(ssize_t, recvmsg, flags, (at, msg, flags),
	  (int fd, struct msghdr *msg, int flags))
READ_HOOK(int, recvmmsg, flags, (at, msgs, n_msgs, flags, timeout),
	  (int fd, struct mmsghdr *msgs, unsigned int n_msgs, int flags,
	   struct timespec *timeout))

/* What _FORTIFY_SOURCE makes of them; declared in no public header. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags,
		       struct sockaddr *addr, socklen_t *addr_len);

READ_HOOK(ssize_t, __read_chk, 0, (at, buf, len, size),
	  (int fd, void *buf, size_t len, size_t size))
READ_HOOK(ssize_t, __recv_chk, flags, (at, buf, len, size, flags),
	  (int fd, void *buf, size_t len, size_t size, int flags))
READ_HOOK(ssize_t, __recvfrom_chk, flags,
	  (at, buf, len, size, flags, addr, addr_len),
	  (int fd, void *buf, size_t len, size_t size, int flags,
	   struct sockaddr *addr, socklen_t *addr_len))
