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

static bool is_nap_for(int fd, __u64 cookie)
{
	return cookie && ss_may(SS_DUTY_NAP) && ss_enroll_cookie(fd) == cookie;
}

/*
 * 0 is as short as it can be: 60 us with the usual timer slack, and none where that is
 * much larger. A signal ends it. Not nanosleep(3), which is a cancellation point: what
 * was sent would not be told.
 */
static void nap(__u32 nsecs)
{
	long most = nsecs < SS_NAP_MOST ? (long)nsecs + 1 : SS_NAP_MOST;
	long slack = REAL(syscall)(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0, 0);
	const struct timespec span = { 0, most };
	long at = (long)&span;

	if (slack < 0 || slack > MOST_SLACK_NSECS)
		return;
	REAL(syscall)(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, at, 0, 0, 0);
}

void ss_yield_slowly(int fd, int flags)
{
	struct ss_control *c = ss_runtime.control;
	__u64 cookie;
	int saved_errno = errno;
	unsigned int cpu;

	if (!ss_may(SS_DUTY_YIELD))
		return;
	/* The verdict on what was just sent ran on this one, most likely. */
	cpu = (unsigned int)sched_getcpu() % SS_CPUS;
	/* Another CPU's is forgotten so, which will be told again. */
	__atomic_store_n(&c->any_ahead, 0, __ATOMIC_RELAXED);
	cookie = __atomic_exchange_n(&c->naps[cpu], 0, __ATOMIC_RELAXED);
	if (is_nap_for(fd, cookie) && ss_blocking_waits(fd, flags))
		nap(__atomic_load_n(&c->nap_nsecs[cpu], __ATOMIC_RELAXED));
	else if (__atomic_exchange_n(&c->ahead[cpu], 0, __ATOMIC_RELAXED))
		sched_yield();
	errno = saved_errno;
}
