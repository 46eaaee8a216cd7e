/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "selftest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "abi.h"
#include "key.h"

#define WAIT_MSECS 200 /* loopback delivers in microseconds; TCP_RTO is 200 */

struct pair {
	int a; /* sends */
	int b; /* receives */
};

static int listen_on_loopback(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)addr, &len)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WAIT_MSECS) == 1;
}

/* Never blocks for long: a firewall may drop even loopback. */
static bool make_pair(struct pair *pair)
{
	struct sockaddr_in addr;
	int one = 1, l = listen_on_loopback(&addr);

	pair->a = pair->b = -1;
	if (l < 0)
		return false;
	pair->a =
		socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (pair->a >= 0 &&
	    (!connect(pair->a, (struct sockaddr *)&addr, sizeof(addr)) ||
	     errno == EINPROGRESS) &&
	    readable(l))
		pair->b = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(l);
	if (pair->b < 0)
		return false;
	setsockopt(pair->a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return true;
}

static void close_pair(struct pair *pair)
{
	if (pair->a >= 0)
		close(pair->a);
	if (pair->b >= 0)
		close(pair->b);
}

static bool enter(const struct ss_selftest *t, int fd)
{
	struct ss_key key;

	return !ss_key_of_socket(fd, t->netns_inode, &key) &&
	       !ss_key_enter(t->sockhash_fd, &key, fd) &&
	       (t->merged_fd < 0 || !ss_key_merge(t->merged_fd, &key, fd));
}

static __u64 redirected(const struct ss_selftest *t)
{
	int cpus = libbpf_num_possible_cpus();
	struct ss_counters *c = cpus > 0 ? calloc(cpus, sizeof(*c)) : NULL;
	__u32 zero = 0;
	__u64 sum = 0;

	if (c && !bpf_map_lookup_elem(t->counters_fd, &zero, c)) {
		for (int i = 0; i < cpus; i++)
			sum += c[i].redirected_messages;
	}
	free(c);
	return sum;
}

static int rmem_of(int fd)
{
	__u32 mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return -1;
	return (int)mem[SK_MEMINFO_RMEM_ALLOC];
}

static bool send_text(int fd, const char *text)
{
	size_t len = strlen(text);

	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

int ss_selftest_charges(const struct ss_selftest *t, char *why, size_t why_size)
{
	static const char block[4096];
	struct pair pair;
	int result = -1;
	__u64 before;

	if (!make_pair(&pair)) {
		snprintf(why, why_size, "no connection over loopback: %s",
			 strerror(errno));
		goto out;
	}
	if (!enter(t, pair.a) || !enter(t, pair.b)) {
		snprintf(why, why_size, "cannot enter the sockhash: %s",
			 strerror(errno));
		goto out;
	}
	before = redirected(t);
	if (send(pair.a, block, sizeof(block), MSG_NOSIGNAL) < 0 ||
	    redirected(t) == before) {
		snprintf(why, why_size, "nothing was redirected");
		goto out;
	}
	result = rmem_of(pair.b) >= (int)sizeof(block);
out:
	close_pair(&pair);
	return result;
}

/* FIONREAD becomes @want soon (delivery by TCP may take a softirq). */
static bool waits(int fd, int want, int *seen)
{
	for (int i = 0; i < WAIT_MSECS; i++) {
		if (!ioctl(fd, FIONREAD, seen) && *seen == want)
			return true;
		usleep(i ? 1000 : 0);
	}
	return false;
}

static bool reads(int fd, const char *want)
{
	char buf[64] = "";
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	return n == (ssize_t)strlen(want) && !strcmp(buf, want);
}

static bool ends(int fd)
{
	char c;

	return readable(fd) && recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

/* Makes the verdict choose TCP for the messages to come, or lifts that. */
static void want_tcp(int fd, bool on)
{
	int lowat = on ? 2 : 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat));
}

#define CHECK(what, ok)                                                        \
	do {                                                                   \
		if (!(ok)) {                                                   \
			snprintf(why, why_size, "%s (FIONREAD %d)", what,      \
				 queued);                                      \
			return false;                                          \
		}                                                              \
	} while (0)

static bool merges(const struct ss_selftest *t, const struct pair *p, char *why,
		   size_t why_size)
{
	int queued = -1;
	char read[5];
	__u64 before;

	/* Bytes that were there before the socket was, in a buffer that has
	 * been read in part. */
	CHECK("cannot send", send_text(p->a, "read,early"));
	CHECK("early bytes lost", waits(p->b, 10, &queued));
	CHECK("cannot read", recv(p->b, read, sizeof(read), 0) == 5);
	CHECK("cannot enter the sockhash", enter(t, p->a) && enter(t, p->b));
	CHECK("early bytes not counted", waits(p->b, 5, &queued));
	CHECK("cannot send", send_text(p->a, "+tcp"));
	CHECK("bytes by TCP not counted", waits(p->b, 9, &queued));
	CHECK("early bytes not in order", reads(p->b, "early+tcp"));
	CHECK("bytes left over", waits(p->b, 0, &queued));

	/* Redirected, then by TCP, then read as one. */
	before = redirected(t);
	CHECK("cannot send", send_text(p->a, "redirected"));
	CHECK("redirecting did not begin", redirected(t) == before + 1);
	CHECK("redirected bytes not counted", waits(p->b, 10, &queued));
	want_tcp(p->b, true);
	CHECK("cannot send", send_text(p->a, "+tcp"));
	want_tcp(p->b, false);
	CHECK("mixed bytes not counted", waits(p->b, 14, &queued));
	CHECK("mixed bytes not in order", reads(p->b, "redirected+tcp"));

	/* Redirecting resumes: copied_seq counts TCP's bytes and no others. */
	before = redirected(t);
	CHECK("cannot send", send_text(p->a, "again"));
	CHECK("redirecting did not resume", redirected(t) == before + 1);
	want_tcp(p->b, true);
	CHECK("cannot send", send_text(p->a, "+end"));
	want_tcp(p->b, false);
	CHECK("mixed bytes not counted", waits(p->b, 9, &queued));
	CHECK("cannot shut down", !shutdown(p->a, SHUT_WR));
	CHECK("last bytes lost", reads(p->b, "again+end"));
	CHECK("no end of file", ends(p->b));
	return true;
}

bool ss_selftest_merges(const struct ss_selftest *t, char *why, size_t why_size)
{
	struct pair pair;
	bool ok = false;

	if (make_pair(&pair))
		ok = merges(t, &pair, why, why_size);
	else
		snprintf(why, why_size, "no connection over loopback: %s",
			 strerror(errno));
	close_pair(&pair);
	return ok;
}
