/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "flood.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "../bpf/permit.h"
#include "enroll.h"
#include "hooks.h"
#include "leave.h"
#include "owners.h"
#include "ownfd.h"
#include "runtime.h"
#include "undisturbed.h"
#include "unmerge.h"

#define LEAVING (SS_DUTY_READ | SS_DUTY_OWNERS | SS_DUTY_GRACE | SS_DUTY_JOINED)

/* Larger ones gain nothing by leaving (bench: stream_*_slow). */
#define SMALL_BYTES 4096 /* on average */

/*
 * When a socket may leave next, in milliseconds of CLOCK_MONOTONIC: it takes up to 25,
 * in which the process does nothing else. Of a process with one thread.
 */
static long long next_leave;
#define AFTER_ONE_MSECS	 1000
#define AFTER_VAIN_MSECS 30000

/*
 * Other verdicts than ours do not count what they redirect. With one CPU membarrier(2)
 * waits for nobody. And with other threads about, a read of what had this number
 * before may be counted late.
 */
void ss_flood_begin(struct ss_flood *f, int fd)
{
	*f = (struct ss_flood){ 0 };
	if (ss_runtime.control->flags & SS_CUSTOM ||
	    ss_runtime.control->cpus < 2 || !ss_owners_say(fd, SS_ASK_ALONE))
		return;
	f->cookie = ss_enroll_cookie(fd);
	f->come = ss_leave_bytes_for(fd);
	/* By TCP's lock: what was being received is readable when this returns. */
	ss_joined_by_tcp(fd, 0, 0, &f->sent);
	f->sent.segments = 0;
}

/* What was redirected before it was taken out of merging may still be on its way. */
bool ss_flood_counts(const struct ss_flood *f)
{
	return f->come && f->cookie && ss_may(LEAVING) && !ss_unmerge_any();
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

	if (now_msecs() < next_leave || !ss_may(LEAVING) ||
	    !ss_runtime_on_for(fd) || !ss_runtime_owns_memory() ||
	    ss_enroll_cookie(fd) != f->cookie)
		return false;
	ss_undisturbed_begin(&u);
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	if (duplicate >= 0) {
		left = ss_leave(duplicate, f->come, &waited);
		REAL(close)(duplicate);
	}
	if (waited)
		next_leave = now_msecs() +
			     (left ? AFTER_ONE_MSECS : AFTER_VAIN_MSECS);
	ss_undisturbed_end(&u);
	return left;
}

bool ss_flood_ends(struct ss_flood *f, int fd)
{
	bool small = f->written <= (uint64_t)f->messages * SMALL_BYTES;
	bool left = false;
	int saved_errno = errno;

	if (!small)
		f->sent.segments = 0;
	else if (ss_joined_by_tcp(fd, f->messages, f->written, &f->sent))
		left = leaves(f, fd);
	f->written = 0;
	f->messages = 0;
	errno = saved_errno;
	return left;
}
