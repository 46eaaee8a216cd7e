/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A peer: runs one operation after the other in its main thread, and started
 * ones in threads beside it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "semantics.h"

struct peer self = { .fd = -1, .copy = -1, .listener = -1, .epoll = -1 };

#define FIRST_NUMBER_OF_OURS 400

int out_of_the_way(int fd)
{
	int moved;

	if (fd < 0)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_NUMBER_OF_OURS);
	if (moved < 0)
		return fd;
	syscall(SYS_close, fd);
	return moved;
}

socklen_t loopback(union address *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->any.sa_family = (sa_family_t)shared->family;
	if (shared->family == AF_INET) {
		addr->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		addr->v4.sin_port = shared->port;
		return sizeof(addr->v4);
	}
	addr->v6.sin6_addr = in6addr_loopback;
	addr->v6.sin6_port = shared->port;
	return sizeof(addr->v6);
}

/* Started operations */

struct job {
	struct call call;
	pthread_t thread;
	pid_t tid;
	bool started, done;
};

static struct job jobs[STARTED_SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;

static void *run_job(void *arg)
{
	struct job *job = arg;

	pthread_mutex_lock(&lock);
	job->tid = gettid();
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
	run_call(&job->call);
	pthread_mutex_lock(&lock);
	job->done = true;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* start OP ARGS... */
void op_start(struct call *c, int slot, pid_t *thread)
{
	struct job *job = &jobs[slot];
	char words[sizeof(c->words)] = "";

	if (job->started || c->argc < 2) {
		say(c, "%s", job->started ? "busy" : "NO SUCH OP");
		return;
	}
	for (int i = 1; i < c->argc; i++) {
		strcat(words, c->argv[i]);
		strcat(words, " ");
	}
	memset(job, 0, sizeof(*job));
	make_call(&job->call, words);
	errno = pthread_create(&job->thread, NULL, run_job, job);
	if (errno) {
		say_errno(c);
		return;
	}
	job->started = true;
	pthread_mutex_lock(&lock);
	while (!job->tid)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
	*thread = job->tid;
	say(c, "started");
}

/* join [MS] */
void op_join(struct call *c, int slot)
{
	struct job *job = &jobs[slot];
	long ms = number(c, 1, 2000);
	struct timespec until;
	int error = 0;

	if (!job->started) {
		say(c, "nothing started");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&lock);
	while (!job->done && !error)
		error = pthread_cond_timedwait(&change, &lock, &until);
	pthread_mutex_unlock(&lock);
	if (!job->done) {
		say(c, "still blocked");
		return;
	}
	pthread_join(job->thread, NULL);
	job->started = false;
	say(c, "%s", job->call.text);
}

/* Signals */

static unsigned int counts[NSIG];

static void count(int number)
{
	__atomic_add_fetch(&counts[number], 1, __ATOMIC_RELAXED);
}

int set_signal(int number, const char *how)
{
	struct sigaction action = { .sa_handler = count };

	if (!strcmp(how, "ignore"))
		action.sa_handler = SIG_IGN;
	else if (!strcmp(how, "default"))
		action.sa_handler = SIG_DFL;
	else if (!strcmp(how, "restart"))
		action.sa_flags = SA_RESTART;
	else if (strcmp(how, "norestart"))
		return -1;
	return sigaction(number, &action, NULL);
}

void op_signals(struct call *c)
{
	const char *separator = "";

	for (int i = 1; i < NSIG; i++) {
		unsigned int n =
			__atomic_exchange_n(&counts[i], 0, __ATOMIC_RELAXED);

		if (!n)
			continue;
		/* One SIGIO may stand for several. */
		if (i == SIGIO)
			say(c, "%sIO", separator);
		else
			say(c, "%s%s=%u", separator, signal_name(i), n);
		separator = " ";
	}
	if (!*separator)
		say(c, "none");
}

/* The main loop */

static void dispatch(struct call *c, pid_t *thread)
{
	if (!strcmp(c->argv[0], "start"))
		op_start(c, 0, thread);
	else if (!strcmp(c->argv[0], "start2"))
		op_start(c, 1, thread);
	else if (!strcmp(c->argv[0], "join"))
		op_join(c, 0);
	else if (!strcmp(c->argv[0], "join2"))
		op_join(c, 1);
	else
		run_call(c);
}

/* By raw system calls: what is tested must not come between us and the
 * coordinator. */
static ssize_t raw_read(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = syscall(SYS_read, fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n;
}

_Noreturn void peer_main(int index, int control, bool with_courier)
{
	static const int counted[] = { SIGPIPE, SIGURG,	 SIGIO,
				       SIGALRM, SIGUSR1, SIGUSR2 };
	struct reply reply;
	struct call c;
	char words[sizeof(c.words)];
	ssize_t n;

	self.index = index;
	if (with_courier)
		courier_start();
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		set_signal(counted[i], "restart");
	while ((n = raw_read(control, words, sizeof(words) - 1)) > 0) {
		words[n] = '\0';
		memset(&reply, 0, sizeof(reply));
		make_call(&c, words);
		if (c.argc && !strcmp(c.argv[0], "exit")) {
			if (c.argc > 1)
				_exit(0);
			exit(0);
		}
		if (c.argc)
			dispatch(&c, &reply.thread);
		snprintf(reply.text, sizeof(reply.text), "%s", c.text);
		while (syscall(SYS_write, control, &reply, sizeof(reply)) < 0 &&
		       errno == EINTR)
			;
	}
	_exit(0);
}
