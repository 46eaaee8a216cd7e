/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "enroll.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "../bpf/sysbpf.h"
#include "blocking.h"
#include "busypoll.h"
#include "fdbits.h"
#include "hooks.h"
#include "hosts.h"
#include "options.h"
#include "owners.h"
#include "ownfd.h"
#include "runtime.h"
#include "worth.h"

/*
 * pending: one bit per descriptor number with an unfinished connect(2),
 * atomic. Only a hint: where connections are registered at once, a stale bit (the
 * number was closed and reused) costs one vain attempt, so nothing has to follow dup,
 * fork or close. Numbers beyond it are always tried.
 * told_full: one line per process is enough.
 * told: the kernel knows that this process has the shim. Atomic.
 */
static struct ss_fdbits pending;
static bool told_full;
static bool told;

/* Entries that are looked at for one; more would be slower than sensible. */
#define SS_FIND_MAX 65536

bool ss_enroll_is_pending(int fd)
{
	if (fd < 0 || ss_fdbits_has(fd))
		return ss_fdbits_get(&pending, fd);
	return ss_runtime_is_on();
}

#define COUNT(name)                                                            \
	__atomic_fetch_add(&ss_runtime.control->counters.name, 1,              \
			   __ATOMIC_RELAXED)

static bool inode(void)
{
	return ss_runtime.control->flags & SS_NETNS_INODE;
}

/* Both ends on this host? */
static bool is_local(const struct ss_key *key)
{
	if (ss_is_loopback(key->remote_ip))
		return true;
	ss_hosts_add(key->local_ip);
	return !memcmp(key->local_ip, key->remote_ip, sizeof(key->local_ip)) ||
	       ss_hosts_know(key->remote_ip);
}

/* A complaint about the map (by @errno), which is not ours any more? */
static bool recovered(enum ss_object_kind which, int map)
{
	return (errno == EBADF || errno == EINVAL) &&
	       !ss_pins_is(ss_runtime.control, which, map) &&
	       ss_runtime_recover(which, map);
}

static int enter(const struct ss_key *key, int fd)
{
	int map = ss_ownfd(SS_OBJECT_SOCKHASH);

	if (!ss_key_enter(map, key, fd))
		return 0;
	if (recovered(SS_OBJECT_SOCKHASH, map))
		return ss_key_enter(ss_ownfd(SS_OBJECT_SOCKHASH), key, fd);
	return -1;
}

/* If this fails, the verdict keeps the socket on TCP. */
static bool merge(const struct ss_key *key, int fd)
{
	int map = ss_ownfd(SS_OBJECT_MERGED);

	if (!ss_runtime.control->ids[SS_OBJECT_MERGED])
		return false;
	return !ss_key_merge(map, key, fd) ||
	       (recovered(SS_OBJECT_MERGED, map) &&
		!ss_key_merge(ss_ownfd(SS_OBJECT_MERGED), key, fd));
}

static void tell_full(void)
{
	if (__atomic_exchange_n(&told_full, true, __ATOMIC_RELAXED))
		return;
	ss_log(SS_LOG_WARN, "the sockhash is full: further connections stay on "
			    "TCP until others close (sockhash_max_entries)");
}

enum result {
	NOT_YET,
	NEVER, /* it is a TCP socket for good */
	ENTERED,
};

/*
 * The number @fd, by @sock, which is that or a duplicate. Not for what it @reads: its
 * own sends may be redirected, but it gets nothing but TCP's bytes, and they stay in
 * TCP's queue.
 */
static enum result enroll(int fd, int sock, bool reads)
{
	struct ss_key key;

