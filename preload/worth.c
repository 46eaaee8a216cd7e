/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "worth.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "blocking.h"
#include "enroll.h"
#include "hooks.h"
#include "options.h"
#include "owners.h"
#include "runtime.h"

struct ss_worth ss_worth[SS_WORTH_FDS];

enum {
	DECIDED,
	ON_TRIAL,
	SENDS, /* entered for sending: its reads are TCP's */
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

#define NOT_PLAIN (MSG_PEEK | MSG_ERRQUEUE)

void ss_worth_start(void)
{
	turns_needed = 0;
	if (ss_runtime.conf.register_user_space_sockets)
		turns_needed = 2 * ss_runtime.conf.register_after_exchanges;
}

static void begin(int fd, bool foreign)
{
	struct ss_worth *w = &ss_worth[fd];

	ss_worth_forget(fd);
	w->last = NOTHING;
	w->turns = 0;
	w->large = 0;
	w->foreign = foreign;
	w->vain = 0;
	w->reads = 0;
	__atomic_store_n(&w->state, ON_TRIAL, __ATOMIC_RELEASE);
}

bool ss_worth_may_try(int fd)
{
	struct ss_control *c = ss_runtime.control;

	return (unsigned int)fd < SS_WORTH_FDS && turns_needed &&
	       ss_owners_can_tell() &&
	       (!c->cgroup_path[0] || c->flags & SS_MERGED);
}

/*
 * In a cgroup the kernel may have registered it from the start, if it was accepted
 * from who has no shim; and to learn that takes as long as registering. With one
 * queue nothing depends on it, but where reads that are closed end; with two,
 * every read does.
 */
static bool try(int fd, bool foreign)
{
	if (!ss_worth_may_try(fd))
		return false;
	if (ss_runtime.control->cgroup_path[0] && ss_key_is_tcp(fd))
		ss_blocking_is_tcp(fd);
	begin(fd, foreign);
	return true;
}

bool ss_worth_try(int fd)
{
	return try(fd, false);
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
		begin(to, ss_worth[from].foreign);
}

/* Where inetd(8) and its kin, and systemd(1), put the connection. */
void ss_worth_inherit(void)
{
	static const int fds[] = { STDIN_FILENO, 3 };
	int saved_errno = errno;
	struct stat st;

	/* Not a system call that a seccomp filter might not know yet. */
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (!fstat(fds[i], &st) && S_ISSOCK(st.st_mode))
			begin(fds[i], true);
	}
	errno = saved_errno;
}

static void receive(int fd)
{
	if ((unsigned int)fd >= SS_WORTH_FDS || !ss_key_is_tcp(fd))
		return;
	if (ss_runtime_is_asleep())
		begin(fd, true);
	else
		try(fd, true);
}

void ss_worth_received(const struct msghdr *msg)
{
	struct msghdr *m = (struct msghdr *)msg;
	int saved_errno = errno, fd;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= c->cmsg_len;
		     at += sizeof(fd)) {
			memcpy(&fd, (char *)c + at, sizeof(fd));
			receive(fd);
		}
	}
	errno = saved_errno;
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

/* By what came, and not each time that nothing did. */
static bool is_worth_it(struct ss_worth *w, int fd, bool read)
{
	if (w->turns < turns_needed && read && is_time_to_look(w->reads) &&
	    ss_enroll_peer_is_in(fd))
		w->turns = 255;
	return w->turns >= turns_needed;
}

/* Urgent data is apart in TCP's queue only. */
static bool has_left_nothing(struct ss_worth *w, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP };

	if (REAL(poll)(&p, 1, 0) < 0 || p.revents & ~POLLIN)
		return false;
	return !p.revents || w->vain >= MOST_VAIN;
}

/* From @state on, in which it was seen: one thread does it. For what it @reads, too,
 * if that may be. */
static void enter(struct ss_worth *w, int fd, unsigned char state, bool reads)
{
	unsigned char next = SENDS;

	if (!__atomic_compare_exchange_n(&w->state, &state, DECIDED, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	if (w->foreign)
		ss_options_learn(fd);
	if (state == ON_TRIAL && !ss_enroll_sender(fd))
		return;
	if (reads && ss_enroll_reads(fd))
		next = DECIDED;
	__atomic_store_n(&w->state, next, __ATOMIC_RELAXED);
}

/* A handler might not come back here; and what was read must not be lost to who is
 * cancelled only now. */
static void decide(struct ss_worth *w, int fd, unsigned char state)
{
	sigset_t all, old;
	int cancel;

	w->vain++;
	/* Somebody else holds it, it seems: less and less often, then. */
	if (w->vain > MOST_VAIN && w->vain & (w->vain - 1))
		return;
	if (!ss_runtime_on_for(fd) || !ss_owners_can_tell())
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	if (has_left_nothing(w, fd))
		enter(w, fd, state, true);
	pthread_setcancelstate(cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void ss_worth_after_read_slowly(int fd, int flags, ssize_t n)
{
	struct ss_worth *w = &ss_worth[fd];
	unsigned char state = __atomic_load_n(&w->state, __ATOMIC_RELAXED);
	int saved_errno = errno;

	if (flags & MSG_OOB)
		ss_worth_forget(fd);
	if (state == DECIDED || flags & (MSG_OOB | NOT_PLAIN) ||
	    !(n > 0 || (n < 0 && errno == EAGAIN)))
		return;
	if (n > 0) {
		note(w, READ);
		w->reads++;
	}
	if (state == SENDS || is_worth_it(w, fd, n > 0))
		decide(w, fd, state);
	errno = saved_errno;
}

void ss_worth_after_write_slowly(int fd, ssize_t n)
{
	struct ss_worth *w = &ss_worth[fd];
	int saved_errno = errno;

	if (n <= 0)
		return;
	note(w, WRITE);
	if (n < LARGE_BYTES || w->large >= LARGE_MESSAGES ||
	    ++w->large < LARGE_MESSAGES || !ss_runtime_on_for(fd) ||
	    !ss_owners_can_tell())
		return;
	enter(w, fd, ON_TRIAL, false);
	errno = saved_errno;
}
