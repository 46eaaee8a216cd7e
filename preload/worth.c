/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "worth.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "blocking.h"
#include "enroll.h"
#include "hooks.h"
#include "options.h"
#include "ownfd.h"
#include "owners.h"
#include "reset.h"
#include "runtime.h"

struct ss_worth ss_worth[SS_WORTH_FDS];
unsigned int ss_worth_forks = 1;

/*
 * busy: the number that is being registered, and 1, and the process that does it; one
 * at a time. 0: none. forks: threads inside fork(2), which none begins beside, and
 * which wait for it; never the other way round, for they may wait for locks that are
 * held by who sets an option. Atomic.
 */
static unsigned long long busy;
static int forks;

enum {
	DECIDED,
	ON_TRIAL = SS_WORTH_ON_TRIAL,
	SENDS = SS_WORTH_SENDS,
	COUNTS = SS_WORTH_COUNTS,
};

enum {
	NOTHING,
	READ,
	WRITE = SS_WORTH_WRITE,
};

/* Two turns are an exchange. Written while starting. */
static unsigned int turns_needed = 2 * SS_CONF_DEFAULT_EXCHANGES;

/* A response that is large once is no stream. */
#define LARGE_MESSAGES 4

/* After how many writes TCP is asked whether it joins them: more than most responses
 * have; then twice as many each time. So often in a row it must not: while a reader
 * on the same CPU wakes up for each message, it does not, either. */
#define LEAST_WRITES 64
#define MOST_WRITES  8192
#define ALONE	     2

/* After how many reads the peer is looked for: 4, 8, 16..., then each of so many; and
 * of the first ones, after each that is large, once so much may have come. */
#define MOST_BETWEEN 1024
#define MOST_LARGE   8

/* A reader that is always behind never leaves nothing: after so many times it is
 * merged with that. Each message until then goes by TCP, and leaves it more behind. */
#define MOST_BEHIND 4

/* Somebody else holds it, it seems: from then on tried less and less often. */
#define MOST_VAIN 16

/* How often it is asked, in a row, who holds a socket. */
#define LOOKS 8

/* After each time it has left it takes twice as many exchanges, up to these. */
#define MOST_TURNS 255 /* from reading to writing, or back */

void ss_worth_start(void)
{
	turns_needed = 0;
	if (ss_runtime.conf.register_user_space_sockets)
		turns_needed = 2 * ss_runtime.conf.register_after_exchanges;
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
	w->writes = 0;
	w->alone = 0;
	w->left = 0;
	w->forks = 0;
	w->ask = LEAST_WRITES;
	w->joined = (struct ss_joined){ 0 };
	__atomic_store_n(&w->readers, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->state, ON_TRIAL, __ATOMIC_RELEASE);
}

void ss_worth_has_left(int fd)
{
	struct ss_worth *w = &ss_worth[fd];
	unsigned char left = w->left + (turns_needed << w->left < MOST_TURNS);

	begin(fd);
	w->left = left;
	w->forks = ss_worth_forks;
	ss_blocking_is_tcp_only(fd);
}

bool ss_worth_may_try(int fd)
{
	return (unsigned int)fd < SS_WORTH_FDS && turns_needed &&
	       ss_owners_can_tell() && ss_runtime.control->flags & SS_MERGED;
}

/*
 * In a cgroup the kernel may have registered it from the start, if it was accepted
 * from who has no shim; and to learn that takes as long as registering. Nothing
 * depends on it, but where reads that are closed end.
 */
bool ss_worth_try(int fd, bool left)
{
	if (!ss_worth_may_try(fd))
		return false;
	if (!left && ss_runtime.control->cgroup_path[0] && ss_key_is_tcp(fd))
		ss_blocking_is_tcp(fd);
	begin(fd);
	ss_worth[fd].forks = ss_worth_forks;
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
	if (ss_worth_is_tried(from) && (unsigned int)to < SS_WORTH_FDS &&
	    ss_runtime_owns_memory())
		begin(to);
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
			begin(fds[i]);
	}
	errno = saved_errno;
}

static void receive(int fd)
{
	if ((unsigned int)fd >= SS_WORTH_FDS || !ss_key_is_tcp(fd))
		return;
	if (ss_runtime_is_asleep())
		begin(fd);
	else if (ss_worth_try(fd, false))
		ss_worth[fd].forks = 0;
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
	if (w->last != what && w->last != NOTHING && w->turns < MOST_TURNS)
		w->turns++;
	w->last = what;
}

/* The peer of a stream has written LARGE_MESSAGES before it is in. */
static bool is_time_to_look(unsigned int reads, ssize_t n)
{
	if (n >= SS_WORTH_LARGE && reads <= MOST_LARGE)
		return reads * n >= LARGE_MESSAGES * SS_WORTH_LARGE;
	return reads > 2 &&
	       (!(reads & (reads - 1)) || reads % MOST_BETWEEN == 0);
}

