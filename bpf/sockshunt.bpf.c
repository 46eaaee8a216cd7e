/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The kernel side: the sockhash and the programs on it.
 *
 *   sockshunt_verdict  sk_msg    decides for each message: peer or TCP
 *   sockshunt_sockops  sock_ops  registers same-host sockets of a cgroup
 *   sockshunt_merge    sk_skb    puts TCP's bytes into the redirect queue
 *   sockshunt_owners   filter    tells a process who else holds its socket, and
 *                                whether that may be taken out again
 *   sockshunt_splice   fmod_ret  refuses splice(2) where the shim is not
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel_types.h"
#include "key.bpf.h"
#include "maps.bpf.h"
#include "options.bpf.h"
#include "ring.bpf.h"
#ifdef SS_NAIVE
#include "naive.bpf.h"
#else
#include "verdict.bpf.h"
#endif
#ifdef SS_BROKEN
#include "broken.bpf.h"
#else
#define decide verdict
#endif
#if !defined(SS_NAIVE) && !defined(SS_UNMERGED)
#include "merge.bpf.h"
#endif
#include "sockops.bpf.h"
#include "owners.bpf.h"
#include "splice.bpf.h"

SEC("sk_msg")
int sockshunt_verdict(struct sk_msg_md *msg)
{
	return decide(msg, bpf_cast_to_kern_ctx(msg), true);
}

/* The same for kernels before 6.2; the loader loads one of the two. */
SEC("sk_msg")
int sockshunt_verdict_probe(struct sk_msg_md *msg)
{
	return decide(msg, (void *)msg, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
