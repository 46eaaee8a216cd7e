/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * twoends: both ends of a TCP connection over loopback, in one process. It
 * says "ready", then does what the lines of its standard input say, and
 * answers each with one line:
 *
 *   send N  each end sends N bytes more, in messages of at most 1000: "sent"
 *   read    each end reads all that the other has sent: "read N", both
 *           together; or what is wrong, and exit status 1
 *   tcp     "tcp N": the bytes that the kernel's TCP has sent for both ends, since
 *           they were warm; those that were redirected are not among them
 *   warm    exchanges so many single bytes that it is worth registering: "warm"
 *   dial    connects once more, besides: "dialled"
 *   filter WORDS    installs a seccomp filter (filter.h): "filtered"
 *   strict  enters seccomp's strict mode, sends a message from one end to the
 *           other, and exits: "strict"
 *   child N starts itself as another process, which connects to this one, gets
 *           N bytes from it and sends N back: "tcp N", as above, for these
 */
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"

#define MESSAGE	   1000
#define WAIT_MSECS 5000
#define WARM	   5 /* more than register_after_exchanges */

struct end {
	int fd;
	unsigned int sent;
	unsigned int received;
	unsigned long long sent_before; /* by TCP */
};

static int listener;
static struct sockaddr_in address = { .sin_family = AF_INET };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void listen_on_loopback(void)
{
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, len) ||
	    listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&address, &len))
		die("listen");
}

static int dial(void)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int answer_call(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("accept");
	return fd;
}

/* What the byte at @offset is; no period that a message's length divides. */
static unsigned char byte_at(unsigned int offset)
{
	return (unsigned char)(offset * 7 + offset / 251 * 13);
}

static void send_bytes(struct end *end, unsigned int n)
{
	unsigned char buf[MESSAGE];
	unsigned int len;

	for (; n; n -= len) {
		len = n < MESSAGE ? n : MESSAGE;
		for (unsigned int i = 0; i < len; i++)
			buf[i] = byte_at(end->sent + i);
		if (send(end->fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len)
			die("send");
		end->sent += len;
	}
}

/* Reads what @from has sent; what never comes must not be waited for. */
static unsigned int read_bytes(struct end *to, const struct end *from)
{
	struct pollfd p = { .fd = to->fd, .events = POLLIN };
	unsigned int before = to->received;
	unsigned char buf[4 * MESSAGE];

	while (to->received < from->sent) {
		ssize_t n = -1;

		if (poll(&p, 1, WAIT_MSECS) == 1)
			n = recv(to->fd, buf, sizeof(buf), 0);
		if (n <= 0) {
			printf("%s: %u of %u bytes came\n",
			       n ? "lost" : "end of file", to->received,
			       from->sent);
			exit(1);
		}
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != byte_at(to->received++)) {
				printf("wrong byte at %u\n", to->received - 1);
				exit(1);
			}
		}
	}
	return to->received - before;
}

static unsigned long long sent_by_tcp(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_bytes_sent;
}

static void warm(struct end ends[2])
{
	for (int i = 0; i < WARM; i++) {
		send_bytes(&ends[0], 1);
		read_bytes(&ends[1], &ends[0]);
		send_bytes(&ends[1], 1);
		read_bytes(&ends[0], &ends[1]);
	}
	for (int i = 0; i < 2; i++)
		ends[i].sent_before = sent_by_tcp(ends[i].fd);
}

static void call_from_child(const char *self, unsigned int n)
{
	struct end end = { 0 }, peer = { .sent = n };
	char port[16], number[16];
	int status;
	pid_t pid;

	snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
	snprintf(number, sizeof(number), "%u", n);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", self, port, number, NULL);
		die("exec");
	}
	end.fd = answer_call();
	send_bytes(&end, n);
	read_bytes(&end, &peer);
	if (waitpid(pid, &status, 0) != pid || status)
		die("child");
	close(end.fd);
}

static void filter(char *words)
{
	char *list[32];
	int n = 0;

	while (n < 31 && (list[n] = strtok(n ? NULL : words, " \n")))
		n++;
	list[n] = NULL;
	filter_load(list);
	puts("filtered");
}

/* Only read, write and exit (of the thread) are allowed there. */
static void be_strict(const struct end ends[2])
{
	unsigned char sent[MESSAGE], got[MESSAGE];
	ssize_t n, len = 0;

	for (unsigned int i = 0; i < MESSAGE; i++)
		sent[i] = byte_at(i);
	fflush(stdout);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	if (write(ends[0].fd, sent, MESSAGE) != MESSAGE)
		syscall(SYS_exit, 2);
	while (len < MESSAGE) {
		n = read(ends[1].fd, got + len, (size_t)(MESSAGE - len));
		if (n <= 0)
			syscall(SYS_exit, 3);
		len += n;
	}
	if (memcmp(sent, got, MESSAGE) != 0 || write(1, "strict\n", 7) != 7)
		syscall(SYS_exit, 4);
	syscall(SYS_exit, 0);
}

/* Answers what it has read: by then both ends have been registered. */
static int child(const char *port, unsigned int n)
{
	struct end end = { 0 }, peer = { .sent = n };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(port));
	end.fd = dial();
	read_bytes(&end, &peer);
	send_bytes(&end, n);
	printf("tcp %llu\n", sent_by_tcp(end.fd));
	return 0;
}

static void obey(const char *self, char *line, struct end ends[2])
{
	unsigned int n;

	if (sscanf(line, "send %u", &n) == 1) {
		send_bytes(&ends[0], n);
		send_bytes(&ends[1], n);
		puts("sent");
	} else if (!strcmp(line, "read\n")) {
		n = read_bytes(&ends[0], &ends[1]);
		n += read_bytes(&ends[1], &ends[0]);
		printf("read %u\n", n);
	} else if (!strcmp(line, "tcp\n")) {
		printf("tcp %llu\n",
		       sent_by_tcp(ends[0].fd) - ends[0].sent_before +
			       sent_by_tcp(ends[1].fd) - ends[1].sent_before);
	} else if (!strcmp(line, "warm\n")) {
		warm(ends);
		puts("warm");
	} else if (!strcmp(line, "dial\n")) {
		dial();
		answer_call();
		puts("dialled");
	} else if (!strncmp(line, "filter ", 7)) {
		filter(line + 7);
	} else if (!strcmp(line, "strict\n")) {
		be_strict(ends);
	} else if (sscanf(line, "child %u", &n) == 1) {
		call_from_child(self, n);
	} else {
		printf("cannot: %s", line);
	}
}

int main(int argc, char **argv)
{
	struct end ends[2] = { 0 };
	char line[400];

	if (argc == 3)
		return child(argv[1], (unsigned int)atoi(argv[2]));
	listen_on_loopback();
	ends[0].fd = dial();
	ends[1].fd = answer_call();
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin))
		obey(argv[0], line, ends);
	return 0;
}
