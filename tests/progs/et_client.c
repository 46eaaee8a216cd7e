/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * et_client: two ends that live by edges alone, as tokio's do.
 *
 * A socket is registered once, with EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
 * and believed readable and writable until a call says otherwise: a read that
 * is short, or EAGAIN, means "drained, wait for the next edge"; a write that is
 * short, or EAGAIN, likewise. An edge that never comes is a connection that
 * never goes on, so each end watches for that.
 *
 *   et_client server PORT BUFFER                   echoes, until it is killed
 *   et_client client PORT BUFFER CONNS ROUNDS SEED sends and checks
 *   et_client both PORT BUFFER CONNS ROUNDS SEED   both ends in one thread
 *
 * BUFFER is what SO_SNDBUF and SO_RCVBUF are set to, or 0 for neither.
 * A round is a message of a random size, echoed while it is still being sent,
 * and the next one waits for its end; the last ends with half a close, and the
 * server's answer to that. A client prints "N connections, N bytes, waited N ms
 * at most"; the last is its longest wait for any event.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

#define READ_SIZE   8192
#define LARGEST	    (256 << 10)
#define STALL_MSECS 100
/*
 * Of two processes one may merely not have run; of one thread, never. But a
 * small buffer may be full of what was redirected when bytes come by TCP, which
 * sends them again after 200 ms.
 */
#define IDLE_MSECS  2000

enum role {
	LISTENER,
	CLIENT,
	SERVER
};

struct end {
	enum role role;
	int fd;
	bool readable, writable; /* as the edges have it */
	bool eof, shut, done;
	long progress; /* when it last moved, in ms */

	/* server: bytes to be echoed */
	uint8_t *held;
	size_t held_len, held_size;

	/* client */
	struct stream out;
	struct audit in;
	uint64_t sent;
	uint64_t until; /* the end of this round's message */
	unsigned int rounds;
	unsigned int rng;
};

static struct stream_space space;
static struct end **ends;
static unsigned int n_ends, n_left;
static uint64_t n_bytes;
static int epfd, buffer;
static bool alone; /* no other process has a part in it */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static const char *name_of(const struct end *e)
{
	return e->role == CLIENT ? "client" : "server";
}

static struct end *add(enum role role, int fd)
{
	struct end *e = calloc(1, sizeof(*e));
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP |
					       EPOLLET };
	int one = 1;

	ends = realloc(ends, (n_ends + 1) * sizeof(*ends));
	if (!e || !ends)
		die("memory");
	ends[n_ends++] = e;
	e->role = role;
	e->fd = fd;
	e->progress = now();
	event.data.ptr = e;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
	return e;
}

static void finish(struct end *e)
{
	close(e->fd);
	e->fd = -1;
	e->done = true;
	free(e->held);
	e->held = NULL;
	if (e->role == CLIENT)
		n_left--;
}

/* Most messages are small, some do not fit any buffer. */
static void next_round(struct end *e)
{
	unsigned int bits = 1 + rand_r(&e->rng) % 18;

	e->until += 1 + rand_r(&e->rng) % (1u << bits);
	e->rounds--;
}

/* The bytes to send next at @p, and how many. */
static size_t to_send(struct end *e, const uint8_t **p)
{
	static uint8_t chunk[64 << 10];
	size_t len;

	if (e->role == SERVER) {
		*p = e->held;
		return e->held_len;
	}
	len = e->until - e->sent;
	if (len > sizeof(chunk))
		len = sizeof(chunk);
	stream_fill(&e->out, e->sent, chunk, len);
	*p = chunk;
	return len;
}

static void was_sent(struct end *e, size_t len)
{
	if (e->role == CLIENT) {
		e->sent += len;
		return;
	}
	e->held_len -= len;
	memmove(e->held, e->held + len, e->held_len);
}

