/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How many references a descriptor of the calling process has: duplicates, in
 * whatever process, on the way in SCM_RIGHTS, and system calls of other threads; and
 * what has come to it, or is about to. No system call tells. Run by
 * BPF_PROG_TEST_RUN, thus for its caller, on a packet that names the descriptor; a
 * filter is what 5.10 on runs so, and, from 5.19 on, for who has no privilege.
 */
#ifndef SOCKSHUNT_OWNERS_BPF_H
#define SOCKSHUNT_OWNERS_BPF_H

#include "sent.bpf.h"

static __always_inline struct file *file_at(__u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(fdt, fd);
	struct file *file = NULL;

	if (fd < BPF_CORE_READ(fdt, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

static __always_inline long references(struct file *file)
{
	struct file___before_6_13 *old = (void *)file;

	/* file_ref_t counts from 0; it may be marked in its highest bits. */
	if (bpf_core_field_exists(file->f_ref))
		return BPF_CORE_READ(file, f_ref.refcnt.counter) + 1;
	return BPF_CORE_READ(old, f_count.counter);
}

static __always_inline bool shares_table(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, files, count.counter) != 1;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	const bool direct = false;
	__u16 family = READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) &&
	       READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline __u64 bytes_for(struct file *file)
{
	struct socket *socket = BPF_CORE_READ(file, private_data);
	struct ss_key self, peer;
	struct sent *by_peer;
	struct tcp_sock *tp;
	struct sock *sk;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	if (!is_tcp(sk))
		return 0;
	tp = (struct tcp_sock *)sk;
	if (BPF_CORE_READ(tp, copied_seq) != BPF_CORE_READ(tp, rcv_nxt))
		return 0;
	key_of(&self, sk, false);
	peer_of(&peer, &self);
	by_peer = sent_by(&peer);
	return BPF_CORE_READ(tp, bytes_received) +
	       (by_peer ? by_peer->redirected : 0);
}

SEC("socket")
int sockshunt_owners(struct __sk_buff *skb)
{
	struct ss_question question;
	struct file *file;
	long n;

	if (bpf_skb_load_bytes(skb, 0, &question, sizeof(question)))
		return 0;
	if (question.what == SS_ASK_LEAVE_TO_US) {
		remember_shim();
		return 0;
	}
	file = file_at(question.fd);
	if (!file)
		return SS_OWNERS_MANY;
	switch (question.what) {
	case SS_ASK_BYTES:
		return (__u32)bytes_for(file);
	case SS_ASK_BYTES_HIGH:
		return bytes_for(file) >> 32;
	case SS_ASK_ALONE:
		if (shares_table())
			return SS_OWNERS_MANY;
	}
	n = references(file);
	return n > 0 && n < SS_OWNERS_MANY ? n : SS_OWNERS_MANY;
}

#endif
