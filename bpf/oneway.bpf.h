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
#define SENT_SLOTS    16384
#define NAGLE_OFF     1 /* TCP_NAGLE_OFF, include/net/tcp.h */

/* Messages sent, by whatever way. Who shares a slot seems to be answered. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SENT_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} sent SEC(".maps");

static __always_inline __u32 *sent_by(const struct ss_key *key)
{
	__u32 slot = (key->local_port * 31 + key->remote_port) % SENT_SLOTS;

	return bpf_map_lookup_elem(&sent, &slot);
}

/* For each message that A sends, once. @self and @peer are the keys of both. */
static __always_inline bool is_one_way(struct sender *sender,
				       const struct ss_key *self,
				       const struct ss_key *peer,
				       struct tcp_sock *ta, __u32 size,
				       bool direct)
{
	__u32 *mine = sent_by(self), *answers;
	__u64 now;

	if (mine)
		(*mine)++;
	if (size > SMALL_MESSAGE || READ_BITS(ta, nonagle) & NAGLE_OFF) {
		sender->one_way = 0;
		return false;
	}
	if (!(++sender->one_way % ONE_WAY_LOOK)) {
		answers = sent_by(peer);
		now = bpf_ktime_get_ns();
		if (!answers || *answers != sender->answers ||
		    now - sender->looked > ONE_WAY_NSECS)
			sender->one_way = 0;
		else if (sender->one_way > ONE_WAY)
			sender->one_way = ONE_WAY;
		sender->answers = answers ? *answers : 0;
		sender->looked = now;
	}
	return sender->one_way >= ONE_WAY;
}

#endif
