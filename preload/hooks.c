/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The exported functions that bring sockets in, and keep our descriptors out
 * of the way. Each calls the original with the program's own arguments; what
 * we do beside that never changes its result or errno.
 */
#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../bpf/permit.h"
#include "blocking.h"
#include "enroll.h"
#include "ownfd.h"
#include "reset.h"
#include "runtime.h"
#include "seccomp.h"
#include "unread.h"
#include "worth.h"

HOOK int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	int sock = REAL(accept)(fd, addr, len);

	if (sock >= 0) {
		ss_blocking_number_given(sock);
		ss_enroll_accepted(sock);
	}
	return sock;
}

HOOK int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int sock = REAL(accept4)(fd, addr, len, flags);

	if (sock >= 0) {
		ss_blocking_number_given(sock);
		ss_enroll_accepted(sock);
	}
	return sock;
}

HOOK int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int result;

	if (!ss_enroll_concerns(addr, len))
		return REAL(connect)(fd, addr, len);
	ss_blocking_number_given(fd);
	ss_enroll_before_connect(fd, addr);
	result = REAL(connect)(fd, addr, len);
	ss_enroll_after_connect(fd, addr, result);
	return result;
}

HOOK int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int result;

	if (level == IPPROTO_TCP && name == TCP_ZEROCOPY_RECEIVE)
		return ss_unread_zerocopy(fd, value, len);
	result = REAL(getsockopt)(fd, level, name, value, len);
	/* How event loops learn that a non-blocking connect has finished. */
	if (!result && level == SOL_SOCKET && name == SO_ERROR &&
	    ss_enroll_is_pending(fd))
		ss_enroll_pending(fd);
	return result;
}

HOOK int listen(int fd, int backlog)
{
	ss_enroll_before_listen(fd);
	return REAL(listen)(fd, backlog);
}

HOOK int close(int fd)
{
	if (ss_ownfd_is(fd) && ss_ownfd_still(fd)) {
		errno = EBADF; /* the program never opened it */
		return -1;
	}
	ss_reset_before_close(fd);
	ss_blocking_renumber(fd);
	return REAL(close)(fd);
}

HOOK void closefrom(int first)
{
	ss_reset_before_range((unsigned int)first, ~0U);
	ss_blocking_renumber_range((unsigned int)first, ~0U);
	if (ss_ownfd_in_range((unsigned int)first, ~0U))
		ss_ownfd_close_around((unsigned int)first, ~0U, 0);
	else
		REAL(closefrom)(first);
}

HOOK int close_range(unsigned int first, unsigned int last, int flags)
{
	if (first <= last && !(flags & ~CLOSE_RANGE_UNSHARE)) {
		ss_reset_before_range(first, last);
		ss_blocking_renumber_range(first, last);
	}
	if (first <= last && ss_ownfd_in_range(first, last))
		return ss_ownfd_close_around(first, last, flags);
	return REAL(close_range)(first, last, flags);
}

/* What dup2(2) is about to close, if it can duplicate @from at all. */
static void before_dup_onto(int from, int to)
{
	int saved_errno = errno;

	/* A program without TCP pays nothing for this. */
	if (from == to || !ss_may(SS_DUTY_READ) ||
	    (ss_runtime_is_asleep() && !ss_ownfd_is(to)))
		return;
	if (fcntl(from, F_GETFD) >= 0) {
		if (ss_ownfd_is(to))
			ss_ownfd_yield(to);
		ss_reset_before_close(to);
		ss_blocking_renumber(to);
	}
	errno = saved_errno;
}

HOOK int dup2(int from, int to)
{
	int result;

	before_dup_onto(from, to);
	result = REAL(dup2)(from, to);
	if (result >= 0 && from != to)
		ss_worth_copy(from, to);
	return result;
}

HOOK int dup3(int from, int to, int flags)
{
	int result;

	before_dup_onto(from, to);
	result = REAL(dup3)(from, to, flags);
	if (result >= 0)
		ss_worth_copy(from, to);
	return result;
}

/* exit(3) does not come here, but runs our destructor. */
HOOK __attribute__((noreturn)) void _exit(int status)
{
	ss_reset_before_range(0, ~0U);
	REAL(_exit)(status);
	__builtin_unreachable();
}

HOOK __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

/*
 * Variadic to others; all that arguments may come in is passed on, as the C
 * library's do.
 */
static __attribute__((noinline)) long syscall_slowly(long nr, long a, long b,
						     long c, long d, long e,
						     long f)
{
	if (nr == SYS_seccomp)
		return ss_seccomp_set((unsigned int)a, (unsigned int)b,
				      (void *)c);
	if (nr == SYS_prctl && a == PR_SET_SECCOMP)
		return ss_seccomp_prctl((int)a, (unsigned long)b,
					(unsigned long)c, (unsigned long)d,
					(unsigned long)e);
	return REAL(syscall)(nr, a, b, c, d, e, f);
}

HOOK long syscall_hook(long nr, long a, long b, long c, long d, long e,
		       long f) __asm__("syscall");
HOOK long syscall_hook(long nr, long a, long b, long c, long d, long e, long f)
{
	__typeof__(ss_real.syscall) real =
		__atomic_load_n(&ss_real.syscall, __ATOMIC_RELAXED);
	long result;

	if (__builtin_expect(!real || nr == SYS_seccomp || nr == SYS_prctl, 0))
		real = syscall_slowly;
	result = real(nr, a, b, c, d, e, f);
	/*
	 * No tail call: that would store f where it came from, which with
	 * fewer arguments is the caller's own variable, and perhaps a futex.
	 */
	__asm__ volatile("" : "+r"(result));
	return result;
}

HOOK int prctl_hook(int option, unsigned long a, unsigned long b,
		    unsigned long c, unsigned long d) __asm__("prctl");
HOOK int prctl_hook(int option, unsigned long a, unsigned long b,
		    unsigned long c, unsigned long d)
{
	if (__builtin_expect(option == PR_SET_SECCOMP, 0))
		return (int)ss_seccomp_prctl(option, a, b, c, d);
	return REAL(prctl)(option, a, b, c, d);
}
