/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Connections by TCP or AF_UNIX, and how a reader waits. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

#define BACKLOG 1024

/* "/PATH", or "ADDRESS:PORT" of IPv4. */
void parse_address(struct load *l, const char *text)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&l->addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&l->addr;
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	memset(&l->addr, 0, sizeof(l->addr));
	if (text[0] == '/' && strlen(text) < sizeof(un->sun_path)) {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text);
		l->addr_len = sizeof(*un);
		return;
	}
	in->sin_family = AF_INET;
	l->addr_len = sizeof(*in);
	if (colon && colon - text < (ptrdiff_t)sizeof(host)) {
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
		in->sin_port = htons((uint16_t)atoi(colon + 1));
		if (inet_pton(AF_INET, host, &in->sin_addr) == 1)
			return;
	}
	fprintf(stderr, "load: '%s' is neither /PATH nor ADDRESS:PORT\n", text);
	exit(2);
}

/* Port 0 becomes the one that the kernel chose. */
int listen_at(struct load *l)
{
	int fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	check(fd >= 0, "socket");
	if (l->addr.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&l->addr)->sun_path);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	check(!bind(fd, (struct sockaddr *)&l->addr, l->addr_len) &&
		      !listen(fd, BACKLOG),
	      "listen");
	if (l->addr.ss_family == AF_INET)
		getsockname(fd, (struct sockaddr *)&l->addr, &l->addr_len);
	return fd;
}

int accept_from(int listener)
{
	int fd = accept(listener, NULL, NULL);

	check(fd >= 0, "accept");
	return fd;
}

int connect_to(const struct load *l)
{
	int fd = socket(l->addr.ss_family, SOCK_STREAM, 0);

	check(fd >= 0, "socket");
	check(!connect(fd, (const struct sockaddr *)&l->addr, l->addr_len),
	      "connect");
	return fd;
}

/* As whoever cares for latency does; AF_UNIX knows no delay. */
void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void write_all(int fd, const char *buf, size_t size)
{
	while (size) {
		ssize_t n = send(fd, buf, size, MSG_NOSIGNAL);

		/* Then it will read the end soon. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return;
		check(n > 0, "send");
		buf += n;
		size -= (size_t)n;
	}
}

static void spin(int fd, unsigned int usecs)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t end = now_nsecs() + usecs * 1000ull;

	while (!poll(&p, 1, 0) && now_nsecs() < end)
		;
}

static ssize_t read_some(const struct load *l, int fd, char *buf, size_t size)
{
	ssize_t n;

	if (l->reader == READER_NONBLOCKING) {
		do {
			n = recv(fd, buf, size, MSG_DONTWAIT);
		} while (n < 0 && errno == EAGAIN);
		return n;
	}
	if (l->reader == READER_SPINS)
		spin(fd, l->spin_usecs);
	return recv(fd, buf, size, 0);
}

bool read_all(const struct load *l, int fd, char *buf, size_t size)
{
	while (size) {
		ssize_t n = read_some(l, fd, buf, size);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return false;
		check(n > 0, "recv");
		buf += n;
		size -= (size_t)n;
	}
	return true;
}
