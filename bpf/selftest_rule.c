/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The rule's promises, each on a connection of its own, without merging. */
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/socket.h>

#include "../conf/log.h"
#include "selftest_pair.h"
#include "selftest_wake.h"

#define MESSAGE	  16384
#define SOME_MORE 6 /* messages, than may be redirected */

#define ENTER()                                                                \
	NEEDS(ss_pair_enter(t, p), "cannot enter the sockhash: %s",            \
	      strerror(errno))
#define SEND(text)                                                             \
	CHECK(ss_pair_send(p, text), "cannot send: %s", strerror(errno))
#define SEND_BY_TCP(text)                                                      \
	CHECK(ss_pair_send_by_tcp(p, text), "cannot send: %s", strerror(errno))
#define REDIRECTED(count, what)                                                \
	CHECK(ss_pair_redirected(t).messages - before == (count), what)

static int keeps_order(struct ss_selftest *t, const struct ss_pair *p)
{
	__u64 before = ss_pair_redirected(t).messages;

	SEND("early");
	NEEDS(ss_pair_arrives(p, 5), "TCP does not deliver");
	ENTER();
	SEND(",first");
	SEND(",second");
	CHECK(ss_pair_reads(p, "early,first,second"),
	      "messages overtook bytes that TCP had brought before");
	REDIRECTED(0, "messages were redirected behind unread bytes");

	SEND("third");
	REDIRECTED(1, "redirecting did not begin when all was read");
	SEND_BY_TCP(",fourth");
	SEND(",fifth");
	CHECK(ss_pair_reads(p, "third,fourth,fifth"),
	      "messages and bytes by TCP were mixed up");
	REDIRECTED(1, "messages were redirected behind unread bytes");
	SEND("sixth");
	REDIRECTED(2, "redirecting did not resume when all was read");
	CHECK(ss_pair_reads(p, "sixth"), "a message was lost");
	return 1;
}

/* The byte at @position of what a reader is to get. */
static char pattern(size_t position)
{
	return (char)(position ^ position >> 8 ^ position >> 16);
}

static bool reads_pattern(const struct ss_pair *p, size_t bytes)
{
	char buf[MESSAGE];
	size_t at = 0;

	while (at < bytes && ss_pair_polls(p->b, POLLIN)) {
		ssize_t n = recv(p->b, buf, sizeof(buf), MSG_DONTWAIT);

		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != pattern(at++))
				return false;
		}
	}
	return at == bytes;
}

/*
 * @count messages of @size to a reader that does not read: at most @max bytes
 * and SS_MAX_MESSAGES are redirected, the rest goes by TCP.
 */
static int is_limited(struct ss_selftest *t, const struct ss_pair *p,
		      unsigned int count, size_t size, __u64 max)
{
	struct ss_redirected before, after;
	char message[MESSAGE];
	size_t position = 0;
	ssize_t n = 0;

	ENTER();
	before = ss_pair_redirected(t);
	for (unsigned int i = 0; i < count && n >= 0; i++) {
		for (size_t j = 0; j < size; j++)
			message[j] = pattern(position + j);
		n = send(p->a, message, size, MSG_NOSIGNAL);
		if (n > 0)
			position += n;
		else
			CHECK(errno == EAGAIN, "cannot send: %s",
			      strerror(errno));
	}
	after = ss_pair_redirected(t);
	after.messages -= before.messages;
	after.bytes -= before.bytes;
	CHECK(after.bytes <= max && after.messages <= SS_MAX_MESSAGES,
	      "%llu messages, %llu bytes were redirected to a reader that "
	      "reads nothing",
	      (unsigned long long)after.messages,
	      (unsigned long long)after.bytes);
	CHECK(after.messages, "nothing was redirected");
	CHECK(reads_pattern(p, position), "bytes were lost or mixed up");
	return 1;
}

static int limits_to(struct ss_selftest *t, const struct ss_pair *p,
		     unsigned int room)
{
	unsigned int count = room / MESSAGE + SOME_MORE;

	return is_limited(t, p, count, MESSAGE, room + MESSAGE);
}

/* There is more room only where the queues are merged. */
static int limits_bytes(struct ss_selftest *t, const struct ss_pair *p)
{
	int rcvbuf = ss_pair_meminfo(p, SK_MEMINFO_RCVBUF);

	NEEDS(rcvbuf > 0, "cannot read SO_MEMINFO: %s", strerror(errno));
	return limits_to(t, p, (unsigned int)rcvbuf / SS_ROOM_SHARE);
}

