/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Objects for bpf_program_path. CUSTOM_MINIMAL: the least that is accepted,
 * the map and the program, which redirects all that it can. Each of the other
 * CUSTOM_... makes one mistake.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../bpf/abi.h"

#ifdef CUSTOM_MAP_TYPE
#define TYPE BPF_MAP_TYPE_HASH
#else
#define TYPE BPF_MAP_TYPE_SOCKHASH
#endif

#ifdef CUSTOM_KEY_SIZE
#define KEY_SIZE (sizeof(struct ss_key) - 4)
#else
#define KEY_SIZE sizeof(struct ss_key)
#endif

#ifdef CUSTOM_VALUE_SIZE
#define VALUE_SIZE 4
#else
#define VALUE_SIZE 8
#endif

#ifdef CUSTOM_NO_MAP
#define sockhash sockmap
#endif
#ifdef CUSTOM_NO_PROGRAM
#define sockshunt_verdict verdict
#endif

struct {
	__uint(type, TYPE);
	__uint(max_entries, 16); /* the loader's to change */
	__uint(key_size, KEY_SIZE);
	__uint(value_size, VALUE_SIZE);
} sockhash SEC(".maps");

#ifdef CUSTOM_PROGRAM_TYPE
SEC("sk_skb/stream_verdict")
int sockshunt_verdict(struct __sk_buff *skb)
{
	return skb->len ? SK_PASS : SK_DROP;
}
#else
SEC("sk_msg")
int sockshunt_verdict(struct sk_msg_md *msg)
{
	/* The peer's key; IPv4 over loopback only. */
	struct ss_key peer = {
		.local_ip = { 0, 0, SS_V4_MAPPED, msg->remote_ip4 },
		.remote_ip = { 0, 0, SS_V4_MAPPED, msg->local_ip4 },
		.netns = bpf_get_netns_cookie(msg),
		.local_port = (__u16)bpf_ntohl(msg->remote_port),
		.remote_port = (__u16)msg->local_port,
	};

#ifdef CUSTOM_REJECTED
	/* The verifier finds this: no bounds were checked. */
	return *(int *)msg->data;
#endif
#ifndef CUSTOM_MAP_TYPE /* whose helper the verifier would not accept */
	bpf_msg_redirect_hash(msg, &sockhash, &peer, BPF_F_INGRESS);
#endif
	return peer.zero ? SK_DROP : SK_PASS;
}
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";
