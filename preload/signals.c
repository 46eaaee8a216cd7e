/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "signals.h"

#include <errno.h>
#include <stdbool.h>

#include "hooks.h"
#include "runtime.h"

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

/* Signals for which siginterrupt(3) was called with 1. Atomic. */
static unsigned char interrupting_signals[NSIG];

__thread volatile struct ss_signals ss_signals
	__attribute__((tls_model("initial-exec")));

static void count_and_call(int sig, siginfo_t *info, void *context)
{
	handler_fn handler =
		__atomic_load_n(&handlers[sig].handler, __ATOMIC_ACQUIRE);

	ss_signals.all++;
	if (!(handlers[sig].flags & SA_RESTART))
		ss_signals.interrupting++;
	/* One that takes only the number ignores the rest. */
	handler(sig, info, context);
}

static bool is_fault(int sig)
{
	switch (sig) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
		return true;
	default:
		return false;
	}
}

static bool counts(int sig, const struct sigaction *act)
{
	return !is_fault(sig) && act->sa_handler != SIG_DFL &&
	       act->sa_handler != SIG_IGN &&
	       act->sa_sigaction != count_and_call;
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

	if (sig <= 0 || sig >= NSIG || ss_runtime_is_disabled())
		return REAL(sigaction)(sig, act, old);
	handler = __atomic_load_n(&handlers[sig].handler, __ATOMIC_ACQUIRE);
	flags = handlers[sig].flags;
	if (act && counts(sig, act)) {
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

sighandler_t ss_signals_signal(int sig, sighandler_t handler, int flags)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&act.sa_mask);
	if (!(flags & SA_NODEFER) && sig > 0 && sig < NSIG)
		sigaddset(&act.sa_mask, sig);
	if (ss_signals_action(sig, &act, &old))
		return SIG_ERR;
	return old.sa_handler;
}

sighandler_t ss_signals_bsd(int sig, sighandler_t handler)
{
	bool interrupts =
		sig > 0 && sig < NSIG &&
		__atomic_load_n(&interrupting_signals[sig], __ATOMIC_RELAXED);

	return ss_signals_signal(sig, handler, interrupts ? 0 : SA_RESTART);
}

int ss_signals_interrupt(int sig, int flag)
{
	struct sigaction act;

	if (ss_signals_action(sig, NULL, &act))
		return -1;
	__atomic_store_n(&interrupting_signals[sig], flag != 0,
			 __ATOMIC_RELAXED);
	if (flag)
		act.sa_flags &= ~SA_RESTART;
	else
		act.sa_flags |= SA_RESTART;
	return ss_signals_action(sig, &act, NULL);
}
