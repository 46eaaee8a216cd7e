/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The kernel's own structures, reduced to the fields the rule reads. Offsets
 * and sizes come from the running kernel's BTF (CO-RE), so order and
 * neighbours do not matter here.
 */
#ifndef SOCKSHUNT_KERNEL_TYPES_H
#define SOCKSHUNT_KERNEL_TYPES_H

#pragma clang attribute push(__attribute__((preserve_access_index)),           \
			     apply_to = record)

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct netns_ipv4 {
	int sysctl_tcp_rmem[3];
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
	__u64 net_cookie; /* a plain u64 from 5.12 on */
};

typedef struct {
	struct net *net;
} possible_net_t;

typedef struct {
	long counter;
} atomic_long_t;

struct proto {
	atomic_long_t *memory_allocated;
	long *sysctl_mem;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport; /* network order */
	__u16 skc_num;	 /* host order */
	unsigned short skc_family;
	unsigned char skc_state;
	struct proto *skc_prot;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
	atomic64_t skc_cookie; /* 0 until somebody asks for it */
};

typedef struct {
	int counter;
} atomic_t;

struct sock {
	struct sock_common __sk_common;
	struct {
		atomic_t rmem_alloc; /* sk_rmem_alloc */
	} sk_backlog;
	__s32 sk_peek_off;
	int sk_rcvbuf;
	int sk_rcvlowat;
	int sk_err;
	__u32 sk_tsflags; /* u16 before 6.x */
	__u8 sk_shutdown;
	__u8 sk_userlocks : 4;
	__u16 sk_protocol;
	long sk_sndtimeo;
	struct socket *sk_socket;
	void *sk_user_data;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct request_sock;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u8 recvmsg_inq : 1;
	__u8 nonagle : 4; /* TCP_NODELAY, TCP_CORK */
	bool is_mptcp;
	__u32 rcv_nxt;
	__u32 rcv_wup;
	struct request_sock *fastopen_rsk; /* by TCP Fast Open */
	__u32 rcv_wnd;
	__u64 bytes_received;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 write_seq;
};

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

struct tcp_skb_cb { /* in sk_buff.cb, from TCP to the reader */
	__u32 seq;
	__u32 end_seq;
};

struct sk_buff {
	struct sock *sk;
	char cb[48];
};

struct sk_buff_head {
	struct sk_buff *prev;
};

struct sk_msg {
	struct sk_buff *skb; /* NULL: redirected */
	struct sock *sk_redir;
	struct sock *sk;
	struct list_head list;
};

struct bpf_prog;

struct sk_psock_progs {
	struct bpf_prog *stream_verdict;
};

struct bpf_map;

struct sk_psock_link {
	struct list_head list;
	struct bpf_map *map;
};

struct sk_psock {
	struct sk_psock_progs progs;
	struct list_head link; /* of the maps that the socket is in */
	struct sk_buff_head ingress_skb;
	struct list_head ingress_msg;
};

typedef struct {
	atomic_long_t refcnt;
} file_ref_t;

#define S_IFMT	 0170000
#define S_IFSOCK 0140000

struct file {
	file_ref_t f_ref;
	unsigned int f_flags;
	struct inode *f_inode;
	void *private_data;
};

struct file___before_6_13 {
	atomic_long_t f_count;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct inode {
	unsigned short i_mode;
};

struct files_struct {
	atomic_t count; /* of those that share it */
	struct fdtable *fdt;
};

struct io_uring_task;

struct signal_struct {
	int nr_threads;
};

struct task_struct {
	unsigned int flags;
	struct signal_struct *signal;
	struct io_uring_task *io_uring;
	struct files_struct *files;
	void *mm;
	int tgid;
};

struct pt_regs {
	unsigned long orig_ax;
	unsigned long r9;
	unsigned long bp;
};

struct pt_regs___arm64 {
	__u64 regs[31];
	__s32 syscallno;
};

struct socket {
	unsigned long flags;
	struct file *file;
	struct sock *sk;
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

/* Bit numbers of sock_common.skc_flags; the values are relocated too. */
enum sock_flags {
	SOCK_URGINLINE = 2,
	SOCK_RCVTSTAMP = 11,
	SOCK_RCVTSTAMPNS = 12,
	SOCK_TIMESTAMPING_RX_SOFTWARE = 15,
	SOCK_ZEROCOPY = 21,
};

#pragma clang attribute pop

#endif
