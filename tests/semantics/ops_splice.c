/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Bytes that move without a read or a write: splice and its like. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "semantics.h"

#define PAGE	    4096
#define ZC_RANGE    (16 * PAGE)
#define DRAIN_USECS 30000

#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE 35
#endif

void op_sendfile(struct call *c)
{
	size_t len = (size_t)number(c, 1, 0);
	int file = out_of_the_way(memfd_create("sendfile", 0));
	uint8_t *buf = stream_next(len);
	off_t offset = 0;

	if (file < 0 || write(file, buf, len) != (ssize_t)len)
		say_errno(c);
	else
		sent(c, sendfile(self.fd, file, &offset, len), len);
	free(buf);
	close(file);
}

static bool make_pipe(int ends[2], size_t capacity)
{
	if (pipe(ends))
		return false;
	ends[0] = out_of_the_way(ends[0]);
	ends[1] = out_of_the_way(ends[1]);
	return fcntl(ends[1], F_SETPIPE_SZ, (int)capacity) >= 0;
}

/* splice_in N [nonblock] */
void op_splice_in(struct call *c)
{
	size_t len = (size_t)number(c, 1, 0);
	unsigned int flags = has_word(c, "nonblock") ? SPLICE_F_NONBLOCK : 0;
	uint8_t *buf = stream_next(len);
	int ends[2];

	if (has_word(c, "more"))
		flags |= SPLICE_F_MORE;
	if (!make_pipe(ends, len < 65536 ? 65536 : len) ||
	    write(ends[1], buf, len) != (ssize_t)len)
		say_errno(c);
	else
		sent(c, splice(ends[0], NULL, self.fd, NULL, len, flags), len);
	free(buf);
	close(ends[0]);
	close(ends[1]);
}

struct drain {
	int pipe;
	size_t len;
};

/* What lay in the pipe before leaves it after a while. */
static void *drain_later(void *arg)
{
	struct drain *d = arg;
	char buf[PAGE];

	usleep(DRAIN_USECS);
	if (read(d->pipe, buf, d->len) != (ssize_t)d->len)
		perror("drain");
	return NULL;
}

/*
 * splice_out N [nonblock] [small]: small: into a pipe of one page that is full
 * but for some bytes, and that somebody empties later.
 */
void op_splice_out(struct call *c)
{
	size_t len = (size_t)number(c, 1, 0), filled = PAGE - 100;
	unsigned int flags = has_word(c, "nonblock") ? SPLICE_F_NONBLOCK : 0;
	bool small = has_word(c, "small");
	uint8_t *buf = malloc(len + PAGE);
	struct drain drain;
	pthread_t thread;
	int ends[2];
	ssize_t n;

	if (!buf || !make_pipe(ends, small ? PAGE : len < 65536 ? 65536 : len))
		abort();
	memset(buf, 0, filled);
	if (small && write(ends[1], buf, filled) != (ssize_t)filled)
		abort();
	drain = (struct drain){ ends[0], filled };
	if (small && !flags)
		pthread_create(&thread, NULL, drain_later, &drain);
	n = splice(self.fd, NULL, ends[1], NULL, len, flags);
	if (small && !flags)
		pthread_join(thread, NULL);
	else if (small && read(ends[0], buf, filled) != (ssize_t)filled)
		abort();
	if (n > 0 && read(ends[0], buf, (size_t)n) != n)
		say(c, "the pipe has less than ");
	received(c, buf, n);
	free(buf);
	close(ends[0]);
	close(ends[1]);
}

/*
 * zerocopy_receive: what TCP maps and what it leaves to recv are one stream;
 * how much is which is up to the kernel.
 */
void op_zerocopy_receive(struct call *c)
{
	struct tcp_zerocopy_receive z = { .length = ZC_RANGE };
	socklen_t len = sizeof(z);
	uint8_t *map, *buf = malloc(2 * ZC_RANGE);
	ssize_t n = 0;

	map = mmap(NULL, ZC_RANGE, PROT_READ, MAP_SHARED, self.fd, 0);
	if (map == MAP_FAILED || !buf) {
		say(c, "mmap ");
		say_errno(c);
		free(buf);
		return;
	}
	z.address = (uint64_t)(uintptr_t)map;
	if (getsockopt(self.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &z, &len)) {
		say_errno(c);
	} else {
		memcpy(buf, map, z.length);
		if (z.recv_skip_hint > ZC_RANGE)
			z.recv_skip_hint = ZC_RANGE;
		if (z.recv_skip_hint)
			n = recv(self.fd, buf + z.length, z.recv_skip_hint,
				 MSG_DONTWAIT);
		if (n < 0 && !z.length)
			received(c, buf, n);
		else
			received(c, buf, (ssize_t)z.length + (n < 0 ? 0 : n));
		if (z.recv_skip_hint && n != (ssize_t)z.recv_skip_hint)
			say(c, ", less than it said");
	}
	munmap(map, ZC_RANGE);
	free(buf);
}
