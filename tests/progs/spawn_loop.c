/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * spawn_loop N PROGRAM [ARG...]: runs PROGRAM N times, one after the other,
 * and prints the microseconds that each took on average, from posix_spawn(3)
 * to its end. Exit status 1 if PROGRAM cannot be run or fails.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_usecs(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void spawn_once(char **argv)
{
	int status, err;
	pid_t pid;

	err = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
	if (err) {
		fprintf(stderr, "spawn_loop: %s: %s\n", argv[0], strerror(err));
		exit(1);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			perror("spawn_loop: waitpid");
			exit(1);
		}
	}
	if (status) {
		fprintf(stderr, "spawn_loop: %s failed (wait status %#x)\n",
			argv[0], (unsigned int)status);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
	double start;

	if (n < 1) {
		fprintf(stderr, "usage: spawn_loop N PROGRAM [ARG...]\n");
		return 2;
	}
	start = now_usecs();
	for (long i = 0; i < n; i++)
		spawn_once(argv + 2);
	printf("%.1f\n", (now_usecs() - start) / (double)n);
	return 0;
}
