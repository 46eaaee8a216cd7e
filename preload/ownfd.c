/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "ownfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../bpf/permit.h"
#include "hooks.h"
#include "runtime.h"

int ss_ownfds[SS_NR_OBJECTS] = { [0 ... SS_NR_OBJECTS - 1] = -1 };

/*
 * High enough to be out of the way, low enough that neither select(2)'s set
 * nor the kernel's descriptor table (copied by each fork) grows beyond what a
 * process with the default limit of 1024 may have anyway.
 */
int ss_ownfd_base(void)
{
	struct rlimit limit;
	rlim_t top = 1024;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < top)
		top = limit.rlim_cur;
	return top > 2 * SS_OWNFD_SPAN ? (int)top - SS_OWNFD_SPAN : 3;
}

static int duplicate_high(int fd, int cloexec)
{
	return fcntl(fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, ss_ownfd_base());
}

void ss_ownfd_keep(enum ss_object_kind which, int fd, bool inherit)
{
	int high = duplicate_high(fd, !inherit);

	if (high >= 0)
		REAL(close)(fd);
	else
		high = fd; /* every number is taken: stay where we are */
	__atomic_store_n(&ss_ownfds[which], high, __ATOMIC_RELEASE);
}

static bool replace(enum ss_object_kind which, int from, int to)
{
	return __atomic_compare_exchange_n(&ss_ownfds[which], &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool ss_ownfd_forget(enum ss_object_kind which, int fd)
{
	return replace(which, fd, -1);
}

bool ss_ownfd_still(int fd)
{
	if (!ss_runtime.control || !ss_may(SS_DUTY_BPF))
		return true; /* not even started; or nobody can tell */
	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (fd == ss_ownfd((enum ss_object_kind)i) &&
		    !ss_pins_is(ss_runtime.control, (enum ss_object_kind)i,
				fd) &&
		    ss_ownfd_forget((enum ss_object_kind)i, fd))
			return false;
	}
	return true;
}

void ss_ownfd_yield(int fd)
{
	int saved_errno = errno, flags = fcntl(fd, F_GETFD), high;

	/* A vfork child shares our memory, not our descriptors: what it does
	 * to its own must not be believed by the parent. */
	if (flags >= 0 && ss_runtime_owns_memory()) {
		high = duplicate_high(fd, flags & FD_CLOEXEC);
		for (int i = 0; i < SS_NR_OBJECTS; i++)
			replace((enum ss_object_kind)i, fd, high);
	}
	errno = saved_errno;
}

static bool in_range(int fd, unsigned int first, unsigned int last)
{
	return fd >= 0 && (unsigned int)fd >= first && (unsigned int)fd <= last;
}

bool ss_ownfd_in_range(unsigned int first, unsigned int last)
{
	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (in_range(ss_ownfd((enum ss_object_kind)i), first, last))
			return true;
	}
	return false;
}

/* close_range(2) appeared in 5.9; before, as glibc's closefrom(3), a loop. */
static int close_slowly(unsigned int first, unsigned int last)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && last >= limit.rlim_cur)
		last = (unsigned int)limit.rlim_cur - 1;
	for (unsigned int fd = first; fd <= last; fd++)
		REAL(close)((int)fd);
	return 0;
}

static int close_span(unsigned int first, unsigned int last, int flags)
{
	int result = (int)syscall(SYS_close_range, first, last, flags);

	if (result && errno == ENOSYS && !flags)
		return close_slowly(first, last);
	return result;
}

/* The lowest of ours from @from on; -1: none. */
static int next_own(unsigned int from, unsigned int last)
{
	int lowest = -1, fd;

	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		fd = ss_ownfd((enum ss_object_kind)i);
		if (in_range(fd, from, last) && (lowest < 0 || fd < lowest))
			lowest = fd;
	}
	return lowest;
}

int ss_ownfd_close_around(unsigned int first, unsigned int last, int flags)
{
	int skip, result = 0;

	while (!result && first <= last &&
	       (skip = next_own(first, last)) >= 0) {
		if ((unsigned int)skip > first)
			result = close_span(first, (unsigned int)skip - 1,
					    flags);
		first = (unsigned int)skip + 1;
	}
	if (!result && first <= last)
		result = close_span(first, last, flags);
	return result;
}
