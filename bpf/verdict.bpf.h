/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The rule. For each message that socket A sends, either its peer B gets it
 * straight into its receive queue, or it goes by TCP as if we were not here.
 *
 * tcp_bpf_recvmsg() reads redirected messages before TCP's bytes. So going
 * from redirect to TCP keeps the order by itself; going back does only when
 * B has read every byte that A ever sent by TCP. That, and everything else
 * one must know about B, is read from B itself, at the time of the send.
 */
#ifndef SOCKSHUNT_VERDICT_BPF_H
#define SOCKSHUNT_VERDICT_BPF_H

#define RCV_SHUTDOWN 1 /* include/net/sock.h */

#include "queue.bpf.h"
#include "sent.bpf.h"

enum outcome {
	REDIRECT,
	NOT_PEER,
	ORDER,
	ROOM,
	MESSAGES,
	UNWILLING,
};

#include "oneway.bpf.h"
#include "patience.bpf.h"

/* The socket that the last successful bpf_msg_redirect_hash() chose. */
static __always_inline void *chosen(struct sk_msg *msg, bool direct)
{
	/* The helper changed it behind the compiler's back. */
	barrier();
	return READ(msg, sk_redir);
}

/* Neither end needs anything that only TCP's own path provides. (What is shut for
 * sending is in another state than these.) */
static __always_inline bool willing(struct tcp_sock *ta, struct tcp_sock *tb,
				    bool direct)
{
	struct sock *a = &ta->inet_conn.icsk_inet.sk;
	struct sock *b = &tb->inet_conn.icsk_inet.sk;
	__u8 state_a = READ(a, __sk_common.skc_state);
	__u8 state_b = READ(b, __sk_common.skc_state);

	return (state_a == BPF_TCP_ESTABLISHED ||
		state_a == BPF_TCP_CLOSE_WAIT) &&
	       (state_b == BPF_TCP_ESTABLISHED ||
		state_b == BPF_TCP_FIN_WAIT1 || state_b == BPF_TCP_FIN_WAIT2) &&
	       !READ(a, sk_err) && !READ(b, sk_err) &&
	       !READ_SIZED(a, sk_tsflags) &&
	       !(READ_SIZED(b, sk_shutdown) & RCV_SHUTDOWN) &&
	       !wants_tcp(tb, direct);
}

/*
 * What A has received of B's bytes lies between what B knows to be acknowledged
 * and what B has written: always so for the peer, and one more number that a
 * forged entry would have to meet. B's move on meanwhile: read in this order.
 */
static __always_inline bool answers(struct tcp_sock *ta, struct tcp_sock *tb,
				    bool direct)
{
	__u32 acknowledged = READ(tb, snd_una), received, written;

	barrier();
	received = READ(ta, rcv_nxt);
	barrier();
	written = READ(tb, write_seq);
	return received - acknowledged <= written - acknowledged;
}

/* May A's message go to B? */
static __always_inline enum outcome judge(struct sender *sender, void *a,
					  void *b, __u32 size, bool direct)
{
	struct tcp_sock *ta = KERNEL(struct tcp_sock, a);
	struct tcp_sock *tb = KERNEL(struct tcp_sock, b);
	struct sock *sa = &ta->inet_conn.icsk_inet.sk;
	struct sock *sb = &tb->inet_conn.icsk_inet.sk;
	enum outcome outcome = REDIRECT;

	/* The entry may be stale, forged, or from another namespace; or UDP's,
	 * with the peer's addresses and ports, but no sequence numbers... */
	if (READ(sb, sk_protocol) != IPPROTO_TCP)
		return NOT_PEER;
	if (!has_tuple(&sender->peer, sb, direct) ||
	    (sender->peer.netns && READ(sb, __sk_common.skc_net.net) !=
					   READ(sa, __sk_common.skc_net.net)))
		return NOT_PEER;

	/* ...but sequence numbers are random: equal, it is the peer, and it
	 * has read everything that was sent to it by TCP. (Acknowledged, as
	 * in snd_una, is not yet read.) */
	if (READ(ta, write_seq) != READ(tb, copied_seq))
		return ORDER;
	if (!answers(ta, tb, direct))
		return NOT_PEER;

	if (!willing(ta, tb, direct))
		return UNWILLING;

	/* There is nothing of A's: most messages. */
	if (forget_what_is_read(sender, sb, direct) && !is_fixed(sb, direct))
		return REDIRECT;
	if (!has_room(sender, tb, size, direct))
		outcome = ROOM;
	else if (unread(sender, sb, direct) >= SS_MAX_MESSAGES)
		outcome = MESSAGES;
	if (outcome != REDIRECT && has_ring() && sender->bytes < RING_ROOM &&
	    sender->messages < RING_MESSAGES)
		outcome = REDIRECT;
	return outcome;
}

/*
 * That B gets these bytes, once nothing else is in the way. Not if it is being taken
 * out of the maps (preload/leave.h): that looks at the sum after it has said so.
 */
