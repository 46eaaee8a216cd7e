/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Taking a socket out of the merged queue: what comes from then on waits in
 * TCP's own, where TCP's options work, and the verdict sends nothing to it
 * but by TCP. No byte is lost: the socket stays registered, and what is in
 * the psock is read first.
 */
#ifndef SOCKSHUNT_UNMERGE_H
#define SOCKSHUNT_UNMERGE_H

#include <stdbool.h>

#include "../bpf/abi.h"

/*
 * The socket @fd, if it is registered and merged. False if it has to remain
 * so: reading bytes that came by TCP, or a FIN, is understood there only. May
 * change errno.
 */
bool ss_unmerge(int fd);

/* The other end of @fd's connection, before urgent data is sent to it. */
void ss_unmerge_peer(int fd);

/* Whether this process has done that to one of its sockets. Never reset. */
extern bool ss_unmerged_here;

static inline bool ss_unmerge_here(void)
{
	return __atomic_load_n(&ss_unmerged_here, __ATOMIC_RELAXED);
}

/* Whether any process has done that to any socket. */
bool ss_unmerge_any(void);

/* Whether @fd is registered, but not merged. */
bool ss_unmerge_is(int fd);

/* Whether @fd is registered and was not taken out: it may be redirected to. */
bool ss_unmerge_is_not(int fd);

#endif
