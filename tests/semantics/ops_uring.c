/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "semantics.h"

typedef void (*prepare)(struct io_uring_sqe *sqe, uint8_t *buf, size_t len,
			int flags);

static void prepare_send(struct io_uring_sqe *sqe, uint8_t *buf, size_t len,
			 int flags)
{
	io_uring_prep_send(sqe, self.fd, buf, len, flags);
}

static void prepare_recv(struct io_uring_sqe *sqe, uint8_t *buf, size_t len,
			 int flags)
{
	io_uring_prep_recv(sqe, self.fd, buf, len, flags);
}

static void prepare_accept(struct io_uring_sqe *sqe, uint8_t *buf, size_t len,
			   int flags)
{
	(void)buf;
	(void)len;
	io_uring_prep_accept(sqe, self.listener, NULL, NULL, flags);
}

/* One operation by a ring of its own; its result, -1 with errno set. */
static ssize_t by_uring(prepare prepare, uint8_t *buf, size_t len, int flags)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int result;

	result = io_uring_queue_init(2, &ring, 0);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	prepare(io_uring_get_sqe(&ring), buf, len, flags);
	io_uring_submit(&ring);
	do
		result = io_uring_wait_cqe(&ring, &cqe);
	while (result == -EINTR);
	if (!result)
		result = cqe->res;
	io_uring_queue_exit(&ring);
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

/* uring_send N [FLAGS] */
void op_uring_send(struct call *c)
{
	size_t len = (size_t)number(c, 1, 0);
	long flags = msg_flags(c, 2);
	uint8_t *buf;

	if (flags < 0)
		return;
	buf = stream_next(len);
	sent(c, by_uring(prepare_send, buf, len, (int)flags), len);
	free(buf);
}

/* uring_recv N [FLAGS] */
void op_uring_recv(struct call *c)
{
	size_t len = (size_t)number(c, 1, 0);
	long flags = msg_flags(c, 2);
	uint8_t *buf;
	ssize_t n;

	if (flags < 0)
		return;
	buf = malloc(len + 1);
	if (!buf)
		abort();
	n = by_uring(prepare_recv, buf, len, (int)flags);
	if (flags & MSG_PEEK)
		peeked(c, buf, n);
	else
		received(c, buf, n);
	free(buf);
}

/* Before connect: b is to accept by io_uring. */
void op_uring_accept(struct call *c)
{
	if (self.accept_by_uring)
		self.fd = (int)by_uring(prepare_accept, NULL, 0, 0);
	self.accept_by_uring = true;
	if (self.fd < 0)
		say_errno(c);
	else
		say(c, "ok");
}
