/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whether a signal interrupted a system call, and was meant to. A handler
 * without SA_RESTART is called through one of ours, which counts: then a
 * blocking read that came back with nothing ends with EINTR. All others
 * restart it. (The kernel tells nobody why tcp_bpf_recvmsg() woke up.)
 */
#ifndef SOCKSHUNT_SIGNALS_H
#define SOCKSHUNT_SIGNALS_H

#include <signal.h>

/* Handlers without SA_RESTART that this thread has run. */
extern __thread volatile unsigned int ss_signals_count
	__attribute__((tls_model("initial-exec")));

static inline unsigned int ss_signals_interruptions(void)
{
	return ss_signals_count;
}

/* sigaction(2), for the hook: @old shows what the program has set. */
int ss_signals_action(int sig, const struct sigaction *act,
		      struct sigaction *old);

#endif
