/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What this kernel's sockmap really does, found out on loopback connections
 * of our own and never guessed from a version number. Loader only.
 *
 * All return 1 if it is as asked, 0 if not, -1 if that could not be told;
 * then @why of struct ss_selftest says why.
 */
#ifndef SOCKSHUNT_SELFTEST_H
#define SOCKSHUNT_SELFTEST_H

#include <stdbool.h>

#include "abi.h"

struct ss_selftest {
	int sockhash_fd;
	int counters_fd;
	bool netns_inode;
	int merged_fd; /* -1: a custom object has none */
	__u32 flags;   /* what ss_selftest_rule() has found: SS_KEEPS_... */
	char why[240];
};

/*
 * With sk_msg attached: whether redirected bytes that wait in a socket show up
 * in its sk_rmem_alloc (6.13+).
 */
int ss_selftest_charges(struct ss_selftest *t);

/*
 * With sk_msg attached: whether programs would see what they see on TCP: the
 * order of bytes, room that ends, readers that wake up, the end of file. And,
 * as flags alone, what FIONREAD counts.
 */
int ss_selftest_rule(struct ss_selftest *t);

/*
 * With sk_msg and sk_skb attached: whether bytes that came by TCP and bytes
 * that were redirected form one queue in every respect the shim relies on:
 * order, FIONREAD, one read across both, end of file, and that redirecting
 * resumes afterwards (the kernel counts copied_seq right).
 */
int ss_selftest_merges(struct ss_selftest *t);

#endif