static __always_inline bool promise(struct sent *mine, void *b, __u32 size,
				    bool direct)
{
	__sync_fetch_and_add(&mine->redirected, size);
	if (!mine->leaving ||
	    mine->leaving != (__u64)READ(KERNEL(struct sock, b),
					 __sk_common.skc_cookie.counter))
		return true;
	__sync_fetch_and_add(&mine->redirected, -(__u64)size);
	return false;
}

static __always_inline void count(enum outcome outcome, __u32 size)
{
	struct ss_counters *c = this_cpu_counters();

	if (!c)
		return;
	switch (outcome) {
	case REDIRECT:
		c->redirected_messages++;
		c->redirected_bytes += size;
		break;
	case NOT_PEER:
		c->tcp_not_peer++;
		break;
	case ORDER:
		c->tcp_order++;
		break;
	case ROOM:
		c->tcp_room++;
		break;
	case MESSAGES:
		c->tcp_messages++;
		break;
	case UNWILLING:
		c->tcp_unwilling++;
		break;
	}
}

/*
 * Once bpf_msg_redirect_hash() has chosen a socket nothing un-chooses it.
 * TCP is then reached by choosing A itself, with its egress: the kernel sends
 * the message by tcp_bpf_push(), with TCP's own backpressure. A is in one of the
 * maps, else its messages did not come here; not always in both, nor is its place
 * in each its own: whoever may write them may have taken it.
 */
static __always_inline bool choose_self(struct sk_msg_md *msg,
					struct sk_msg *kmsg,
					struct ss_key *self, void *a,
					bool direct)
{
	if (bpf_msg_redirect_hash(msg, &sockhash, self, 0) == SK_PASS &&
	    chosen(kmsg, direct) == a)
		return true;
	return bpf_msg_redirect_hash(msg, &merged, self, 0) == SK_PASS &&
	       chosen(kmsg, direct) == a;
}

static __always_inline int by_tcp(struct sk_msg_md *msg, struct sk_msg *kmsg,
				  struct ss_key *self, void *a, bool direct)
{
	if (choose_self(msg, kmsg, self, a, direct))
		return SK_PASS;
	/* A was removed while it sends. Better an error than a wrong queue. */
	COUNT(refused);
	return SK_DROP;
}

/*
 * Before all else, be sure of the way back to TCP: a socket that was connected again,
 * or registered under another key, has none.
 */
static __always_inline bool meet_self(struct sender *sender,
				      struct sk_msg_md *msg,
				      struct sk_msg *kmsg, void *a, bool direct)
{
	struct ss_key self;

	key_of(&self, KERNEL(struct sock, a), direct);
	if (!choose_self(msg, kmsg, &self, a, direct))
		return false;
	/* A new one, or connected again. */
	*sender = (struct sender){ .self = self };
	peer_of(&sender->peer, &self);
	return true;
}

static __always_inline int verdict(struct sk_msg_md *msg, struct sk_msg *kmsg,
				   bool direct)
{
	void *a = READ(kmsg, sk);
	struct sender *sender;
	enum outcome outcome;
	struct sent *mine;

	sender = bpf_sk_storage_get(&senders, msg->sk, NULL,
				    BPF_SK_STORAGE_GET_F_CREATE);
	if (!sender)
		goto no_self;
	if (!has_tuple(&sender->self, KERNEL(struct sock, a), direct) &&
	    !meet_self(sender, msg, kmsg, a, direct)) {
		if (!chosen(kmsg, direct))
			goto no_self;
		COUNT(refused);
		return SK_DROP;
	}

	mine = sent_by(&sender->self);
	if (!mine) /* never */
		goto no_self;
	mine->messages++;
	if (is_one_way(sender, KERNEL(struct tcp_sock, a), msg->size, direct)) {
		COUNT(tcp_one_way);
		return SK_PASS; /* nothing chosen, or A itself above: TCP */
	}

	if (bpf_msg_redirect_hash(msg, &merged, &sender->peer, BPF_F_INGRESS) !=
	    SK_PASS) {
		/* Registered, but taken out: it wants TCP's own queue. */
		if (bpf_msg_redirect_hash(msg, &sockhash, &sender->peer,
					  BPF_F_INGRESS) == SK_PASS) {
			COUNT(tcp_unwilling);
			return by_tcp(msg, kmsg, &sender->self, a, direct);
		}
		COUNT(tcp_no_peer);
		return SK_PASS; /* likewise */
	}

	outcome = judge(sender, a, chosen(kmsg, direct), msg->size, direct);
	if (waits(sender, outcome, a, chosen(kmsg, direct), msg->size, direct))
		outcome = judge(sender, a, chosen(kmsg, direct), msg->size,
				direct);
	if (outcome == REDIRECT &&
	    !promise(mine, chosen(kmsg, direct), msg->size, direct))
		outcome = UNWILLING;
	count(outcome, msg->size);
	tell_who_is_ahead(sender, outcome, a, chosen(kmsg, direct), msg->size,
			  direct);
	if (outcome != REDIRECT)
		return by_tcp(msg, kmsg, &sender->self, a, direct);
	sender->messages++;
	sender->bytes += msg->size;
	return SK_PASS;

no_self:
	COUNT(tcp_no_self);
	return SK_PASS;
}

#endif
