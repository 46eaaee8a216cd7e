/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sockshunt doctor-echo ADDRESS: what doctor starts with the shim preloaded. A
 * server and a client, processes that share nothing, exchange messages, check
 * every byte and print "sent N tcp N messages N": of both ends together, all
 * bytes, those that the kernel's TCP has sent, and the messages.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "doctor.h"

#define LIMIT_SECS 4

/* A quarter of the smallest buffer holds the largest. */
static const size_t sizes[] = { 1, 100, 1000, 8192 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define ROUNDS	 8

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t length_of(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static bool parse_address(const char *text, union address *a)
{
	memset(a, 0, sizeof(*a));
	a->any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(a->any.sa_family, text,
			 a->any.sa_family == AF_INET
				 ? (void *)&a->v4.sin_addr
				 : (void *)&a->v6.sin6_addr) == 1;
}

static int die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(EXIT_FAILED);
}

static bool bind_port(int fd, union address *a, unsigned int port)
{
	a->v4.sin_port = htons((__u16)port); /* at the same place in v6 */
	return !bind(fd, &a->any, length_of(a));
}

/* A port that connections are accelerated on, if not all are. */
static bool bind_in_scope(int fd, const struct ss_conf *conf, union address *a)
{
	if (!conf->nr_accelerated_ports)
		return bind_port(fd, a, 0);
	for (unsigned int i = 0; i < conf->nr_accelerated_ports; i++) {
		const struct ss_port_range *r = &conf->accelerated_ports[i];

		for (unsigned int port = r->first; port <= r->last; port++) {
			if (bind_port(fd, a, port))
				return true;
		}
	}
	return false;
}

static int new_socket(const union address *a)
{
	return socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Each lets the other go on: what is sent earlier finds no peer. */
static void meet(int sync)
{
	char c = 0;

	if (write(sync, &c, 1) != 1 || read(sync, &c, 1) != 1)
		_exit(EXIT_FAILED); /* the other has said why */
}

/* No period that a message's length divides. */
static unsigned char byte_at(size_t offset)
{
	return (unsigned char)(offset * 7 + offset / 251 * 13);
}

static void send_message(int fd, size_t offset, size_t size)
{
	unsigned char buf[8192];

	for (size_t i = 0; i < size; i++)
		buf[i] = byte_at(offset + i);
	if (send(fd, buf, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
}

static void receive_message(int fd, size_t offset, size_t size)
{
	unsigned char buf[8192];
	ssize_t n;

	for (size_t at = 0; at < size; at += (size_t)n) {
		n = recv(fd, buf, size - at, 0);
		if (n < 0)
			die("recv");
		if (!n) {
			errno = ECONNRESET;
			die("the peer has ended");
		}
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != byte_at(offset + at + (size_t)i)) {
				errno = EBADMSG;
				die("a wrong byte was received");
			}
		}
	}
}

static size_t exchange(int fd, bool first)
{
	size_t offset = 0;

	for (size_t i = 0; i < ROUNDS * NR_SIZES; i++) {
		size_t size = sizes[i % NR_SIZES];

		if (first)
			send_message(fd, offset, size);
		receive_message(fd, offset, size);
		if (!first)
			send_message(fd, offset, size);
		offset += size;
	}
	return offset;
}

static unsigned long long sent_by_tcp(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_bytes_sent;
}

static int be_client(int sync, union address *a)
{
	unsigned long long by_tcp;
	int fd, one = 1;

	if (read(sync, &a->v4.sin_port, sizeof(a->v4.sin_port)) !=
	    sizeof(a->v4.sin_port))
		return EXIT_FAILED; /* the server has said why */
	fd = new_socket(a);
	if (fd < 0 || connect(fd, &a->any, length_of(a)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	meet(sync);
	exchange(fd, true);
	by_tcp = sent_by_tcp(fd);
	return write(sync, &by_tcp, sizeof(by_tcp)) == sizeof(by_tcp)
		       ? EXIT_DONE
		       : EXIT_FAILED;
}

static int be_server(int sync, const struct ss_conf *conf, union address *a)
{
	socklen_t len = sizeof(*a);
	int fd, one = 1, l = new_socket(a);
	unsigned long long by_tcp;
	size_t sent;

	if (l < 0 || !bind_in_scope(l, conf, a)) {
		if (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)
			return ECHO_NO_ADDRESS;
		die(conf->nr_accelerated_ports ? "no accelerated port to use"
					       : "bind");
	}
	if (listen(l, 1) || getsockname(l, &a->any, &len))
		die("listen");
	if (write(sync, &a->v4.sin_port, sizeof(a->v4.sin_port)) !=
	    sizeof(a->v4.sin_port))
		die("the client has ended");
	fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	meet(sync);
	sent = exchange(fd, false);
	if (read(sync, &by_tcp, sizeof(by_tcp)) != sizeof(by_tcp))
		return EXIT_FAILED; /* the client has said why */
	by_tcp += sent_by_tcp(fd);
	printf("sent %zu tcp %llu messages %zu\n", 2 * sent, by_tcp,
	       2 * ROUNDS * NR_SIZES);
	return EXIT_DONE;
}

/* The fork comes first, so that each starts the shim by itself. */
int cmd_echo(int argc, char **argv)
{
	struct ss_conf conf;
	union address a;
	int sync[2];
	pid_t pid;

	if (argc != 2 || !parse_address(argv[1], &a))
		return EXIT_USAGE;
	if (command_conf(&conf, NULL))
		return EXIT_FAILED;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync))
		die("socketpair");
	signal(SIGPIPE, SIG_IGN);
	pid = fork();
	if (pid < 0)
		die("fork");
	alarm(LIMIT_SECS);
	close(sync[!pid]);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return be_client(sync[0], &a);
	}
	return be_server(sync[1], &conf, &a);
}
