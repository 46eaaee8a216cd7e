/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What this kernel's sockmap really does, found out on loopback connections
 * of our own and never guessed from a version number. Loader only.
 */
#ifndef SOCKSHUNT_SELFTEST_H
#define SOCKSHUNT_SELFTEST_H

#include <stdbool.h>
#include <stddef.h>

struct ss_selftest {
	int sockhash_fd;
	int counters_fd;
	bool netns_inode;
	int merged_fd; /* -1: a custom object has none */
};

/*
 * With sk_msg attached: 1 if redirected bytes that wait in a socket show up
 * in its sk_rmem_alloc (6.13+), 0 if not, -1 if it could not be told (@why).
 */
int ss_selftest_charges(const struct ss_selftest *t, char *why,
			size_t why_size);

/*
 * With sk_msg and sk_skb attached: whether bytes that came by TCP and bytes
 * that were redirected form one queue in every respect the shim relies on:
 * order, FIONREAD, one read across both, end of file, and that redirecting
 * resumes afterwards (the kernel counts copied_seq right). If not, @why says
 * what was seen.
 */
bool ss_selftest_merges(const struct ss_selftest *t, char *why,
			size_t why_size);

#endif
