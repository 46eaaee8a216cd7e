/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What must be done to its end: no handler comes in between, which might not come
 * back, and no cancellation. Of the calling thread.
 */
#ifndef SOCKSHUNT_UNDISTURBED_H
#define SOCKSHUNT_UNDISTURBED_H

#include <pthread.h>
#include <signal.h>

struct ss_undisturbed {
	sigset_t signals;
	int cancel;
};

static inline void ss_undisturbed_begin(struct ss_undisturbed *u)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &u->signals);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &u->cancel);
}

static inline void ss_undisturbed_end(const struct ss_undisturbed *u)
{
	pthread_setcancelstate(u->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &u->signals, NULL);
}

#endif
