/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Registration by the kernel, for every process in a cgroup.
 *
 * Only connections with both ends on this host, known exactly and with
 * nothing on the wire: a client announces its connection before the SYN
 * leaves, the server's request socket finds the announcement, and both ends
 * register when they are established, if the two have met.
 */
#ifndef SOCKSHUNT_SOCKOPS_BPF_H
#define SOCKSHUNT_SOCKOPS_BPF_H

/*
 * Handshakes in flight, by a hash of the connection as the client sees it; its two
 * lowest bits are the state. Who shares a slot may take it from the other, which then
 * stays on TCP.
 */
#define MEETINGS  16384
#define ANNOUNCED 1
#define MET	  2
#define STATE	  3

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MEETINGS);
	__type(key, __u32);
	__type(value, __u64);
} rendezvous SEC(".maps");

/*
 * Processes with the shim, by their memory, which is another one after fork(2) and
 * exec(2): the shim registers what they connect, and accept by what they listen with,
 * when it is worth it. If one is forgotten, or taken for another, sockets are
 * registered at once, or not at all; and what it connects unseen, or once a seccomp
 * filter forbids bpf(2), is not.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32); /* the process */
} shims SEC(".maps");

/* These together mark such a socket, and are inherited by what it accepts. (The kernel
 * then calls the cgroup's programs when something is sent again, which is seldom.) */
#define SHIMMED (BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG)

/* One bit per port, and whether to look: set by the loader. */
const volatile __u32 all_ports = 1;
const volatile __u64 port_bits[65536 / 64];

static __always_inline bool port_in_scope(__u16 port)
{
	return port_bits[port / 64] & (1ULL << (port % 64));
}

static __always_inline bool in_scope(const struct ss_key *key)
{
	return all_ports || port_in_scope(key->local_port) ||
	       port_in_scope(key->remote_port);
}

static __always_inline bool registering(void)
{
	struct ss_control *c = this_control();

	return c && c->state == SS_STATE_ON;
}

/* @ops->sk, which is a request socket before the connection is accepted. */
static __always_inline void *sock_of_ops(struct bpf_sock_ops *ops)
{
	struct bpf_sock_ops_kern *kops = (void *)ops;
	const bool direct = false;

	return READ(kops, sk);
}

/* As key_of(), by fields that the kernel turns into loads, on all kernels. */
static __always_inline void key_of_ops(struct ss_key *key,
				       struct bpf_sock_ops *ops)
{
	if (ops->family == AF_INET) {
		__u32 local = ops->local_ip4, remote = ops->remote_ip4;

		/* Else the loads of both branches become one, at a computed
		 * offset, which the verifier refuses. */
		barrier_var(local);
		barrier_var(remote);
		map_v4(key->local_ip, local);
		map_v4(key->remote_ip, remote);
	} else {
		key->local_ip[0] = ops->local_ip6[0];
		key->local_ip[1] = ops->local_ip6[1];
		key->local_ip[2] = ops->local_ip6[2];
		key->local_ip[3] = ops->local_ip6[3];
		key->remote_ip[0] = ops->remote_ip6[0];
		key->remote_ip[1] = ops->remote_ip6[1];
		key->remote_ip[2] = ops->remote_ip6[2];
		key->remote_ip[3] = ops->remote_ip6[3];
	}
	key->local_port = (__u16)ops->local_port;
	key->remote_port = (__u16)bpf_ntohl(ops->remote_port);
	key->zero = 0;
	key->netns = 0;
	if (ss_is_loopback(key->local_ip) || ss_is_loopback(key->remote_ip))
		key->netns = netns_of(sock_of_ops(ops), false);
}

static __always_inline __u64 hash_of(const struct ss_key *key)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = 0;

#pragma unroll
	for (int i = 0; i < 6; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash;
}

static __always_inline __u64 *meeting_of(__u64 hash)
{
	__u32 slot = hash % MEETINGS;

	return bpf_map_lookup_elem(&rendezvous, &slot);
}

static __always_inline void announce(const struct ss_key *client)
{
	__u64 hash = hash_of(client), *meeting = meeting_of(hash);

	if (meeting)
		*meeting = (hash & ~STATE) | ANNOUNCED;
}

