/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A sender that is a little ahead of its reader waits a little, instead of going
 * by TCP: behind bytes on TCP nothing can be redirected until all are read, which
 * a sender that stays ahead never sees. It spins, for a reader with a CPU of its
 * own that is about to be ready. If it is ahead for longer than a burst, its process
 * sleeps after the message (preload/yield.h), as a full buffer would make it do
 * later, and again as long as the reader gains by that. Where neither helps, they
 * become rare.
 */
#ifndef SOCKSHUNT_PATIENCE_BPF_H
#define SOCKSHUNT_PATIENCE_BPF_H

#define MOST_NSECS  20000 /* less than what waking a reader takes */
#define MOST_LOOKS  4000
#define MOST_BEHIND (256 << 10) /* bytes on TCP that may be read by then */
#define LATE	    (4 << 20) /* bytes, by TCP in a row: more than most bursts */
#define LEAST_GAIN  (16 << 10) /* bytes, of a reader that a nap helps */
#define MOST_VAIN   10	       /* then 1 in 2^10 messages tries again */

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

/* For A's process, which may let B's run. */
static __always_inline void let_peer_run(enum ss_ahead how)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id() % SS_CPUS;
	struct ss_control *c = bpf_map_lookup_elem(&control, &zero);

	if (!c)
		return;
	if (c->ahead[cpu] < how)
		c->ahead[cpu] = how;
	c->any_ahead = 1;
}

static __always_inline void tell_who_is_ahead(struct sender *sender,
					      enum outcome outcome, void *b,
					      __u32 size, bool direct)
{
	struct sock *sb = KERNEL(struct sock, b);

	sender->ahead += size;
	if (sender->ahead < SS_AHEAD_BYTES)
		return;
	if (outcome == REDIRECT &&
	    waiting_bytes(sb, direct) <
		    room_of(sb, READ(sb, sk_rcvbuf), direct) / 2 &&
	    unread(sender, sb, direct) < SS_MAX_MESSAGES / 2)
		return;
	sender->ahead = 0;
	let_peer_run(SS_AHEAD_YIELD);
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

/* Whether A has waited for B, and @outcome holds no more. */
static __always_inline bool waits(struct sender *sender, enum outcome outcome,
				  void *a, void *b, __u32 size, bool direct)
{
	__u32 behind, before = sender->behind;

	if (outcome == REDIRECT)
		sender->late = 0;
	if (outcome != ORDER && outcome != ROOM && outcome != MESSAGES)
		return false;
	if (sender->late < LATE)
		sender->late += size;
	behind = READ(KERNEL(struct tcp_sock, a), write_seq) -
		 READ(KERNEL(struct tcp_sock, b), copied_seq);
	/* The last nap has helped: the next one will. */
	if (before >= behind + LEAST_GAIN) {
		sender->vain = 0;
		sender->hurry = 0;
	}
	sender->behind = 0;
	if (sender->hurry) {
		sender->hurry--;
		return false;
	}
	if (direct && behind <= MOST_BEHIND &&
	    spins(sender, outcome, a, b, size)) {
		sender->vain = 0;
		return true;
	}
	if (sender->vain < MOST_VAIN)
		sender->vain++;
	sender->hurry = 1U << (sender->vain & 31);
	if (sender->late >= LATE) {
		sender->behind = behind;
		let_peer_run(SS_AHEAD_NAP);
	}
	return false;
}

#endif
