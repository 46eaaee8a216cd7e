/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A sender that is a little ahead of its reader waits a little, instead of going
 * by TCP: behind bytes on TCP nothing can be redirected until all are read, which
 * a sender that stays ahead never sees. It spins, for a reader with a CPU of its
 * own that is about to be ready. If it is ahead for longer than a burst, its process
 * sleeps after the message (naps.bpf.h), as a full buffer would make it do later.
 * Where neither helps, they become rare.
 */
#ifndef SOCKSHUNT_PATIENCE_BPF_H
#define SOCKSHUNT_PATIENCE_BPF_H

#include "naps.bpf.h"

#define MOST_NSECS  20000 /* less than what waking a reader takes */
#define MOST_LOOKS  4000
#define MOST_BEHIND (256 << 10) /* bytes on TCP that may be read by then */
#define LATE	    (2 << 20) /* bytes, by TCP in a row: more than most bursts */

struct wait {
	enum outcome outcome;
	__u32 size;
	unsigned long a, b; /* the sockets */
	struct sender *sender;
	__u64 until; /* bpf_ktime_get_ns() */
	bool over;
};

static __always_inline bool is_over(const struct wait *w, bool direct)
{
	struct tcp_sock *ta = KERNEL(struct tcp_sock, (void *)w->a);
	struct tcp_sock *tb = KERNEL(struct tcp_sock, (void *)w->b);

	switch (w->outcome) {
	case ORDER:
		return READ(ta, write_seq) == READ(tb, copied_seq);
	case ROOM:
		return has_room(w->sender, tb, w->size, direct);
	default:
		return unread(w->sender, (struct sock *)tb, direct) <
		       SS_MAX_MESSAGES;
	}
}

/* bpf_loop()'s: 1 ends it. */
static long look(__u32 i, void *context)
{
	struct wait *w = context;

	w->over = is_over(w, true);
	return w->over || (!(i & 15) && bpf_ktime_get_ns() > w->until);
}

/* B gets ready for A's message at once. For kernels with bpf_loop(): 6.2. */
static __always_inline bool spins(struct sender *sender, enum outcome outcome,
				  void *a, void *b, __u32 size)
{
	struct wait w = {
		outcome, size, (unsigned long)a, (unsigned long)b, sender,
		0,	 false
	};

	w.until = bpf_ktime_get_ns() + MOST_NSECS;
	bpf_loop(MOST_LOOKS, look, &w, 0);
	return w.over;
}

/* A goes by TCP, for B was not ready: that has so many bytes to read first. */
static __always_inline void went_by_tcp(struct sender *sender, struct sock *a,
					const struct mark *now, __u32 ahead,
					__u32 size, bool direct)
{
	/* B begins with what was redirected. */
	if (!sender->late || sender->from.copied == now->copied)
		sender->from = *now;
	sender->late += size;
	if (sender->late >= LATE) {
		sender->pace = pace_between(&sender->from, now);
		sender->late = 0;
		sender->is_late = true;
	}
	nap_by_tcp(sender, a, now, ahead, size, sender->is_late, direct);
}

static __always_inline void was_in_time(struct sender *sender)
{
	sender->late = 0;
	sender->is_late = false;
	pays(&sender->naps);
}

/* Whether A has waited for B, and @outcome holds no more. */
static __always_inline bool waits(struct sender *sender, enum outcome outcome,
				  void *a, void *b, __u32 size, bool direct)
{
	struct tcp_sock *ta = KERNEL(struct tcp_sock, a);
	struct tcp_sock *tb = KERNEL(struct tcp_sock, b);
	struct sock *sa = &ta->inet_conn.icsk_inet.sk;
	struct mark now = { 0 };
	__u32 ahead;

	if (outcome == REDIRECT) {
		was_in_time(sender);
		if (!sender->nap)
			return false;
	} else if (outcome != ORDER && outcome != ROOM && outcome != MESSAGES) {
		return false;
	}
	now.at = bpf_ktime_get_ns();
	now.copied = READ(tb, copied_seq);
	now.behind = READ(ta, write_seq) - now.copied;
	if ((__s32)now.behind < 0) /* not the peer */
		return false;
	if (sender->nap)
		end_nap(sender, sa, outcome, &now, direct);
	if (outcome == REDIRECT)
		return false;
	if (direct && now.behind <= MOST_BEHIND && tries(&sender->spins)) {
		if (spins(sender, outcome, a, b, size)) {
			pays(&sender->spins);
			was_in_time(sender);
			return true;
		}
		was_vain(&sender->spins);
	}
	ahead = now.behind;
	if (outcome == ROOM)
		ahead += waiting_bytes(&tb->inet_conn.icsk_inet.sk, direct);
	went_by_tcp(sender, sa, &now, ahead, size, direct);
	return false;
}

/* For A's process, which may let B's run. */
static __always_inline void tell_who_is_ahead(struct sender *sender,
					      enum outcome outcome, void *a,
					      void *b, __u32 size, bool direct)
{
	struct sock *sb = KERNEL(struct sock, b);
	struct ss_control *c;

	if (outcome == REDIRECT && sender->bytes < SS_AHEAD_BYTES &&
	    sender->messages < SS_MAX_MESSAGES / 2)
		return; /* most messages */
	sender->ahead += size;
	if (sender->ahead < SS_AHEAD_BYTES)
		return;
	if (outcome == REDIRECT &&
	    waiting_bytes(sb, direct) <
		    room_of(sb, READ(sb, sk_rcvbuf), direct) / 2 &&
	    unread(sender, sb, direct) < SS_MAX_MESSAGES / 2)
		return;
	sender->ahead = 0;
	if (outcome == REDIRECT)
		nap_redirected(sender, a, b, waiting_bytes(sb, direct), size,
			       direct);
	c = this_control();
	if (!c)
		return;
	c->ahead[bpf_get_smp_processor_id() % SS_CPUS] = 1;
	c->any_ahead = 1;
}

#endif
