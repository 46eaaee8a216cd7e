/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pingpong [-i IDLE] [-s SIZE] [-n ROUNDS]: both ends of a connection in one
 * thread, so that nothing is measured but the calls themselves: send, recv,
 * and the same back. Prints nanoseconds per round, beside IDLE connections
 * that have spoken once.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 1000

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void make_pair(int listener, int pair[2])
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	check(!getsockname(listener, (struct sockaddr *)&addr, &len), "name");
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	check(!connect(pair[0], (struct sockaddr *)&addr, len), "connect");
	pair[1] = accept(listener, NULL, NULL);
	check(pair[1] >= 0, "accept");
}

static void pass(int from, int to, char *buf, size_t size)
{
	check(send(from, buf, size, MSG_NOSIGNAL) == (ssize_t)size, "send");
	for (size_t got = 0; got < size;) {
		ssize_t n = recv(to, buf, size - got, 0);

		check(n > 0, "recv");
		got += (size_t)n;
	}
}

static void play(const int pair[2], char *buf, size_t size, long rounds)
{
	while (rounds-- > 0) {
		pass(pair[0], pair[1], buf, size);
		pass(pair[1], pair[0], buf, size);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	long idle = 0, size = 64, rounds = 100000;
	struct timespec start, end;
	int opt, listener, pair[2];
	char *buf;

	while ((opt = getopt(argc, argv, "i:s:n:")) != -1) {
		switch (opt) {
		case 'i':
			idle = atol(optarg);
			break;
		case 's':
			size = atol(optarg);
			break;
		case 'n':
			rounds = atol(optarg);
			break;
		default:
			fprintf(stderr, "usage: pingpong [-i IDLE] [-s SIZE] "
					"[-n ROUNDS]\n");
			return 2;
		}
	}
	buf = calloc(1, (size_t)size);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(buf && !bind(listener, (struct sockaddr *)&addr, sizeof(addr)) &&
		      !listen(listener, 16),
	      "listen");
	for (long i = 0; i < idle; i++) {
		make_pair(listener, pair);
		play(pair, buf, (size_t)size, 1);
	}
	make_pair(listener, pair);
	play(pair, buf, (size_t)size, rounds < WARM_UP ? rounds : WARM_UP);
	clock_gettime(CLOCK_MONOTONIC, &start);
	play(pair, buf, (size_t)size, rounds);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", ((double)(end.tv_sec - start.tv_sec) * 1e9 +
			  (double)(end.tv_nsec - start.tv_nsec)) /
				 (double)rounds);
	return 0;
}
