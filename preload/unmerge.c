/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "unmerge.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "../bpf/sysbpf.h"
#include "enroll.h"
#include "hooks.h"
#include "ownfd.h"
#include "quiet.h"
#include "runtime.h"
#include "undisturbed.h"
#include "unread.h"

unsigned char ss_unmerge_crossing;

/* A custom object may have no such map. */
static bool has_map(void)
{
	return ss_runtime_is_on() && ss_runtime.control->ids[SS_OBJECT_MERGED];
}

static bool has_one_queue(void)
{
	return ss_runtime.control->flags & SS_MERGED;
}

void ss_unmerge_start(void)
{
	if (!has_one_queue())
		ss_unmerge_crossing = SS_CROSSING_ALWAYS;
}

bool ss_unmerge_any(void)
{
	return ss_runtime_is_on() &&
	       (!has_one_queue() ||
		__atomic_load_n(&ss_runtime.control->unmerged,
				__ATOMIC_RELAXED));
}

static bool inode(void)
{
	return ss_runtime.control->flags & SS_NETNS_INODE;
}

static bool is_merged(const struct ss_key *key)
{
	__u64 cookie;

	return !ss_bpf_map_lookup(ss_ownfd(SS_OBJECT_MERGED), key, &cookie);
}

bool ss_unmerge_has_two(int fd)
{
	struct ss_key key;

	return ss_enroll_is_registered(fd, &key) &&
	       (!has_one_queue() || !is_merged(&key));
}

bool ss_unmerge_is_not(int fd)
{
	struct ss_key key;

	return ss_enroll_is_registered(fd, &key) &&
	       (!has_map() || is_merged(&key));
}

static bool take_out(const struct ss_key *key)
{
	__atomic_store_n(&ss_runtime.control->unmerged, 1, __ATOMIC_RELAXED);
	return !ss_bpf_map_delete(ss_ownfd(SS_OBJECT_MERGED), key);
}

/*
 * Whether all that TCP delivered, and nobody read, is in TCP's own queue: only
 * there does reading move copied_seq on, and is a FIN understood.
 */
static bool is_clean(int fd)
{
	int by_tcp = ss_unread_by_tcp(fd);

	if (ss_unread_has_ended(fd))
		return false;
	if (by_tcp <= 0)
		return by_tcp == 0;
	return ss_unread(fd) == SS_UNREAD_TCP;
}

/* Where nothing comes in: all that TCP had is in the one queue, or read. */
static bool take_out_in_peace(int fd, const struct ss_key *key)
{
	if (ss_unread_by_tcp(fd) != 0 || ss_unread_has_ended(fd))
		return false;
	__atomic_store_n(&ss_unmerge_crossing, SS_CROSSING_SEEN,
			 __ATOMIC_RELAXED);
	if (!take_out(key) || is_clean(fd))
		return true;
	ss_key_merge(ss_ownfd(SS_OBJECT_MERGED), key, fd);
	return false;
}

bool ss_unmerge(int fd)
{
	struct ss_undisturbed u;
	struct ss_key key;
	bool done = false;
	int duplicate;

	if (!has_map() || !ss_enroll_is_registered(fd, &key) ||
	    !is_merged(&key))
		return true;
	if (!has_one_queue()) {
		take_out(&key);
		return true;
	}
	if (ss_unread_by_tcp(fd) != 0 || ss_unread_has_ended(fd))
		return false;
	ss_undisturbed_begin(&u);
	/* The number may be another's before this is over. */
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	if (duplicate >= 0 && ss_quiet_begin(duplicate)) {
		done = take_out_in_peace(duplicate, &key);
		ss_quiet_end(duplicate);
	}
	if (duplicate >= 0)
		REAL(close)(duplicate);
	ss_undisturbed_end(&u);
	return done;
}

#define PEER_WAIT_MSECS 20 /* for a peer that is about to read */

void ss_unmerge_peer(int fd)
{
	const struct timespec msec = { .tv_nsec = 1000000 };
	struct ss_key self, peer;
	int under_way = 0; /* not sent yet; loopback delivers at once */
	bool fin = true;

	/* It may be registered, though we are not. */
	if (!has_map() || !ss_may(SS_DUTY_BPF) ||
	    ss_key_of_socket(fd, inode(), &self))
		return;
	ss_key_peer(&peer, &self);
	if (!is_merged(&peer))
		return;
	if (!has_one_queue()) {
		take_out(&peer);
		return;
	}
	/* We are the one who sends to it, so nothing comes in meanwhile. */
	for (int i = 0; i < PEER_WAIT_MSECS; i++) {
		if (!REAL(ioctl)(fd, SIOCOUTQNSD, &under_way) && !under_way &&
		    ss_unread_by_tcp_of(&peer, &fin) == 0 && !fin) {
			take_out(&peer);
			return;
		}
		nanosleep(&msec, NULL);
	}
}
