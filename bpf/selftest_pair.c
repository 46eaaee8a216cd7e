/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "selftest_pair.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "key.h"

/* Loopback delivers in microseconds, unless the machine is overloaded. */
#define CONNECT_MSECS 200
#define WAIT_MSECS    1000

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

static bool polls(int fd, short events, int msecs)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, msecs) == 1;
}

bool ss_pair_polls(int fd, short events)
{
	return polls(fd, events, WAIT_MSECS);
}

static bool connect_pair(struct ss_pair *p)
{
	struct sockaddr_in addr;
	int one = 1, l = listen_on_loopback(&addr);

	p->a = p->b = -1;
	if (l < 0)
		return false;
	p->a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->a >= 0 &&
	    (!connect(p->a, (struct sockaddr *)&addr, sizeof(addr)) ||
	     errno == EINPROGRESS) &&
	    polls(l, POLLIN, CONNECT_MSECS))
		p->b = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(l);
	if (p->b < 0)
		return false;
	setsockopt(p->a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return true;
}

int ss_pair_test(struct ss_selftest *t,
		 int (*test)(struct ss_selftest *t, const struct ss_pair *p))
{
	struct ss_pair pair;
	int result = -1;

	if (connect_pair(&pair))
		result = test(t, &pair);
	else
		snprintf(t->why, sizeof(t->why),
			 "no connection over loopback: %s", strerror(errno));
	if (pair.a >= 0)
		close(pair.a);
	if (pair.b >= 0)
		close(pair.b);
	return result;
}

static bool enter(const struct ss_selftest *t, int fd)
{
	struct ss_key key;

	return !ss_key_of_socket(fd, t->netns_inode, &key) &&
	       !ss_key_enter(t->sockhash_fd, &key, fd) &&
	       (t->merged_fd < 0 || !ss_key_merge(t->merged_fd, &key, fd));
}

bool ss_pair_enter(const struct ss_selftest *t, const struct ss_pair *p)
{
	return enter(t, p->a) && enter(t, p->b);
}

struct ss_redirected ss_pair_redirected(const struct ss_selftest *t)
{
	struct ss_redirected sum = { 0 };
	int cpus = libbpf_num_possible_cpus();
	struct ss_counters *c = cpus > 0 ? calloc(cpus, sizeof(*c)) : NULL;
	__u32 zero = 0;

	if (c && !bpf_map_lookup_elem(t->counters_fd, &zero, c)) {
		for (int i = 0; i < cpus; i++) {
			sum.messages += c[i].redirected_messages;
			sum.bytes += c[i].redirected_bytes;
		}
	}
	free(c);
	return sum;
}

bool ss_pair_send(const struct ss_pair *p, const char *text)
{
	size_t len = strlen(text);

	return send(p->a, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

bool ss_pair_send_by_tcp(const struct ss_pair *p, const char *text)
{
	int lowat = 2, one = 1;
	bool sent;

	/* B is then not willing. */
	setsockopt(p->b, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat));
	sent = ss_pair_send(p, text);
	setsockopt(p->b, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	return sent;
}

static bool has_received(const struct ss_pair *p, __u64 bytes)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !getsockopt(p->b, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_bytes_received == bytes;
}

static bool can_read(const struct ss_pair *p, __u64 bytes)
{
	char buf[64];

	return ss_pair_fionread(p) == (int)bytes ||
	       recv(p->b, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT) ==
		       (ssize_t)bytes;
}

/* What TCP delivers may take a softirq, or a worker that merges. */
static bool soon(bool (*is_so)(const struct ss_pair *p, __u64 bytes),
		 const struct ss_pair *p, __u64 bytes)
{
	for (int i = 0; i < WAIT_MSECS; i++) {
		if (is_so(p, bytes))
			return true;
		usleep(i ? 1000 : 0);
	}
	return false;
}

bool ss_pair_arrives(const struct ss_pair *p, __u64 bytes)
{
	return soon(has_received, p, bytes);
}

bool ss_pair_counts(const struct ss_pair *p, int bytes)
{
	return soon(can_read, p, bytes) && ss_pair_fionread(p) == bytes;
}

bool ss_pair_reads(const struct ss_pair *p, const char *text)
{
	size_t len = strlen(text), got = 0;
	char buf[64];

	while (got < len && ss_pair_polls(p->b, POLLIN)) {
		ssize_t n =
			recv(p->b, buf + got, sizeof(buf) - got, MSG_DONTWAIT);

		if (n <= 0)
			return false;
		got += n;
	}
	return got == len && !memcmp(buf, text, len);
}

bool ss_pair_ends(const struct ss_pair *p)
{
	char c;

	return ss_pair_polls(p->b, POLLIN) &&
	       recv(p->b, &c, 1, MSG_DONTWAIT) == 0;
}

int ss_pair_fionread(const struct ss_pair *p)
{
	int bytes;

	return ioctl(p->b, FIONREAD, &bytes) ? -1 : bytes;
}

int ss_pair_meminfo(const struct ss_pair *p, int member)
{
	__u32 mem[SK_MEMINFO_VARS];
	socklen_t len = sizeof(mem);

	if (getsockopt(p->b, SOL_SOCKET, SO_MEMINFO, mem, &len))
		return -1;
	return (int)mem[member];
}
