/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The maps of the object. Sizes marked with the loader are set by it. */
#ifndef SOCKSHUNT_MAPS_BPF_H
#define SOCKSHUNT_MAPS_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536); /* loader: sockhash_max_entries */
	__type(key, struct ss_key);
	__type(value, __u64); /* 8 bytes: user space reads the socket cookie */
} sockhash SEC(".maps");

/*
 * The sockets of the sockhash, under the same keys, that may be redirected to;
 * where sk_skb is attached, their TCP bytes are merged into the redirect queue.
 * A map of its own, so that this can end (an option is set that only TCP's own
 * queue honours) while the socket stays registered and loses no byte: a psock
 * lives as long as one map has the socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536); /* loader: sockhash_max_entries */
	__type(key, struct ss_key);
	__type(value, __u64);
} merged SEC(".maps");

/* Whether a psock is in one of these two by its @link. */
static __always_inline bool is_ours(struct sk_psock_link *link)
{
	struct bpf_map *map = BPF_CORE_READ(link, map);

	return map == (void *)&sockhash || map == (void *)&merged;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ss_counters);
} counters SEC(".maps");

/* See struct ss_control: shared with every process that registers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ss_control);
} control SEC(".maps");

static __always_inline struct ss_counters *this_cpu_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline struct ss_control *this_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Programs run with migration disabled but may nest: a lost count is rare. */
#define COUNT(name)                                                            \
	({                                                                     \
		struct ss_counters *c_ = this_cpu_counters();                  \
		if (c_)                                                        \
			c_->name++;                                            \
	})

#endif
