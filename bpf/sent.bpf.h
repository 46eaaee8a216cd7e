/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What each socket has sent, for others to look up by its key. */
#ifndef SOCKSHUNT_SENT_BPF_H
#define SOCKSHUNT_SENT_BPF_H

#define SENT_SLOTS 16384

struct sent {
	__u64 redirected; /* bytes, before that is decided; atomic: misses none */
	__u64 leaving;	/* the peer's cookie: it is to get no more; 0: nobody */
	__u32 messages; /* by whatever way; may miss some */
};

/* Several connections may share a slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SENT_SLOTS);
	__type(key, __u32);
	__type(value, struct sent);
} sent SEC(".maps");

static __always_inline struct sent *sent_by(const struct ss_key *key)
{
	__u32 slot = (key->local_port * 31 + key->remote_port) % SENT_SLOTS;

	return bpf_map_lookup_elem(&sent, &slot);
}

#endif
