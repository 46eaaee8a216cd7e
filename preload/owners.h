/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Who holds a socket: what no system call tells, bpf/owners.bpf.h does. */
#ifndef SOCKSHUNT_OWNERS_H
#define SOCKSHUNT_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

#include "../bpf/abi.h"

/* Whether that can be told here. */
bool ss_owners_can_tell(void);

/*
 * How many references @fd's socket has: descriptors of any process, and system
 * calls that other threads are in. SS_OWNERS_MANY: so many or more, or unknown.
 */
int ss_owners(int fd);

/* Whether @what is answered of @fd: *@answer. Keeps errno. */
bool ss_owners_ask(int fd, enum ss_ask what, uint32_t *answer);
/* Whether by 1. */
bool ss_owners_say(int fd, enum ss_ask what);

#endif
