/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Everything that moves bytes, but for splice and its like (ops_splice.c). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* needs time.h */

#include "semantics.h"

#define MAX_MESSAGES 16
#define PIECES	     3
#define CHUNK	     1024
#define FILL_PAUSE   250000 /* longer than a retransmission takes */

/* What the fortified headers would call. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags,
		       struct sockaddr *addr, socklen_t *addr_len);

/* Untouched bytes of a read buffer look like none of a stream. */
static uint8_t *buffer(size_t len)
{
	uint8_t *p = malloc(len + 1);

	if (!p)
		abort();
	memset(p, 0, len + 1);
	return p;
}

static void divide(struct iovec *iov, uint8_t *buf, size_t len)
{
	size_t piece = len / PIECES;

	for (int i = 0; i < PIECES; i++) {
		iov[i].iov_base = buf + (size_t)i * piece;
		iov[i].iov_len = i == PIECES - 1 ? len - 2 * piece : piece;
	}
}

static size_t size_arg(struct call *c)
{
	return (size_t)number(c, 1, 0);
}

/* Writing */

static void send_how(struct call *c, bool to)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	uint8_t *buf;
	ssize_t n;

	if (flags < 0)
		return;
	buf = flags & MSG_OOB ? stream_next_urgent(len) : stream_next(len);
	if (to)
		n = sendto(self.fd, buf, len, (int)flags, NULL, 0);
	else
		n = send(self.fd, buf, len, (int)flags);
	if (flags & MSG_OOB)
		sent_urgent(c, n, len);
	else
		sent(c, n, len);
	if (!(flags & MSG_ZEROCOPY)) /* else the kernel may still read it */
		free(buf);
}

void op_send(struct call *c)
{
	send_how(c, false);
}

void op_sendto(struct call *c)
{
	send_how(c, true);
}

void op_send_oob(struct call *c)
{
	size_t len = size_arg(c);
	uint8_t *buf = stream_next_urgent(len);

	sent_urgent(c, send(self.fd, buf, len, MSG_OOB), len);
	free(buf);
}

void op_write(struct call *c)
{
	size_t len = size_arg(c);
	uint8_t *buf = stream_next(len);

	sent(c, write(self.fd, buf, len), len);
	free(buf);
}

void op_writev(struct call *c)
{
	size_t len = size_arg(c);
	uint8_t *buf = stream_next(len);
	struct iovec iov[PIECES];

	divide(iov, buf, len);
	sent(c, writev(self.fd, iov, PIECES), len);
	free(buf);
}

void op_sendmsg(struct call *c)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	struct iovec iov[PIECES];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = PIECES };
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = flags & MSG_OOB ? stream_next_urgent(len) : stream_next(len);
	divide(iov, buf, len);
	if (flags & MSG_OOB)
		sent_urgent(c, sendmsg(self.fd, &msg, (int)flags), len);
	else
		sent(c, sendmsg(self.fd, &msg, (int)flags), len);
	if (!(flags & MSG_ZEROCOPY))
		free(buf);
}

static int message_count(struct call *c)
{
	long n = number(c, 2, 1);

	return (int)(n < 1 ? 1 : n > MAX_MESSAGES ? MAX_MESSAGES : n);
}