/* False: nothing to send, or nothing more before the next edge. */
static bool may_write(struct end *e)
{
	const uint8_t *p;
	size_t len;
	ssize_t n;

	if (e->done || e->shut || !e->writable)
		return false;
	len = to_send(e, &p);
	if (!len)
		return false;
	n = send(e->fd, p, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("send");
	if (n < (ssize_t)len)
		e->writable = false;
	if (n <= 0)
		return false;
	was_sent(e, n);
	e->progress = now();
	return true;
}

static void keep(struct end *e, const uint8_t *p, size_t len)
{
	if (e->held_len + len > e->held_size) {
		e->held_size = (e->held_len + len) * 2;
		e->held = realloc(e->held, e->held_size);
		if (!e->held)
			die("memory");
	}
	memcpy(e->held + e->held_len, p, len);
	e->held_len += len;
}

/* The server reads no further ahead than this: the client must feel it. */
static bool wants_more(const struct end *e)
{
	return e->role == CLIENT || e->held_len < LARGEST;
}

static bool may_read(struct end *e)
{
	uint8_t buf[READ_SIZE];
	ssize_t n;

	if (e->done || e->eof || !e->readable || !wants_more(e))
		return false;
	n = recv(e->fd, buf, sizeof(buf), 0);
	if (n < 0 && errno != EAGAIN)
		die("recv");
	if (n != 0 && n < (ssize_t)sizeof(buf))
		e->readable = false;
	if (n < 0)
		return false;
	e->progress = now();
	if (n == 0)
		e->eof = true;
	else if (e->role == SERVER)
		keep(e, buf, n);
	else
		audit_feed(&e->in, buf, n);
	return true;
}

/* What follows when all of a message is back, or all of a client's is read. */
static bool turned(struct end *e)
{
	if (e->done)
		return false;
	if (e->role == SERVER) {
		if (!e->eof || e->held_len)
			return false;
		finish(e);
		return true;
	}
	if (audit_bad(&e->in)) {
		fprintf(stderr, "conn=%u %s\n", e->out.conn, e->in.first);
		exit(1);
	}
	if (e->eof) {
		n_bytes += e->in.arrived;
		if (!e->shut || e->in.arrived != e->until) {
			fprintf(stderr, "conn=%u: end of file after %llu\n",
				e->out.conn, (unsigned long long)e->in.arrived);
			exit(1);
		}
		audit_end(&e->in, false);
		finish(e);
		return true;
	}
	if (e->shut || e->in.arrived < e->until)
		return false;
	if (e->rounds) {
		next_round(e);
	} else {
		shutdown(e->fd, SHUT_WR);
		e->shut = true;
	}
	return true;
}

static void run(struct end *e)
{
	bool moved;

	do {
		moved = may_write(e);
		moved |= may_read(e);
		moved |= turned(e);
	} while (moved);
}

static void welcome(int listener)
{
	int fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			add(SERVER, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		die("accept");
	}
}

/* Before connect(2) and listen(2): it decides what window is offered. */
static void set_buffers(int fd)
{
	if (!buffer)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
}

static void listen_at(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	set_buffers(fd);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 1024))
		die("listen");
	add(LISTENER, fd);
}

static void dial(int port, unsigned int conn, unsigned int rounds)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct end *e;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	set_buffers(fd);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) &&
	    errno != EINPROGRESS)
		die("connect");
	e = add(CLIENT, fd);
	e->out = (struct stream){ &space, conn, 0, space.max };
	e->in.s = e->out;
	e->rng = space.seed * 7919 + conn;
	e->rounds = rounds;
	next_round(e);
	n_left++;
}

