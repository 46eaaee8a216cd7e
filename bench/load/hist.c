/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "hist.h"

static double middle(unsigned int bucket)
{
	unsigned int shift = bucket >> HIST_BITS;
	uint64_t first = bucket;

	shift -= shift ? 1 : 0;
	first -= (uint64_t)shift << HIST_BITS;
	return ((double)first + 0.5) * (double)(1ull << shift);
}

double hist_percentile(const struct hist *h, double percent)
{
	double wanted = (double)h->total * percent / 100;
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += h->bucket[i];
		if ((double)seen >= wanted && seen)
			break;
	}
	return middle(i);
}

void hist_write(const struct hist *h, FILE *file)
{
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		if (h->bucket[i])
			fprintf(file, "%.1f %llu\n", middle(i),
				(unsigned long long)h->bucket[i]);
	}
}
