/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Many small messages, fast and one way: TCP joins them into large segments, and
 * wakes the reader for each of those, a redirect for each message. They go by TCP,
 * with no look at the peer, which keeps the order; until they are slow or large,
 * or the peer sends too. (Without Nagle's algorithm TCP joins few.)
 */
#ifndef SOCKSHUNT_ONEWAY_BPF_H
#define SOCKSHUNT_ONEWAY_BPF_H

#define SMALL_MESSAGE 4096
#define ONE_WAY	      64     /* messages in a row: more than most bursts */
#define ONE_WAY_LOOK  16     /* messages from one look to the next */
#define ONE_WAY_NSECS 240000 /* from look to look, at most: 66,000 a second */
#define NAGLE_OFF     1	     /* TCP_NAGLE_OFF, include/net/tcp.h */

/* For each message that A sends, once. Who shares B's slot seems to answer. */
static __always_inline bool is_one_way(struct sender *sender,
				       struct tcp_sock *ta, __u32 size,
				       bool direct)
{
	struct sent *b;
	__u32 answers;
	__u64 now;

	if (size > SMALL_MESSAGE || READ_BITS(ta, nonagle) & NAGLE_OFF) {
		sender->one_way = 0;
		return false;
	}
	if (!(++sender->one_way % ONE_WAY_LOOK)) {
		b = sent_by(&sender->peer);
		answers = b ? b->messages : 0;
		now = bpf_ktime_get_ns();
		if (answers != sender->answers ||
		    now - sender->looked > ONE_WAY_NSECS)
			sender->one_way = 0;
		else if (sender->one_way > ONE_WAY)
			sender->one_way = ONE_WAY;
		sender->answers = answers;
		sender->looked = now;
	}
	return sender->one_way >= ONE_WAY;
}

#endif
