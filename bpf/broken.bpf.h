/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The rule, broken in one respect. Not part of the product: the self-test must
 * find each of them out.
 *
 *   SS_IGNORES=tcp_room   redirects what the rule leaves to TCP for that reason
 *   SS_HOLDS='"last"'     holds back a message that begins so
 *   SS_CUTS='"both"'      loses the first byte of such a message
 */
#ifndef SOCKSHUNT_BROKEN_BPF_H
#define SOCKSHUNT_BROKEN_BPF_H

#ifdef SS_IGNORES
static __always_inline int decide(struct sk_msg_md *msg, struct sk_msg *kmsg,
				  bool direct)
{
	struct ss_counters *c = this_cpu_counters();
	__u64 before = c ? c->SS_IGNORES : 0;
	int action = verdict(msg, kmsg, direct);
	struct ss_key self, peer;

	if (!c || c->SS_IGNORES == before)
		return action;
	key_of(&self, READ(kmsg, sk), direct);
	peer_of(&peer, &self);
	c->redirected_messages++;
	c->redirected_bytes += msg->size;
	return bpf_msg_redirect_hash(msg, &sockhash, &peer, BPF_F_INGRESS);
}
#endif

static __always_inline bool begins(struct sk_msg_md *msg, const char *with)
{
	const char *data = msg->data;

	return data + 4 <= (const char *)msg->data_end &&
	       !__builtin_memcmp(data, with, 4);
}

#ifdef SS_HOLDS
static __always_inline int decide(struct sk_msg_md *msg, struct sk_msg *kmsg,
				  bool direct)
{
	if (begins(msg, SS_HOLDS))
		bpf_msg_cork_bytes(msg, msg->size + 1);
	return verdict(msg, kmsg, direct);
}
#endif

#ifdef SS_CUTS
static __always_inline int decide(struct sk_msg_md *msg, struct sk_msg *kmsg,
				  bool direct)
{
	if (begins(msg, SS_CUTS))
		bpf_msg_pop_data(msg, 0, 1, 0);
	return verdict(msg, kmsg, direct);
}
#endif

#endif
