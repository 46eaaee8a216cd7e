/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The program everybody copies: if the peer is in the sockhash, redirect.
 * Not part of the product. The integrity test must fail with it, which shows
 * that the test can fail; the benchmarks price the rule against it. And one that
 * leaves all to TCP at once (SS_EMPTY): what the kernel's count of nothing is.
 */
#ifndef SOCKSHUNT_NAIVE_BPF_H
#define SOCKSHUNT_NAIVE_BPF_H

#ifdef SS_EMPTY
#define MORE_THAN_FITS 0x7fffffff

/* A program is found by the sockhash that it names. */
static __always_inline int verdict(struct sk_msg_md *msg, struct sk_msg *kmsg,
				   bool direct)
{
	struct ss_key nobody = {};

	COUNT(tcp_no_peer);
	if (msg->size == MORE_THAN_FITS)
		bpf_msg_redirect_hash(msg, &sockhash, &nobody, 0);
	(void)kmsg;
	(void)direct;
	return SK_PASS;
}
#else
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

#endif
