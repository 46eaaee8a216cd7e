/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * scenarios NAME...: small programs that behave as real ones do, each ending
 * in 0 if everything happened as on TCP. The suite runs each of them plain and
 * with the shim. "scenarios --list" prints the names.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT(ok)                                                             \
	do {                                                                   \
		if (!(ok)) {                                                   \
			fprintf(stderr, "%s:%d: not so: %s (errno: %s)\n",     \
				__func__, __LINE__, #ok, strerror(errno));     \
			exit(1);                                               \
		}                                                              \
	} while (0)

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t loopback(union address *addr, int family)
{
	memset(addr, 0, sizeof(*addr));
	addr->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		addr->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(addr->v4);
	}
	addr->v6.sin6_addr = in6addr_loopback;
	return sizeof(addr->v6);
}

/* A listening socket on a free port; @addr becomes where to connect to. */
static int listener(int family, union address *addr)
{
	socklen_t len = loopback(addr, family);
	int fd = socket(family, SOCK_STREAM, 0);

	EXPECT(fd >= 0);
	EXPECT(!bind(fd, &addr->any, len));
	EXPECT(!listen(fd, 64));
	EXPECT(!getsockname(fd, &addr->any, &len));
	return fd;
}

static int connected(const union address *addr)
{
	int fd = socket(addr->any.sa_family, SOCK_STREAM, 0);

	EXPECT(fd >= 0);
	EXPECT(!connect(fd, &addr->any, sizeof(*addr)));
	return fd;
}

static void make_pair(int family, int *client, int *server)
{
	union address addr;
	int l = listener(family, &addr);

	*client = connected(&addr);
	*server = accept(l, NULL, NULL);
	EXPECT(*server >= 0);
	close(l);
}

