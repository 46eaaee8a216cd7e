/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "leave.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "../bpf/sysbpf.h"
#include "enroll.h"
#include "hooks.h"
#include "owners.h"
#include "ownfd.h"
#include "quiet.h"
#include "runtime.h"

/* Two questions: an answer has 32 bits. */
uint64_t ss_leave_bytes_for(int fd)
{
	uint64_t low = ss_owners_ask(fd, SS_ASK_BYTES);

	return low | (uint64_t)ss_owners_ask(fd, SS_ASK_BYTES_HIGH) << 32;
}

static bool may_leave(int fd, uint64_t bytes)
{
	return ss_owners_ask(fd, SS_ASK_ALONE) == 2 &&
	       ss_leave_bytes_for(fd) == bytes;
}

/*
 * The verdicts of its peer look at this option of TCP's, which means nothing there:
 * those that begin later redirect nothing to it, and a grace period waits for the
 * others.
 */
static bool announce(int fd, int yes)
{
	return !REAL(setsockopt)(fd, SOL_SOCKET, SO_BROADCAST, &yes,
				 sizeof(yes));
}

/* By the program itself, which may read it. */
static bool is_announced(int fd)
{
	int yes = 1;
	socklen_t len = sizeof(yes);

	REAL(getsockopt)(fd, SOL_SOCKET, SO_BROADCAST, &yes, &len);
	return yes;
}

/*
 * sk_psock_write_space() wakes nobody while the psock is taken away. Set to what it
 * is, this option looks whether there is somebody to wake.
 */
static void wake_writers(int fd)
{
	unsigned int bytes;
	socklen_t len = sizeof(bytes);

	if (!REAL(getsockopt)(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &len))
		REAL(setsockopt)
	(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, len);
}

static void take_out(int fd, const struct ss_key *key)
{
	ss_bpf_map_delete(ss_ownfd(SS_OBJECT_MERGED), key);
	ss_bpf_map_delete(ss_ownfd(SS_OBJECT_SOCKHASH), key);
	wake_writers(fd);
	__atomic_fetch_add(&ss_runtime.control->counters.left, 1,
			   __ATOMIC_RELAXED);
}

bool ss_leave(int fd, uint64_t bytes, bool *waited)
{
	struct ss_key key;
	bool left = false;

	*waited = false;
	if (!may_leave(fd, bytes) || !ss_enroll_is_registered(fd, &key) ||
	    is_announced(fd) || !announce(fd, 1))
		return false;
	*waited = true;
	if (ss_quiet_begin(fd)) {
		left = may_leave(fd, bytes);
		if (left)
			take_out(fd, &key);
		ss_quiet_end(fd);
	}
	announce(fd, 0);
	return left;
}
