/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "yield.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/permit.h"
#include "hooks.h"

/*
 * As short as it can be: 60 us with the usual timer slack. Not nanosleep(3), which
 * is a cancellation point: what was sent would not be told.
 */
static void nap(void)
{
	static const struct timespec soon = { 0, 1 };

	REAL(syscall)
	(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&soon, 0, 0, 0);
}

void ss_yield_slowly(int fd, int flags)
{
	struct ss_control *c = ss_runtime.control;
	int saved_errno = errno;
	unsigned int cpu;

	if (!ss_may(SS_DUTY_YIELD))
		return;
	/* The verdict on what was just sent ran on this one, most likely. */
	cpu = (unsigned int)sched_getcpu() % SS_CPUS;
	/* Another CPU's is forgotten so, which will be told again. */
	__atomic_store_n(&c->any_ahead, 0, __ATOMIC_RELAXED);
	switch (__atomic_exchange_n(&c->ahead[cpu], 0, __ATOMIC_RELAXED)) {
	case 0:
		return;
	case SS_AHEAD_NAP:
		if (ss_blocking_waits(fd, flags)) {
			nap();
			break;
		}
		/* fall through */
	default:
		sched_yield();
	}
	errno = saved_errno;
}
