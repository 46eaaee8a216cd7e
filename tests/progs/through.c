/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * through SERVER-PORT RELAY-PORT N: a server that echoes, at 127.0.0.1:SERVER-PORT,
 * and N exchanges with it, of 1 to 64 KiB, through whatever forwards to it from
 * RELAY-PORT. SERVER-PORT 0: without a server, RELAY-PORT echoes itself.
 *
 * Exit status 0: all came back as it was sent; 1: says what is wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_MAX_SHIFT 16
#define WAIT_MSECS     20000

static void die(const char *what)
{
	fprintf(stderr, "through: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		die("socket");
	return fd;
}

static struct sockaddr_in at(unsigned short port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(port) };

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return addr;
}

/* As event loops do: a blocking recv(2) needs the shim to be as on TCP. */
static ssize_t some(int fd, char *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	do {
		if (poll(&p, 1, WAIT_MSECS) <= 0)
			die("stuck");
		n = recv(fd, buf, len, MSG_DONTWAIT);
	} while (n < 0 && errno == EAGAIN);
	if (n < 0)
		die("recv");
	return n;
}

static void put(int fd, const char *buf, size_t len)
{
	ssize_t n;

	for (; len; buf += n, len -= (size_t)n) {
		n = send(fd, buf, len, MSG_NOSIGNAL);
		if (n < 0)
			die("send");
	}
}

static void echo(int listener)
{
	static char buf[1 << SIZE_MAX_SHIFT];
	int fd = accept(listener, NULL, NULL);
	ssize_t n;

	if (fd < 0)
		die("accept");
	while ((n = some(fd, buf, sizeof(buf))) > 0)
		put(fd, buf, (size_t)n);
	exit(0);
}

static void get(int fd, char *buf, size_t len)
{
	ssize_t n;

	for (; len; buf += n, len -= (size_t)n) {
		n = some(fd, buf, len);
		if (!n)
			die("an early end");
	}
}

static uint32_t next(void)
{
	static uint32_t x = 2463534242;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void exchange(int fd)
{
	static char sent[1 << SIZE_MAX_SHIFT], got[sizeof(sent)];
	size_t size = 1 + next() % (1u << next() % (SIZE_MAX_SHIFT + 1));

	for (size_t i = 0; i < size; i++)
		sent[i] = (char)next();
	put(fd, sent, size);
	get(fd, got, size);
	if (memcmp(sent, got, size)) {
		fprintf(stderr, "through: other bytes came back\n");
		exit(1);
	}
}

static void serve(unsigned short port)
{
	struct sockaddr_in addr = at(port);
	int listener = tcp_socket();

	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 1))
		die("listen");
	if (!fork())
		echo(listener);
	close(listener);
}

int main(int argc, char **argv)
{
	struct sockaddr_in relay;
	int fd = tcp_socket(), status = 0;
	char byte;

	if (argc != 4) {
		fprintf(stderr, "usage: through SERVER-PORT RELAY-PORT N\n");
		return 2;
	}
	if (atoi(argv[1]))
		serve((unsigned short)atoi(argv[1]));
	relay = at((unsigned short)atoi(argv[2]));
	if (connect(fd, (struct sockaddr *)&relay, sizeof(relay)))
		die("connect");
	for (int i = atoi(argv[3]); i > 0; i--)
		exchange(fd);
	if (shutdown(fd, SHUT_WR) || some(fd, &byte, 1))
		die("the end");
	wait(&status);
	return status ? 1 : 0;
}
