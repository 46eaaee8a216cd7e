/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Of what is tried less and less often while it is in vain. */
#ifndef SOCKSHUNT_BACKOFF_BPF_H
#define SOCKSHUNT_BACKOFF_BPF_H

#define MOST_VAIN 10 /* then 1 in 2^10 messages tries again */

struct backoff {
	__u32 vain;  /* times, in a row */
	__u32 hurry; /* messages until the next time */
};

static __always_inline bool tries(struct backoff *backoff)
{
	if (!backoff->hurry)
		return true;
	backoff->hurry--;
	return false;
}

static __always_inline void was_vain(struct backoff *backoff)
{
	if (backoff->vain < MOST_VAIN)
		backoff->vain++;
	backoff->hurry = 1U << (backoff->vain & 31);
}

static __always_inline void pays(struct backoff *backoff)
{
	backoff->vain = 0;
	backoff->hurry = 0;
}

#endif
