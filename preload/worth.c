/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "worth.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "blocking.h"
#include "enroll.h"
#include "hooks.h"
#include "runtime.h"

struct ss_worth ss_worth[SS_WORTH_FDS];
__thread int ss_worth_reading __attribute__((tls_model("initial-exec"))) = -1;
/* That read takes nothing from the stream. */
static __thread bool peeks __attribute__((tls_model("initial-exec")));

/* Who is in a read counts itself first and looks at the state then; who enters the
 * socket does it the other way round. */
enum {
	DECIDED,
	ON_TRIAL,
	SENDS, /* entered for sending: its reads are TCP's */
	ENTERING,
};

enum {
	NOTHING,
	READ,
	WRITE,
};

/* Two turns are an exchange. Written while starting. */
static unsigned int turns_needed = 2 * SS_CONF_DEFAULT_EXCHANGES;

/*
 * Redirecting messages of 32 KiB and more is faster in one direction, too (bench:
 * stream_*); a response that is large once is no stream.
 */
#define LARGE_BYTES    32768
#define LARGE_MESSAGES 4

/* After how many reads the peer is looked for: 4, 8, 16..., then each of so many. */
#define MOST_BETWEEN 1024

/* A reader that is always behind never leaves nothing: then the next one will do. */
#define MOST_VAIN 16

#define NOT_PLAIN (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)

void ss_worth_start(void)
{
	turns_needed = 0;
	if (ss_runtime.conf.register_user_space_sockets)
		turns_needed = 2 * ss_runtime.conf.register_after_exchanges;
}

/* One thread decides. */
static bool moves(struct ss_worth *w, unsigned char from, unsigned char to)
{
	return __atomic_compare_exchange_n(&w->state, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void begin(int fd)
{
	struct ss_worth *w = &ss_worth[fd];

	ss_worth_forget(fd);
	w->last = NOTHING;
	w->turns = 0;
	w->large = 0;
	w->vain = 0;
	w->reads = 0;
	w->readers = 0;
	__atomic_store_n(&w->state, ON_TRIAL, __ATOMIC_RELEASE);
}

bool ss_worth_may_try(int fd)
{
	struct ss_control *c = ss_runtime.control;

	return (unsigned int)fd < SS_WORTH_FDS && turns_needed &&
	       (!c->cgroup_path[0] || c->flags & SS_MERGED);
}

/*
 * In a cgroup the kernel may have registered it from the start, if it was accepted
 * from who has no shim; and to learn that takes as long as registering. With one
 * queue nothing depends on it, but where reads that are closed end; with two,
 * every read does.
 */
bool ss_worth_try(int fd)
{
	if (!ss_worth_may_try(fd))
		return false;
	if (ss_runtime.control->cgroup_path[0] && ss_key_is_tcp(fd))
		ss_blocking_is_tcp(fd);
	begin(fd);
	return true;
}

void ss_worth_forget(int fd)
{
	if (ss_worth_is_open(fd))
		__atomic_store_n(&ss_worth[fd].state, DECIDED,
				 __ATOMIC_RELAXED);
}

void ss_worth_copy(int from, int to)
{
	if (ss_worth_is_open(from) && (unsigned int)to < SS_WORTH_FDS &&
	    ss_runtime_owns_memory())
		begin(to);
}

/* Where inetd(8) and its kin, and systemd(1), put the connection. */
void ss_worth_inherit(void)
{
	static const int fds[] = { STDIN_FILENO, 3 };
	struct stat st;

	/* Not a system call that a seccomp filter might not know yet. */
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (!fstat(fds[i], &st) && S_ISSOCK(st.st_mode))
			begin(fds[i]);
	}
}

void ss_worth_received(const struct msghdr *msg)
{
	struct msghdr *m = (struct msghdr *)msg;
	struct cmsghdr *c;
	int fd;

	if (!ss_runtime_is_on() || !turns_needed)
		return;
	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= c->cmsg_len;
		     at += sizeof(fd)) {
			memcpy(&fd, (char *)c + at, sizeof(fd));
			ss_worth_try(fd);
		}
	}
}

