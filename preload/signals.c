/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "signals.h"

#include <stdbool.h>

#include "hooks.h"

typedef void (*handler_fn)(int, siginfo_t *, void *);

/*
 * The program's handlers that are called through count_and_call(). Written
 * before the kernel knows of a new one, so that none is missing; an old one
 * may be called for a signal that is just being delivered, as without us.
 */
static struct {
	handler_fn handler;
	int flags;
} handlers[NSIG];

__thread volatile unsigned int ss_signals_count
	__attribute__((tls_model("initial-exec")));

static void count_and_call(int sig, siginfo_t *info, void *context)
{
	handler_fn handler =
		__atomic_load_n(&handlers[sig].handler, __ATOMIC_ACQUIRE);

	ss_signals_count++;
	/* One that takes only the number ignores the rest. */
	handler(sig, info, context);
}

static bool interrupts(const struct sigaction *act)
{
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN &&
	       act->sa_sigaction != count_and_call &&
	       !(act->sa_flags & SA_RESTART);
}

/* What the program set, where the kernel has ours. */
static void show(struct sigaction *old, handler_fn handler, int flags)
{
	if (!(old->sa_flags & SA_SIGINFO) ||
	    old->sa_sigaction != count_and_call)
		return;
	old->sa_sigaction = handler;
	if (!(flags & SA_SIGINFO))
		old->sa_flags &= ~SA_SIGINFO;
}

int ss_signals_action(int sig, const struct sigaction *act,
		      struct sigaction *old)
{
	struct sigaction ours;
	handler_fn handler;
	int result, flags;

	if (sig <= 0 || sig >= NSIG)
		return REAL(sigaction)(sig, act, old);
	handler = __atomic_load_n(&handlers[sig].handler, __ATOMIC_ACQUIRE);
	flags = handlers[sig].flags;
	if (act && interrupts(act)) {
		ours = *act;
		ours.sa_sigaction = count_and_call;
		ours.sa_flags |= SA_SIGINFO;
		handlers[sig].flags = act->sa_flags;
		__atomic_store_n(&handlers[sig].handler, act->sa_sigaction,
				 __ATOMIC_RELEASE);
		act = &ours;
	}
	result = REAL(sigaction)(sig, act, old);
	if (!result && old)
		show(old, handler, flags);
	return result;
}
