/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The program everybody copies: if the peer is in the sockhash, redirect.
 * Not part of the product. The integrity test must fail with it, which shows
 * that the test can fail; the benchmarks price the rule against it.
 */
#ifndef SOCKSHUNT_NAIVE_BPF_H
#define SOCKSHUNT_NAIVE_BPF_H

static __always_inline int verdict(struct sk_msg_md *msg, struct sk_msg *kmsg,
				   bool direct)
{
	struct sock *a = READ(kmsg, sk);
	struct ss_key self, peer;

	key_of(&self, a, direct);
	peer_of(&peer, &self);
	if (bpf_msg_redirect_hash(msg, &sockhash, &peer, BPF_F_INGRESS) ==
	    SK_PASS) {
		struct ss_counters *c = this_cpu_counters();

		if (c) {
			c->redirected_messages++;
			c->redirected_bytes += msg->size;
		}
	} else {
		COUNT(tcp_no_peer);
	}
	return SK_PASS;
}

#endif
