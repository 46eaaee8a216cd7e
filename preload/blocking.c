/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "blocking.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "hooks.h"
#include "ownfd.h"
#include "runtime.h"

unsigned char ss_generations[SS_GENERATIONS];
bool ss_blocking_timed;

static void renumber(unsigned int fd)
{
	__atomic_fetch_add(&ss_generations[fd % SS_GENERATIONS], 1,
			   __ATOMIC_SEQ_CST);
}

/* Only where TCP is used; and a vfork child closes its own numbers. */
static bool numbers_matter(void)
{
	return !ss_runtime_is_asleep() && ss_runtime_owns_memory();
}

void ss_blocking_renumber(int fd)
{
	int saved_errno = errno;

	if (fd >= 0 && numbers_matter())
		renumber((unsigned int)fd);
	errno = saved_errno;
}

void ss_blocking_renumber_range(unsigned int first, unsigned int last)
{
	if (!numbers_matter())
		return;
	if (last - first >= SS_GENERATIONS)
		last = first + SS_GENERATIONS - 1;
	for (unsigned int i = 0; i <= last - first; i++)
		renumber(first + i);
}

static bool is_blocking_tcp(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK) && ss_key_is_tcp(fd);
}

/* Of SO_RCVTIMEO, in nanoseconds; 0: none. */
static long long timeout_of(int fd)
{
	struct timeval timeout = { 0, 0 };
	socklen_t len = sizeof(timeout);

	if (REAL(getsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len))
		return 0;
	return timeout.tv_sec * 1000000000LL + timeout.tv_usec * 1000LL;
}

static long long nsecs_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1000000000LL + now.tv_nsec -
	       then->tv_nsec;
}

/* Data, end of file or an error is there: the next read will not wait. */
static bool is_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static bool renumbered(const struct ss_blocking *b, int fd)
{
	return b->generation !=
	       __atomic_load_n(
		       &ss_generations[(unsigned int)fd % SS_GENERATIONS],
		       __ATOMIC_SEQ_CST);
}

/* As TCP: sock_intr_errno() restarts only a read without timeout, and one
 * that has bytes returns them for any signal. */
static bool interrupted(const struct ss_blocking *b, bool any)
{
	return any ? b->signals.all != ss_signals.all
		   : b->signals.interrupting != ss_signals.interrupting;
}

/*
 * A number that was closed while it was read was shut down before, mostly: end
 * of file. Or its reader was told to stop by a signal.
 */
bool ss_blocking_hold(struct ss_blocking *b, int fd, ssize_t *result)
{
	if (ss_runtime_is_disabled())
		return false;
	if (!renumbered(b, fd) && is_blocking_tcp(fd))
		b->fd = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	if (!renumbered(b, fd))
		return b->fd >= 0;
	if (interrupted(b, false))
		errno = EINTR;
	else
		*result = 0;
	return false;
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
	int result, ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) ||
	    (more && epoll_wait(ep, &event, 1, 0) < 0))
		result = -1;
	else
		result = epoll_wait(ep, &event, 1, msecs);
	if (ep >= 0)
		REAL(close)(ep);
	return result;
}

/* At most a second at a time, for the edge may be over before it is awaited. */
#define EDGE_MSECS 1000

static int wait_some(const struct ss_blocking *b, bool more, bool has,
		     long long nsecs)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };
	struct timespec left = { nsecs / 1000000000, nsecs % 1000000000 };
	int result, state;

	if (has && nsecs && nsecs <= EDGE_MSECS * 1000000LL)
		return wait_by_epoll(b->fd, more, (int)(nsecs / 1000000) + 1);
	if (has)
		return wait_by_epoll(b->fd, more, EDGE_MSECS) < 0 ? -1 : 1;
	/* A read is a cancellation point, as far as its caller lets it be. */
	pthread_setcancelstate(b->cancel, &state);
	result = ppoll(&p, 1, nsecs ? &left : NULL, NULL);
	pthread_setcancelstate(state, NULL);
	return result;
}

bool ss_blocking_wait(struct ss_blocking *b, bool more, bool has)
{
	long long timeout = timeout_of(b->fd), left = 0;
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
			left = timeout - nsecs_since(&b->start);
			if (left <= 0) {
				errno = EAGAIN;
				return false;
			}
		}
		result = wait_some(b, more, has, left);
		if (result > 0)
			return true;
		if (result < 0 && (has || errno != EINTR))
			return false;
	}
}

static bool must_repeat(struct ss_blocking *b, int fd, ssize_t *result)
{
	if (b->fd < 0 && !ss_blocking_hold(b, fd, result))
		return false; /* ss_blocking_end() closes it */
	/* Without a timeout it is the read itself that waits. */
	if (is_ready(b->fd))
		return true;
	if (timeout_of(b->fd))
		return ss_blocking_wait(b, false, false);
	if (interrupted(b, false)) {
		errno = EINTR;
		return false;
	}
	return true;
}

bool ss_blocking_repeat(struct ss_blocking *b, int fd, ssize_t *result)
{
	bool repeat;

	/* poll(2) is a cancellation point; so is the read, with a clean-up. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &b->cancel);
	errno = EAGAIN;
	repeat = must_repeat(b, fd, result);
	if (!repeat && errno != EINTR)
		errno = EAGAIN;
	pthread_setcancelstate(b->cancel, NULL);
	return repeat;
}

void ss_blocking_end(void *blocking)
{
	struct ss_blocking *b = blocking;
	int saved_errno = errno;

	if (b->fd >= 0)
		REAL(close)(b->fd);
	errno = saved_errno;
}