static void make_messages(struct mmsghdr *msgs, struct iovec *iov, int n,
			  uint8_t *buf, size_t len)
{
	memset(msgs, 0, (size_t)n * sizeof(*msgs));
	for (int i = 0; i < n; i++) {
		iov[i] = (struct iovec){ buf + (size_t)i * len, len };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

void op_sendmmsg(struct call *c)
{
	struct mmsghdr msgs[MAX_MESSAGES];
	struct iovec iov[MAX_MESSAGES];
	size_t len = size_arg(c);
	int count = message_count(c), n;
	long flags = msg_flags(c, 3);
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = stream_next(len * (size_t)count);
	make_messages(msgs, iov, count, buf, len);
	n = sendmmsg(self.fd, msgs, (unsigned int)count, (int)flags);
	say_result(c, n);
	for (int i = 0; i < n; i++) {
		say(c, "%s", i ? ", " : ": ");
		sent(c, msgs[i].msg_len, len);
	}
	if (!(flags & MSG_ZEROCOPY))
		free(buf);
}

/* Sends pieces of @piece without waiting until EAGAIN or @max bytes. */
static ssize_t fill_once(size_t piece, size_t max, size_t *total)
{
	ssize_t n = 0;

	while (*total < max) {
		size_t len = max - *total < piece ? max - *total : piece;
		uint8_t *buf = stream_next(len);

		n = send(self.fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		free(buf);
		if (n < 0)
			break;
		flow_out()->sent += (uint64_t)n;
		*total += (size_t)n;
	}
	return n;
}

/* Once more after a while, until nothing more is taken: the first EAGAIN may
 * come before the other end had what was under way. */
static void fill(struct call *c, size_t piece, size_t max)
{
	size_t total = 0, before = SIZE_MAX;
	ssize_t n;

	for (;;) {
		n = fill_once(piece, max, &total);
		if (n >= 0 || errno != EAGAIN || total == before)
			break;
		before = total;
		usleep(FILL_PAUSE);
	}
	if (n >= 0) {
		say(c, "no EAGAIN");
		return;
	}
	say_errno(c);
	flow_out()->sent -= total;
	sent_vaguely(total);
}

/* fill [MAX] */
void op_fill(struct call *c)
{
	fill(c, CHUNK, (size_t)number(c, 1, 64 << 20));
}

void op_fill1(struct call *c)
{
	fill(c, 1, size_arg(c));
}

/* Reading */

static void took(struct call *c, uint8_t *buf, ssize_t n, int flags)
{
	if (n > 0 && flags & MSG_OOB) {
		for (ssize_t i = 0; i < n; i++)
			say(c, "%surgent %02X", i ? ", " : "", buf[i]);
	} else if (n > 0 && flags & MSG_ERRQUEUE) {
		say(c, "%zd from the error queue", n);
	} else if (n > 0 && flags & MSG_TRUNC && !buf[0]) {
		if (flags & MSG_PEEK)
			say(c, "%zd not copied", n);
		else
			dropped(c, (size_t)n);
	} else if (flags & MSG_PEEK) {
		peeked(c, buf, n);
	} else {
		received(c, buf, n);
	}
}

void op_recv(struct call *c)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = buffer(len);
	took(c, buf, recv(self.fd, buf, len, (int)flags), (int)flags);
	free(buf);
}

void op_recv_chk(struct call *c)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = buffer(len);
	took(c, buf, __recv_chk(self.fd, buf, len, len, (int)flags),
	     (int)flags);
	free(buf);
}

void op_recvfrom_chk(struct call *c)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = buffer(len);
	took(c, buf,
	     __recvfrom_chk(self.fd, buf, len, len, (int)flags, NULL, NULL),
	     (int)flags);
	free(buf);
}

/* recv_null N FLAGS */
void op_recv_null(struct call *c)
{
	long flags = msg_flags(c, 2);
	ssize_t n;

	if (flags < 0)
		return;
	n = recv(self.fd, NULL, size_arg(c), (int)flags);
	if (n > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		dropped(c, (size_t)n);
	else
		say_result(c, n);
}

void op_read(struct call *c)
{
	size_t len = size_arg(c);
	uint8_t *buf = buffer(len);

	received(c, buf, read(self.fd, buf, len));
	free(buf);
}

void op_read_chk(struct call *c)
{
	size_t len = size_arg(c);
	uint8_t *buf = buffer(len);

	received(c, buf, __read_chk(self.fd, buf, len, len));
	free(buf);
}

void op_readv(struct call *c)
{
	size_t len = size_arg(c);
	uint8_t *buf = buffer(len);
	struct iovec iov[PIECES];

	divide(iov, buf, len);
	received(c, buf, readv(self.fd, iov, PIECES));
	free(buf);
}

void op_recvfrom(struct call *c)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	union address addr;
	socklen_t addr_len = sizeof(addr);
	uint8_t *buf;
	ssize_t n;

	if (flags < 0)
		return;
	buf = buffer(len);
	n = recvfrom(self.fd, buf, len, (int)flags, &addr.any, &addr_len);
	took(c, buf, n, (int)flags);
	if (n >= 0 && addr_len)
		say(c, " addrlen=%u", addr_len);
	free(buf);
}

static void say_error_queue(struct call *c, const struct cmsghdr *cmsg)
{
	struct sock_extended_err e;

	memcpy(&e, CMSG_DATA(cmsg), sizeof(e));
	if (e.ee_origin == SO_EE_ORIGIN_ZEROCOPY)
		say(c, "zerocopy %u-%u", e.ee_info, e.ee_data);
	else if (e.ee_origin == SO_EE_ORIGIN_TIMESTAMPING)
		say(c, "timestamping %u", e.ee_info);
	else
		say(c, "error %s origin %u", errno_name((int)e.ee_errno),
		    e.ee_origin);
}

static void say_timestamping(struct call *c, const struct cmsghdr *cmsg)
{
	struct timespec stamps[3];

	memcpy(stamps, CMSG_DATA(cmsg), sizeof(stamps));
	say(c, "TIMESTAMPING%s%s", stamps[0].tv_sec ? "(software)" : "",
	    stamps[2].tv_sec ? "(hardware)" : "");
}

static void say_control(struct call *c, struct msghdr *msg)
{
	const char *separator = " control=";
	int inq;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		say(c, "%s", separator);
		separator = ",";
		if (cmsg->cmsg_level == IPPROTO_TCP) {
			memcpy(&inq, CMSG_DATA(cmsg), sizeof(inq));
			say(c, "INQ=%d", inq);
		} else if (cmsg->cmsg_level != SOL_SOCKET) {
			say_error_queue(c, cmsg);
		} else if (cmsg->cmsg_type == SO_TIMESTAMP) {
			say(c, "TIMESTAMP");
		} else if (cmsg->cmsg_type == SO_TIMESTAMPNS) {
			say(c, "TIMESTAMPNS");
		} else if (cmsg->cmsg_type == SO_TIMESTAMPING) {
			say_timestamping(c, cmsg);
		} else {
			say(c, "type %d", cmsg->cmsg_type);
		}
	}
}

