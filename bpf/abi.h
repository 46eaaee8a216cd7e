/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the BPF programs, the loader, the shim and the tools agree on. Any
 * change to a layout or to a meaning below needs a new SS_ABI: processes that
 * were started before an upgrade go on using the pins they opened.
 */
#ifndef SOCKSHUNT_ABI_H
#define SOCKSHUNT_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define SS_MAGIC 0x73686e74 /* "shnt" */
#define SS_ABI	 9

/*
 * Names in the BPF object, and of the pins below pin_path. A custom object
 * (bpf_program_path) must export sockhash and verdict.
 */
#define SS_MAP_SOCKHASH "sockhash"
#define SS_MAP_COUNTERS "counters"
#define SS_PROG_VERDICT "sockshunt_verdict" /* sk_msg: the rule */
#define SS_PROG_SOCKOPS "sockshunt_sockops" /* registers inside a cgroup */
#define SS_PROG_MERGE	"sockshunt_merge"   /* sk_skb: merges the queues */
#define SS_PROG_OWNERS	"sockshunt_owners"  /* filter: counts references */
#define SS_PROG_SPLICE	"sockshunt_splice"  /* refuses splice(2) */
#define SS_MAP_MERGED	"merged"
#define SS_MAP_CONTROL	"control"

/* Of these, a process that registers sockets holds descriptors. */
enum ss_object_kind {
	SS_OBJECT_SOCKHASH,
	SS_OBJECT_MERGED, /* optional: in our own object */
	SS_OBJECT_OWNERS, /* likewise; a program */
	SS_OBJECT_CONTROL,
	SS_NR_OBJECTS,
};
#define SS_PIN_OWNERS	"owners"
#define SS_LINK_SOCKOPS "sockops_link"
#define SS_LINK_SPLICE	"splice_link"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SS_V4_MAPPED 0xffff0000u /* htonl(0xffff) */
#else
#define SS_V4_MAPPED 0x0000ffffu
#endif

/*
 * The key of a socket in the sockhash: the connection as this socket sees it.
 * The peer's key is the same with local and remote exchanged.
 *
 * Addresses are in network order, IPv4 as v4-mapped (::ffff:a.b.c.d), so that
 * a v4 client meets a dual-stack listener. Ports are in host order. netns is
 * 0 unless an address is a loopback address: those repeat in every network
 * namespace, while both ends of such a connection are always in the same one.
 */
struct ss_key {
	__u32 local_ip[4];
	__u32 remote_ip[4];
	__u64 netns; /* cookie, or inode number with SS_NETNS_INODE */
	__u16 local_port;
	__u16 remote_port;
	__u32 zero; /* the key is hashed with its padding */
};

static inline int ss_is_v4_mapped(const __u32 ip[4])
{
	return !ip[0] && !ip[1] && ip[2] == SS_V4_MAPPED;
}

/* 127.0.0.0/8 or ::1 */
static inline int ss_is_loopback(const __u32 ip[4])
{
	const __u8 *last = (const __u8 *)&ip[3];

	if (ss_is_v4_mapped(ip))
		return last[0] == 127;
	return !ip[0] && !ip[1] && !ip[2] && !last[0] && !last[1] && !last[2] &&
	       last[3] == 1;
}

/*
 * One counter per outcome. X(name, what a person reads). The BPF programs
 * count in a per-CPU map (SS_MAP_COUNTERS, one struct ss_counters), processes
 * that register from user space in ss_control.counters.
 */
#define SS_COUNTERS(X)                                                         \
	X(redirected_messages, "messages handed to the peer socket")           \
	X(redirected_bytes, "bytes handed to the peer socket")                 \
	X(tcp_no_peer, "messages on TCP: peer not in the sockhash")            \
	X(tcp_not_peer, "messages on TCP: entry is not the peer")              \
	X(tcp_order, "messages on TCP: earlier TCP bytes still unread")        \
	X(tcp_room, "messages on TCP: receive buffer share used up")           \
	X(tcp_messages, "messages on TCP: too many messages unread")           \
	X(tcp_one_way, "messages on TCP: many small ones, the peer silent")    \
	X(tcp_unwilling, "messages on TCP: an end needs TCP's own path")       \
	X(tcp_no_self, "messages on TCP: sender not under its own key")        \
	X(refused, "messages refused: no way back to TCP (EACCES)")            \
	X(registered, "sockets registered")                                    \
	X(unregistered_full, "sockets left on TCP: sockhash full")             \
	X(unregistered_busy, "sockets already registered, or not ours")        \
	X(unregistered_not_established, "sockets not established (yet)")       \
	X(unregistered_out_of_scope, "sockets outside accelerated_ports")      \
	X(unregistered_remote, "sockets whose peer is not on this host")       \
	X(unregistered_options, "sockets that need what only TCP has")         \
	X(unregistered_other, "sockets left on TCP: other errors")             \
	X(left, "sockets taken out again: a flood that goes by TCP")           \
	X(splices_refused, "calls of splice(2) refused, without the shim")     \
	X(spins,                                                               \
	  "waits that spun first (busy_poll_usecs; counted now and then)")     \
	X(spins_vain, "of these, slept all the same")

#define SS_COUNTER_MEMBER(name, text) __u64 name;
struct ss_counters {
	SS_COUNTERS(SS_COUNTER_MEMBER)
};
#define SS_NR_COUNTERS (sizeof(struct ss_counters) / sizeof(__u64))

/*
 * Of the receive buffer; TCP keeps the rest, so its window closes as ever. Where
 * TCP may enlarge the buffer, and the queues are merged, of what it may become, but
 * no more than the maximum.
 */
