/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a signal interrupted a system call, and was meant to. Handlers are
 * called through one of ours, which counts: a blocking read that came back
 * with nothing ends with EINTR after a handler without SA_RESTART, and if the
 * socket has a timeout after any. (The kernel tells nobody why
 * tcp_bpf_recvmsg() woke up.) Signals that only faults raise are left alone.
 */
#ifndef SOCKSHUNT_SIGNALS_H
#define SOCKSHUNT_SIGNALS_H

#include <signal.h>

/* The handlers that this thread has run. */
struct ss_signals {
	unsigned int all;
	unsigned int interrupting; /* without SA_RESTART */
};
extern __thread volatile struct ss_signals ss_signals
	__attribute__((tls_model("initial-exec")));

/* sigaction(2), for the hook: @old shows what the program has set. */
int ss_signals_action(int sig, const struct sigaction *act,
		      struct sigaction *old);

/* signal(3) and its relatives, which do not call the hook, with @flags. */
sighandler_t ss_signals_signal(int sig, sighandler_t handler, int flags);

/* signal(3) restarts unless siginterrupt(3) said otherwise. */
sighandler_t ss_signals_bsd(int sig, sighandler_t handler);
int ss_signals_interrupt(int sig, int flag);

#endif
