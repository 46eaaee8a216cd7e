/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * unread N: sends up to N messages of one byte to a peer that reads none, then
 * prints how many were accepted and by how much kernel memory grew:
 * "accepted=N kilobytes=N", and reads them all back.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define PAGE_KB	     4
#define PAUSE_MS     300 /* an ACK may be delayed that long */
#define MAX_PATIENCE 3

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The number after @key, which follows a line that begins with @line. */
static long number_in(const char *path, const char *line, const char *key)
{
	char text[512];
	long value = -1;
	FILE *f = fopen(path, "r");

	if (!f)
		die(path);
	while (value < 0 && fgets(text, sizeof(text), f)) {
		const char *at = strstr(text, key);

		if (!strncmp(text, line, strlen(line)) && at)
			value = strtol(at + strlen(key), NULL, 10);
	}
	fclose(f);
	return value;
}

static long kernel_memory(void)
{
	return number_in("/proc/meminfo", "Slab:", "Slab:") +
	       number_in("/proc/net/sockstat", "TCP:", "mem ") * PAGE_KB;
}

/* Until the socket takes no more, and no more after waiting either. */
static long send_ones(int fd, long n)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	long accepted = 0;
	int waited = 0;

	while (accepted < n && waited < MAX_PATIENCE) {
		if (send(fd, "x", 1, MSG_DONTWAIT) == 1)
			accepted++;
		else if (errno != EAGAIN)
			die("send");
		else if (poll(&p, 1, PAUSE_MS) == 0)
			waited++;
	}
	return accepted;
}

static long read_back(int fd)
{
	static char buf[65536];
	long total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += n;
	return total;
}

int main(int argc, char **argv)
{
	long accepted, before, after;
	int a, b;

	if (argc != 2) {
		fprintf(stderr, "usage: unread N\n");
		return 2;
	}
	make_pair(&a, &b);
	before = kernel_memory();
	accepted = send_ones(a, atol(argv[1]));
	after = kernel_memory();
	printf("accepted=%ld kilobytes=%ld\n", accepted, after - before);
	close(a);
	if (read_back(b) != accepted) {
		fprintf(stderr, "not all of it came\n");
		return 1;
	}
	return 0;
}