static __always_inline void meet(const struct ss_key *client)
{
	__u64 hash = hash_of(client), *meeting = meeting_of(hash);

	if (meeting && *meeting == ((hash & ~STATE) | ANNOUNCED))
		*meeting = (hash & ~STATE) | MET;
}

static __always_inline bool have_met(const struct ss_key *client)
{
	__u64 hash = hash_of(client), *meeting = meeting_of(hash);

	return meeting && *meeting == ((hash & ~STATE) | MET);
}

static __always_inline void part(const struct ss_key *client)
{
	__u64 hash = hash_of(client), *meeting = meeting_of(hash);

	if (meeting && *meeting == ((hash & ~STATE) | MET))
		*meeting = 0;
}

static __always_inline __u64 memory_of_caller(__u32 *process)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	*process = (__u32)BPF_CORE_READ(task, tgid);
	return (__u64)BPF_CORE_READ(task, mm);
}

/* For owners.bpf.h. */
static __always_inline void remember_shim(void)
{
	__u32 process;
	__u64 memory = memory_of_caller(&process);

	bpf_map_update_elem(&shims, &memory, &process, BPF_ANY);
}

static __always_inline bool has_shim(void)
{
	__u32 process, *found;
	__u64 memory;

	if (!knows_task)
		return false;
	memory = memory_of_caller(&process);
	found = bpf_map_lookup_elem(&shims, &memory);
	return found && *found == process;
}

/* In the process that connects, or listens. */
static __always_inline void mark_shimmed(struct bpf_sock_ops *ops)
{
	if (has_shim())
		bpf_sock_ops_cb_flags_set(ops, (int)ops->bpf_sock_ops_cb_flags |
						       SHIMMED);
}

static __always_inline void enter(struct bpf_sock_ops *ops, struct ss_key *self)
{
	/* Never replace: that would destroy the other socket's unread bytes. */
	long err = bpf_sock_hash_update(ops, &sockhash, self, BPF_NOEXIST);

	switch (err) {
	case 0:
		COUNT(registered);
		bpf_sock_hash_update(ops, &merged, self, BPF_NOEXIST);
		break;
	case -E2BIG:
		COUNT(unregistered_full);
		break;
	case -EBUSY:
	case -EEXIST:
		COUNT(unregistered_busy);
		break;
	case -EOPNOTSUPP:
		COUNT(unregistered_not_established);
		break;
	default:
		COUNT(unregistered_other);
	}
}

/*
 * By TCP Fast Open, the SYN brings bytes that are not merged until something
 * looks at them: left to the shim, which does.
 */
static __always_inline bool has_early_bytes(struct tcp_sock *tp)
{
	const bool direct = false;

	return READ(tp, fastopen_rsk);
}

static __always_inline bool is_shimmed(struct bpf_sock_ops *ops)
{
	return (ops->bpf_sock_ops_cb_flags & SHIMMED) == SHIMMED;
}

static __always_inline void established(struct bpf_sock_ops *ops,
					struct ss_key *self,
					const struct ss_key *client)
{
	if (!in_scope(self))
		COUNT(unregistered_out_of_scope);
	else if (!have_met(client))
		COUNT(unregistered_remote);
	else if (keeps_tcp(sock_of_ops(ops), false) ||
		 has_early_bytes(sock_of_ops(ops)))
		COUNT(unregistered_options);
	else if (registering())
		enter(ops, self);
}

SEC("sockops")
int sockshunt_sockops(struct bpf_sock_ops *ops)
{
	struct ss_key self, peer;

	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		key_of_ops(&self, ops);
		if (in_scope(&self) && !has_ring())
			announce(&self);
		mark_shimmed(ops);
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		mark_shimmed(ops);
		break;
	case BPF_SOCK_OPS_RWND_INIT:
		if (ops->is_fullsock) /* the client's own, not a request */
			break;
		key_of_ops(&self, ops);
		peer_of(&peer, &self);
		meet(&peer);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		if (is_shimmed(ops))
			break;
		key_of_ops(&self, ops);
		established(ops, &self, &self);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		if (is_shimmed(ops))
			break;
		key_of_ops(&self, ops);
		peer_of(&peer, &self);
		established(ops, &self, &peer);
		part(&peer);
		break;
	}
	/* reply is left as it is: other programs on the cgroup may use it. */
	return 1;
}

#endif
