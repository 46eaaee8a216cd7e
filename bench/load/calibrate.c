/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How quiet is the machine: a fixed piece of work on each of the CPUs at once,
 * long enough for other work there to take its turn. Prints, of the CPU that
 * was last, the wall time (calibration) and CPU time (calibration_cpu) in us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define STEPS	 30000000
#define MAX_CPUS 64

struct timing {
	double wall, cpu;
};

static double cpu_usecs(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void work(struct timing *t)
{
	double cpu = cpu_usecs();
	volatile uint64_t result;
	uint64_t x = 1, start = now_nsecs();

	for (int i = 0; i < STEPS; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	result = x;
	(void)result;
	t->wall = (double)(now_nsecs() - start) / 1e3;
	t->cpu = cpu_usecs() - cpu;
}

int calibrate(int nr, char **cpus)
{
	struct timing *timings, *last;
	int i;

	if (nr < 1 || nr > MAX_CPUS) {
		fputs("load: calibrate needs the CPUs\n", stderr);
		return 2;
	}
	timings =
		mmap(NULL, sizeof(*timings) * MAX_CPUS, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(timings != MAP_FAILED, "mmap");
	for (i = 0; i < nr; i++) {
		pid_t pid = fork();

		check(pid >= 0, "fork");
		if (pid)
			continue;
		pin_to(atoi(cpus[i]));
		work(&timings[i]);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	for (last = timings, i = 0; i < nr; i++) {
		if (timings[i].wall <= 0)
			return 1;
		if (timings[i].wall > last->wall)
			last = &timings[i];
	}
	printf("calibration %.1f\ncalibration_cpu %.1f\n", last->wall,
	       last->cpu);
	return 0;
}
