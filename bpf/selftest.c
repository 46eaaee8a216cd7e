/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "selftest.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "selftest_pair.h"

static int charges(struct ss_selftest *t, const struct ss_pair *p)
{
	static const char block[4096];
	__u64 before;

	NEEDS(ss_pair_enter(t, p), "cannot enter the sockhash: %s",
	      strerror(errno));
	before = ss_pair_redirected(t).messages;
	NEEDS(send(p->a, block, sizeof(block), MSG_NOSIGNAL) > 0 &&
		      ss_pair_redirected(t).messages > before,
	      "nothing was redirected");
	return ss_pair_meminfo(p, SK_MEMINFO_RMEM_ALLOC) >= (int)sizeof(block);
}

int ss_selftest_charges(struct ss_selftest *t)
{
	return ss_pair_test(t, charges);
}

/* One queue: one read gets all of it. */
static bool reads(const struct ss_pair *p, const char *text)
{
	char buf[64] = "";
	ssize_t n = recv(p->b, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	return n == (ssize_t)strlen(text) && !strcmp(buf, text);
}

#define COUNTED(bytes, what)                                                   \
	CHECK(ss_pair_counts(p, bytes), what " (FIONREAD %d)",                 \
	      ss_pair_fionread(p))

static int merges(struct ss_selftest *t, const struct ss_pair *p)
{
	char read[5];
	__u64 before;

	/* Bytes that were there before the socket was, in a buffer that has
	 * been read in part. */
	CHECK(ss_pair_send(p, "read,early"), "cannot send");
	COUNTED(10, "early bytes lost");
	CHECK(recv(p->b, read, sizeof(read), 0) == 5, "cannot read");
	CHECK(ss_pair_enter(t, p), "cannot enter the sockhash");
	COUNTED(5, "early bytes not counted");
	CHECK(ss_pair_send(p, "+tcp"), "cannot send");
	COUNTED(9, "bytes by TCP not counted");
	CHECK(reads(p, "early+tcp"), "early bytes not in order");
	COUNTED(0, "bytes left over");

	/* Redirected, then by TCP, then read as one. */
	before = ss_pair_redirected(t).messages;
	CHECK(ss_pair_send(p, "redirected"), "cannot send");
	CHECK(ss_pair_redirected(t).messages == before + 1,
	      "redirecting did not begin");
	COUNTED(10, "redirected bytes not counted");
	CHECK(ss_pair_send_by_tcp(p, "+tcp"), "cannot send");
	COUNTED(14, "mixed bytes not counted");
	CHECK(reads(p, "redirected+tcp"), "mixed bytes not in order");

	/* Redirecting resumes: copied_seq counts TCP's bytes and no others. */
	before = ss_pair_redirected(t).messages;
	CHECK(ss_pair_send(p, "again"), "cannot send");
	CHECK(ss_pair_redirected(t).messages == before + 1,
	      "redirecting did not resume");
	CHECK(ss_pair_send_by_tcp(p, "+end"), "cannot send");
	COUNTED(9, "mixed bytes not counted");
	CHECK(!shutdown(p->a, SHUT_WR), "cannot shut down");
	CHECK(reads(p, "again+end"), "last bytes lost");
	CHECK(ss_pair_ends(p), "no end of file");
	return 1;
}

int ss_selftest_merges(struct ss_selftest *t)
{
	return ss_pair_test(t, merges);
}
