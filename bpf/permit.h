/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a seccomp filter lets us do. Where one kills for a system call that the
 * program itself does not make, making it would kill the program.
 */
#ifndef SOCKSHUNT_PERMIT_H
#define SOCKSHUNT_PERMIT_H

#include <stdbool.h>
#include <stddef.h>

/* What we do, by the system calls that it takes (permit.c lists them). */
enum ss_duty {
	SS_DUTY_BPF = 1,      /* registering: bpf(2) and what goes with it */
	SS_DUTY_START = 2,    /* opening the pins, running the loader */
	SS_DUTY_LOG = 4,      /* saying something */
	SS_DUTY_READ = 8,     /* reads, and most other guards */
	SS_DUTY_CLOSE = 16,   /* looking at what is unread before a close */
	SS_DUTY_LIST = 32,    /* the same of all descriptors, at the exit */
	SS_DUTY_SPIN = 64,    /* busy polling */
	SS_DUTY_YIELD = 128,  /* letting readers run */
	SS_DUTY_GRACE = 256,  /* waiting until nothing comes in any more */
	SS_DUTY_OWNERS = 512, /* asking who holds a socket: late registration */
	SS_DUTY_NAP = 1024,   /* sleeping after a send */
	SS_DUTY_JOINED = 2048, /* asking what TCP joins */
	SS_DUTY_ALL = 4095,
};

/* The duties that are forbidden, as bits; only ever grows. Atomic. */
extern unsigned int ss_forbidden;

static inline bool ss_may(unsigned int duties)
{
	return !(__atomic_load_n(&ss_forbidden, __ATOMIC_RELAXED) & duties);
}

void ss_permit_forbid(unsigned int duties);

/* The calls, with arguments that are ours where filters may look at them, and
 * do nothing where they are let through. */
struct ss_call {
	unsigned int duties;
	long nr;
	unsigned long args[6];
};
extern const struct ss_call ss_calls[];
extern const size_t ss_nr_calls;

/*
 * If a filter was inherited, tries the calls in children that have no exit
 * signal. Returns whether bpf(2) may be called; if not, the reason is in @why.
 * One thread at a time, with signals blocked. May change errno.
 */
bool ss_permit_find_out(char *why, size_t why_size);

#endif
