/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What B has not read yet of what A has redirected to it, and how much more it
 * may hold: no more than TCP would let wait there.
 */
#ifndef SOCKSHUNT_QUEUE_BPF_H
#define SOCKSHUNT_QUEUE_BPF_H

#include "backoff.bpf.h"

#define SOCK_RCVBUF_LOCK 2 /* include/net/sock.h, in sk_userlocks */

/*
 * TCP may take a part of a message, and a ring would then lose some of the
 * rest. Redirecting takes all: for a ring there is this much more room.
 */
#define RING_ROOM     (16 << 20)
#define RING_MESSAGES (16 * SS_MAX_MESSAGES)

/* Where B was. */
struct mark {
	__u64 at;     /* bpf_ktime_get_ns() */
	__u32 copied; /* B's copied_seq */
	__u32 behind; /* what B had not read, of what came by TCP */
};

/* What A remembers; only its own sends touch it, under its socket lock. */
struct sender {
	struct ss_key self; /* found in the sockhash to be A */
	struct ss_key peer; /* what B has then */
	__u64 messages;	    /* redirected since B was last seen empty */
	__u64 bytes;
	/* Of these messages, so many were read at least; and what is compared
	 * next with what B has read. See unread(). */
	__u64 read_messages;
	__u64 mark_messages;
	__u64 mark_bytes;
	/* See waits(). */
	struct backoff spins;
	struct backoff naps;
	__u32 nap;	    /* enum nap; if any: */
	__u32 nap_cpu;	    /* that it was told on */
	__u32 nap_nsecs;    /* 0: as short as can be */
	__u32 pace;	    /* ns in which B reads a KiB; 0: unknown, or slow */
	struct mark napped; /* when it was told */
	struct mark from;   /* when B began to read these: */
	__u32 late;	    /* bytes that went by TCP, less than LATE */
	__u32 is_late;	    /* there were so many, in a row */
	__u32 ahead; /* bytes since B was last far behind, of those not cheap */
	/* See is_one_way(). */
	__u32 one_way; /* messages in a row */
	__u32 answers; /* what B had sent at the last look */
	__u64 looked;  /* bpf_ktime_get_ns() */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sender);
} senders SEC(".maps");

/* Set by the loader where bpf_tcp_ingress() does not charge B (5.10; newer
 * kernels do, stable ones included: tested, not assumed). */
const volatile __u32 count_bytes;

/* B's queue of redirected messages is empty. */
static __always_inline bool drained(struct sock *b, bool direct)
{
	unsigned long addr = psock_of(b, direct);
	struct sk_psock *psock = KERNEL(struct sk_psock, (void *)addr);
	unsigned long head =
		addr + bpf_core_field_offset(struct sk_psock, ingress_msg);

	return (unsigned long)READ(psock, ingress_msg.next) == head;
}

/* Whether that is all. */
static __always_inline bool forget_what_is_read(struct sender *sender,
						struct sock *b, bool direct)
{
	if (!drained(b, direct))
		return false;
	sender->messages = 0;
	sender->bytes = 0;
	sender->read_messages = 0;
	sender->mark_messages = 0;
	sender->mark_bytes = 0;
	return true;
}

static __always_inline __u32 waiting_bytes(struct sock *b, bool direct)
{
	return (__u32)READ(b, sk_backlog.rmem_alloc.counter);
}

/*
 * How many messages B has not read, at most: those behind the last mark that B
 * has passed. B reads in order, so it has passed a mark when fewer bytes wait
 * than were redirected behind it.
 */
static __always_inline __u64 unread(struct sender *sender, struct sock *b,
				    bool direct)
{
	/* Who is not charged tells nothing. */
	if (!count_bytes &&
	    sender->bytes >= sender->mark_bytes + waiting_bytes(b, direct)) {
		sender->read_messages = sender->mark_messages;
		sender->mark_messages = sender->messages;
		sender->mark_bytes = sender->bytes;
	}
	return sender->messages - sender->read_messages;
}

/* Above this, tcp_clamp_window() does not enlarge buffers any more. */
static __always_inline bool memory_is_scarce(struct sock *sk, bool direct)
{
	struct proto *prot = READ(sk, __sk_common.skc_prot);
	long *limits = READ(KERNEL(struct proto, prot), sysctl_mem);
	atomic_long_t *used =
		READ(KERNEL(struct proto, prot), memory_allocated);
	long limit = 0, pages = 0;

	/* These two point to no structure, so it cannot be read directly. */
	bpf_probe_read_kernel(&limit, sizeof(limit), limits);
	bpf_probe_read_kernel(&pages, sizeof(pages), used);
	return pages >= limit;
}

/* One queue: reading it sends window updates, whoever brought the bytes. */
static __always_inline bool is_merged(struct sock *b, bool direct)
{
	unsigned long addr = psock_of(b, direct);
	struct sk_psock *psock = KERNEL(struct sk_psock, (void *)addr);

	return bpf_core_field_exists(psock->progs.stream_verdict) &&
	       READ(psock, progs.stream_verdict);
}

/* What B may hold of redirected bytes, where SO_RCVBUF does not say. */
static __always_inline __u32 room_of(struct sock *b, __u32 buffer, bool direct)
{
	struct net *net = READ(b, __sk_common.skc_net.net);
	__u32 room =
		(__u32)READ(KERNEL(struct net, net), ipv4.sysctl_tcp_rmem[2]) /
		SS_ROOM_SHARE;

	if (room > SS_ROOM_MAX)
		room = SS_ROOM_MAX;
	buffer /= SS_ROOM_SHARE;
	return room > buffer && is_merged(b, direct) ? room : buffer;
}

static __always_inline bool is_fixed(struct sock *b, bool direct)
{
	return READ_BITS(b, sk_userlocks) & SOCK_RCVBUF_LOCK;
}

/*
 * What B has promised to take from TCP, in its last window, it must be able to
 * take: a buffer full of redirected bytes would drop it, and A would wait for
 * its retransmission timer. Where SO_RCVBUF does not fix the buffer's size,
 * TCP enlarges it instead (tcp_clamp_window()), and a message may be larger
 * than what is left.
 */
static __always_inline bool has_room(struct sender *sender, struct tcp_sock *tb,
				     __u32 size, bool direct)
{
	struct sock *b = &tb->inet_conn.icsk_inet.sk;
	__u64 used = count_bytes ? sender->bytes : waiting_bytes(b, direct);
	__u32 buffer = READ(b, sk_rcvbuf);
	__s32 window;

	if (!is_fixed(b, direct))
		return used <= buffer / SS_ROOM_SHARE ||
		       (used <= room_of(b, buffer, direct) &&
			!memory_is_scarce(b, direct));
	window = READ(tb, rcv_wup) + READ(tb, rcv_wnd) - READ(tb, rcv_nxt);
	used += size;
	return used <= buffer / SS_ROOM_SHARE &&
	       used + (window > 0 ? window : 0) <= buffer;
}

#endif
