/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * overlap ADDRESS N CLIENTS SERVERS [CLIENTS SERVERS]...: N connections between
 * each pair of network namespaces (paths), all to ADDRESS, and those of the same
 * number at the same time and from the same port: only their namespaces tell them
 * apart. Each end sends streams that know where they belong.
 *
 * Exit status 0: every byte came to its own peer; 1: says which did not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"

#define MAX_PAIRS  8
#define PORT	   7000
#define FIRST_PORT 20000
#define NR_PORTS   8000
#define MESSAGES   4
#define MESSAGE	   24 /* bytes, whole words */
#define WAIT_MSECS 20000

struct end {
	int fd;
	struct stream out; /* what it sends */
	struct stream in;  /* and gets */
	uint64_t sent;
	uint64_t got;
};

static struct pair {
	int clients, servers; /* namespaces */
	int listener;
	struct end ends[2];
} pairs[MAX_PAIRS];
static int nr_pairs;
static struct stream_space space;
static struct sockaddr_storage address;
static socklen_t address_len;

static void die(const char *what)
{
	fprintf(stderr, "overlap: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

/* A socket stays in the namespace that it was made in. */
static int socket_in(int namespace)
{
	int fd, one = 1;

	if (setns(namespace, CLONE_NEWNET))
		die("setns");
	fd = socket(address.ss_family, SOCK_STREAM, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		die("socket");
	return fd;
}

static void set_port(struct sockaddr_storage *addr, int port)
{
	if (addr->ss_family == AF_INET)
		((struct sockaddr_in *)addr)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
}

static void parse_address(const char *text)
{
	struct sockaddr_in *v4 = (void *)&address;
	struct sockaddr_in6 *v6 = (void *)&address;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		address.ss_family = AF_INET;
		address_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		address.ss_family = AF_INET6;
		address_len = sizeof(*v6);
	} else {
		errno = EINVAL;
		die(text);
	}
	set_port(&address, PORT);
}

static void listen_in(struct pair *p)
{
	p->listener = socket_in(p->servers);
	if (bind(p->listener, (struct sockaddr *)&address, address_len) ||
	    listen(p->listener, 16))
		die("listen");
}

/* Aborted connections leave no TIME_WAIT, which would hold the port. */
static void close_aborting(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void connect_pair(struct pair *p, int number)
{
	struct sockaddr_storage own = { .ss_family = address.ss_family };
	uint32_t conn = (uint32_t)(number * nr_pairs + (p - pairs));

	set_port(&own, FIRST_PORT + number % NR_PORTS);
	p->ends[0].fd = socket_in(p->clients);
	if (bind(p->ends[0].fd, (struct sockaddr *)&own, address_len))
		die("bind");
	if (connect(p->ends[0].fd, (struct sockaddr *)&address, address_len))
		die("connect");
	for (unsigned int i = 0; i < 2; i++) {
		struct end *e = &p->ends[i];

		e->out = (struct stream){ &space, conn, i, space.max };
		e->in = (struct stream){ &space, conn, !i, space.max };
		e->sent = e->got = 0;
	}
}

static void accept_pair(struct pair *p)
{
	p->ends[1].fd = accept(p->listener, NULL, NULL);
	if (p->ends[1].fd < 0)
		die("accept");
}

static void put(struct end *e)
{
	uint8_t buf[MESSAGE];

	stream_fill(&e->out, e->sent, buf, sizeof(buf));
	if (send(e->fd, buf, sizeof(buf), MSG_NOSIGNAL) != sizeof(buf))
		die("send");
	e->sent += sizeof(buf);
}

static void get(struct end *e, uint64_t until)
{
	struct pollfd p = { .fd = e->fd, .events = POLLIN };
	uint8_t buf[MESSAGES * MESSAGE];
	ssize_t n;

	while (e->got < until) {
		if (poll(&p, 1, WAIT_MSECS) <= 0)
			die("nothing comes");
		n = recv(e->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			die(n ? "recv" : "an early end");
		if (stream_match(&e->in, e->got, buf, (size_t)n) != (size_t)n) {
			fprintf(stderr,
				"overlap: connection %u got bytes that are not "
				"its peer's\n",
				e->in.conn);
			exit(1);
		}
		e->got += (uint64_t)n;
	}
}

static void exchange(void)
{
	for (int round = 0; round < MESSAGES; round++) {
		for (int i = 0; i < nr_pairs; i++) {
			put(&pairs[i].ends[0]);
			put(&pairs[i].ends[1]);
		}
		/* Sometimes more than one message waits. */
		for (int i = 0; round & 1 && i < nr_pairs; i++) {
			for (int j = 0; j < 2; j++) {
				struct end *e = &pairs[i].ends[j];

				get(e, pairs[i].ends[!j].sent);
			}
		}
	}
}

int main(int argc, char **argv)
{
	int n;

	if (argc < 5 || !(argc & 1) || argc > 3 + 2 * MAX_PAIRS) {
		fprintf(stderr,
			"usage: overlap ADDRESS N CLIENTS SERVERS...\n");
		return 2;
	}
	parse_address(argv[1]);
	n = atoi(argv[2]);
	for (int i = 3; i < argc; i += 2) {
		struct pair *p = &pairs[nr_pairs++];

		p->clients = open_namespace(argv[i]);
		p->servers = open_namespace(argv[i + 1]);
		listen_in(p);
	}
	space = (struct stream_space){ .seed = 1,
				       .max = MESSAGES * MESSAGE,
				       .conns = (uint32_t)(n * nr_pairs) };
	for (int number = 0; number < n; number++) {
		for (int i = 0; i < nr_pairs; i++)
			connect_pair(&pairs[i], number);
		/* In either order: who comes first is registered first. */
		for (int i = 0; i < nr_pairs; i++)
			accept_pair(&pairs[number & 1 ? nr_pairs - 1 - i : i]);
		exchange();
		for (int i = 0; i < nr_pairs; i++) {
			close_aborting(pairs[i].ends[0].fd);
			close_aborting(pairs[i].ends[1].fd);
		}
	}
	printf("%d connections\n", n * nr_pairs);
	return 0;
}
