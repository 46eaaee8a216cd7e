/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "sysbpf.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* asm-generic/socket.h, since 5.14 */
#endif

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

bool ss_key_addr(const struct sockaddr *addr, __u32 ip[4], __u16 *port)
{
	const union address *a = (const union address *)addr;

	switch (addr->sa_family) {
	case AF_INET:
		ip[0] = 0;
		ip[1] = 0;
		ip[2] = SS_V4_MAPPED;
		ip[3] = a->v4.sin_addr.s_addr;
		*port = ntohs(a->v4.sin_port);
		return true;
	case AF_INET6:
		memcpy(ip, &a->v6.sin6_addr, 16);
		*port = ntohs(a->v6.sin6_port);
		return true;
	default:
		return false;
	}
}

__u64 ss_key_netns(int fd, bool inode)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	struct stat st;

	if (inode)
		return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return 0;
	return cookie;
}

bool ss_key_is_tcp(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return ss_may(SS_DUTY_READ) &&
	       !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
	       protocol == IPPROTO_TCP;
}

int ss_key_of_socket(int fd, bool inode, struct ss_key *key)
{
	union address addr;
	socklen_t len = sizeof(addr);

	memset(key, 0, sizeof(*key));
	if (getpeername(fd, &addr.any, &len))
		return -1;
	if (!ss_key_addr(&addr.any, key->remote_ip, &key->remote_port) ||
	    !ss_key_is_tcp(fd)) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	len = sizeof(addr);
	if (getsockname(fd, &addr.any, &len))
		return -1;
	ss_key_addr(&addr.any, key->local_ip, &key->local_port);
	if (ss_is_loopback(key->local_ip) || ss_is_loopback(key->remote_ip))
		key->netns = ss_key_netns(fd, inode);
	return 0;
}

void ss_key_peer(struct ss_key *peer, const struct ss_key *self)
{
	memset(peer, 0, sizeof(*peer));
	memcpy(peer->local_ip, self->remote_ip, sizeof(peer->local_ip));
	memcpy(peer->remote_ip, self->local_ip, sizeof(peer->remote_ip));
	peer->local_port = self->remote_port;
	peer->remote_port = self->local_port;
	peer->netns = self->netns;
}

bool ss_key_has_queue(int fd)
{
	__u32 mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);

	return !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len) &&
	       mem[SK_MEMINFO_RMEM_ALLOC];
}

/*
 * What TCP queued before the socket was entered is moved by the sk_skb verdict
 * only when something looks: until then FIONREAD is 0. A peek looks, and takes
 * nothing; it is not done for an empty queue, where it would take a pending
 * socket error from the application.
 */
void ss_key_merge_early(int fd)
{
	char byte;

	if (ss_key_has_queue(fd))
		/* recv(2) without being a cancellation point */
		syscall(SYS_recvfrom, fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT,
			NULL, NULL);
}

int ss_key_enter(int sockhash_fd, const struct ss_key *key, int fd)
{
	__u64 value = (__u64)fd;

	return ss_bpf_map_update(sockhash_fd, key, &value, BPF_NOEXIST);
}

int ss_key_merge(int merged_fd, const struct ss_key *key, int fd)
{
	if (ss_key_enter(merged_fd, key, fd))
		return -1;
	ss_key_merge_early(fd);
	return 0;
}
