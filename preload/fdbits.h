/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One bit per descriptor number, atomic. Numbers beyond SS_FDBITS have none.
 */
#ifndef SOCKSHUNT_FDBITS_H
#define SOCKSHUNT_FDBITS_H

#include <stdbool.h>

#define SS_FDBITS      65536
#define SS_FDBITS_WORD (8 * sizeof(long))

struct ss_fdbits {
	unsigned long words[SS_FDBITS / SS_FDBITS_WORD];
};

static inline bool ss_fdbits_has(int fd)
{
	return (unsigned int)fd < SS_FDBITS;
}

/* False where there is none. */
static inline bool ss_fdbits_get(const struct ss_fdbits *bits, int fd)
{
	unsigned int i = (unsigned int)fd;

	return ss_fdbits_has(fd) &&
	       __atomic_load_n(&bits->words[i / SS_FDBITS_WORD],
			       __ATOMIC_RELAXED) >>
			       i % SS_FDBITS_WORD &
		       1;
}

static inline void ss_fdbits_set(struct ss_fdbits *bits, int fd, bool on)
{
	unsigned int i = (unsigned int)fd;
	unsigned long bit = 1UL << i % SS_FDBITS_WORD;

	if (!ss_fdbits_has(fd) || ss_fdbits_get(bits, fd) == on)
		return;
	if (on)
		__atomic_fetch_or(&bits->words[i / SS_FDBITS_WORD], bit,
				  __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&bits->words[i / SS_FDBITS_WORD], ~bit,
				   __ATOMIC_RELAXED);
}

#endif
