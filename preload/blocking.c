/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "blocking.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "busypoll.h"
#include "hooks.h"
#include "ownfd.h"
#include "runtime.h"
#include "worth.h"

unsigned char ss_generations[SS_GENERATIONS];
bool ss_blocking_timed;

static void renumber(unsigned int fd)
{
	unsigned char old =
		__atomic_load_n(&ss_generations[fd], __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&ss_generations[fd], &old,
					    (unsigned char)((old + 2) &
							    ~SS_GENERATION_TCP),
					    false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
	ss_busypoll_unmark((int)fd);
	ss_worth_forget((int)fd);
}

/* Only where TCP is used; and a vfork child closes its own numbers. */
static bool numbers_matter(void)
{
	return !ss_runtime_is_asleep() && ss_may(SS_DUTY_READ) &&
	       ss_runtime_owns_memory();
}

void ss_blocking_renumber(int fd)
{
	int saved_errno = errno;

	if ((unsigned int)fd < SS_GENERATIONS && numbers_matter())
		renumber((unsigned int)fd);
	else
		ss_worth_stop_counting(fd);
	errno = saved_errno;
}

/* A vfork child, which only prepares to execute, makes none: no system call. */
void ss_blocking_number_given(int fd)
{
	if ((unsigned int)fd < SS_GENERATIONS && !ss_runtime_is_asleep() &&
	    ss_may(SS_DUTY_READ))
		renumber((unsigned int)fd);
}

void ss_blocking_renumber_range(unsigned int first, unsigned int last)
{
	bool matter = numbers_matter();

	if (!matter && ss_runtime_is_asleep())
		return;
	for (unsigned int i = first; i <= last && i < SS_GENERATIONS; i++) {
		if (matter)
			renumber(i);
		else
			ss_worth_stop_counting((int)i);
	}
}

void ss_blocking_is_tcp(int fd)
{
	if ((unsigned int)fd < SS_GENERATIONS)
		__atomic_fetch_or(&ss_generations[fd], SS_GENERATION_TCP,
				  __ATOMIC_SEQ_CST);
}

void ss_blocking_is_tcp_only(int fd)
{
	__atomic_fetch_and(&ss_generations[fd],
			   (unsigned char)~SS_GENERATION_TCP, __ATOMIC_SEQ_CST);
	ss_busypoll_unmark(fd);
}

bool ss_blocking_waits(int fd, int flags)
{
	int status;

	if (flags & MSG_DONTWAIT)
		return false;
	status = fcntl(fd, F_GETFL);
	return status >= 0 && !(status & O_NONBLOCK);
}

long long ss_blocking_timeout(int fd)
{
	struct timeval timeout = { 0, 0 };
	socklen_t len = sizeof(timeout);

	if (REAL(getsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len))
		return 0;
	return timeout.tv_sec * 1000000000LL + timeout.tv_usec * 1000LL;
}

bool ss_blocking_hides(int fd)
{
	int lowat = 1;
	socklen_t len = sizeof(lowat);

	REAL(getsockopt)(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, &len);
	return lowat > 1;
}

long long ss_blocking_nsecs_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1000000000LL + now.tv_nsec -
	       then->tv_nsec;
}

static bool renumbered(const struct ss_blocking *b, int fd)
{
	/* That the number's connection is registered meanwhile is no change. */
	return (b->generation ^ ss_blocking_generation(fd)) &
	       ~SS_GENERATION_TCP;
}

/* As TCP: sock_intr_errno() restarts only a read without timeout, and one
 * that has bytes returns them for any signal. */
static bool interrupted(const struct ss_blocking *b, bool any)
{
	return any ? b->signals.all != ss_signals.all
		   : b->signals.interrupting != ss_signals.interrupting;
}

/*
 * As a read that has bytes, epoll_wait(2) is also ended by a stop that is
 * continued. For something new, beside bytes that wait already (@more), an
 * edge-triggered descriptor tells once what is there at the start, and once
 * for each arrival.
 */
static int wait_by_epoll(int fd, bool more, int msecs)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP |
					       (more ? EPOLLET : 0) };
	int result, state, ep;

	/* Cancelled or left by a jump, it would leave a descriptor behind. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || REAL(epoll_ctl)(ep, EPOLL_CTL_ADD, fd, &event) ||
	    (more && REAL(epoll_wait)(ep, &event, 1, 0) < 0))
		result = -1;
	else
		result = REAL(epoll_wait)(ep, &event, 1, msecs);
	if (ep >= 0)
		REAL(close)(ep);
	pthread_setcancelstate(state, NULL);
	return result;
}

/* At most a second at a time, for the edge may be over before it is awaited. */
#define EDGE_MSECS 1000