/* By what came, and not each time that nothing did. */
static bool is_worth_it(struct ss_worth *w, int fd, ssize_t n)
{
	unsigned int needed = turns_needed << w->left;

	/* The peer of one that has left is still there. */
	if (w->turns < needed && n > 0 && !w->left &&
	    is_time_to_look(w->reads, n) && ss_enroll_peer_is_in(fd))
		w->turns = MOST_TURNS;
	return w->turns >= (needed < MOST_TURNS ? needed : MOST_TURNS);
}

static unsigned long long busy_with(int fd)
{
	return (unsigned long long)getpid() << 32 | (unsigned int)(fd + 1);
}

/* A child of fork(2) does not have the thread that was busy. */
static bool is_busy(int fd)
{
	unsigned long long now = __atomic_load_n(&busy, __ATOMIC_SEQ_CST);

	return (unsigned int)now == (unsigned int)(fd + 1) &&
	       now == busy_with(fd);
}

static bool become_busy(int fd)
{
	unsigned long long before = __atomic_load_n(&busy, __ATOMIC_RELAXED);
	unsigned long long with = busy_with(fd);

	if (before >> 32 == with >> 32)
		return false;
	return __atomic_compare_exchange_n(&busy, &before, with, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void be_free(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_SEQ_CST);
}

/* Whether it can be merged; and if so, whether it *@has_unread bytes. (Urgent data is
 * apart in TCP's queue only.) */
static bool is_ready(const struct ss_worth *w, int fd, bool *has_unread)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP };

	if (REAL(poll)(&p, 1, 0) < 0 || p.revents & ~POLLIN)
		return false;
	*has_unread = p.revents;
	return !p.revents || w->vain >= MOST_BEHIND;
}

/*
 * A thread inside a read, which counts as a reader, says that nobody else is. A
 * thread inside a send counts as an owner, but comes out, and begins no other one.
 */
static bool reads_alone(const struct ss_worth *w, int duplicate)
{
	for (int i = 0; i < LOOKS; i++) {
		if (__atomic_load_n(&w->readers, __ATOMIC_SEQ_CST) != 1)
			return false;
		if (ss_owners(duplicate) == 2)
			return true;
		sched_yield();
	}
	return false;
}

/*
 * By a duplicate: the number may be closed, and another's, at any time. For what it
 * @reads, too, if that may be. Returns the new state.
 */
static unsigned char enter(struct ss_worth *w, int fd, int duplicate,
			   unsigned char state, bool reads)
{
	bool has_unread = false;

	w->flood.come = 0;
	/* Not a reader that its peer has brought: each system call is too late. */
	if (reads && w->turns < MOST_TURNS)
		ss_flood_begin(&w->flood, duplicate);
	if (reads && !is_ready(w, duplicate, &has_unread))
		return state;
	/* Another process may have set some, or a call that is not seen. */
	ss_options_learn(duplicate);
	if (state == ON_TRIAL && !ss_enroll_sender(fd, duplicate))
		return DECIDED;
	if (!reads || !reads_alone(w, duplicate))
		return SENDS;
	/* Now there is no other process any more. */
	ss_options_learn(duplicate);
	if (ss_enroll_reads(duplicate) && turns_needed && !has_unread &&
	    ss_flood_counts(&w->flood))
		return COUNTS;
	return DECIDED;
}

/* From @state on, in which it was seen. One thread does it, or none: later, then. */
static void decide(struct ss_worth *w, int fd, unsigned char state, bool reads)
{
	struct ss_undisturbed u;
	unsigned char next;
	int duplicate;

	if (!ss_runtime_on_for(fd) || !ss_owners_can_tell() ||
	    !ss_runtime_owns_memory())
		return;
	ss_undisturbed_begin(&u);
	if (!become_busy(fd))
		goto out;
	if (__atomic_load_n(&forks, __ATOMIC_SEQ_CST))
		goto free;
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, ss_ownfd_base());
	if (duplicate < 0)
		goto free;
	next = enter(w, fd, duplicate, state, reads);
	/* It may have been forgotten meanwhile. */
	__atomic_compare_exchange_n(&w->state, &state, next, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	/* If the number was closed meanwhile, this is the last close. */
	if (ss_owners(duplicate) == 1)
		ss_reset_before_close(duplicate);
	REAL(close)(duplicate);
free:
	be_free();
out:
	ss_undisturbed_end(&u);
}

void ss_worth_begin_read_slowly(int fd)
{
	unsigned short *readers = &ss_worth[fd].readers;

	for (;;) {
		__atomic_fetch_add(readers, 1, __ATOMIC_SEQ_CST);
		if (!is_busy(fd))
			return;
		__atomic_fetch_sub(readers, 1, __ATOMIC_SEQ_CST);
		while (is_busy(fd))
			sched_yield();
	}
}

