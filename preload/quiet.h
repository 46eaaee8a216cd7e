/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Taking the sk_skb verdict from a socket. While that happens, bytes that come by TCP
 * would be acknowledged and dropped: sk_psock_verdict_recv() finds no program. So
 * packets that bring some, or a FIN, are refused before TCP sees them, for that long;
 * they are sent again.
 */
#ifndef SOCKSHUNT_QUIET_H
#define SOCKSHUNT_QUIET_H

#include <stdbool.h>

/*
 * From now on, and since a grace period (8 to 25 ms) began, nothing comes into the
 * socket @fd by TCP. Not on kernels that have none for us, nor where the program has
 * a filter of its own: false, and then there is nothing to end. May change errno.
 * The caller is undisturbed.
 */
bool ss_quiet_begin(int fd);
void ss_quiet_end(int fd);

#endif