static int wait_some(int fd, bool more, bool has, long long nsecs)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec left = { nsecs / 1000000000, nsecs % 1000000000 };

	if (has && nsecs && nsecs <= EDGE_MSECS * 1000000LL)
		return wait_by_epoll(fd, more, (int)(nsecs / 1000000) + 1);
	if (has)
		return wait_by_epoll(fd, more, EDGE_MSECS) < 0 ? -1 : 1;
	return REAL(ppoll)(&p, 1, nsecs ? &left : NULL, NULL);
}

bool ss_blocking_wait(struct ss_blocking *b, int fd, bool more, bool has)
{
	long long timeout = ss_blocking_timeout(fd), left = 0;
	int result;

	/* Set by another process: from now on, then. */
	if (timeout && !b->start.tv_sec) {
		ss_blocking_timed = true;
		clock_gettime(CLOCK_MONOTONIC, &b->start);
	}
	for (;;) {
		if (interrupted(b, timeout || has)) {
			errno = EINTR;
			return false;
		}
		if (timeout) {
			left = timeout - ss_blocking_nsecs_since(&b->start);
			if (left <= 0) {
				errno = EAGAIN;
				return false;
			}
		}
		result = wait_some(fd, more, has, left);
		if (result > 0)
			return true;
		if (result < 0 && (has || errno != EINTR))
			return false;
		/* What is less than SO_RCVLOWAT a signal makes TCP return. */
		if (result < 0 && !interrupted(b, timeout)) {
			b->over = true;
			return true;
		}
	}
}

/* By a duplicate: once that is made, the socket is certain. */
ssize_t ss_blocking_read(const struct ss_blocking *b, int fd,
			 struct msghdr *msg, int flags)
{
	int held = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	ssize_t n = -1;
	int saved_errno;

	if (held < 0) /* no number is free up there, or none at all */
		held = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	errno = EBADF;
	if (!renumbered(b, fd))
		n = syscall(SYS_recvmsg, held >= 0 ? held : fd, msg,
			    flags | MSG_DONTWAIT);
	saved_errno = errno;
	if (held >= 0)
		REAL(close)(held);
	if (!renumbered(b, fd))
		ss_worth_count_read(fd, flags, n);
	errno = saved_errno;
	return n;
}

/*
 * A number that was closed while it was read was shut down before, mostly: end
 * of file. Or its reader was told to stop by a signal.
 */
static ssize_t end_of_number(const struct ss_blocking *b)
{
	if (b->generation & SS_GENERATION_TCP && !interrupted(b, false))
		return 0;
	errno = interrupted(b, false) ? EINTR : EAGAIN;
	return -1;
}

/* Less than SO_RCVLOWAT does not end a wait, but is returned at its end. */
static ssize_t read_at_last(struct ss_blocking *b, int fd, struct msghdr *msg,
			    int flags)
{
	int why = errno;
	ssize_t n;

	if (renumbered(b, fd))
		return end_of_number(b);
	b->over = true;
	n = ss_blocking_hides(fd) ? ss_blocking_read(b, fd, msg, flags) : -1;
	if (n < 0)
		errno = why;
	return n;
}

ssize_t ss_blocking_go_on(struct ss_blocking *b, int fd, struct msghdr *msg,
			  int flags)
{
	ssize_t n;

	errno = EAGAIN;
	if (ss_runtime_is_disabled() || !ss_may(SS_DUTY_READ))
		return -1;
	/* In this order: a number is renumbered before it is closed. */
	if (!(ss_blocking_waits(fd, 0) && ss_key_is_tcp(fd)) &&
	    !renumbered(b, fd)) {
		errno = EAGAIN;
		return -1;
	}
	do {
		b->over = false;
		if (renumbered(b, fd))
			return end_of_number(b);
		if (!ss_blocking_wait(b, fd, false, false))
			return read_at_last(b, fd, msg, flags);
		n = ss_blocking_read(b, fd, msg, flags);
	} while (n < 0 && (errno == EAGAIN || errno == EBADF));
	return n;
}
