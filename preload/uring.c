/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "uring.h"

/* used: atomic; never reset, for a ring may be shared. */
static bool used;

void ss_uring_seen(void)
{
	__atomic_store_n(&used, true, __ATOMIC_RELAXED);
}

bool ss_uring_is_used(void)
{
	return __atomic_load_n(&used, __ATOMIC_RELAXED);
}
