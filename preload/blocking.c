/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "blocking.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/time.h>

#include "../bpf/key.h"
#include "hooks.h"
#include "ownfd.h"
#include "runtime.h"

unsigned char ss_generations[SS_GENERATIONS];

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

/* Then EAGAIN is what TCP returns, too, when the time has passed. */
static bool has_timeout(int fd)
{
	struct timeval timeout = { 0, 0 };
	socklen_t len = sizeof(timeout);

	return REAL(getsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len) ||
	       timeout.tv_sec || timeout.tv_usec;
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

static bool interrupted(const struct ss_blocking *b)
{
	return b->interruptions != ss_signals_interruptions();
}

/*
 * Holds the socket itself. False: nothing to repeat. A number that was closed
 * while it was read was shut down before, mostly: end of file. Or its reader
 * was told to stop by a signal.
 */
static bool hold(struct ss_blocking *b, int fd, ssize_t *result)
{
	if (ss_runtime_is_disabled())
		return false;
	if (!renumbered(b, fd) && is_blocking_tcp(fd))
		b->fd = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	if (!renumbered(b, fd))
		return b->fd >= 0;
	if (interrupted(b))
		errno = EINTR;
	else
		*result = 0;
	return false;
}

static bool must_repeat(struct ss_blocking *b, int fd, ssize_t *result)
{
	if (b->fd < 0 && !hold(b, fd, result))
		return false; /* ss_blocking_end() closes it */
	if (is_ready(b->fd))
		return true;
	if (has_timeout(b->fd))
		return false;
	if (interrupted(b)) {
		errno = EINTR;
		return false;
	}
	return true;
}

bool ss_blocking_repeat(struct ss_blocking *b, int fd, ssize_t *result)
{
	int state;
	bool repeat;

	/* poll(2) is a cancellation point; so is the read, with a clean-up. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	errno = EAGAIN;
	repeat = must_repeat(b, fd, result);
	if (!repeat && errno != EINTR)
		errno = EAGAIN;
	pthread_setcancelstate(state, NULL);
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
