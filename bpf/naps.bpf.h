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
#define NAP_NSECS 50000	   /* no nap is shorter */
#define LONG_NAP  200000   /* for a reader that much slower than we are */
#define MOST_PACE 6000	   /* for a KiB; by TCP slower ones lose under 3 % */
#define PAUSE	  10000000 /* beyond a nap: the program has slept itself */

#define LEAST_GAIN (16 << 10) /* bytes, of a reader that a nap helps */

/* What A is told to sleep for, or has slept for and is not judged yet. */
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

/* What the nap was good for, by what B has read from then on until now. */
static __always_inline void judge_nap(struct sender *sender,
				      enum outcome outcome,
				      const struct mark *now)
{
	bool empty = outcome == REDIRECT && !sender->messages;
	const struct mark *then = &sender->napped;
	__u64 nsecs = now->at - then->at;
	__u32 pace;

	if (nsecs < NAP_NSECS || nsecs < sender->nap_nsecs ||
	    nsecs > sender->nap_nsecs + PAUSE)
		return;
	if (sender->nap == NAP_BY_TCP) {
		pace = pace_between(then, now);
		if (pace || now->behind + LEAST_GAIN <= then->behind) {
			pays(&sender->naps);
			pays(&sender->spins);
		}
		/* It may have had nothing to read for a part of that time. */
		if (outcome != REDIRECT || (pace && pace < sender->pace))
			sender->pace = pace;
	} else if (outcome != REDIRECT) {
		sender->pace += sender->pace / 8;
		if (sender->pace > MOST_PACE)
			sender->pace = 0;
	}
	if (empty)
		sender->pace -= sender->pace / 8;
}

/* At a message: whether the process has taken the last one, or never will. */
static __always_inline void end_nap(struct sender *sender, struct sock *a,
				    enum outcome outcome,
				    const struct mark *now, bool direct)
{
	__u64 cookie = (__u64)READ(a, __sk_common.skc_cookie.counter);
	__u32 cpu = sender->nap_cpu % SS_CPUS;
	struct ss_control *c = this_control();

	if (!c)
		return;
	if (c->naps[cpu] != cookie) {
		judge_nap(sender, outcome, now);
	} else {
		/* Of the same send(2)? */
		if ((outcome != REDIRECT || sender->nap != NAP_BY_TCP) &&
		    now->at - sender->napped.at < PAUSE)
			return;
		c->naps[cpu] = 0;
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

/* Tells A's process to; at a later message of the same send(2), so much longer. */
static __always_inline void takes_nap(struct sender *sender, struct sock *a,
				      enum nap nap, const struct mark *now,
				      __u32 nsecs, bool direct)
{
	__u64 cookie = (__u64)READ(a, __sk_common.skc_cookie.counter);
	__u32 cpu = bpf_get_smp_processor_id() % SS_CPUS;
	struct ss_control *c = this_control();

	if (!c || !cookie || !may_last(a, direct))
		return;
	if (sender->nap) {
		cpu = sender->nap_cpu % SS_CPUS;
		nsecs += sender->nap_nsecs;
		if (nsecs > SS_NAP_MOST)
			nsecs = SS_NAP_MOST;
	} else {
		sender->napped = *now;
		sender->nap_cpu = cpu;
	}
	sender->nap = nap;
	sender->nap_nsecs = nsecs;
	c->nap_until[cpu] = nsecs ? sender->napped.at + nsecs : 0;
	c->naps[cpu] = cookie;
	c->any_ahead = 1;
}

/*
 * A's message of @size goes by TCP, and B is to read @ahead bytes first. @try: also if
 * A sees only then whether it helps.
 */
static __always_inline void nap_by_tcp(struct sender *sender, struct sock *a,
				       const struct mark *now, __u32 ahead,
				       __u32 size, bool try, bool direct)
{
	__u32 nsecs = nap_for(sender, sender->nap ? size : ahead + size);

	if (sender->nap && !sender->nap_nsecs)
		return;
	if (!sender->nap && nsecs < LONG_NAP) {
		if (!try || !tries(&sender->naps))
			return;
		was_vain(&sender->naps);
	}
	takes_nap(sender, a, NAP_BY_TCP, now, nsecs, direct);
}

/* It is redirected. */
static __always_inline void nap_redirected(struct sender *sender, void *a,
					   void *b, __u32 ahead, __u32 size,
					   bool direct)
{
	__u32 nsecs = nap_for(sender, sender->nap ? size : ahead + size);
	struct mark now = { 0 };

	if (!sender->nap && nsecs < LONG_NAP)
		return;
	now.at = bpf_ktime_get_ns();
	now.copied = READ(KERNEL(struct tcp_sock, b), copied_seq);
	takes_nap(sender, KERNEL(struct sock, a), NAP_REDIRECTED, &now,
		  nsecs / 4 * 3, direct);
}

#endif
