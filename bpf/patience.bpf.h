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
#define LATE	    (2 << 20) /* bytes, by TCP in a row: more than most bursts */
#define O_NONBLOCK  04000     /* the same on x86-64 and arm64 */
#define NAP_NSECS   50000     /* no nap is shorter */
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

static __always_inline struct ss_control *this_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* For A's process, which may let B's run. */
static __always_inline void tell_who_is_ahead(struct sender *sender,
					      enum outcome outcome, void *b,
					      __u32 size, bool direct)
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
	c = this_control();
	if (!c)
		return;
	c->ahead[bpf_get_smp_processor_id() % SS_CPUS] = 1;
	c->any_ahead = 1;
}

/* bpf_loop()'s: 1 ends it. */
static long look(__u32 i, void *context)
{
	struct wait *w = context;

	w->over = is_over(w, true);
	return w->over || (!(i & 15) && bpf_ktime_get_ns() > w->until);
}

static __always_inline bool tries(struct backoff *backoff)
{
	if (!backoff->hurry)
		return true;
	backoff->hurry--;
	return false;
}

static __always_inline void is_vain(struct backoff *backoff)
{
	if (backoff->vain < MOST_VAIN)
		backoff->vain++;
	backoff->hurry = 1U << (backoff->vain & 31);
}

static __always_inline void pays(struct backoff *backoff)
{
	backoff->vain = 0;
	backoff->hurry = 0;
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

/* A large send(2) has several messages, and a nap is at its end. */
static __always_inline void judge_nap(struct sender *sender, __u32 behind)
{
	if (!sender->napped || bpf_ktime_get_ns() - sender->napped < NAP_NSECS)
		return;
	sender->napped = 0;
	if (sender->behind < behind || sender->behind - behind < LEAST_GAIN)
		return;
	pays(&sender->naps);
	pays(&sender->spins);
}

static __always_inline bool is_nonblocking(struct sock *a, bool direct)
{
	struct socket *socket = READ(a, sk_socket);
	struct file *file = READ(KERNEL(struct socket, socket), file);

	return READ(KERNEL(struct file, file), f_flags) & O_NONBLOCK;
}

static __always_inline void naps(struct sender *sender, struct sock *a,
				 __u32 behind, bool direct)
{
	__u64 cookie = (__u64)READ(a, __sk_common.skc_cookie.counter);
	struct ss_control *c = this_control();

	if (sender->napped || !c || !cookie || is_nonblocking(a, direct) ||
	    !tries(&sender->naps))
		return;
	is_vain(&sender->naps);
	sender->napped = bpf_ktime_get_ns();
	sender->behind = behind;
	c->naps[bpf_get_smp_processor_id() % SS_CPUS] = cookie;
	c->any_ahead = 1;
}

/* Whether A has waited for B, and @outcome holds no more. */
static __always_inline bool waits(struct sender *sender, enum outcome outcome,
				  void *a, void *b, __u32 size, bool direct)
{
	__s32 behind;

	if (outcome == REDIRECT) {
		sender->late = 0;
		sender->napped = 0;
		pays(&sender->naps);
	}
	if (outcome != ORDER && outcome != ROOM && outcome != MESSAGES)
		return false;
	behind = READ(KERNEL(struct tcp_sock, a), write_seq) -
		 READ(KERNEL(struct tcp_sock, b), copied_seq);
	if (behind < 0) /* not the peer */
		return false;
	judge_nap(sender, behind);
	if (direct && behind <= MOST_BEHIND && tries(&sender->spins)) {
		if (spins(sender, outcome, a, b, size)) {
			pays(&sender->spins);
			sender->late = 0;
			return true;
		}
		is_vain(&sender->spins);
	}
	if (sender->late < LATE)
		sender->late += size;
	else
		naps(sender, KERNEL(struct sock, a), behind, direct);
	return false;
}

#endif
