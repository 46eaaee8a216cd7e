/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What a process asks that takes its socket out of the maps: preload/leave.h. */
#ifndef SOCKSHUNT_LEAVE_BPF_H
#define SOCKSHUNT_LEAVE_BPF_H

#include "sent.bpf.h"

#define SOCK_NOSPACE 2 /* include/linux/net.h */

/* No other thread, nor process, can name a descriptor of the caller. */
static __always_inline bool is_alone(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, files, count.counter) == 1 &&
	       BPF_CORE_READ(task, signal, nr_threads) == 1;
}

/* The established connection of @file, or NULL. */
static __always_inline struct tcp_sock *connection_of(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);
	const bool direct = false;
	struct sock *sk;
	__u16 family;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	sk = BPF_CORE_READ(socket, sk);
	family = READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) ||
	    READ(sk, sk_protocol) != IPPROTO_TCP ||
	    READ(sk, __sk_common.skc_state) != BPF_TCP_ESTABLISHED)
		return NULL;
	return (struct tcp_sock *)sk;
}

static __always_inline struct sent *sent_to(struct tcp_sock *tp)
{
	struct ss_key self, peer;

	key_of(&self, (struct sock *)tp, false);
	peer_of(&peer, &self);
	return sent_by(&peer);
}

static __always_inline __u64 bytes_for(struct tcp_sock *tp)
{
	struct sent *by_peer;

	if (BPF_CORE_READ(tp, copied_seq) != BPF_CORE_READ(tp, rcv_nxt))
		return 0;
	by_peer = sent_to(tp);
	return BPF_CORE_READ(tp, bytes_received) +
	       (by_peer ? by_peer->redirected : 0);
}

/* In both our maps, and in no other: its psock then ends with them. */
static __always_inline bool is_ours_alone(struct tcp_sock *tp)
{
	unsigned long addr = psock_of((struct sock *)tp, false), head;
	struct sk_psock_link *one, *two;
	struct sk_psock *psock = (void *)addr;

	if (!addr)
		return false;
	head = addr + bpf_core_field_offset(struct sk_psock, link);
	one = (void *)BPF_CORE_READ(psock, link.next);
	two = (void *)BPF_CORE_READ(one, list.next);
	return (unsigned long)one != head && (unsigned long)two != head &&
	       (unsigned long)BPF_CORE_READ(two, list.next) == head &&
	       is_ours(one) && is_ours(two);
}

/*
 * Of two that share a slot the later one stays; and where both have found it free,
 * who is still there after a grace period leaves. Who is killed meanwhile, or reset,
 * keeps it until the next load.
 */
static __always_inline bool announces(struct tcp_sock *tp, __u32 what)
{
	__u64 cookie = (__u64)BPF_CORE_READ((struct sock *)tp,
					    __sk_common.skc_cookie.counter);
	struct sent *by_peer = sent_to(tp);

	if (!by_peer || !cookie)
		return false;
	if (what == SS_ASK_ANNOUNCE && !by_peer->leaving)
		by_peer->leaving = cookie;
	if (by_peer->leaving != cookie)
		return false;
	if (what == SS_ASK_RETRACT)
		by_peer->leaving = 0;
	return true;
}

static __always_inline bool wants_room(struct tcp_sock *tp)
{
	return BPF_CORE_READ((struct sock *)tp, sk_socket, flags) &
	       (1UL << SOCK_NOSPACE);
}

/* 0 or 1, or a part of a number of bytes. */
static __always_inline __u32 answer_who_leaves(struct file *file, __u32 what)
{
	struct tcp_sock *tp = connection_of(file);

	if (!tp)
		return 0;
	switch (what) {
	case SS_ASK_BYTES:
		return (__u32)bytes_for(tp);
	case SS_ASK_BYTES_HIGH:
		return bytes_for(tp) >> 32;
	case SS_ASK_OURS_ALONE:
		return is_ours_alone(tp);
	case SS_ASK_ANNOUNCE:
	case SS_ASK_ANNOUNCED:
	case SS_ASK_RETRACT:
		return announces(tp, what);
	case SS_ASK_PSOCK:
		return psock_of((struct sock *)tp, false) != 0;
	case SS_ASK_WANTS_ROOM:
		return wants_room(tp);
	}
	return 0;
}

#endif
