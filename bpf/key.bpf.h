/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Reading kernel sockets, and the key of one, in any of our programs.
 *
 * Two ways to read: on 6.2+ a pointer is cast to its BTF type and simply
 * dereferenced; before that bpf_probe_read_kernel() copies the field. Every
 * function takes @direct, a compile-time constant, so each program contains
 * one way only.
 */
#ifndef SOCKSHUNT_KEY_BPF_H
#define SOCKSHUNT_KEY_BPF_H

#define AF_INET	    2
#define AF_INET6    10
#define IPPROTO_TCP 6

extern void *bpf_cast_to_kern_ctx(void *ctx) __weak __ksym;
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __weak __ksym;

/* Set by the loader where SO_NETNS_COOKIE is missing (before 5.14). */
const volatile __u32 netns_inode;

#define READ(p, field)                                                         \
	({                                                                     \
		typeof((p)->field) v_;                                         \
		if (direct)                                                    \
			v_ = (p)->field;                                       \
		else                                                           \
			bpf_core_read(&v_, sizeof(v_), &(p)->field);           \
		v_;                                                            \
	})

/* For fields whose size differs between kernels, and bit-fields. */
#define READ_BITS(p, field)                                                    \
	(direct ? BPF_CORE_READ_BITFIELD(p, field)                             \
		: BPF_CORE_READ_BITFIELD_PROBED(p, field))

/* The same where it is whole on kernels that are read directly: libbpf adapts the
 * load to its size there. */
#define READ_SIZED(p, field) (direct ? READ(p, field) : READ_BITS(p, field))

/* @p as a pointer that READ() can follow. */
#define KERNEL(type, p)                                                        \
	((type *)(direct ? bpf_rdonly_cast(p, bpf_core_type_id_kernel(type))   \
			 : (p)))

/* sk_user_data carries flags in its low bits (SK_USER_DATA_PTRMASK). */
#define PSOCK_MASK (~7UL)

static __always_inline unsigned long psock_of(struct sock *sk, bool direct)
{
	return (unsigned long)READ(sk, sk_user_data) & PSOCK_MASK;
}

static __always_inline __u64 netns_of(struct sock *sk, bool direct)
{
	struct net *net = READ(sk, __sk_common.skc_net.net);

	return netns_inode ? READ(net, ns.inum) : READ(net, net_cookie);
}

static __always_inline void map_v4(__u32 ip[4], __u32 v4)
{
	ip[0] = 0;
	ip[1] = 0;
	ip[2] = SS_V4_MAPPED;
	ip[3] = v4;
}

static __always_inline void copy_v6(__u32 to[4], struct in6_addr from)
{
	__builtin_memcpy(to, &from, 16);
}

/* Also right for a request socket: these fields are in sock_common. */
static __always_inline void key_of(struct ss_key *key, struct sock *sk,
				   bool direct)
{
	if (READ(sk, __sk_common.skc_family) == AF_INET) {
		map_v4(key->local_ip, READ(sk, __sk_common.skc_rcv_saddr));
		map_v4(key->remote_ip, READ(sk, __sk_common.skc_daddr));
	} else {
		copy_v6(key->local_ip, READ(sk, __sk_common.skc_v6_rcv_saddr));
		copy_v6(key->remote_ip, READ(sk, __sk_common.skc_v6_daddr));
	}
	key->local_port = READ(sk, __sk_common.skc_num);
	key->remote_port = bpf_ntohs(READ(sk, __sk_common.skc_dport));
	key->zero = 0;
	key->netns = 0;
	if (ss_is_loopback(key->local_ip) || ss_is_loopback(key->remote_ip))
		key->netns = netns_of(sk, direct);
}

static __always_inline void peer_of(struct ss_key *peer,
				    const struct ss_key *self)
{
	__builtin_memcpy(peer->local_ip, self->remote_ip, 16);
	__builtin_memcpy(peer->remote_ip, self->local_ip, 16);
	peer->local_port = self->remote_port;
	peer->remote_port = self->local_port;
	peer->netns = self->netns;
	peer->zero = 0;
}

static __always_inline bool is_v4(const __u32 ip[4])
{
	return !*(const __u64 *)ip && ip[2] == SS_V4_MAPPED;
}

static __always_inline bool same_v6(const __u32 ip[4], struct in6_addr other)
{
	const __u64 *x = (const __u64 *)ip, *y = (const __u64 *)&other;

	return x[0] == y[0] && x[1] == y[1];
}

/* Whether @sk has the addresses and ports of @key: cheaper than its key. */
static __always_inline bool has_tuple(const struct ss_key *key, struct sock *sk,
				      bool direct)
{
	if (READ(sk, __sk_common.skc_num) != key->local_port ||
	    READ(sk, __sk_common.skc_dport) != bpf_htons(key->remote_port))
		return false;
	if (READ(sk, __sk_common.skc_family) != AF_INET)
		return same_v6(key->local_ip,
			       READ(sk, __sk_common.skc_v6_rcv_saddr)) &&
		       same_v6(key->remote_ip,
			       READ(sk, __sk_common.skc_v6_daddr));
	return is_v4(key->local_ip) && is_v4(key->remote_ip) &&
	       READ(sk, __sk_common.skc_rcv_saddr) == key->local_ip[3] &&
	       READ(sk, __sk_common.skc_daddr) == key->remote_ip[3];
}

#endif
