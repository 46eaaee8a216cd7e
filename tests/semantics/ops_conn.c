/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How the connection comes to be, and to be another one. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "semantics.h"

#define BACKLOG	      8
#define CONNECT_TRIES 5000

static int new_socket(const char *kind)
{
	int protocol = strcmp(kind, "mptcp") ? 0 : IPPROTO_MPTCP;

	return socket(shared->family, SOCK_STREAM, protocol);
}

static int listen_anywhere(int fd)
{
	union address addr;
	socklen_t len;

	shared->port = 0;
	len = loopback(&addr);
	if (bind(fd, &addr.any, len) || listen(fd, BACKLOG) ||
	    getsockname(fd, &addr.any, &len))
		return -1;
	shared->port = shared->family == AF_INET ? addr.v4.sin_port
						 : addr.v6.sin6_port;
	return 0;
}

void op_listen(struct call *c)
{
	self.fd = self.listener = new_socket("tcp");
	if (self.fd < 0 || listen_anywhere(self.fd))
		say_errno(c);
	else
		say(c, "ok");
}

/* socket tcp|mptcp: before connect, in place of the one that is there */
void op_socket(struct call *c)
{
	if (self.fd >= 0)
		close(self.fd);
	self.fd = new_socket(c->argv[1]);
	if (self.index)
		self.listener = self.fd;
	if (self.fd < 0 || (self.index && listen_anywhere(self.fd)))
		say_errno(c);
	else
		say(c, "ok");
}

static void wait_until_connected(struct call *c)
{
	struct pollfd p = { .fd = self.fd, .events = POLLOUT };
	socklen_t len = sizeof(errno);
	int error = 0;

	if (poll(&p, 1, CONNECT_TRIES) != 1) {
		say(c, "never connected");
		return;
	}
	getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	errno = error;
	if (error)
		say_errno(c);
	else
		say(c, "ok");
}

/* connect [again|nonblock|late N|fastopen N|fastopen_connect N] */
void op_connect(struct call *c)
{
	const char *how = c->argc > 1 ? c->argv[1] : "";
	size_t n = (size_t)number(c, 2, 0);
	union address addr;
	socklen_t len = loopback(&addr);
	uint8_t *buf;
	int one = 1;

	if (!strcmp(how, "nonblock"))
		fcntl(self.fd, F_SETFL, fcntl(self.fd, F_GETFL) | O_NONBLOCK);
	if (!strcmp(how, "fastopen")) {
		buf = stream_next(n);
		say(c, "ok, a sent ");
		sent(c, sendto(self.fd, buf, n, MSG_FASTOPEN, &addr.any, len),
		     n);
		free(buf);
		return;
	}
	if (!strcmp(how, "fastopen_connect"))
		setsockopt(self.fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one,
			   sizeof(one));
	if (!connect(self.fd, &addr.any, len))
		say(c, "ok");
	else if (errno == EINPROGRESS)
		wait_until_connected(c);
	else
		say_errno(c);
	if (!strcmp(how, "again"))
		flows_restart();
	if (strcmp(how, "late") && strcmp(how, "fastopen_connect"))
		return;
	buf = stream_next(n);
	say(c, ", a sent ");
	sent(c, send(self.fd, buf, n, 0), n);
	free(buf);
}

void op_accept(struct call *c)
{
	int fd;

	if (self.fd >= 0 && self.fd != self.listener)
		close(self.fd);
	if (self.accept_by_uring) {
		op_uring_accept(c);
		return;
	}
	fd = accept(self.listener, NULL, NULL);
	if (fd < 0)
		say_errno(c);
	else
		say(c, "ok");
	self.fd = fd;
}

void op_disconnect(struct call *c)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	say_result(c, connect(self.fd, &unspec, sizeof(unspec)));
}
