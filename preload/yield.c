/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "yield.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/permit.h"
#include "enroll.h"
#include "hooks.h"

#define MOST_SLACK_NSECS 200000

/* In ns: */
#define MOST_LATE   200000   /* to wake up */
#define GAIN	    50000    /* of a nap, at least: that is redirected */
#define REST	    1000     /* for each one that was not taken */
#define MOST_WASTE  10000000 /* of a single one */
#define MOST_CREDIT 4000000

/* What the naps of this thread may waste: one that gets its CPU too late costs its
 * reader more than many others gain. */
static __thread long credit __attribute__((tls_model("initial-exec")));

static bool is_nap_for(int fd, __u64 cookie)
{
	return cookie && ss_may(SS_DUTY_NAP) && ss_enroll_cookie(fd) == cookie;
}

static __u64 now_nsecs(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
}

/* Not nanosleep(3), which is a cancellation point: what was sent would not be told.
 * A signal ends it. */
static void sleep_for(__u64 nsecs)
{
	const struct timespec span = { 0, (long)nsecs };
	long at = (long)&span;

	REAL(syscall)(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, at, 0, 0, 0);
}

static void settle(long long late)
{
	if (late > MOST_LATE)
		credit -= late < MOST_WASTE ? (long)late : MOST_WASTE;
	else if (credit < MOST_CREDIT)
		credit += GAIN;
}

/* Whether it slept. In a time namespace there is no such time. */
static bool nap_until(__u64 until)
{
	__u64 nsecs = until - now_nsecs();

	if (!nsecs || nsecs > SS_NAP_MOST) /* over, too */
		return false;
	if (credit < 0) {
		credit += REST;
		return false;
	}
	sleep_for(nsecs);
	settle((long long)(now_nsecs() - until));
	return true;
}

/* 0 is as short as it can be: 60 us with the usual timer slack, and none where that is
 * much larger. */
static bool nap(__u64 until)
{
	long slack = REAL(syscall)(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0, 0);

	if (slack < 0 || slack > MOST_SLACK_NSECS)
		return false;
	if (until)
		return nap_until(until);
	sleep_for(1);
	return true;
}

void ss_yield_slowly(int fd, int flags)
{
	struct ss_control *c = ss_runtime.control;
	__u64 cookie, until;
	bool ahead, slept;
	int saved_errno = errno;
	unsigned int cpu;

	if (!ss_may(SS_DUTY_YIELD))
		return;
	/* The verdict on what was just sent ran on this one, most likely. */
	cpu = (unsigned int)sched_getcpu() % SS_CPUS;
	/* Another CPU's is forgotten so, which will be told again. */
	__atomic_store_n(&c->any_ahead, 0, __ATOMIC_RELAXED);
	cookie = __atomic_exchange_n(&c->naps[cpu], 0, __ATOMIC_RELAXED);
	ahead = __atomic_exchange_n(&c->ahead[cpu], 0, __ATOMIC_RELAXED);
	until = __atomic_load_n(&c->nap_until[cpu], __ATOMIC_RELAXED);
	slept = is_nap_for(fd, cookie) && ss_blocking_waits(fd, flags) &&
		nap(until);
	if (ahead && !slept)
		sched_yield();
	errno = saved_errno;
}
