/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "leave.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "../bpf/sysbpf.h"
#include "enroll.h"
#include "hooks.h"
#include "owners.h"
#include "ownfd.h"
#include "quiet.h"
#include "runtime.h"

#define MOST_MSECS 10000

/* Two questions: an answer has 32 bits. */
uint64_t ss_leave_bytes_for(int fd)
{
	uint32_t low, high;

	if (!ss_owners_ask(fd, SS_ASK_BYTES, &low) ||
	    !ss_owners_ask(fd, SS_ASK_BYTES_HIGH, &high))
		return 0;
	return low | (uint64_t)high << 32;
}

static bool may_leave(int fd, uint64_t bytes)
{
	return ss_owners_say(fd, SS_ASK_ALONE) && ss_owners(fd) == 2 &&
	       ss_owners_say(fd, SS_ASK_OURS_ALONE) &&
	       ss_leave_bytes_for(fd) == bytes;
}

/*
 * Until then what is sent comes to the verdict, which has no way back to TCP any more.
 * Only the psock's work may still have it, of which there is none to do.
 */
static void wait_for_tcp(int fd)
{
	uint32_t psock;

	for (int i = 0; i < MOST_MSECS; i++) {
		if (ss_owners_ask(fd, SS_ASK_PSOCK, &psock) && !psock)
			return;
		REAL(poll)(NULL, 0, 1);
	}
}

/*
 * sk_psock_write_space() wakes nobody while the psock is taken away. Set to what it
 * is, this option makes TCP do it.
 */
static void wake_writers(int fd)
{
	const int name = TCP_NOTSENT_LOWAT;
	unsigned int bytes;
	socklen_t len = sizeof(bytes);

	if (!ss_owners_say(fd, SS_ASK_WANTS_ROOM) ||
	    REAL(getsockopt)(fd, IPPROTO_TCP, name, &bytes, &len))
		return;
	REAL(setsockopt)(fd, IPPROTO_TCP, name, &bytes, len);
}

static bool take_out(int fd)
{
	struct ss_key key;

	if (!ss_enroll_is_registered(fd, &key) ||
	    ss_bpf_map_delete(ss_ownfd(SS_OBJECT_MERGED), &key))
		return false;
	ss_bpf_map_delete(ss_ownfd(SS_OBJECT_SOCKHASH), &key);
	wait_for_tcp(fd);
	wake_writers(fd);
	__atomic_fetch_add(&ss_runtime.control->counters.left, 1,
			   __ATOMIC_RELAXED);
	return true;
}

/* Verdicts that began before it was announced are done with after a grace period. */
bool ss_leave(int fd, uint64_t bytes, bool *waited)
{
	bool left = false;

	*waited = false;
	if (!may_leave(fd, bytes) || !ss_owners_say(fd, SS_ASK_ANNOUNCE))
		return false;
	*waited = true;
	if (ss_quiet_begin(fd)) {
		left = ss_owners_say(fd, SS_ASK_ANNOUNCED) &&
		       may_leave(fd, bytes) && take_out(fd);
		ss_quiet_end(fd);
	}
	ss_owners_say(fd, SS_ASK_RETRACT);
	return left;
}
