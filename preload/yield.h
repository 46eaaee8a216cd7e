/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A sender that is far ahead of its reader lets others run. The reader may be
 * waiting for this very CPU, and then the sender would go on by TCP, until that
 * is full as well, and for long after. Where nobody waits, it costs a system
 * call for every SS_AHEAD_BYTES sent. If it is ahead for long, and its socket
 * blocks, it sleeps instead: the verdict says when, and how long (bpf/naps.bpf.h).
 */
#ifndef SOCKSHUNT_YIELD_H
#define SOCKSHUNT_YIELD_H

#include "blocking.h"
#include "runtime.h"

void ss_yield_slowly(int fd, int flags);

/* After a send on @fd with @flags; keeps errno. */
static inline void ss_yield_if_ahead(int fd, int flags)
{
	if (ss_runtime.control &&
	    __builtin_expect(ss_runtime.control->any_ahead != 0, 0) &&
	    ss_blocking_generation(fd) & SS_GENERATION_TCP)
		ss_yield_slowly(fd, flags);
}

#endif
