/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * spins WHAT: what may be seen of busy polling, on a connection to itself.
 *
 *   idle        CPU time of a second's wait, in usecs, once it is known as long
 *   rare        100 waits of 10 ms each
 *   same_cpu    20000 round trips on one CPU
 *   interrupt   300 waits, of each kind, that a signal ends: in time?
 *   restart     the same, of reads that a handler with SA_RESTART feeds
 *   timeouts    waits that nothing ends, and what select(2) says is left
 *
 * Exit status 0: prints the figure, or nothing; 1: says what is wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int ends[2]; /* of the connection */
static int epoll;
static bool feeds; /* the handler sends a byte */

static void fail(const char *what)
{
	fprintf(stderr, "%s (%s)\n", what, strerror(errno));
	exit(1);
}

static long long nsecs(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void connect_ends(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct epoll_event event = { .events = EPOLLIN };
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&addr, len) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		fail("listen");
	ends[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(ends[1], (struct sockaddr *)&addr, len))
		fail("connect");
	ends[0] = accept(listener, NULL, NULL);
	epoll = epoll_create1(0);
	if (ends[0] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event))
		fail("accept");
}

static void put(int fd)
{
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
		fail("send");
}

static void get(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, 0) != 1)
		fail("recv");
}

/* A process that does @what with the other end. */
static pid_t other(void (*what)(void))
{
	pid_t pid = fork();

	if (!pid) {
		what();
		_exit(0);
	}
	return pid;
}

static void send_late(void)
{
	usleep(1000000);
	put(ends[1]);
}

static void idle(void)
{
	long long start;

	for (int i = 0; i < 3; i++) {
		other(send_late);
		start = nsecs(CLOCK_PROCESS_CPUTIME_ID);
		get(ends[0]);
		wait(NULL);
	}
	printf("%lld\n", (nsecs(CLOCK_PROCESS_CPUTIME_ID) - start) / 1000);
}

static void send_rarely(void)
{
	for (int i = 0; i < 100; i++) {
		usleep(10000);
		put(ends[1]);
	}
}

static void rare(void)
{
	other(send_rarely);
	for (int i = 0; i < 100; i++)
		get(ends[0]);
	wait(NULL);
}

#define TRIPS 20000

static void answer(void)
{
	for (int i = 0; i < TRIPS; i++) {
		get(ends[1]);
		put(ends[1]);
	}
}

static void same_cpu(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	sched_getaffinity(0, sizeof(all), &all);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	other(answer);
	for (int i = 0; i < TRIPS; i++) {
		put(ends[0]);
		get(ends[0]);
	}
	wait(NULL);
}

/* Each kind of wait; -1 with errno. */
static int wait_by(int kind)
{
	struct timespec long_time = { 10, 0 };
	struct pollfd p = { .fd = ends[0], .events = POLLIN };
	struct epoll_event event;
	struct timeval tv = { 10, 0 };
	sigset_t none;
	fd_set set;
	char byte;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	sigemptyset(&none);
	switch (kind) {
	case 0:
		return (int)recv(ends[0], &byte, 1, 0);
	case 1:
		return (int)read(ends[0], &byte, 1);
	case 2:
		return poll(&p, 1, 10000);
	case 3:
		return ppoll(&p, 1, &long_time, &none);
	case 4:
		return select(ends[0] + 1, &set, NULL, NULL, &tv);
	case 5:
		return pselect(ends[0] + 1, &set, NULL, NULL, &long_time,
			       &none);
	case 6:
		return epoll_wait(epoll, &event, 1, 10000);
	case 7:
		return epoll_pwait(epoll, &event, 1, 10000, &none);
	default:
		return epoll_pwait2(epoll, &event, 1, &long_time, &none);
	}
}
#define KINDS 9
#define READS 2 /* the first */

static void on_signal(int sig)
{
	(void)sig;
	if (feeds)
		put(ends[1]);
}

