/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "load.h"

void check(bool ok, const char *what)
{
	if (ok)
		return;
	if (shared && __atomic_load_n(&shared->stopping, __ATOMIC_RELAXED))
		exit(1);
	fprintf(stderr, "load: ");
	perror(what);
	exit(1);
}

/* With its pages there, so that none is made while we measure. */
void *allocate(size_t size)
{
	char *p = malloc(size);

	check(p, "malloc");
	for (size_t i = 0; i < size; i++)
		p[i] = (char)i;
	return p;
}

uint64_t now_nsecs(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void pin_to(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	check(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}
