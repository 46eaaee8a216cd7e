/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Whether a redirected message wakes a thread that waits for it. */
#ifndef SOCKSHUNT_SELFTEST_WAKE_H
#define SOCKSHUNT_SELFTEST_WAKE_H

#include "selftest_pair.h"

int ss_selftest_wakes_recv(struct ss_selftest *t, const struct ss_pair *p);
int ss_selftest_wakes_poll(struct ss_selftest *t, const struct ss_pair *p);
int ss_selftest_wakes_epoll(struct ss_selftest *t, const struct ss_pair *p);

#endif