	if (!ss_runtime.conf.register_user_space_sockets ||
	    !ss_may(SS_DUTY_BPF))
		return NEVER;
	if (ss_key_of_socket(sock, inode(), &key)) {
		if (errno != ENOTCONN)
			return NEVER; /* not TCP, not ours to count */
		COUNT(unregistered_not_established);
		return NOT_YET;
	}
	if (!ss_conf_in_scope(&ss_runtime.conf, key.local_port,
			      key.remote_port)) {
		COUNT(unregistered_out_of_scope);
		return NEVER;
	}
	if (!is_local(&key)) {
		COUNT(unregistered_remote);
		return NEVER;
	}
	if (ss_options_keep_tcp(sock)) {
		COUNT(unregistered_options);
		return NEVER;
	}
	if (ss_runtime.control->state != SS_STATE_ON)
		return NEVER;
	if (!enter(&key, sock)) {
		ss_blocking_is_tcp(fd);
		ss_busypoll_mark(fd);
		if (reads)
			merge(&key, sock);
		COUNT(registered);
		return ENTERED;
	}
	switch (errno) {
	case EBUSY: /* by sock_ops, mostly: then it is counted there */
	case EEXIST:
		ss_blocking_is_tcp(fd);
		ss_busypoll_mark(fd);
		if (ss_runtime.control->flags & SS_MERGED)
			ss_key_merge_early(sock);
		COUNT(unregistered_busy);
		return ENTERED;
	case E2BIG:
		COUNT(unregistered_full);
		tell_full();
		return NEVER;
	case EOPNOTSUPP:
		COUNT(unregistered_not_established);
		return NOT_YET;
	default:
		COUNT(unregistered_other);
		return NEVER;
	}
}

static void start(int fd)
{
	if (ss_runtime_is_asleep() && ss_key_is_tcp(fd) && ss_runtime_on())
		ss_options_learn(fd);
}

void ss_enroll_accepted(int fd)
{
	int saved_errno = errno;

	start(fd); /* a descriptor that we were started with */
	if (ss_runtime_is_on() && !ss_worth_try(fd, false))
		enroll(fd, fd, true);
	errno = saved_errno;
}

bool ss_enroll_sender(int fd, int duplicate)
{
	return enroll(fd, duplicate, false) == ENTERED;
}

bool ss_enroll_reads(int duplicate)
{
	struct ss_key key;

	return ss_enroll_is_registered(duplicate, &key) &&
	       !ss_options_keep_tcp(duplicate) && merge(&key, duplicate);
}

bool ss_enroll_peer_is_in(int fd)
{
	struct ss_key self, peer;
	__u64 cookie;

	if (!ss_runtime_is_on() || !ss_may(SS_DUTY_BPF) ||
	    ss_key_of_socket(fd, inode(), &self))
		return false;
	ss_key_peer(&peer, &self);
	return !ss_bpf_map_lookup(ss_ownfd(SS_OBJECT_SOCKHASH), &peer, &cookie);
}

/* In a cgroup, that we shall register what we connect, and accept. */
static void leave_to_us(int fd)
{
	if (!ss_runtime.control->cgroup_path[0] || !ss_worth_may_try(fd) ||
	    __atomic_load_n(&told, __ATOMIC_RELAXED) ||
	    !ss_runtime_owns_memory())
		return;
	if (ss_owners_say(fd, SS_ASK_LEAVE_TO_US))
		__atomic_store_n(&told, true, __ATOMIC_RELAXED);
}

void ss_enroll_after_fork_in_child(void)
{
	told = false;
}

void ss_enroll_before_listen(int fd)
{
	int saved_errno = errno;

	start(fd);
	if (ss_runtime_is_on())
		leave_to_us(fd);
	errno = saved_errno;
}

bool ss_enroll_concerns(const struct sockaddr *addr, socklen_t len)
{
	if (!addr || len < sizeof(addr->sa_family))
		return false;
	switch (addr->sa_family) {
	case AF_INET:
		return len >= sizeof(struct sockaddr_in);
	case AF_INET6:
		return len >= sizeof(struct sockaddr_in6) - sizeof(__u32);
	case AF_UNSPEC:
		return ss_runtime_is_on();
	default:
		return false;
	}
}