/* What the kernel says of a socket now, for a person. */
static bool describe(const struct end *e, long idle)
{
	struct pollfd p = { .fd = e->fd, .events = POLLIN | POLLOUT };
	int unread = -1, unsent = -1;
	bool lost;

	poll(&p, 1, 0);
	ioctl(e->fd, FIONREAD, &unread);
	ioctl(e->fd, TIOCOUTQ, &unsent);
	lost = (!e->readable && !e->eof && (p.revents & POLLIN)) ||
	       (!e->writable && !e->shut && (p.revents & POLLOUT));
	fprintf(stderr,
		"%s of conn=%u: nothing for %ld ms; believed%s%s, poll "
		"says%s%s, "
		"%d unread, %d unsent, %llu sent, %llu arrived%s\n",
		name_of(e), e->out.conn, idle, e->readable ? " readable" : "",
		e->writable ? " writable" : "",
		p.revents & POLLIN ? " readable" : "",
		p.revents & POLLOUT ? " writable" : "", unread, unsent,
		(unsigned long long)e->sent, (unsigned long long)e->in.arrived,
		lost ? ": an edge was lost" : "");
	return lost;
}

/*
 * Nothing has happened for a while. Whoever could go on, had it been told, has
 * lost an edge; and if nobody goes on at all, that is as bad.
 */
static void watch(long idle, long limit)
{
	unsigned int i;
	bool bad = idle >= limit;

	for (i = 0; i < n_ends; i++) {
		const struct end *e = ends[i];
		struct pollfd p = { .fd = e->fd };

		if (e->done || e->role == LISTENER)
			continue;
		if (!e->readable && !e->eof && wants_more(e))
			p.events |= POLLIN;
		if (!e->writable && !e->shut)
			p.events |= POLLOUT;
		/* Ready, and there is no event now that would say so. */
		if (poll(&p, 1, 0) > 0 && (p.revents & p.events))
			bad = true;
	}
	if (!bad)
		return;
	for (i = 0; i < n_ends; i++) {
		if (!ends[i]->done && ends[i]->role != LISTENER)
			describe(ends[i], idle);
	}
	exit(1);
}

static bool unfinished(void)
{
	unsigned int i;

	for (i = 0; i < n_ends; i++) {
		if (!ends[i]->done && ends[i]->role != LISTENER)
			return true;
	}
	return false;
}

static long loop(bool forever)
{
	struct epoll_event events[64];
	long idle = 0, longest = 0, start;
	int i, n;

	while (forever || n_left) {
		start = now();
		n = epoll_wait(epfd, events, 64, STALL_MSECS);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		if (n <= 0) {
			idle += STALL_MSECS;
			/* An event may have come since; see it first. */
			if (unfinished() &&
			    (n = epoll_wait(epfd, events, 64, 0)) <= 0)
				watch(idle, alone && !buffer ? STALL_MSECS
							     : IDLE_MSECS);
		}
		if (n > 0) {
			if (now() - start > longest)
				longest = now() - start;
			idle = 0;
		}
		for (i = 0; i < n; i++) {
			struct end *e = events[i].data.ptr;

			if (e->role == LISTENER) {
				welcome(e->fd);
				continue;
			}
			if (events[i].events &
			    (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
				e->readable = true;
			if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
				e->writable = true;
			run(e);
		}
	}
	return longest;
}

int main(int argc, char **argv)
{
	bool server = argc == 4 && !strcmp(argv[1], "server");
	bool client = argc == 7 && !strcmp(argv[1], "client");
	unsigned int i, rounds;
	long longest;

	alone = argc == 7 && !strcmp(argv[1], "both");
	if (!server && !client && !alone) {
		fprintf(stderr,
			"usage: et_client server PORT BUFFER\n"
			"       et_client client|both PORT BUFFER CONNS "
			"ROUNDS SEED\n");
		return 2;
	}
	buffer = atoi(argv[3]);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!client)
		listen_at(atoi(argv[2]));
	if (server)
		loop(true);
	rounds = atoi(argv[5]);
	space.conns = atoi(argv[4]);
	space.seed = atoi(argv[6]);
	space.max = (uint64_t)rounds * LARGEST + LARGEST;
	for (i = 0; i < space.conns; i++)
		dial(atoi(argv[2]), i, rounds);
	longest = loop(false);
	printf("%u connections, %llu bytes, waited %ld ms at most\n",
	       space.conns, (unsigned long long)n_bytes, longest);
	return 0;
}
