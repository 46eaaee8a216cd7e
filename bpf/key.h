/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A socket's sockhash key, as user space sees it, and its way in. */
#ifndef SOCKSHUNT_KEY_H
#define SOCKSHUNT_KEY_H

#include <stdbool.h>
#include <sys/socket.h>

#include "abi.h"

/*
 * Address (v4-mapped for IPv4) and port in host order of @addr. False if it
 * is neither AF_INET nor AF_INET6. Thread-safe, async-signal-safe.
 */
bool ss_key_addr(const struct sockaddr *addr, __u32 ip[4], __u16 *port);

/* Whether @fd is a TCP socket; MPTCP's and others' streams are not. */
bool ss_key_is_tcp(int fd);

/*
 * The identity of the network namespace of socket @fd, or, with @inode, that
 * of the calling thread (kernels before 5.14; a socket from elsewhere then
 * finds no peer and stays on TCP). 0 if it cannot be had.
 */
__u64 ss_key_netns(int fd, bool inode);

/*
 * The key of the connected TCP socket @fd. @inode as above.
 *
 * Returns 0, or -1 with errno: ENOTCONN (not connected, or not yet),
 * EPROTONOSUPPORT (not TCP over IP), or what getsockname(2) says.
 * Thread-safe, async-signal-safe.
 */
int ss_key_of_socket(int fd, bool inode, struct ss_key *key);

/* The key that the peer of @self has. */
void ss_key_peer(struct ss_key *peer, const struct ss_key *self);

/*
 * Puts the socket @fd into the sockhash under @key, never in place of another
 * (that would destroy the other's unread bytes).
 *
 * Returns 0, or -1 with errno from bpf(2): E2BIG full; EBUSY in a sockmap
 * already; EEXIST another socket has the key; EOPNOTSUPP not established.
 * Thread-safe, async-signal-safe.
 */
int ss_key_enter(int sockhash_fd, const struct ss_key *key, int fd);

/*
 * The same into the map of those that may be redirected to, after the sockhash.
 * With sk_skb (SS_MERGED), bytes that TCP has already queued are moved to the
 * merged queue.
 */
int ss_key_merge(int merged_fd, const struct ss_key *key, int fd);

/*
 * Whether memory is charged to the socket @fd for what it has received: something is
 * queued. Thread-safe, async-signal-safe.
 */
bool ss_key_has_queue(int fd);

/*
 * The last step of that alone, for a socket that sock_ops has entered: before
 * it was accepted, sk_psock_verdict_data_ready() did nothing for it.
 */
void ss_key_merge_early(int fd);

#endif
