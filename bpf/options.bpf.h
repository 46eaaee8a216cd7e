/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The options of a receiving socket that only TCP's own queue honours. */
#ifndef SOCKSHUNT_OPTIONS_BPF_H
#define SOCKSHUNT_OPTIONS_BPF_H

#define SOCK_BIT(name) (1UL << bpf_core_enum_value(enum sock_flags, name))

static __always_inline bool wants_tcp(struct tcp_sock *tp, bool direct)
{
	struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	unsigned long mask = SOCK_BIT(SOCK_RCVTSTAMP) |
			     SOCK_BIT(SOCK_RCVTSTAMPNS) |
			     SOCK_BIT(SOCK_TIMESTAMPING_RX_SOFTWARE) |
			     SOCK_BIT(SOCK_URGINLINE);

	return (READ(sk, __sk_common.skc_flags) & mask) ||
	       READ_SIZED(sk, sk_tsflags) || READ(sk, sk_rcvlowat) > 1 ||
	       READ(sk, sk_peek_off) >= 0 || READ_BITS(tp, recvmsg_inq);
}

/*
 * The same for a socket that is to be registered, and what a sending socket
 * may want: completions of MSG_ZEROCOPY, which tcp_bpf_sendmsg() never gives.
 * A subflow of MPTCP is not a connection of its own.
 */
static __always_inline bool keeps_tcp(struct tcp_sock *tp, bool direct)
{
	struct sock *sk = &tp->inet_conn.icsk_inet.sk;

	return wants_tcp(tp, direct) ||
	       (READ(sk, __sk_common.skc_flags) & SOCK_BIT(SOCK_ZEROCOPY)) ||
	       (bpf_core_field_exists(tp->is_mptcp) && READ(tp, is_mptcp));
}

#endif