static int limits_fixed_bytes(struct ss_selftest *t, const struct ss_pair *p)
{
	int bytes = 8 * MESSAGE, rcvbuf;

	NEEDS(!setsockopt(p->b, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
	      "cannot set SO_RCVBUF: %s", strerror(errno));
	rcvbuf = ss_pair_meminfo(p, SK_MEMINFO_RCVBUF);
	NEEDS(rcvbuf > 0, "cannot read SO_MEMINFO: %s", strerror(errno));
	return limits_to(t, p, (unsigned int)rcvbuf / SS_ROOM_SHARE);
}

static int limits_messages(struct ss_selftest *t, const struct ss_pair *p)
{
	return is_limited(t, p, SS_MAX_MESSAGES + SOME_MORE, 1,
			  SS_MAX_MESSAGES);
}

static int keeps_end(struct ss_selftest *t, const struct ss_pair *p)
{
	__u64 before = ss_pair_redirected(t).messages;

	ENTER();
	SEND("last");
	REDIRECTED(1, "nothing was redirected");
	CHECK(!shutdown(p->a, SHUT_WR) && ss_pair_polls(p->b, POLLRDHUP),
	      "the end does not arrive");
	CHECK(ss_pair_reads(p, "last"), "redirected bytes before it were lost");
	CHECK(ss_pair_ends(p), "none after redirected bytes");
	return 1;
}

static int counts(struct ss_selftest *t, const struct ss_pair *p)
{
	__u64 before = ss_pair_redirected(t).messages;
	int redirected, tcp, both;

	ENTER();
	SEND("psock");
	REDIRECTED(1, "nothing was redirected");
	redirected = ss_pair_fionread(p);
	CHECK(ss_pair_reads(p, "psock"), "a message was lost");

	SEND_BY_TCP("+tcp");
	REDIRECTED(1, "a message was redirected to an unwilling end");
	CHECK(ss_pair_arrives(p, 4), "bytes by TCP were lost");
	tcp = ss_pair_fionread(p);
	CHECK(ss_pair_reads(p, "+tcp"), "bytes by TCP were lost");

	SEND("both");
	REDIRECTED(2, "redirecting did not resume when all was read");
	SEND_BY_TCP("+tcp");
	REDIRECTED(2, "a message was redirected to an unwilling end");
	CHECK(ss_pair_arrives(p, 8), "bytes by TCP were lost");
	both = ss_pair_fionread(p);
	CHECK((redirected == 5 || !redirected) && (tcp == 4 || !tcp) &&
		      both == (redirected ? 4 : 0) + tcp,
	      "%d of 5 redirected bytes, %d of 4 by TCP, %d of 4 and 4",
	      redirected, tcp, both);
	t->flags |=
		(redirected ? SS_COUNTS_PSOCK : 0) | (tcp ? SS_COUNTS_TCP : 0);
	return 1;
}

static const struct {
	const char *name;
	__u32 flag; /* 0: is to know, not to hold */
	int (*test)(struct ss_selftest *t, const struct ss_pair *p);
} checks[] = {
	{ "order", SS_KEEPS_ORDER, keeps_order },
	{ "room", SS_KEEPS_ROOM, limits_bytes },
	{ "room", SS_KEEPS_ROOM, limits_fixed_bytes },
	{ "room", SS_KEEPS_ROOM, limits_messages },
	{ "wake-ups", SS_KEEPS_WAKEUPS, ss_selftest_wakes_recv },
	{ "wake-ups", SS_KEEPS_WAKEUPS, ss_selftest_wakes_poll },
	{ "wake-ups", SS_KEEPS_WAKEUPS, ss_selftest_wakes_epoll },
	{ "end", SS_KEEPS_END, keeps_end },
	{ "FIONREAD", 0, counts },
};

int ss_selftest_rule(struct ss_selftest *t)
{
	char broken[sizeof(t->why)] = "";
	size_t len = 0;

	t->flags = SS_KEEPS_ALL;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		__u32 flag = checks[i].flag;
		int result;

		if (flag && !(t->flags & flag))
			continue; /* broken in another way already */
		result = ss_pair_test(t, checks[i].test);
		if (result < 0 && !len) {
			t->flags = 0;
			return -1;
		}
		if (result > 0)
			continue;
		if (!flag) {
			ss_log(SS_LOG_INFO, "self-test: %s is not trusted: %s",
			       checks[i].name, t->why);
			continue;
		}
		t->flags &= ~flag;
		if (len < sizeof(broken))
			len += snprintf(broken + len, sizeof(broken) - len,
					"%s%s: %s", len ? "; " : "",
					checks[i].name, t->why);
	}
	memcpy(t->why, broken, sizeof(broken));
	return !broken[0];
}
