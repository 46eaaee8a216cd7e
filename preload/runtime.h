/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The shim's life: asleep until the program first touches TCP, then on, or
 * off for good.
 */
#ifndef SOCKSHUNT_RUNTIME_H
#define SOCKSHUNT_RUNTIME_H

#include <stdbool.h>

#include "../bpf/pins.h"
#include "../conf/conf.h"

/*
 * Everything the shim knows, besides its descriptors (ownfd.h). Written while
 * starting, before the state becomes SS_ON; constant after that.
 */
struct ss_runtime {
	struct ss_conf conf;
	struct ss_control *control; /* shared with all processes */
};
extern struct ss_runtime ss_runtime;

/*
 * True if sockets may be registered; starts the shim if that has not been
 * tried. Thread-safe, and safe in children of fork and vfork. Calls nothing
 * that is not async-signal-safe. May change errno.
 */
bool ss_runtime_on(void);

/*
 * The same for one call on @fd that is not worth starting for, unless it is a
 * TCP socket: another program may have accelerated it. False for all others.
 */
bool ss_runtime_on_for(int fd);

/* The same without starting anything. */
bool ss_runtime_is_on(void);

/* Whether starting is still to be tried, or being tried. */
bool ss_runtime_is_asleep(void);

/*
 * SOCKSHUNT_DISABLE=1: nothing of ours is to run. A shim that is merely off
 * still has to mend what the kernel does to sockets registered by sock_ops,
 * or by whom they were inherited from.
 */
bool ss_runtime_is_disabled(void);

/* Off for good, with one line that says why. */
void ss_runtime_off(const char *why);

/*
 * The descriptor @lost of @which (-1: known to be) was taken away by a raw
 * system call: opens the pins again. False if that is not possible (then the
 * shim is off), or if another thread is at it.
 */
bool ss_runtime_recover(enum ss_object_kind which, int lost);

/* False in a vfork child, which borrows its parent's memory. */
bool ss_runtime_owns_memory(void);

#endif
