/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The shim's own descriptors: the sockhash and what belongs to it, and in
 * private mode the control map, which is kept only for programs that this one
 * executes. They sit at high numbers and must survive what daemons do to
 * descriptors.
 */
#ifndef SOCKSHUNT_OWNFD_H
#define SOCKSHUNT_OWNFD_H

#include <stdbool.h>

#include "../bpf/abi.h"

/* The numbers: -1 if not held. Atomic; see ss_ownfd_keep() and _yield(). */
extern int ss_ownfds[SS_NR_OBJECTS];

static inline int ss_ownfd(enum ss_object_kind which)
{
	return __atomic_load_n(&ss_ownfds[which], __ATOMIC_ACQUIRE);
}

static inline bool ss_ownfd_is(int fd)
{
	bool ours = false;

	for (int i = 0; i < SS_NR_OBJECTS; i++)
		ours |= fd == ss_ownfd((enum ss_object_kind)i);
	return __builtin_expect(ours, 0) && fd >= 0;
}

/*
 * Moves @fd to a high number, and keeps it from then on. With @inherit the
 * number stays open across exec. Async-signal-safe.
 */
void ss_ownfd_keep(enum ss_object_kind which, int fd, bool inherit);

/* The number @fd is somebody else's by now. False if we knew that already. */
bool ss_ownfd_forget(enum ss_object_kind which, int fd);

/*
 * Whether the number @fd, one of ours, still is: raw system calls may have
 * closed it, and it may be the program's by now (then it is forgotten).
 */
bool ss_ownfd_still(int fd);

/* The program wants the number @fd for itself: ours moves elsewhere. */
void ss_ownfd_yield(int fd);

bool ss_ownfd_in_range(unsigned int first, unsigned int last);

/* close_range(2) of everything but ours. Returns 0, or -1 with errno. */
int ss_ownfd_close_around(unsigned int first, unsigned int last, int flags);

/*
 * The numbers that ss_ownfd_keep() uses in this process and, unless limits
 * changed, in the program that executed us: where inherited ones are found.
 */
#define SS_OWNFD_SPAN 16
int ss_ownfd_base(void);

#endif
