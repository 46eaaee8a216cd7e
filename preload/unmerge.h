/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Taking a socket out of the merged queue: what comes from then on waits in
 * TCP's own, where TCP's options work, and the verdict sends nothing to it
 * but by TCP. No byte is lost: the socket stays registered, and what is in
 * the psock is read first. On kernels that cannot merge (no SS_MERGED), every
 * registered socket has these two queues.
 */
#ifndef SOCKSHUNT_UNMERGE_H
#define SOCKSHUNT_UNMERGE_H

#include <stdbool.h>

#include "../bpf/abi.h"

/*
 * The socket @fd, if it is registered and merged. False if it has to remain
 * so: reading bytes that came by TCP, or a FIN, is understood there only. May
 * change errno. Takes a grace period (8 to 25 ms), undisturbed.
 */
bool ss_unmerge(int fd);

/* The other end of @fd's connection, before urgent data is sent to it. */
void ss_unmerge_peer(int fd);

/* Whether reads here may have to go on from the psock's queue to TCP's. */
enum ss_crossing {
	SS_CROSSING_NEVER,
	SS_CROSSING_SEEN,   /* this process has done that to a socket */
	SS_CROSSING_ALWAYS, /* on this kernel */
};
extern unsigned char ss_unmerge_crossing; /* only grows */

static inline enum ss_crossing ss_unmerge_crosses(void)
{
	return __atomic_load_n(&ss_unmerge_crossing, __ATOMIC_RELAXED);
}

/* The runtime is about to be on. */
void ss_unmerge_start(void);

/* Whether there may be sockets with two queues. */
bool ss_unmerge_any(void);

/* Whether @fd is registered and has two queues. */
bool ss_unmerge_has_two(int fd);

/* Whether @fd is registered and was not taken out: it may be redirected to. */
bool ss_unmerge_is_not(int fd);

#endif
