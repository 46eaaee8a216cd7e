/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Programs that sockshunt doctor starts: heard, limited in time, cleaned up. */
#ifndef SOCKSHUNT_CHILD_H
#define SOCKSHUNT_CHILD_H

#include <stddef.h>

struct child {
	char *const *argv;
	const char *shim;   /* to preload; NULL: nothing is preloaded */
	const char *cgroup; /* to run in; NULL: ours */
	char out[2048];	    /* what it has written to 1 and 2 */
};

/*
 * Runs it for @msecs at most. Returns its exit status; 128 + signal; or -1:
 * not started, or stopped (child_stop_signal()). All its processes are gone.
 */
int child_run(struct child *child, int msecs);

/* The first line of @out, without "sockshunt[PID]: LEVEL: "; changes @out. */
const char *child_reason(char *out);

/* From now on SIGINT, SIGTERM and SIGHUP stop children instead of us. */
void child_catch_signals(void);

/* The signal that came, or 0. */
int child_stop_signal(void);

#endif