/* 300 waits of each kind, and a signal within their spin, mostly. */
static void signalled(int kinds, int expected)
{
	/* Again, if it came before the wait had begun, which is rare. */
	struct itimerval timer = { { 0, 50000 }, { 0, 0 } };
	int result, late = 0;
	long long start;

	for (int i = 0; i < kinds * 300; i++) {
		timer.it_value.tv_usec = 100 + i * 7 % 700;
		start = nsecs(CLOCK_MONOTONIC);
		setitimer(ITIMER_REAL, &timer, NULL);
		result = wait_by(i % kinds);
		if (result != expected || (result < 0 && errno != EINTR)) {
			fprintf(stderr, "wait %d: %d\n", i % kinds, result);
			fail("not what a signal does");
		}
		late += nsecs(CLOCK_MONOTONIC) - start > 40000000LL;
		if (late > kinds * 300 / 4) /* this machine is busy, too */
			fail("signals are not heard");
	}
}

static void handle(int flags)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGALRM, &act, NULL);
}

static void interrupt(void)
{
	handle(0);
	signalled(KINDS, -1);
	handle(SA_RESTART); /* which only reads heed */
	for (int i = 0; i < 300; i++) {
		struct itimerval timer = { { 0, 50000 }, { 0, 300 } };

		setitimer(ITIMER_REAL, &timer, NULL);
		if (wait_by(READS + i % (KINDS - READS)) != -1 ||
		    errno != EINTR)
			fail("SA_RESTART restarts no wait for events");
	}
}

static void restart(void)
{
	feeds = true;
	handle(SA_RESTART);
	signalled(READS, 1);
}

static void within(const char *what, long long start, long long usecs)
{
	long long took = (nsecs(CLOCK_MONOTONIC) - start) / 1000;

	if (took < usecs || took > usecs + 500000) {
		fprintf(stderr, "%s: %lld instead of %lld usecs\n", what, took,
			usecs);
		exit(1);
	}
}

static void timeouts(void)
{
	struct pollfd p = { .fd = ends[0], .events = POLLIN };
	struct timespec half = { 0, 500000 };
	struct epoll_event event;
	struct timeval tv;
	long long start;
	fd_set set;
	char byte;

	for (int i = 0; i < 50; i++) {
		put(ends[1]); /* so that a spin pays now and then */
		get(ends[0]);
		start = nsecs(CLOCK_MONOTONIC);
		if (poll(&p, 1, 3))
			fail("poll");
		within("poll", start, 3000);
		start = nsecs(CLOCK_MONOTONIC);
		if (ppoll(&p, 1, &half, NULL))
			fail("ppoll");
		within("ppoll", start, 500);
		start = nsecs(CLOCK_MONOTONIC);
		if (epoll_wait(epoll, &event, 1, 3))
			fail("epoll_wait");
		within("epoll_wait", start, 3000);
		FD_ZERO(&set);
		FD_SET(ends[0], &set);
		tv = (struct timeval){ 0, 3000 };
		start = nsecs(CLOCK_MONOTONIC);
		if (select(ends[0] + 1, &set, NULL, NULL, &tv) ||
		    FD_ISSET(ends[0], &set) || tv.tv_sec || tv.tv_usec)
			fail("select");
		within("select", start, 3000);
		put(ends[1]);
		FD_SET(ends[0], &set);
		tv = (struct timeval){ 5, 0 };
		if (select(ends[0] + 1, &set, NULL, NULL, &tv) != 1 ||
		    !FD_ISSET(ends[0], &set) || tv.tv_sec < 4)
			fail("select, readable");
		get(ends[0]);
	}
	tv = (struct timeval){ 0, 20000 };
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	start = nsecs(CLOCK_MONOTONIC);
	if (recv(ends[0], &byte, 1, 0) != -1 || errno != EAGAIN)
		fail("recv with a timeout");
	within("recv", start, 19000);
	start = nsecs(CLOCK_MONOTONIC);
	if (recv(ends[0], &byte, 1, MSG_DONTWAIT) != -1 || errno != EAGAIN)
		fail("recv that does not wait");
	within("recv that does not wait", start, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} whats[] = {
		{ "idle", idle },	  { "rare", rare },
		{ "same_cpu", same_cpu }, { "interrupt", interrupt },
		{ "restart", restart },	  { "timeouts", timeouts },
	};

	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		if (argc == 2 && !strcmp(argv[1], whats[i].name)) {
			connect_ends();
			put(ends[0]);
			get(ends[1]);
			whats[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: spins idle|rare|same_cpu|interrupt|restart|"
			"timeouts\n");
	return 2;
}
