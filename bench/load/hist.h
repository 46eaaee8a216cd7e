/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A histogram of nanoseconds: 128 buckets to each power of two, so that a
 * percentile is right to 0.8 %, and adding costs a few instructions.
 */
#ifndef SOCKSHUNT_BENCH_HIST_H
#define SOCKSHUNT_BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

#define HIST_BITS    7
#define HIST_MAX     ((1ull << 36) - 1) /* a minute; more counts as that */
#define HIST_BUCKETS ((36 - HIST_BITS + 1) << HIST_BITS)

struct hist {
	uint64_t total;
	uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned int hist_bucket(uint64_t nsecs)
{
	unsigned int shift;

	if (nsecs > HIST_MAX)
		nsecs = HIST_MAX;
	if (nsecs >> HIST_BITS == 0)
		return (unsigned int)nsecs;
	shift = 63 - (unsigned int)__builtin_clzll(nsecs) - HIST_BITS;
	return (shift << HIST_BITS) + (unsigned int)(nsecs >> shift);
}

static inline void hist_add(struct hist *h, uint64_t nsecs)
{
	h->bucket[hist_bucket(nsecs)]++;
	h->total++;
}

/* The middle of the bucket in which @percent of the values end. */
double hist_percentile(const struct hist *h, double percent);

/* Lines of "nanoseconds count" for the buckets that are not empty. */
void hist_write(const struct hist *h, FILE *file);

#endif
