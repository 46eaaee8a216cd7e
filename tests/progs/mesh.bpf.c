/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Somebody else's programs for a cgroup, as a service mesh has them: one counts
 * established connections and, if it is told to, takes their sockets into a
 * sockhash of its own, whose verdict lets everything pass.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} mesh SEC(".maps");

/* The only variable: mesh.c knows where it is. */
struct {
	__u32 takes;
	__u32 established;
	__u32 taken;
} state;

SEC("sockops")
int mesh_sockops(struct bpf_sock_ops *ops)
{
	__u32 key;

	if (ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
	    ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return 1;
	key = __sync_fetch_and_add(&state.established, 1);
	if (state.takes && !bpf_sock_hash_update(ops, &mesh, &key, BPF_NOEXIST))
		__sync_fetch_and_add(&state.taken, 1);
	return 1;
}

SEC("sk_msg")
int mesh_msg(struct sk_msg_md *msg)
{
	return msg->size ? SK_PASS : SK_DROP;
}

char LICENSE[] SEC("license") = "GPL";