static void note(struct ss_worth *w, unsigned char what)
{
	if (w->last != what && w->last != NOTHING && w->turns < 255)
		w->turns++;
	w->last = what;
}

static bool is_time_to_look(unsigned int reads)
{
	return reads > 2 &&
	       (!(reads & (reads - 1)) || reads % MOST_BETWEEN == 0);
}

static bool is_worth_it(struct ss_worth *w, int fd)
{
	if (is_time_to_look(w->reads) && ss_enroll_peer_is_in(fd))
		w->turns = 255;
	return w->turns >= turns_needed;
}

/* Urgent data is apart in TCP's queue only. */
static bool has_left_nothing(struct ss_worth *w, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP };

	if (!ss_may(SS_DUTY_READ) || REAL(poll)(&p, 1, 0) < 0 ||
	    p.revents & ~POLLIN)
		return false;
	return !p.revents || ++w->vain >= MOST_VAIN;
}

static void enter(struct ss_worth *w, int fd, unsigned char state)
{
	if (!moves(w, state, ENTERING))
		return;
	if (__atomic_load_n(&w->readers, __ATOMIC_SEQ_CST)) {
		moves(w, ENTERING, state);
		return;
	}
	if (state == SENDS)
		ss_enroll_reads(fd);
	else
		ss_enroll(fd);
	moves(w, ENTERING, DECIDED);
}

/* It takes some system calls, and may be another process's memory by now. */
#define MOST_YIELDS 10000

static void wait_for_entering(struct ss_worth *w)
{
	for (int i = 0; i < MOST_YIELDS; i++) {
		if (__atomic_load_n(&w->state, __ATOMIC_SEQ_CST) != ENTERING ||
		    !ss_may(SS_DUTY_YIELD))
			return;
		sched_yield();
	}
}

void ss_worth_before_read_slowly(int fd, int flags)
{
	struct ss_worth *w = &ss_worth[fd];
	int saved_errno = errno;

	if (flags & MSG_OOB)
		ss_worth_never(fd);
	__atomic_fetch_add(&w->readers, 1, __ATOMIC_SEQ_CST);
	/* A handler must not wait for the thread that it interrupts. */
	if (ss_worth_reading != fd)
		wait_for_entering(w);
	ss_worth_reading = fd;
	peeks = flags & NOT_PLAIN;
	errno = saved_errno;
}

/* What was read must not be lost to who is cancelled only now. */
static void decide(struct ss_worth *w, int fd)
{
	unsigned char state = __atomic_load_n(&w->state, __ATOMIC_RELAXED);
	int cancel;

	if (state != SENDS && state != ON_TRIAL)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if ((state == SENDS || is_worth_it(w, fd)) && has_left_nothing(w, fd))
		enter(w, fd, state);
	pthread_setcancelstate(cancel, NULL);
}

void ss_worth_after_read_slowly(int fd, ssize_t n)
{
	struct ss_worth *w = &ss_worth[fd];
	int saved_errno = errno;

	__atomic_fetch_sub(&w->readers, 1, __ATOMIC_SEQ_CST);
	if (n > 0 && !peeks) {
		note(w, READ);
		w->reads++;
	}
	if (!peeks && (n > 0 || (n < 0 && errno == EAGAIN)))
		decide(w, fd);
	ss_worth_reading = -1;
	errno = saved_errno;
}

void ss_worth_after_write_slowly(int fd, ssize_t n)
{
	struct ss_worth *w = &ss_worth[fd];
	int saved_errno = errno;

	if (n <= 0)
		return;
	note(w, WRITE);
	if (n < LARGE_BYTES || ++w->large < LARGE_MESSAGES)
		return;
	if (moves(w, ON_TRIAL, SENDS))
		ss_enroll_sender(fd);
	errno = saved_errno;
}
