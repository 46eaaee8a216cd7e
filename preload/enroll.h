/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Which sockets are registered, and how. When: worth.h. Nothing here allocates,
 * or fails: a socket that cannot be registered is a TCP socket.
 */
#ifndef SOCKSHUNT_ENROLL_H
#define SOCKSHUNT_ENROLL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "../bpf/abi.h"

/* A connected socket came from accept(2). Keeps errno, as all up to _pending(). */
void ss_enroll_accepted(int fd);

/* A socket is about to listen: starts the shim, before privileges may be dropped. */
void ss_enroll_before_listen(int fd);

/* Whether connect(2) to @addr can be of interest. */
bool ss_enroll_concerns(const struct sockaddr *addr, socklen_t len);

/* Before connect(2): starts the shim; undoes for AF_UNSPEC. */
void ss_enroll_before_connect(int fd, const struct sockaddr *addr);

/* After it, with its result and errno. */
void ss_enroll_after_connect(int fd, const struct sockaddr *addr, int result);

/* A non-blocking connect(2) on this number may have finished by now. */
bool ss_enroll_is_pending(int fd);
void ss_enroll_pending(int fd);

/*
 * These may change errno. The connection @fd, and @duplicate, is worth registering:
 * for what it sends, at any time. False: it stays on TCP.
 */
bool ss_enroll_sender(int fd, int duplicate);

/*
 * Then for what it reads, if nobody is or gets into a read meanwhile: a read that
 * waits inside TCP would not see what is redirected. True: it was not before.
 */
bool ss_enroll_reads(int duplicate);

/* The child's memory is another one. */
void ss_enroll_after_fork_in_child(void);

/* Whether the peer of @fd is registered. */
bool ss_enroll_peer_is_in(int fd);

/* Whether the socket @fd is in the sockhash now; @key: under which key. */
bool ss_enroll_is_registered(int fd, struct ss_key *key);

/* The cookie of the socket @fd; 0: it has none. */
__u64 ss_enroll_cookie(int fd);

#endif
