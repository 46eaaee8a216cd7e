/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "flood.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "hooks.h"
#include "leave.h"
#include "ownfd.h"
#include "runtime.h"
#include "undisturbed.h"
#include "unmerge.h"

/* Larger ones gain nothing by leaving (bench: stream_*_slow). */
#define SMALL_BYTES 4096 /* on average */

/* When a socket may leave next, in milliseconds of CLOCK_MONOTONIC: it takes up to 25,
 * which it is worth once a second. Of a process with one thread. */
static long long next_leave;
#define LEAVE_MSECS 1000

/* Other verdicts than ours do not count what they redirect. */
void ss_flood_begin(struct ss_flood *f, int fd)
{
	*f = (struct ss_flood){ 0 };
	if (!(ss_runtime.control->flags & SS_CUSTOM))
		f->come = ss_leave_bytes_for(fd);
}

/* What was redirected before it was taken out of merging may still be on its way. */
bool ss_flood_counts(const struct ss_flood *f)
{
	return f->come && !ss_unmerge_any();
}

static long long now_msecs(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static bool leaves(const struct ss_flood *f, int fd)
{
	bool left = false, waited = false;
	struct ss_undisturbed u;
	int duplicate;

	if (now_msecs() < next_leave || !ss_runtime_on_for(fd) ||
	    !ss_runtime_owns_memory())
		return false;
	ss_undisturbed_begin(&u);
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	if (duplicate >= 0) {
		left = ss_leave(duplicate, f->come, &waited);
		REAL(close)(duplicate);
	}
	if (waited)
		next_leave = now_msecs() + LEAVE_MSECS;
	ss_undisturbed_end(&u);
	return left;
}

bool ss_flood_ends(struct ss_flood *f, int fd)
{
	int saved_errno = errno;
	bool left = f->written <= (uint64_t)f->messages * SMALL_BYTES &&
		    ss_joined_goes_by_tcp(fd, f->written, &f->sent) &&
		    leaves(f, fd);

	f->written = 0;
	f->messages = 0;
	errno = saved_errno;
	return left;
}
