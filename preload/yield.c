/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "yield.h"

#include <errno.h>
#include <sched.h>

#include "../bpf/permit.h"

void ss_yield_slowly(void)
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
	if (!__atomic_exchange_n(&c->ahead[cpu], 0, __ATOMIC_RELAXED))
		return;
	sched_yield();
	errno = saved_errno;
}
