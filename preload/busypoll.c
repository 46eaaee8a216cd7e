/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "busypoll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "blocking.h"
#include "fdbits.h"
#include "hooks.h"
#include "runtime.h"
#include "signals.h"

/*
 * marks: one bit per descriptor number; numbers beyond it never spin.
 */
static struct ss_fdbits marks;

long long ss_busypoll_nsecs;

/*
 * After a vain spin a thread sleeps at once until so many waits were short,
 * which means that a spin might have caught them: this many times the limit,
 * for the time includes two CPUs' waking up.
 */
#define FEWEST 4
#define MOST   4096
#define SHORT  4

/* Spins that paid make up for vain ones: a long wait now and then, between many
 * short ones, is no reason to stop. */
#define MOST_CREDIT 32
#define VAIN_COSTS  16

/* Reads that found something at once, in a row: then looking first is a waste. */
#define MOST_AT_ONCE 64

/* While it sleeps, a thread looks at the clock for one wait of so many. */
#define SAMPLE 8

struct learner {
	long long since; /* a wait without spinning began; 0: none */
	unsigned short shorts;
	unsigned short needed; /* 0: FEWEST */
	unsigned char credit;
	unsigned char at_once;
	unsigned char waits; /* of SAMPLE */
	unsigned char paid;  /* spins that are not in the counters yet */
	bool sleeps;	     /* at once */
};

static __thread struct {
	struct learner reads, events;
} learners __attribute__((tls_model("initial-exec")));

void ss_busypoll_start(void)
{
	/* Alone, a spinning CPU keeps everything that it waits for waiting. */
	if (ss_runtime.control->cpus > 1)
		ss_busypoll_nsecs = ss_runtime.conf.busy_poll_usecs * 1000LL;
}

void ss_busypoll_mark(int fd)
{
	if (ss_busypoll_is_on())
		ss_fdbits_set(&marks, fd, true);
}

void ss_busypoll_unmark(int fd)
{
	ss_fdbits_set(&marks, fd, false);
}

bool ss_busypoll_is_marked(int fd)
{
	return ss_fdbits_get(&marks, fd);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The counters are everybody's: not for every spin. */
#define COUNTED_AT_ONCE 64

static void count(struct learner *l, unsigned int vain)
{
	struct ss_counters *c = &ss_runtime.control->counters;

	__atomic_fetch_add(&c->spins, l->paid + vain, __ATOMIC_RELAXED);
	if (vain)
		__atomic_fetch_add(&c->spins_vain, vain, __ATOMIC_RELAXED);
	l->paid = 0;
}

static void stop(struct learner *l, unsigned int needed)
{
	l->sleeps = true;
	l->credit = 0;
	l->shorts = 0;
	l->at_once = 0;
	l->needed = (unsigned short)(needed > MOST ? MOST : needed);
}

static void has_paid(struct learner *l)
{
	if (l->credit < MOST_CREDIT)
		l->credit++;
	if (l->needed > FEWEST)
		l->needed /= 2;
	if (++l->paid >= COUNTED_AT_ONCE)
		count(l, 0);
}

static void was_vain(struct learner *l)
{
	count(l, 1);
	if (l->credit >= VAIN_COSTS)
		l->credit -= VAIN_COSTS;
	else
		stop(l, l->needed ? 2U * l->needed : 2U * FEWEST);
}

static void has_waited(struct learner *l)
{
	long long took = now() - l->since;

	l->since = 0;
	if (took > SHORT * ss_busypoll_nsecs)
		l->shorts /= 2;
	else
		l->shorts += l->needed > FEWEST * SAMPLE ? SAMPLE : 1;
	if (l->shorts >= l->needed)
		l->sleeps = false;
}

/* A wait begins, of a thread that sleeps. */
static void will_wait(struct learner *l)
{
	if (l->needed <= FEWEST * SAMPLE || ++l->waits % SAMPLE == 0)
		l->since = now();
}

/*
 * Looks until there is something (what @look returned), a handler has run (-1
 * with EINTR; some do not count: @restarts), or @nsecs are over (0).
 */
static int spin(struct learner *l, int (*look)(void *), void *call,
		long long nsecs, bool (*restarts)(void *))
{
	int cpu = sched_getcpu(), result;
	struct ss_signals before = ss_signals;
	long long start = now(), end = start + nsecs;
	__u64 *slot =
		&ss_runtime.control
			 ->spinning[cpu < 0 ? 0 : (unsigned int)cpu % SS_CPUS];

	/* Another's, which has been preempted: it, or its peer, needs this CPU. */
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) > (__u64)start)
		return 0;
	__atomic_store_n(slot, (__u64)end, __ATOMIC_RELAXED);
	do {
		result = look(call);
		if (result)
			break;
		if (before.all != ss_signals.all) {
			if (before.interrupting != ss_signals.interrupting ||
			    !restarts || !restarts(call)) {
				errno = EINTR;
				result = -1;
				break;
			}
			before = ss_signals;
		}
	} while (now() < end);
	/* Killed before this, it is over at its end. */
	__atomic_store_n(slot, 0, __ATOMIC_RELAXED);
	if (result)
		has_paid(l);
	else
		was_vain(l);
	return result;
}

static int look_at(void *call)
{
	struct pollfd p = { .fd = *(int *)call, .events = POLLIN };

	return REAL(poll)(&p, 1, 0) == 1;
}

/* A read is not ended by a handler with SA_RESTART, but with a timeout it is. */
static bool read_restarts(void *call)
{
	return !ss_blocking_timeout(*(int *)call);
}

bool ss_busypoll_before_read_slowly(int fd, int flags)
{
	struct learner *l = &learners.reads;
	int saved_errno = errno;
	bool begins = true;

	if (!ss_busypoll_is_marked(fd) ||
	    flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB))
		return true;
	if (l->sleeps) {
		will_wait(l);
		return true;
	}
	if (look_at(&fd)) {
		if (++l->at_once >= MOST_AT_ONCE)
			stop(l, MOST);
		return true;
	}
	l->at_once = 0;
	if (!ss_blocking_waits(fd, flags))
		was_vain(l);
	else
		begins = spin(l, look_at, &fd, ss_busypoll_nsecs,
			      read_restarts) >= 0;
	if (begins)
		errno = saved_errno;
	return begins;
}

void ss_busypoll_after_read_slowly(ssize_t n)
{
	struct learner *l = &learners.reads;

	if (l->since && n > 0)
		has_waited(l);
	l->since = 0;
}

bool ss_busypoll_spin(struct ss_busypoll_call *call)
{
	struct learner *l = &learners.events;
	long long start, nsecs = ss_busypoll_nsecs;
	int saved_errno = errno;

	if (l->sleeps) {
		will_wait(l);
		return false;
	}
	call->result = call->look(call->call);
	if (call->result)
		return true;
	if (!call->concerns(call->call)) {
		/* A thread that waits for other things, too: not for these. */
		errno = saved_errno;
		return false;
	}
	if (call->timeout >= 0 && call->timeout < nsecs)
		nsecs = call->timeout;
	start = now();
	call->result = spin(l, call->look, call->call, nsecs, NULL);
	if (!call->result)
		errno = saved_errno;
	if (call->timeout > 0) {
		call->timeout -= now() - start;
		if (call->timeout < 0)
			call->timeout = 0;
	}
	return call->result != 0;
}

void ss_busypoll_learn(struct ss_busypoll_call *call)
{
	struct learner *l = &learners.events;
	int saved_errno = errno;

	if (l->since && call->result > 0)
		has_waited(l);
	l->since = 0;
	errno = saved_errno;
}