void op_recvmsg(struct call *c)
{
	size_t len = size_arg(c);
	long flags = msg_flags(c, 2);
	struct iovec iov[PIECES];
	union address addr;
	char control[512];
	struct msghdr msg = { .msg_iov = iov,
			      .msg_iovlen = PIECES,
			      .msg_control = control,
			      .msg_controllen = sizeof(control),
			      .msg_name = &addr,
			      .msg_namelen = sizeof(addr) };
	uint8_t *buf;
	ssize_t n;

	if (flags < 0)
		return;
	buf = buffer(len);
	divide(iov, buf, len);
	n = recvmsg(self.fd, &msg, (int)flags);
	took(c, buf, n, (int)flags);
	if (n >= 0) {
		say_msg_flags(c, msg.msg_flags);
		say_control(c, &msg);
		if (msg.msg_namelen && !(flags & MSG_ERRQUEUE))
			say(c, " namelen=%u", msg.msg_namelen);
	}
	free(buf);
}

/* recvmmsg N M [FLAGS] [within MS] */
void op_recvmmsg(struct call *c)
{
	struct mmsghdr msgs[MAX_MESSAGES];
	struct iovec iov[MAX_MESSAGES];
	size_t len = size_arg(c);
	int count = message_count(c), n;
	long flags = msg_flags(c, 3);
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = buffer(len * (size_t)count);
	make_messages(msgs, iov, count, buf, len);
	n = recvmmsg(self.fd, msgs, (unsigned int)count, (int)flags, NULL);
	say_result(c, n);
	for (int i = 0; i < n; i++) {
		say(c, "%s", i ? ", " : ": ");
		took(c, buf + (size_t)i * len, msgs[i].msg_len, (int)flags);
		say_msg_flags(c, msgs[i].msg_hdr.msg_flags);
	}
	free(buf);
}

/* stdio_gets [N]: a line of at most N bytes; streams contain no line end */
void op_stdio_gets(struct call *c)
{
	static FILE *stream;
	size_t len = (size_t)number(c, 1, 16);
	uint8_t *buf = buffer(len + 1);

	if (!stream)
		stream = fdopen(self.fd, "r");
	if (!stream) {
		say_errno(c);
	} else if (fgets((char *)buf, (int)len + 1, stream)) {
		received(c, buf, (ssize_t)strlen((char *)buf));
		if (ferror(stream)) {
			say(c, " then ");
			say_errno(c);
		} else if (feof(stream)) {
			say(c, " then EOF");
		}
	} else if (feof(stream)) {
		say(c, "EOF");
	} else {
		say_errno(c);
	}
	if (stream)
		clearerr(stream);
	free(buf);
}

/* recv_exactly N: as programs wait for all without MSG_WAITALL */
void op_recv_exactly(struct call *c)
{
	size_t len = size_arg(c), have = 0;
	uint8_t *buf = buffer(len);
	ssize_t n = 1;

	while (have < len && n > 0) {
		n = recv(self.fd, buf + have, len - have, 0);
		if (n > 0)
			have += (size_t)n;
	}
	if (n > 0) {
		received(c, buf, (ssize_t)have);
	} else {
		int error = errno;

		received(c, buf, (ssize_t)have);
		errno = error;
		say(c, ", ");
		if (n)
			say_errno(c);
		else
			say(c, "EOF");
	}
	free(buf);
}

static uint8_t *grown(uint8_t *p, size_t len)
{
	p = realloc(p, len);
	if (!p)
		abort();
	return p;
}

/* read_all [MS] */
void op_read_all(struct call *c)
{
	struct pollfd p = { .fd = self.fd, .events = POLLIN };
	int ms = (int)number(c, 1, 50), for_nothing = 0;
	size_t total = 0, size = 1 << 16;
	uint8_t *buf = grown(NULL, size);
	ssize_t n;

	for (;;) {
		if (total == size)
			buf = grown(buf, size *= 2);
		n = recv(self.fd, buf + total, size - total, MSG_DONTWAIT);
		if (n > 0)
			total += (size_t)n;
		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (!n || errno != EAGAIN)
			break;
		/* Readable for nothing: not for ever, and not in a hurry. */
		if (poll(&p, 1, ms) <= 0 || for_nothing++ == 50)
			break;
		usleep(for_nothing > 2 ? 1000 : 0);
	}
	if (n < 0) { /* judging may change it */
		int error = errno;

		received(c, buf, (ssize_t)total);
		errno = error;
		say(c, ", ");
		if (error == EAGAIN)
			say(c, "%s",
			    for_nothing > 50 ? "readable for nothing"
					     : "no more");
		else
			say_errno(c);
	} else {
		received(c, buf, (ssize_t)total);
		say(c, ", EOF");
	}
	free(buf);
}
