/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which addresses are on this host. Beyond loopback and a socket's own
 * address, every shim that starts writes the addresses of its network
 * namespace into the shared control map, so that both ends of a veth pair
 * know each other before they connect.
 */
#ifndef SOCKSHUNT_HOSTS_H
#define SOCKSHUNT_HOSTS_H

#include <stdbool.h>

#include "../bpf/abi.h"

/* Writes down the addresses of this namespace. Async-signal-safe. */
void ss_hosts_announce(void);

/* Writes down one more. Lock-free; a full table forgets it. */
void ss_hosts_add(const __u32 ip[4]);

/* Whether an address is known to be on this host. Lock-free. */
bool ss_hosts_know(const __u32 ip[4]);

#endif
