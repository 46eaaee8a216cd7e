/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One receive queue. With a verdict on the receive side, the kernel moves
 * bytes that came by TCP to the queue the redirected ones are in, whether or
 * not the process has our shim: FIONREAD, edge-triggered events and reads
 * across both then work as on TCP.
 */
#ifndef SOCKSHUNT_MERGE_BPF_H
#define SOCKSHUNT_MERGE_BPF_H

#define MAX_TRIM  0xfff /* bpf_skb_adjust_room()'s limit per call */
#define MAX_TRIMS 256	/* 1 MiB, more than one buffer holds */

static __always_inline struct tcp_skb_cb *cb_of(struct sk_buff *skb)
{
	return (void *)skb->cb;
}

/*
 * The sequence number up to which TCP's bytes have been moved. Unread ones are
 * the last in the queue (the order rule redirects nothing behind them), or in
 * the backlog behind it; if there are none, the reader's own position says it.
 * The caller holds the socket lock, so only the backlog's worker runs beside
 * us: it adds a buffer to the queue before it takes it from the backlog.
 */
static __always_inline __u32 moved_up_to(struct tcp_sock *tp)
{
	const bool direct = false;
	unsigned long addr = psock_of(&tp->inet_conn.icsk_inet.sk, direct);
	struct sk_psock *psock = (void *)addr;
	unsigned long backlog =
		addr + bpf_core_field_offset(struct sk_psock, ingress_skb);
	unsigned long queue =
		addr + bpf_core_field_offset(struct sk_psock, ingress_msg);
	struct sk_buff *last = READ(psock, ingress_skb.prev);

	if ((unsigned long)last != backlog && last)
		return READ(cb_of(last), end_seq);
	addr = (unsigned long)READ(psock, ingress_msg.prev);
	if (addr != queue && addr) {
		struct sk_msg *msg = (void *)addr -
				     bpf_core_field_offset(struct sk_msg, list);

		last = READ(msg, skb);
		if (last)
			return READ(cb_of(last), end_seq);
	}
	return READ(tp, copied_seq);
}

/*
 * The bytes at the start of this buffer that the queue or the reader has had.
 * TCP queues such buffers (a retransmission that overlaps, or one half read
 * when the socket was registered), and tcp_recvmsg() skips those bytes, but
 * tcp_read_skb() passes all of them on.
 */
static __always_inline __u32 repeated(struct __sk_buff *skb)
{
	struct sk_buff *kskb = (void *)skb;
	const bool direct = false;
	__s32 bytes =
		moved_up_to((void *)READ(kskb, sk)) - READ(cb_of(kskb), seq);

	return bytes > 0 ? bytes : 0;
}

SEC("sk_skb/stream_verdict")
int sockshunt_merge(struct __sk_buff *skb)
{
	__u32 left = repeated(skb);

	/* Steps of a constant size: the verifier then need not follow each. */
	for (int i = 0; left > MAX_TRIM && i < MAX_TRIMS; i++) {
		if (bpf_skb_adjust_room(skb, -MAX_TRIM, 0, 0))
			return SK_DROP;
		left -= MAX_TRIM;
	}
	if (left > MAX_TRIM ||
	    (left && bpf_skb_adjust_room(skb, -(__s32)left, 0, 0)))
		return SK_DROP;
	return SK_PASS;
}

#endif
