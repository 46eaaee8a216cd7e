/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Options that only TCP's own path honours. Set before a socket is connected,
 * or inherited from the listening one, they keep it from being registered; on
 * a registered one they end merging, or, where that does not help, fail as on
 * a kernel that lacks the feature, which programs are prepared for.
 */
#ifndef SOCKSHUNT_OPTIONS_H
#define SOCKSHUNT_OPTIONS_H

#include <stdbool.h>
#include <sys/socket.h>

/* setsockopt(2), for the hook. */
int ss_options_set(int fd, int level, int name, const void *value,
		   socklen_t len);

/*
 * Whether the socket @fd has such an option. Looks only if the process is
 * known to use them, for this is asked of every connection.
 */
bool ss_options_keep_tcp(int fd);

/* Whether the process is known to use any. */
bool ss_options_used(void);

/* Looks at @fd, which another program may have prepared. */
void ss_options_learn(int fd);

#endif
