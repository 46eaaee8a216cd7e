/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How long a sender sleeps that is ahead of its reader (patience.bpf.h): until that has
 * read all, if its pace is known, and it is not too slow; else a moment, to see. From
 * then on until it has read most, before there is no room for more. The process does
 * it, at the end of its send(2): preload/yield.h.
 */
#ifndef SOCKSHUNT_NAPS_BPF_H
#define SOCKSHUNT_NAPS_BPF_H

#define O_NONBLOCK 04000	      /* the same on x86-64 and arm64 */
#define FOR_EVER   0x7fffffffffffffff /* in sk_sndtimeo */

/* In ns: */
#define NAP_NSECS   50000    /* no nap is shorter */
#define LONG_NAP    200000   /* for a reader that much slower than we are */
#define MOST_PACE   6000     /* for a KiB; by TCP slower ones lose under 3 % */
#define NAP_GAIN    50000    /* of a long one, at least: that was redirected */
#define NAP_REST    1000     /* for each long one that was not taken */
#define MOST_WASTE  10000000 /* of a single one */
#define MOST_CREDIT 4000000

#define LEAST_GAIN (16 << 10) /* bytes, of a reader that a nap helps */

/* What A has slept after last, and is not judged yet. */
enum nap {
	NO_NAP,
	NAP_BY_TCP,
	NAP_REDIRECTED,
};

/* ns in which B has read a KiB from one to the other; 0: it did not, or too slowly. */
static __always_inline __u32 pace_between(const struct mark *from,
					  const struct mark *to)
{
	__u32 read = to->copied - from->copied;
	__u64 nsecs = to->at - from->at;

	if (read < LEAST_GAIN || nsecs > (__u64)MOST_PACE * (read >> 10))
		return 0;
	return nsecs / (read >> 10);
}

/* In which B reads @bytes. */
static __always_inline __u32 nap_for(const struct sender *sender, __u32 bytes)
{
	__u64 nsecs = (__u64)sender->pace * (bytes >> 10);

	return nsecs < SS_NAP_MOST ? nsecs : SS_NAP_MOST;
}

/* If B has waited for A, and A for a CPU, that costs more than many naps gain. */
static __always_inline void settle(struct sender *sender, __u64 slept,
				   bool empty)
{
	if (!empty || slept < 2 * sender->nap_nsecs + LONG_NAP)
		sender->nap_credit += NAP_GAIN;
	else if (slept < MOST_WASTE)
		sender->nap_credit -= slept - sender->nap_nsecs;
	else
		sender->nap_credit -= MOST_WASTE;
	if (sender->nap_credit > MOST_CREDIT)
		sender->nap_credit = MOST_CREDIT;
}

/* At a message after a nap: a large send(2) has several, and a nap is at its end. */
static __always_inline void judge_nap(struct sender *sender,
				      enum outcome outcome,
				      const struct mark *now)
{
	bool empty = outcome == REDIRECT && !sender->messages;
	const struct mark *then = &sender->napped;

	if (now->at - then->at < NAP_NSECS)
		return;
	if (sender->nap_nsecs)
		settle(sender, now->at - then->at, empty);
	if (sender->nap == NAP_BY_TCP) {
		sender->pace = pace_between(then, now);
		if (sender->pace || now->behind + LEAST_GAIN <= then->behind) {
			pays(&sender->naps);
			pays(&sender->spins);
		}
	} else if (outcome != REDIRECT) {
		sender->pace += sender->pace / 8;
	} else if (empty) {
		sender->pace -= sender->pace / 8;
	}
	sender->nap = NO_NAP;
}

/* Whether A's send(2) may last, as it does where there is no room. */
static __always_inline bool may_last(struct sock *a, bool direct)
{
	struct socket *socket = READ(a, sk_socket);
	struct file *file = READ(KERNEL(struct socket, socket), file);

	return READ(a, sk_sndtimeo) == FOR_EVER &&
	       !(READ(KERNEL(struct file, file), f_flags) & O_NONBLOCK);
}

static __always_inline bool has_credit(struct sender *sender)
{
	if (sender->nap_credit >= 0)
		return true;
	sender->nap_credit += NAP_REST;
	return false;
}

/* Whether A's process is told to. */
static __always_inline bool takes_nap(struct sender *sender, struct sock *a,
				      enum nap nap, const struct mark *now,
				      __u32 nsecs, bool direct)
{
	__u64 cookie = (__u64)READ(a, __sk_common.skc_cookie.counter);
	__u32 cpu = bpf_get_smp_processor_id() % SS_CPUS;
	struct ss_control *c = this_control();

	if (!c || !cookie || !may_last(a, direct))
		return false;
	sender->nap = nap;
	sender->nap_nsecs = nsecs;
	sender->napped = *now;
	c->nap_nsecs[cpu] = nsecs;
	c->naps[cpu] = cookie;
	c->any_ahead = 1;
	return true;
}

/* A is behind its own bytes on TCP, @now; for @long_enough the naps may be tried. */
static __always_inline void nap_by_tcp(struct sender *sender, struct sock *a,
				       const struct mark *now, __u32 size,
				       bool long_enough, bool direct)
{
	__u32 nsecs = nap_for(sender, now->behind + size);

	if (sender->nap && !sender->nap_nsecs)
		return;
	if (!sender->nap && nsecs >= LONG_NAP && !has_credit(sender))
		nsecs = 0;
	if (nsecs < LONG_NAP) {
		if (sender->nap || !long_enough || !tries(&sender->naps))
			return;
		is_vain(&sender->naps);
	}
	takes_nap(sender, a, NAP_BY_TCP, now, nsecs, direct);
}

/* What A redirects is read more slowly than it comes. */
static __always_inline bool nap_redirected(struct sender *sender,
					   struct sock *a, __u32 bytes,
					   bool direct)
{
	__u32 nsecs = nap_for(sender, bytes);
	struct mark now = { 0 };

	if (nsecs < LONG_NAP || (!sender->nap && !has_credit(sender)))
		return false;
	now.at = bpf_ktime_get_ns();
	return takes_nap(sender, a, NAP_REDIRECTED, &now, nsecs / 4 * 3,
			 direct);
}

#endif