static bool is_under(const struct ss_key *key, __u64 cookie)
{
	int map = ss_ownfd(SS_OBJECT_SOCKHASH);
	__u64 entered = 0;

	if (ss_bpf_map_lookup(map, key, &entered) &&
	    (!recovered(SS_OBJECT_SOCKHASH, map) ||
	     ss_bpf_map_lookup(ss_ownfd(SS_OBJECT_SOCKHASH), key, &entered)))
		return false;
	return entered == cookie;
}

__u64 ss_enroll_cookie(int fd)
{
	__u64 cookie = 0;
	socklen_t len = sizeof(cookie);

	REAL(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

bool ss_enroll_is_registered(int fd, struct ss_key *key)
{
	return ss_runtime_is_on() && ss_may(SS_DUTY_BPF) &&
	       !ss_key_of_socket(fd, inode(), key) &&
	       is_under(key, ss_enroll_cookie(fd));
}

/* The key of a socket that has no peer any more: after a reset. */
static bool find_key(int fd, struct ss_key *key)
{
	int map = ss_ownfd(SS_OBJECT_SOCKHASH);
	__u64 cookie = ss_enroll_cookie(fd);
	struct ss_key next;
	bool more = !ss_bpf_map_next_key(map, NULL, &next);

	for (int i = 0; more && i < SS_FIND_MAX; i++) {
		*key = next;
		if (is_under(key, cookie))
			return true;
		more = !ss_bpf_map_next_key(map, key, &next);
	}
	return false;
}

/*
 * connect(AF_UNSPEC) does not take a socket out of the sockhash: connected
 * again, it would be found under its old key. Unread bytes are dropped by TCP
 * as well in this case.
 */
static void leave(int fd)
{
	struct ss_key key;

	if (!ss_may(SS_DUTY_BPF))
		return;
	if (!ss_enroll_is_registered(fd, &key) &&
	    !(ss_key_is_tcp(fd) && find_key(fd, &key)))
		return;
	ss_bpf_map_delete(ss_ownfd(SS_OBJECT_SOCKHASH), &key);
	ss_bpf_map_delete(ss_ownfd(SS_OBJECT_MERGED), &key);
}

/* A destination that cannot be on this host is not worth a system call. */
static bool may_be_local(const struct sockaddr *addr)
{
	static const __u32 any[4], any_v4[4] = { 0, 0, SS_V4_MAPPED, 0 };
	__u32 ip[4];
	__u16 port;

	return ss_key_addr(addr, ip, &port) &&
	       (ss_is_loopback(ip) || ss_hosts_know(ip) ||
		!memcmp(ip, any, sizeof(any)) ||
		!memcmp(ip, any_v4, sizeof(any_v4)));
}

void ss_enroll_before_connect(int fd, const struct sockaddr *addr)
{
	int saved_errno = errno;

	if (addr->sa_family == AF_UNSPEC) {
		ss_worth_forget(fd);
		leave(fd);
	} else {
		start(fd);
		if (ss_runtime_is_on() && may_be_local(addr))
			leave_to_us(fd);
	}
	errno = saved_errno;
}

void ss_enroll_after_connect(int fd, const struct sockaddr *addr, int result)
{
	int saved_errno = errno;
	bool more = result;

	if ((!result || errno == EINPROGRESS || errno == EINTR ||
	     (errno == EISCONN && ss_enroll_is_pending(fd))) &&
	    ss_runtime_is_on() && may_be_local(addr)) {
		/* Over loopback even EINPROGRESS is usually established. */
		if (!ss_worth_try(fd, __atomic_load_n(&told, __ATOMIC_RELAXED)))
			more = enroll(fd, fd, true) == NOT_YET;
		ss_fdbits_set(&pending, fd, more);
	}
	errno = saved_errno;
}

void ss_enroll_pending(int fd)
{
	int saved_errno = errno;

	/* With a trial that is where it was decided, or is to be. */
	if (ss_worth_may_try(fd) ||
	    (ss_runtime_is_on() && enroll(fd, fd, true) != NOT_YET))
		ss_fdbits_set(&pending, fd, false);
	errno = saved_errno;
}
