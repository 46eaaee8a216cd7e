/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A sender that is a little ahead of its reader waits a little, instead of going
 * by TCP: behind bytes on TCP nothing can be redirected until all are read, which
 * a sender that stays ahead never sees. The reader needs a CPU of its own for
 * that; where waits are in vain, they become rare.
 */
#ifndef SOCKSHUNT_PATIENCE_BPF_H
#define SOCKSHUNT_PATIENCE_BPF_H

#define MOST_NSECS  20000 /* less than what waking a reader takes */
#define MOST_LOOKS  4000
#define MOST_BEHIND (256 << 10) /* bytes on TCP that may be read by then */
#define MOST_VAIN   10		/* then 1 in 2^10 messages tries again */

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

/* Whether A was worth waiting for B, and @outcome holds no more. */
static __always_inline bool waits(struct sender *sender, enum outcome outcome,
				  void *a, void *b, __u32 size, bool direct)
{
	struct tcp_sock *ta = KERNEL(struct tcp_sock, a);
	struct tcp_sock *tb = KERNEL(struct tcp_sock, b);
	struct wait w = {
		outcome, size, (unsigned long)a, (unsigned long)b, sender,
		0,	 false
	};

	/* Before 6.2 there may be no bpf_loop(). */
	if (!direct ||
	    (outcome != ORDER && outcome != ROOM && outcome != MESSAGES))
		return false;
	if (sender->hurry) {
		sender->hurry--;
		return false;
	}
	if (outcome == ORDER &&
	    READ(ta, write_seq) - READ(tb, copied_seq) > MOST_BEHIND)
		return false;
	w.until = bpf_ktime_get_ns() + MOST_NSECS;
	bpf_loop(MOST_LOOKS, look, &w, 0);
	if (w.over) {
		sender->vain = 0;
		return true;
	}
	if (sender->vain < MOST_VAIN)
		sender->vain++;
	sender->hurry = 1U << (sender->vain & 31);
	return false;
}

#endif