static void say(int fd, const char *text)
{
	EXPECT(send(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

/* Reads exactly @text. */
static void hear(int fd, const char *text)
{
	char buf[256];
	size_t want = strlen(text), have = 0;

	while (have < want) {
		ssize_t n = recv(fd, buf + have, want - have, 0);

		EXPECT(n > 0);
		have += (size_t)n;
	}
	EXPECT(!memcmp(buf, text, want));
}

static void hear_end(int fd)
{
	char c;

	EXPECT(recv(fd, &c, 1, 0) == 0);
}

/* Both ways, several times, and both ends of file. */
static void converse(int a, int b)
{
	for (int i = 0; i < 50; i++) {
		say(a, "question");
		hear(b, "question");
		say(b, "the answer");
		hear(a, "the answer");
	}
}

static void converse_and_close(int a, int b)
{
	converse(a, b);
	close(a);
	hear_end(b);
	close(b);
}

static void in_child_expect_success(pid_t pid)
{
	int status;

	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* Both ends in one process */

static void one_process(void)
{
	int a, b;

	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

static void ipv6(void)
{
	int a, b;

	make_pair(AF_INET6, &a, &b);
	converse_and_close(a, b);
}

/* A v4 client of a listener on "::", as most servers have. */
static void dual_stack(void)
{
	union address addr;
	int off = 0, l = socket(AF_INET6, SOCK_STREAM, 0), a, b;
	socklen_t len = sizeof(addr.v6);
	unsigned short port;

	memset(&addr, 0, sizeof(addr));
	addr.v6.sin6_family = AF_INET6;
	EXPECT(!setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	EXPECT(!bind(l, &addr.any, len));
	EXPECT(!listen(l, 1));
	EXPECT(!getsockname(l, &addr.any, &len));
	port = addr.v6.sin6_port;
	loopback(&addr, AF_INET);
	addr.v4.sin_port = port;
	a = connected(&addr);
	b = accept(l, NULL, NULL);
	EXPECT(b >= 0);
	converse_and_close(a, b);
}

static void accept4_flags(void)
{
	union address addr, peer;
	socklen_t len = sizeof(peer), own_len = sizeof(addr);
	int l = listener(AF_INET, &addr), a = connected(&addr), b;

	b = accept4(l, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	EXPECT(b >= 0);
	EXPECT(fcntl(b, F_GETFL) & O_NONBLOCK);
	EXPECT(fcntl(b, F_GETFD) & FD_CLOEXEC);
	EXPECT(!getsockname(a, &addr.any, &own_len));
	EXPECT(len == own_len && !memcmp(&addr, &peer, sizeof(addr.v4)));
	EXPECT(!fcntl(b, F_SETFL, 0));
	converse_and_close(a, b);
}

/* Non-blocking connect: the event loop asks SO_ERROR when it is writable. */
static void nonblocking_connect(void)
{
	union address addr;
	int l = listener(AF_INET, &addr), error = -1, a, b;
	socklen_t len = sizeof(error);
	struct pollfd p;

	a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT(!connect(a, &addr.any, sizeof(addr)) || errno == EINPROGRESS);
	p = (struct pollfd){ .fd = a, .events = POLLOUT };
	EXPECT(poll(&p, 1, 5000) == 1);
	EXPECT(!getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len));
	EXPECT(!error);
	b = accept(l, NULL, NULL);
	EXPECT(b >= 0);
	EXPECT(!fcntl(a, F_SETFL, 0));
	converse_and_close(a, b);
}

static void nonblocking_refused(void)
{
	union address addr;
	int l = listener(AF_INET, &addr), error = 0, a;
	socklen_t len = sizeof(error);
	struct pollfd p;

	close(l);
	a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	EXPECT(connect(a, &addr.any, sizeof(addr)) < 0);
	if (errno == EINPROGRESS) {
		p = (struct pollfd){ .fd = a, .events = POLLOUT };
		EXPECT(poll(&p, 1, 5000) == 1);
		EXPECT(!getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len));
		EXPECT(error == ECONNREFUSED);
	} else {
		EXPECT(errno == ECONNREFUSED);
	}
}

/* Processes and threads */

static void two_processes(void)
{
	union address addr;
	int l = listener(AF_INET, &addr), a, b;
	pid_t pid = fork();

	EXPECT(pid >= 0);
	if (!pid) {
		close(l);
		a = connected(&addr);
		for (int i = 0; i < 1000; i++) {
			say(a, "ping");
			hear(a, "pong");
		}
		close(a);
		exit(0);
	}
	b = accept(l, NULL, NULL);
	EXPECT(b >= 0);
	for (int i = 0; i < 1000; i++) {
		hear(b, "ping");
		say(b, "pong");
	}
	hear_end(b);
	in_child_expect_success(pid);
}

/* The classic server: the parent accepts and closes, the child serves. */
static void fork_serves(void)
{
	union address addr;
	int l = listener(AF_INET, &addr), a, b;
	pid_t pid;

	for (int i = 0; i < 5; i++) {
		a = connected(&addr);
		say(a, "unread when the parent closes");
		b = accept(l, NULL, NULL);
		EXPECT(b >= 0);
		say(a, ", also this");
		pid = fork();
		EXPECT(pid >= 0);
		if (!pid) {
			close(a);
			close(l);
			usleep(20000);
			hear(b, "unread when the parent closes, also this");
			say(b, "served");
			exit(0);
		}
		close(b);
		hear(a, "served");
		hear_end(a);
		close(a);
		in_child_expect_success(pid);
	}
}

/* A second reference goes on when the first is closed, data unread. */
static void dup_survives(void)
{
	int a, b, copy;

	make_pair(AF_INET, &a, &b);
	converse(a, b);
	say(a, "unread");
	copy = dup(b);
	close(b);
	hear(copy, "unread");
	converse_and_close(a, copy);
}

static void *talk_in_thread(void *arg)
{
	const union address *addr = arg;

	for (int i = 0; i < 20; i++) {
		int fd = connected(addr);

		for (int k = 0; k < 20; k++) {
			say(fd, "from a thread");
			hear(fd, "to a thread..");
		}
		close(fd);
	}
	return NULL;
}

static void *serve_in_thread(void *arg)
{
	int l = *(int *)arg;

	for (int i = 0; i < 20; i++) {
		int fd = accept(l, NULL, NULL);

		EXPECT(fd >= 0);
		for (int k = 0; k < 20; k++) {
			hear(fd, "from a thread");
			say(fd, "to a thread..");
		}
		hear_end(fd);
		close(fd);
	}
	return NULL;
}

/* The first connect of a process comes from eight threads at once. */
static void threads(void)
{
	union address addr;
	pthread_t clients[8], servers[8];
	int l = listener(AF_INET, &addr);

	for (int i = 0; i < 8; i++) {
		EXPECT(!pthread_create(&servers[i], NULL, serve_in_thread, &l));
		EXPECT(!pthread_create(&clients[i], NULL, talk_in_thread,
				       &addr));
	}
	for (int i = 0; i < 8; i++) {
		EXPECT(!pthread_join(clients[i], NULL));
		EXPECT(!pthread_join(servers[i], NULL));
	}
}

static void *fork_often(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		pid_t pid = fork();

		EXPECT(pid >= 0);
		if (!pid)
			_exit(0);
		in_child_expect_success(pid);
	}
	return NULL;
}

/* Forks at every moment of other threads' connects. */
static void fork_beside_threads(void)
{
	pthread_t forker;
	bool stop = false;

	EXPECT(!pthread_create(&forker, NULL, fork_often, &stop));
	threads();
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	EXPECT(!pthread_join(forker, NULL));
}

/* A fork may happen before anything was used, and the child goes first. */
static void first_use_in_child(void)
{
	pid_t pid = fork();
	int a, b;

	EXPECT(pid >= 0);
	if (!pid) {
		make_pair(AF_INET, &a, &b);
		converse_and_close(a, b);
		exit(0);
	}
	in_child_expect_success(pid);
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

static void no_child_appears(void)
{
	int a, b;

	make_pair(AF_INET, &a, &b);
	EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	converse_and_close(a, b);
}

static volatile sig_atomic_t children;

static void count_child(int signal)
{
	(void)signal;
	children++;
}

/* Loading starts a helper: the program must get no SIGCHLD for it. */
static void no_sigchld(void)
{
	int a, b;

	signal(SIGCHLD, count_child);
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
	EXPECT(!children);
}

static void sigchld_ignored(void)
{
	int a, b;

	signal(SIGCHLD, SIG_IGN);
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

/* Descriptors */

static void closefrom_as_daemons_do(void)
{
	int a, b;

	make_pair(AF_INET, &a, &b);
	close(a);
	close(b);
	closefrom(3);
	make_pair(AF_INET, &a, &b);
	EXPECT(a < 10 && b < 10);
	converse_and_close(a, b);
}

static void close_range_all(void)
{
	int a, b;

	make_pair(AF_INET, &a, &b);
	close(a);
	close(b);
	EXPECT(!close_range(3, ~0U, 0));
	EXPECT(close_range(5, 4, 0) < 0 && errno == EINVAL);
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

static void close_loop(void)
{
	struct rlimit limit = { 2048, 2048 };
	int a, b;

	setrlimit(RLIMIT_NOFILE, &limit);
	make_pair(AF_INET, &a, &b);
	for (int fd = 3; fd < 2048; fd++) {
		bool open = fd == a || fd == b || fd == 3;

		errno = 0;
		EXPECT(!close(fd) || errno == EBADF);
		if (open && (fd == a || fd == b))
			EXPECT(errno != EBADF);
	}
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

/* Onto every number there is, ours included. */
static void dup2_everywhere(void)
{
	int a, b, null = open("/dev/null", O_RDWR);

	make_pair(AF_INET, &a, &b);
	converse(a, b);
	for (int fd = 20; fd < 1024; fd++) {
		char c;

		EXPECT(dup2(null, fd) == fd);
		EXPECT(read(fd, &c, 1) == 0); /* it is /dev/null, and stays */
	}
	for (int fd = 20; fd < 1024; fd++) {
		EXPECT(dup3(null, fd, O_CLOEXEC) == fd);
		EXPECT(!close(fd));
	}
	converse_and_close(a, b);
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

/* Behind the C library's back: connections go on, on TCP at worst. */
static void raw_close_range(void)
{
	int a, b;

	make_pair(AF_INET, &a, &b);
	syscall(SYS_close_range, 3, ~0U, 0);
	for (int i = 0; i < 3; i++) {
		make_pair(AF_INET, &a, &b);
		converse_and_close(a, b);
	}
}

/* Closed by a raw system call, our number may become the program's. */
static void own_number_becomes_the_programs(void)
{
	int a, b;

	make_pair(AF_INET, &a, &b);
	syscall(SYS_close_range, 3, ~0U, 0);
	for (int fd = 900; fd < 1024; fd++) {
		EXPECT(fcntl(0, F_DUPFD, fd) == fd);
		EXPECT(!close(fd));
		EXPECT(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
	}
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

static void environment_cleared(void)
{
	int a, b;

	clearenv();
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

/* A vfork child tidies its descriptors before exec; the parent's live on. */
static void vfork_child_closes(void)
{
	static char *const argv[] = { "true", NULL };
	int a, b, status;
	pid_t pid;

	make_pair(AF_INET, &a, &b);
	pid = vfork();
	EXPECT(pid >= 0);
	if (!pid) {
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		for (int fd = 3; fd < 1024; fd++)
			dup2(0, fd);
		closefrom(3);
		execv("/bin/true", argv);
		_exit(1);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && !status);
	converse_and_close(a, b);
	make_pair(AF_INET, &a, &b);
	converse_and_close(a, b);
}

/* Waiting */

/* Our own FIN is acknowledged while we wait for the answer. */
static void *shut_down_soon(void *fd)
{
	usleep(50000);
	EXPECT(!shutdown(*(int *)fd, SHUT_WR));
	return NULL;
}

static void half_close_while_reading(void)
{
	pthread_t thread;
	int a, b;
	pid_t pid;

	make_pair(AF_INET, &a, &b);
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		close(a);
		hear(b, "request");
		hear_end(b);
		usleep(100000);
		say(b, "response");
		exit(0);
	}
	close(b);
	say(a, "request");
	EXPECT(!pthread_create(&thread, NULL, shut_down_soon, &a));
	hear(a, "response");
	hear_end(a);
	EXPECT(!pthread_join(thread, NULL));
	in_child_expect_success(pid);
}

static void nothing(int signal)
{
	(void)signal;
}

static void *answer_late(void *fd)
{
	usleep(250000);
	say(*(int *)fd, "late");
	return NULL;
}

/* read(2) under a signal whose handler restarts, or not. */
static ssize_t read_under_signal(int flags)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = flags };
	struct itimerval soon = { .it_value = { 0, 50000 } };
	pthread_t thread;
	sigset_t set;
	int a, b;
	char buf[16];
	ssize_t n;

	make_pair(AF_INET, &a, &b);
	converse(a, b);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	/* The helper thread must not be the one to get it. */
	EXPECT(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	EXPECT(!pthread_create(&thread, NULL, answer_late, &b));
	EXPECT(!pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	EXPECT(!sigaction(SIGALRM, &action, NULL));
	EXPECT(!setitimer(ITIMER_REAL, &soon, NULL));
	n = read(a, buf, sizeof(buf));
	action.sa_handler = SIG_DFL;
	EXPECT(!pthread_join(thread, NULL));
	return n;
}

static void signal_restarts(void)
{
	EXPECT(read_under_signal(SA_RESTART) == 4);
}

static void signal_interrupts(void)
{
	ssize_t n = read_under_signal(0);

	EXPECT(n == -1 && errno == EINTR);
}

/* A handler that would interrupt is installed, but no signal comes. */
static void woken_but_not_interrupted(void)
{
	struct sigaction action = { .sa_handler = nothing };

	EXPECT(!sigaction(SIGUSR1, &action, NULL));
	half_close_while_reading();
}

static sigjmp_buf out_of_the_read;

static void jump(int signal)
{
	siglongjmp(out_of_the_read, signal);
}

/*
 * A time limit as it was done before SO_RCVTIMEO, on a read that has been woken
 * for nothing (by its own FIN's acknowledgement) and goes on: nothing of it
 * may stay behind, or the connection would outlive its close.
 */
static void jump_out_of_a_read(void)
{
	struct sigaction action = { .sa_handler = jump };
	struct itimerval soon = { .it_value = { .tv_usec = 200000 } };
	char c;
	int a, b;

	EXPECT(!sigaction(SIGALRM, &action, NULL));
	make_pair(AF_INET, &a, &b);
	say(a, "request");
	hear(b, "request");
	EXPECT(!shutdown(a, SHUT_WR));
	if (!sigsetjmp(out_of_the_read, 1)) {
		EXPECT(!setitimer(ITIMER_REAL, &soon, NULL));
		recv(a, &c, 1, 0);
		EXPECT(!"the read has ended");
	}
	close(a);
	hear_end(b);
	EXPECT(send(b, "x", 1, MSG_NOSIGNAL) == 1);
	usleep(100000);
	EXPECT(send(b, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	close(b);
}

static void *read_after_own_fin(void *fd)
{
	int sock = *(int *)fd;
	char c;

	shutdown(sock, SHUT_WR);
	return (void *)(recv(sock, &c, 1, 0) == 1 ? "ok" : NULL);
}

/* More reads that go on than there are numbers up where ours are. */
static void numbers_are_scarce(void)
{
	enum {
		READERS = 24
	};
	struct rlimit limit = { 128, 128 };
	pthread_t threads[READERS];
	int a[READERS], b[READERS];
	void *result;

	EXPECT(!setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < READERS; i++) {
		make_pair(AF_INET, &a[i], &b[i]);
		EXPECT(!pthread_create(&threads[i], NULL, read_after_own_fin,
				       &a[i]));
	}
	while (dup(a[0]) >= 0)
		; /* every number is taken */
	usleep(200000);
	for (int i = 0; i < READERS; i++)
		say(b[i], "x");
	for (int i = 0; i < READERS; i++) {
		EXPECT(!pthread_join(threads[i], &result));
		EXPECT(result);
	}
}

/* Pipes and others are read as without us, with and after options. */
static void other_descriptors(void)
{
	int a, b, one = 1, pipes[2], unix_pair[2], at;
	char c;

	make_pair(AF_INET, &a, &b);
	say(a, "first");
	hear(b, "first");
	EXPECT(!setsockopt(b, IPPROTO_TCP, TCP_INQ, &one, sizeof(one)));
	EXPECT(!pipe2(pipes, O_NONBLOCK));
	errno = 0;
	EXPECT(write(pipes[1], "x", 1) == 1 && read(pipes[0], &c, 1) == 1);
	EXPECT(errno == 0);
	EXPECT(read(pipes[0], &c, 1) < 0 && errno == EAGAIN);
	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair));
	EXPECT(recv(unix_pair[0], &c, 1, MSG_DONTWAIT | MSG_TRUNC) < 0 &&
	       errno == EAGAIN);
	if (send(unix_pair[1], "x", 1, MSG_OOB) == 1) /* since 5.15 */
		EXPECT(!ioctl(unix_pair[0], SIOCATMARK, &at) && at == 1);
	else
		EXPECT(errno == EOPNOTSUPP);
	say(a, "both");
	hear(b, "both");
}

/* As inetd does it: standard input is an accelerated socket. */
static void inherited_socket(void)
{
	int a, b;
	pid_t pid;

	make_pair(AF_INET, &a, &b);
	say(a, "begin");
	hear(b, "begin");
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		EXPECT(dup2(b, STDIN_FILENO) == STDIN_FILENO);
		execl("/proc/self/exe", "scenarios", "inherited_socket_reader",
		      (char *)NULL);
		_exit(127);
	}
	close(b);
	say(a, "hello");
	usleep(200000);
	say(a, "world");
	in_child_expect_success(pid);
}

static void inherited_socket_reader(void)
{
	char buf[10];

	EXPECT(recv(STDIN_FILENO, buf, sizeof(buf), MSG_WAITALL) == 10);
	EXPECT(!memcmp(buf, "helloworld", 10));
}

static int seen_signal, seen_value;

static void look(int signal, siginfo_t *info, void *context)
{
	(void)context;
	seen_signal = signal;
	seen_value = info->si_value.sival_int;
}

/* What the program set is what it is shown, and what is called. */
static void handlers_are_the_programs(void)
{
	struct sigaction action = { .sa_handler = nothing }, old;
	union sigval value = { .sival_int = 4711 };

	EXPECT(!sigaction(SIGUSR1, &action, NULL));
	EXPECT(!sigaction(SIGUSR1, NULL, &old));
	EXPECT(old.sa_handler == nothing && !(old.sa_flags & SA_SIGINFO));
	action.sa_sigaction = look;
	action.sa_flags = SA_SIGINFO;
	EXPECT(!sigaction(SIGUSR1, &action, &old));
	EXPECT(old.sa_handler == nothing && !(old.sa_flags & SA_SIGINFO));
	EXPECT(!sigqueue(getpid(), SIGUSR1, value));
	EXPECT(seen_signal == SIGUSR1 && seen_value == 4711);
	EXPECT(!sigaction(SIGUSR1, &old, &action)); /* as a library restores */
	EXPECT(action.sa_sigaction == look && action.sa_flags & SA_SIGINFO);
	EXPECT(!raise(SIGUSR1));
	action.sa_handler = SIG_IGN;
	EXPECT(!sigaction(SIGUSR1, &action, NULL));
	EXPECT(!raise(SIGUSR1));
	EXPECT(sigaction(SIGKILL, &old, NULL) < 0 && errno == EINVAL);
	one_process();
}

static union address first_target;

static void connect_in_handler(int signal)
{
	(void)signal;
	close(connected(&first_target));
}

/* The first TCP call of the process is in a handler, on a small stack. */
/* SIGSTKSZ when it was a constant: arm64's kernel itself puts 5 KiB there. */
#ifdef __aarch64__
#define SIGNAL_STACK 16384
#else
#define SIGNAL_STACK 8192
#endif

static void first_use_on_signal_stack(void)
{
	static char memory[SIGNAL_STACK];
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) };
	struct sigaction action = { .sa_handler = connect_in_handler,
				    .sa_flags = SA_ONSTACK };
	/* Listening without libc: the shim is still asleep. */
	int l = socket(AF_INET, SOCK_STREAM, 0), a, b;
	socklen_t len = loopback(&first_target, AF_INET);

	EXPECT(!bind(l, &first_target.any, len));
	EXPECT(!syscall(SYS_listen, l, 8));
	EXPECT(!getsockname(l, &first_target.any, &len));
	EXPECT(!sigaltstack(&stack, NULL));
	EXPECT(!sigaction(SIGUSR1, &action, NULL));
	EXPECT(!raise(SIGUSR1));
	close(accept(l, NULL, NULL));
	a = connected(&first_target);
	b = accept(l, NULL, NULL);
	converse_and_close(a, b);
}

static void *listen_when_cancelled(void *fd)
{
	EXPECT(!pthread_cancel(pthread_self()));
	listen(*(int *)fd, 8); /* no cancellation point */
	pthread_testcancel();
	return NULL;
}

static void cancelled_at_first_use(void)
{
	union address addr;
	int l = socket(AF_INET, SOCK_STREAM, 0), a, b;
	socklen_t len = loopback(&addr, AF_INET);
	pthread_t thread;
	void *result;

	EXPECT(!bind(l, &addr.any, len));
	EXPECT(!getsockname(l, &addr.any, &len));
	EXPECT(!pthread_create(&thread, NULL, listen_when_cancelled, &l));
	EXPECT(!pthread_join(thread, &result));
	EXPECT(result == PTHREAD_CANCELED);
	a = connected(&addr);
	b = accept(l, NULL, NULL);
	converse_and_close(a, b);
}

static int reader_id; /* the thread that is about to read; atomic */

static void *read_until_end(void *fd)
{
	char buf[16] = "";

	__atomic_store_n(&reader_id, gettid(), __ATOMIC_RELEASE);
	return (void *)recv(*(int *)fd, buf, sizeof(buf), 0);
}

static void wait_until_reader_sleeps(void)
{
	char name[64], line[256], *state = NULL;
	int id, fd;

	while (!(id = __atomic_exchange_n(&reader_id, 0, __ATOMIC_ACQUIRE)))
		usleep(100);
	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", id);
	do {
		ssize_t n;

		usleep(100);
		fd = open(name, O_RDONLY);
		n = read(fd, line, sizeof(line) - 1);
		close(fd);
		EXPECT(n > 0);
		line[n] = '\0';
		state = strrchr(line, ')');
	} while (!state || state[2] != 'S');
}

/*
 * Another thread ends a connection that is being read, and the descriptor's
 * number is given to the next: whose bytes are not for the first one's reader.
 */
static void number_reused_while_reading(void)
{
	union address addr;
	int l = listener(AF_INET, &addr);

	for (int i = 0; i < 100; i++) {
		int a = connected(&addr), b = accept(l, NULL, NULL), fd = b;
		int c = connected(&addr), d;
		pthread_t thread;
		void *result;

		say(a, "accelerated");
		hear(b, "accelerated");
		say(c, "SECRET");
		EXPECT(!pthread_create(&thread, NULL, read_until_end, &fd));
		wait_until_reader_sleeps();
		EXPECT(!shutdown(b, SHUT_RDWR));
		close(b);
		d = accept(l, NULL, NULL);
		EXPECT(d == fd);
		EXPECT(!pthread_join(thread, &result));
		EXPECT(!result); /* end of file */
		hear(d, "SECRET");
		close(a);
		close(c);
		close(d);
	}
}

static void *read_for_ever(void *fd)
{
	char c;

	while (recv(*(int *)fd, &c, 1, 0) > 0)
		;
	return NULL;
}

/* A reader that waits again, after a vain wake-up, can still be cancelled. */
static void cancelled_while_reading(void)
{
	pthread_t thread;
	void *result;
	int a, b;

	make_pair(AF_INET, &a, &b);
	EXPECT(!pthread_create(&thread, NULL, read_for_ever, &a));
	usleep(20000);
	EXPECT(!shutdown(a, SHUT_WR)); /* wakes it for nothing */
	usleep(20000);
	EXPECT(!pthread_cancel(thread));
	EXPECT(!pthread_join(thread, &result));
	EXPECT(result == PTHREAD_CANCELED);
	close(a);
	hear_end(b);
	close(b);
	one_process();
}

static void dontwait_does_not_wait(void)
{
	int a, b;
	char c;

	make_pair(AF_INET, &a, &b);
	EXPECT(recv(a, &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	EXPECT(!fcntl(a, F_SETFL, O_NONBLOCK));
	EXPECT(read(a, &c, 1) == -1 && errno == EAGAIN);
	EXPECT(!fcntl(a, F_SETFL, 0));
	converse_and_close(a, b);
}

/* Room: a reader that does not read stops the writer, and loses nothing. */
static void stalled_reader(void)
{
	static char block[10000];
	size_t sent = 0, got = 0;
	int a, b;
	ssize_t n;

	make_pair(AF_INET, &a, &b);
	for (;;) {
		n = send(a, block, sizeof(block), MSG_DONTWAIT);
		if (n < 0)
			break;
		sent += (size_t)n;
		EXPECT(sent < 256u << 20); /* TCP's buffers are far smaller */
	}
	EXPECT(errno == EAGAIN);
	EXPECT(!shutdown(a, SHUT_WR));
	while ((n = recv(b, block, sizeof(block), 0)) > 0)
		got += (size_t)n;
	EXPECT(!n && got == sent);
}

/* The same socket, connected a second time. */
static void reconnect(void)
{
	union address addr, none = { .any.sa_family = AF_UNSPEC };
	int l = listener(AF_INET, &addr), a, b, c;

	a = connected(&addr);
	b = accept(l, NULL, NULL);
	converse(a, b);
	say(b, "of the old connection");
	EXPECT(!connect(a, &none.any, sizeof(none.any)));
	EXPECT(!connect(a, &addr.any, sizeof(addr)));
	c = accept(l, NULL, NULL);
	EXPECT(c >= 0);
	say(c, "of the new one");
	hear(a, "of the new one");
	converse_and_close(a, c);
}

static void errno_is_kept(void)
{
	union address addr;
	int l = listener(AF_INET, &addr), error, a, b;
	socklen_t len = sizeof(error);

	errno = 4711;
	a = connected(&addr);
	b = accept(l, NULL, NULL);
	EXPECT(b >= 0);
	EXPECT(!getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len));
	EXPECT(!listen(l, 3));
	EXPECT(errno == 4711);
	EXPECT(accept(-1, NULL, NULL) == -1 && errno == EBADF);
	EXPECT(connect(a, &addr.any, sizeof(addr)) == -1 && errno == EISCONN);
	EXPECT(connect(a, NULL, 8) == -1 && errno == EFAULT);
	EXPECT(close(-1) == -1 && errno == EBADF);
	converse_and_close(a, b);
}

/* What is not TCP is left alone. */
static void other_sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);
	int l = socket(AF_UNIX, SOCK_STREAM, 0), a, b, pair[2];
	union address addr;
	char c;

	EXPECT(!bind(l, (struct sockaddr *)&name, len)); /* autobind */
	len = sizeof(name);
	EXPECT(!getsockname(l, (struct sockaddr *)&name, &len));
	EXPECT(!listen(l, 1));
	a = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT(!connect(a, (struct sockaddr *)&name, len));
	b = accept(l, NULL, NULL);
	converse_and_close(a, b);

	EXPECT(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	say(pair[0], "datagram");
	hear(pair[1], "datagram");

	len = loopback(&addr, AF_INET);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT(!bind(b, &addr.any, len));
	EXPECT(!getsockname(b, &addr.any, &len));
	a = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT(!connect(a, &addr.any, len));
	say(a, "datagram");
	hear(b, "datagram");
	EXPECT(recv(b, &c, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

/* A descriptor passed to another process, both ends used there and here. */
static void passed_descriptor(void)
{
	int a, b, pair[2];
	char byte = 0;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c;
	pid_t pid;

	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		EXPECT(recvmsg(pair[1], &msg, 0) == 1);
		c = CMSG_FIRSTHDR(&msg);
		EXPECT(c && c->cmsg_type == SCM_RIGHTS);
		memcpy(&b, CMSG_DATA(c), sizeof(b));
		hear(b, "unread while passed");
		say(b, "thanks");
		exit(0);
	}
	make_pair(AF_INET, &a, &b);
	converse(a, b);
	say(a, "unread while passed");
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &b, sizeof(b));
	EXPECT(sendmsg(pair[0], &msg, 0) == 1);
	close(b);
	hear(a, "thanks");
	hear_end(a);
	in_child_expect_success(pid);
}

/* An edge-triggered reader that reads until EAGAIN, as nginx and tokio do. */
static void edge_triggered(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET | EPOLLRDHUP };
	int a, b, poller = epoll_create1(0);
	size_t got = 0, want = 0;
	char buf[512];
	pid_t pid;
	ssize_t n;

	make_pair(AF_INET, &a, &b);
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		close(b);
		for (int i = 0; i < 3000; i++) {
			say(a, "0123456789");
			if (i % 500 == 0)
				usleep(1000);
		}
		exit(0);
	}
	close(a);
	want = 30000;
	EXPECT(!fcntl(b, F_SETFL, O_NONBLOCK));
	EXPECT(!epoll_ctl(poller, EPOLL_CTL_ADD, b, &event));
	for (bool end = false; !end;) {
		EXPECT(epoll_wait(poller, &event, 1, 5000) == 1);
		while ((n = read(b, buf, sizeof(buf))) > 0)
			got += (size_t)n;
		if (!n)
			end = true;
		else
			EXPECT(errno == EAGAIN);
	}
	EXPECT(got == want);
	in_child_expect_success(pid);
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
#define SCENARIO(name)                                                         \
	{                                                                      \
#name, name                                                    \
	}
	SCENARIO(one_process),
	SCENARIO(ipv6),
	SCENARIO(dual_stack),
	SCENARIO(accept4_flags),
	SCENARIO(nonblocking_connect),
	SCENARIO(nonblocking_refused),
	SCENARIO(two_processes),
	SCENARIO(fork_serves),
	SCENARIO(dup_survives),
	SCENARIO(threads),
	SCENARIO(fork_beside_threads),
	SCENARIO(first_use_in_child),
	SCENARIO(no_child_appears),
	SCENARIO(no_sigchld),
	SCENARIO(sigchld_ignored),
	SCENARIO(closefrom_as_daemons_do),
	SCENARIO(close_range_all),
	SCENARIO(close_loop),
	SCENARIO(dup2_everywhere),
	SCENARIO(raw_close_range),
	SCENARIO(own_number_becomes_the_programs),
	SCENARIO(environment_cleared),
	SCENARIO(vfork_child_closes),
	SCENARIO(half_close_while_reading),
	SCENARIO(signal_restarts),
	SCENARIO(signal_interrupts),
	SCENARIO(jump_out_of_a_read),
	SCENARIO(numbers_are_scarce),
	SCENARIO(other_descriptors),
	SCENARIO(inherited_socket),
	SCENARIO(inherited_socket_reader),
	SCENARIO(woken_but_not_interrupted),
	SCENARIO(handlers_are_the_programs),
	SCENARIO(first_use_on_signal_stack),
	SCENARIO(cancelled_at_first_use),
	SCENARIO(number_reused_while_reading),
	SCENARIO(cancelled_while_reading),
	SCENARIO(dontwait_does_not_wait),
	SCENARIO(stalled_reader),
	SCENARIO(reconnect),
	SCENARIO(errno_is_kept),
	SCENARIO(other_sockets),
	SCENARIO(passed_descriptor),
	SCENARIO(edge_triggered),
};
#define NR_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static void run(const char *name)
{
	for (size_t i = 0; i < NR_SCENARIOS; i++) {
		if (strcmp(name, scenarios[i].name))
			continue;
		alarm(30); /* a hang is a failure, too */
		scenarios[i].run();
		alarm(0);
		return;
	}
	fprintf(stderr, "no scenario '%s'\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < NR_SCENARIOS; i++)
			puts(scenarios[i].name);
		return 0;
	}
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	return argc < 2 ? 2 : 0;
}