#define SS_ROOM_SHARE 4
#define SS_ROOM_MAX   (1 << 20)

/*
 * A queued message costs about 1 KiB of kernel memory that is charged to
 * nobody, however short it is: an unread socket holds at most this many.
 */
#define SS_MAX_MESSAGES 256

/* What SS_PROG_OWNERS is asked of a descriptor of its caller. */
struct ss_question {
	__u32 fd;
	__u32 what;
};
enum ss_ask {
	SS_ASK_OWNERS, /* references of its socket; SS_OWNERS_MANY: or more */

	/* Of the calling process, whatever the descriptor. */
	SS_ASK_ALONE,	    /* 1: it has one thread, and shares no descriptor */
	SS_ASK_LEAVE_TO_US, /* in a cgroup, from now on the kernel leaves to it
			     * what it connects, and listens with */

	/*
	 * Of an established TCP connection; else 0. Bytes that it has received,
	 * and those that were redirected to it, or are about to be, by whoever
	 * has the peer's slot: modulo 2^32, and the rest. 0: some that came by
	 * TCP are unread.
	 */
	SS_ASK_BYTES,
	SS_ASK_BYTES_HIGH,
	SS_ASK_OURS_ALONE, /* 1: in our two maps and in no other */
	SS_ASK_ANNOUNCE,   /* 1: its peer's verdicts redirect no more to it */
	SS_ASK_ANNOUNCED,  /* 1: so it is still */
	SS_ASK_RETRACT,
	SS_ASK_PSOCK,	   /* 1: it still is the sockmap's */
	SS_ASK_WANTS_ROOM, /* 1: a write was refused for want of room */
};
#define SS_OWNERS_MANY 8

/* ss_control.flags: how this kernel is used; set before the pins appear. */
#define SS_MERGED	  0x1 /* sk_skb attached: one receive queue */
#define SS_NETNS_INODE	  0x2 /* no SO_NETNS_COOKIE (before 5.14) */
#define SS_COUNT_BYTES	  0x4 /* redirected bytes are not in sk_rmem_alloc */
#define SS_CUSTOM	  0x8 /* the object came from bpf_program_path */
/* What ioctl(FIONREAD) counts of a registered socket that is not merged. */
#define SS_COUNTS_PSOCK	  0x10 /* redirected bytes */
#define SS_COUNTS_TCP	  0x20 /* bytes in TCP's queue */
/* What the self-test has seen to hold: all, in our own object, or it was not
 * run (self_test_usecs is 0). */
#define SS_KEEPS_ORDER	  0x40
#define SS_KEEPS_ROOM	  0x80
#define SS_KEEPS_WAKEUPS  0x100
#define SS_KEEPS_END	  0x200
#define SS_KEEPS_ALL	  0x3c0
/* With cgroup_path: SS_PROG_SPLICE is attached. */
#define SS_REFUSES_SPLICE 0x400

/* A flag that the kernel ignores, SPLICE_F_GIFT: the caller has looked into the
 * redirected messages itself. */
#define SS_SPLICE_KNOWS 8

/* ss_control.state: the only field that changes after loading. */
#define SS_STATE_ON	  1 /* sockets may be registered */
#define SS_STATE_DRAINING 2 /* unload in progress: register nothing */

/*
 * Addresses of every network namespace in which a shim has started: how user
 * space knows that a peer across a veth pair is on this host. Insert only;
 * a stale entry costs a hash miss per message, never a wrong byte.
 */
#define SS_MAX_ADDRS 1024
#define SS_ADDR_FREE 0
#define SS_ADDR_BUSY 1 /* being written */
#define SS_ADDR_SET  2
struct ss_addr {
	__u32 ip[4];
	__u32 state;
};

/*
 * Busy polling: CLOCK_MONOTONIC nanoseconds at which the spin that began on a
 * CPU with this number (modulo) ends at the latest; past or 0: nobody spins.
 */
#define SS_CPUS 256

/*
 * The verdict has seen on a CPU with this number (modulo) that a sender is far
 * ahead of its reader, and takes note of it again after so many bytes: whoever sends
 * there next may yield. Or it is to take a nap, by the cookie of its socket: no longer
 * than a full buffer often makes a sender wait.
 */
#define SS_AHEAD_BYTES 16384
#define SS_NAP_MOST    5000000 /* ns */

/*
 * The only element of the control map, mapped shared and writable by every
 * process that registers. Pinned last: its presence says the rest is complete.
 */
struct ss_control {
	/* These two stay where they are in every ABI. */
	__u32 magic;
	__u32 abi;

	__u32 ids[SS_NR_OBJECTS]; /* of what is pinned here; 0: nothing */
	__u32 flags;
	__u32 state;
	__u32 loader_pid;
	__u32 loader_uid;
	__u32 self_test_usecs;
	__u32 unmerged;	 /* not 0: sockets were taken out of merging */
	__u32 cpus;	 /* of this host */
	__u64 loaded_at; /* seconds since the epoch */
	char loader_version[16];
	char merge_reason[112]; /* why SS_MERGED is not set */
	char cgroup_path[256];	/* "": sock_ops not attached */
	struct ss_counters counters;
	struct ss_addr addrs[SS_MAX_ADDRS];
	__u64 spinning[SS_CPUS];
	__u8 ahead[SS_CPUS];
	__u64 naps[SS_CPUS];	  /* cookies; 0: none */
	__u64 nap_until[SS_CPUS]; /* CLOCK_MONOTONIC; 0: as short as can be */
	__u32 any_ahead; /* one of these was set: most senders look no further */
};

#endif