void ss_worth_before_write_slowly(int fd)
{
	while (is_busy(fd))
		sched_yield();
}

void ss_worth_end_read_slowly(const struct ss_worth_read *r)
{
	/* Another connection's are counted anew. */
	if (!((ss_blocking_generation(r->fd) ^ r->generation) &
	      ~SS_GENERATION_TCP))
		__atomic_fetch_sub(&ss_worth[r->fd].readers, 1,
				   __ATOMIC_SEQ_CST);
}

bool ss_worth_hold(int fd, struct ss_undisturbed *u)
{
	if (!ss_worth_is_tried(fd) || !ss_may(SS_DUTY_OWNERS) ||
	    !ss_runtime_owns_memory())
		return false;
	ss_undisturbed_begin(u);
	while (!become_busy(fd))
		sched_yield();
	return true;
}

void ss_worth_release(const struct ss_undisturbed *u)
{
	be_free();
	ss_undisturbed_end(u);
}

void ss_worth_end(int fd)
{
	struct ss_undisturbed u;
	bool held = ss_worth_hold(fd, &u);

	ss_worth_forget(fd);
	if (held)
		ss_worth_release(&u);
}

void ss_worth_before_fork(void)
{
	ss_worth_forks++;
	__atomic_fetch_add(&forks, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&busy, __ATOMIC_SEQ_CST) >> 32 ==
	       busy_with(0) >> 32)
		sched_yield();
}

void ss_worth_after_fork(void)
{
	__atomic_fetch_sub(&forks, 1, __ATOMIC_SEQ_CST);
}

void ss_worth_after_fork_in_child(void)
{
	be_free();
	__atomic_store_n(&forks, 0, __ATOMIC_SEQ_CST);
}

static bool is_vain(struct ss_worth *w)
{
	w->vain++;
	return w->vain > MOST_VAIN && w->vain & (w->vain - 1);
}

void ss_worth_after_read_slowly(int fd, int flags, ssize_t n)
{
	struct ss_worth *w = &ss_worth[fd];
	unsigned char state = __atomic_load_n(&w->state, __ATOMIC_RELAXED);
	int saved_errno = errno;

	if (flags & MSG_OOB)
		ss_worth_end(fd);
	if (state == DECIDED || flags & (MSG_OOB | SS_WORTH_NOT_PLAIN) ||
	    !(n > 0 || (n < 0 && errno == EAGAIN)))
		return;
	if (n > 0) {
		note(w, READ);
		w->reads++;
	}
	if ((state == SENDS || is_worth_it(w, fd, n)) && !is_vain(w))
		decide(w, fd, state, true);
	errno = saved_errno;
}

void ss_worth_after_odd_read(int fd, int flags, ssize_t n)
{
	if (ss_worth_is_tried(fd) || flags & MSG_OOB)
		ss_worth_after_read(fd, flags, n);
	else
		ss_worth_forget(fd);
}

void ss_worth_after_odd_write(int fd, ssize_t n)
{
	if (ss_worth_is_tried(fd))
		ss_worth_after_write(fd, n);
	else
		ss_worth_forget(fd);
}

/* Several threads may write. */
static unsigned short next_ask(unsigned short ask)
{
	return ask < MOST_WRITES ? (unsigned short)(ask * 2) : MOST_WRITES;
}

/* By a write of @n bytes. */
static bool is_worth_sending(struct ss_worth *w, int fd, ssize_t n)
{
	unsigned short writes = ++w->writes, ask = w->ask;
	bool first = !w->joined.segments;

	if (n >= SS_WORTH_LARGE && w->large < LARGE_MESSAGES)
		return ++w->large == LARGE_MESSAGES;
	if (writes < ask || !turns_needed || !ss_runtime_is_on())
		return false;
	w->writes = 0;
	if (!ss_joined(fd, writes, &w->joined))
		w->alone++;
	else
		w->alone = 0;
	if (w->alone >= ALONE) {
		w->alone = ALONE - 1; /* it may not be the moment */
		return true;
	}
	if (!first)
		w->ask = next_ask(ask);
	return false;
}

void ss_worth_after_write_slowly(int fd, ssize_t n)
{
	struct ss_worth *w = &ss_worth[fd];
	int saved_errno;

	if (n <= 0)
		return;
	/* Most of a flood. */
	if (w->last == WRITE && n < SS_WORTH_LARGE && w->writes + 1 < w->ask) {
		w->writes++;
		return;
	}
	saved_errno = errno;
	note(w, WRITE);
	if (__atomic_load_n(&w->state, __ATOMIC_RELAXED) == ON_TRIAL &&
	    is_worth_sending(w, fd, n))
		decide(w, fd, ON_TRIAL, false);
	errno = saved_errno;
}
