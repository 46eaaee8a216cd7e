/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "yield.h"

#include <errno.h>

#include "../bpf/permit.h"

void ss_yield_slowly(unsigned int cpu)
{
	int saved_errno = errno;

	__atomic_store_n(&ss_runtime.control->ahead[cpu], 0, __ATOMIC_RELAXED);
	if (ss_may(SS_DUTY_YIELD))
		sched_yield();
	errno = saved_errno;
}
