/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The exported functions that wait for events. Without busy_poll_usecs they are
 * the originals. With it, each spins first (busypoll.h), by the original with no
 * timeout, and then is called with what is left of its timeout.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

#include "busypoll.h"
#include "enroll.h"
#include "hooks.h"
#include "worth.h"

#define NSECS 1000000000LL

static long long nsecs_of(const struct timespec *t)
{
	return t->tv_sec * NSECS + t->tv_nsec;
}

static struct timespec timespec_of(long long nsecs)
{
	return (struct timespec){ nsecs / NSECS, nsecs % NSECS };
}

/* A timeout that is none, or that the kernel refuses, is not ours. */
static bool waits(const struct timespec *t)
{
	return !t ||
	       (t->tv_sec >= 0 && t->tv_sec < 1 << 30 && t->tv_nsec >= 0 &&
		t->tv_nsec < NSECS && (t->tv_sec || t->tv_nsec));
}

/* Of a busy poll: -1 is for ever. */
static long long timeout_of(const struct timespec *t)
{
	return t ? nsecs_of(t) : -1;
}

/* poll(2) */

struct poll_call {
	struct pollfd *fds;
	nfds_t n;
	const sigset_t *mask;
};

/* Many take long to look at; more than one CPU's waking up is worth. */
#define MOST_FDS 64

static int poll_look(void *call)
{
	const struct timespec none = { 0, 0 };
	struct poll_call *c = call;

	return REAL(ppoll)(c->fds, c->n, &none, c->mask);
}

static bool poll_concerns(void *call)
{
	struct poll_call *c = call;

	for (nfds_t i = 0; i < c->n; i++) {
		if (c->fds[i].events & POLLIN &&
		    ss_busypoll_is_marked(c->fds[i].fd))
			return true;
	}
	return false;
}

static int poll_spinning(struct pollfd *fds, nfds_t n,
			 const struct timespec *timeout, const sigset_t *mask)
{
	struct poll_call poll_call = { fds, n, mask };
	struct ss_busypoll_call call = { .look = poll_look,
					 .concerns = poll_concerns,
					 .call = &poll_call,
					 .timeout = timeout_of(timeout) };
	struct timespec left;

	if (ss_busypoll_spin(&call))
		return call.result;
	left = timespec_of(call.timeout);
	call.result = REAL(ppoll)(fds, n, timeout ? &left : NULL, mask);
	ss_busypoll_learn(&call);
	return call.result;
}

HOOK int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t = { timeout / 1000, timeout % 1000 * 1000000L };

	if (!ss_busypoll_is_on() || !timeout || !n || n > MOST_FDS)
		return REAL(poll)(fds, n, timeout);
	return poll_spinning(fds, n, timeout > 0 ? &t : NULL, NULL);
}

HOOK int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
	       const sigset_t *mask)
{
	if (!ss_busypoll_is_on() || !waits(timeout) || !n || n > MOST_FDS)
		return REAL(ppoll)(fds, n, timeout, mask);
	return poll_spinning(fds, n, timeout, mask);
}

/* What _FORTIFY_SOURCE makes of them; declared in no public header. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask, size_t size);

HOOK int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (!ss_busypoll_is_on() || size / sizeof(*fds) < n)
		return REAL(__poll_chk)(fds, n, timeout, size);
	return poll(fds, n, timeout);
}

HOOK int __ppoll_chk(struct pollfd *fds, nfds_t n,
		     const struct timespec *timeout, const sigset_t *mask,
		     size_t size)
{
	if (!ss_busypoll_is_on() || size / sizeof(*fds) < n)
		return REAL(__ppoll_chk)(fds, n, timeout, mask, size);
	return ppoll(fds, n, timeout, mask);
}

/* select(2) */

struct select_call {
	int n;
	fd_set *sets[3]; /* read, write, except */
	const sigset_t *mask;
};

static void copy_set(fd_set *to, const fd_set *from, int n)
{
	/* The kernel reads and writes whole longs, and no more. */
	memcpy(to, from, ((size_t)n + NFDBITS - 1) / NFDBITS * sizeof(long));
}

/* It clears the sets if there is nothing: they are copied. */
static int select_look(void *call)
{
	const struct timespec none = { 0, 0 };
	struct select_call *c = call;
	fd_set copies[3], *sets[3];
	int result;

	for (int i = 0; i < 3; i++) {
		sets[i] = c->sets[i] ? &copies[i] : NULL;
		if (sets[i])
			copy_set(sets[i], c->sets[i], c->n);
	}
	result = REAL(pselect)(c->n, sets[0], sets[1], sets[2], &none, c->mask);
	for (int i = 0; result > 0 && i < 3; i++) {
		if (sets[i])
			copy_set(c->sets[i], sets[i], c->n);
	}
	return result;
}

static bool select_concerns(void *call)
{
	struct select_call *c = call;

	for (int fd = 0; c->sets[0] && fd < c->n; fd++) {
		if (FD_ISSET(fd, c->sets[0]) && ss_busypoll_is_marked(fd))
			return true;
	}
	return false;
}

static bool select_may_spin(int n)
{
	return ss_busypoll_is_on() && n > 0 && n <= FD_SETSIZE;
}

/* True: it has ended, with @call->result. */
static bool select_spins(struct select_call *select_call,
			 struct ss_busypoll_call *call)
{
	call->look = select_look;
	call->concerns = select_concerns;
	call->call = select_call;
	return ss_busypoll_spin(call);
}

/* select(2) says in @timeout what is left of it; pselect(2) does not. */
HOOK int select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct select_call select_call = { n, { r, w, e }, NULL };
	struct ss_busypoll_call call = { 0 };
	struct timespec t;
	bool ended;

	if (timeout)
		TIMEVAL_TO_TIMESPEC(timeout, &t);
	if (!select_may_spin(n) || !waits(timeout ? &t : NULL))
		return REAL(select)(n, r, w, e, timeout);
	call.timeout = timeout_of(timeout ? &t : NULL);
	ended = select_spins(&select_call, &call);
	if (timeout) {
		t = timespec_of(call.timeout + 999);
		TIMESPEC_TO_TIMEVAL(timeout, &t);
	}
	if (ended)
		return call.result;
	call.result = REAL(select)(n, r, w, e, timeout);
	ss_busypoll_learn(&call);
	return call.result;
}

HOOK int pselect(int n, fd_set *r, fd_set *w, fd_set *e,
		 const struct timespec *timeout, const sigset_t *mask)
{
	struct select_call select_call = { n, { r, w, e }, mask };
	struct ss_busypoll_call call = { 0 };
	struct timespec left;

	if (!select_may_spin(n) || !waits(timeout))
		return REAL(pselect)(n, r, w, e, timeout, mask);
	call.timeout = timeout_of(timeout);
	if (select_spins(&select_call, &call))
		return call.result;
	left = timespec_of(call.timeout);
	call.result = REAL(pselect)(n, r, w, e, timeout ? &left : NULL, mask);
	ss_busypoll_learn(&call);
	return call.result;
}

/* epoll_wait(2) */

struct epoll_call {
	int ep;
	struct epoll_event *events;
	int n;
	const sigset_t *mask;
};

static int epoll_look(void *call)
{
	struct epoll_call *c = call;

	return REAL(epoll_pwait)(c->ep, c->events, c->n, 0, c->mask);
}

static bool epoll_concerns(void *call)
{
	return ss_busypoll_is_marked(((struct epoll_call *)call)->ep);
}

/*
 * True: it has ended, with @call->result. Else what is left of a timeout is
 * less than a millisecond's multiple: epoll_pwait2(2), where there is one.
 */
static bool epoll_spins(struct epoll_call *epoll_call,
			struct ss_busypoll_call *call)
{
	long long timeout = call->timeout;
	int saved_errno = errno;
	struct timespec left;

	call->look = epoll_look;
	call->concerns = epoll_concerns;
	call->call = epoll_call;
	if (ss_busypoll_spin(call))
		return true;
	if (call->timeout == timeout)
		return false;
	left = timespec_of(call->timeout);
	call->result =
		REAL(epoll_pwait2)(epoll_call->ep, epoll_call->events,
				   epoll_call->n, &left, epoll_call->mask);
	if (call->result >= 0 || errno != ENOSYS)
		return true;
	errno = saved_errno;
	return false;
}

HOOK int epoll_pwait(int ep, struct epoll_event *events, int n, int timeout,
		     const sigset_t *mask)
{
	struct epoll_call epoll_call = { ep, events, n, mask };
	struct ss_busypoll_call call = {
		.timeout = timeout < 0 ? -1 : timeout * 1000000LL,
	};

	if (!ss_busypoll_is_on() || !timeout || !ss_busypoll_is_marked(ep))
		return REAL(epoll_pwait)(ep, events, n, timeout, mask);
	if (epoll_spins(&epoll_call, &call))
		return call.result;
	call.result = REAL(epoll_pwait)(ep, events, n, timeout, mask);
	ss_busypoll_learn(&call);
	return call.result;
}

HOOK int epoll_wait(int ep, struct epoll_event *events, int n, int timeout)
{
	if (!ss_busypoll_is_on() || !timeout || !ss_busypoll_is_marked(ep))
		return REAL(epoll_wait)(ep, events, n, timeout);
	return epoll_pwait(ep, events, n, timeout, NULL);
}

HOOK int epoll_pwait2(int ep, struct epoll_event *events, int n,
		      const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_call epoll_call = { ep, events, n, mask };
	struct ss_busypoll_call call = { 0 };

	if (!ss_busypoll_is_on() || !waits(timeout) ||
	    !ss_busypoll_is_marked(ep))
		return REAL(epoll_pwait2)(ep, events, n, timeout, mask);
	call.timeout = timeout_of(timeout);
	if (epoll_spins(&epoll_call, &call))
		return call.result;
	call.result = REAL(epoll_pwait2)(ep, events, n, timeout, mask);
	ss_busypoll_learn(&call);
	return call.result;
}

HOOK int epoll_ctl(int ep, int op, int fd, struct epoll_event *event)
{
	int result = REAL(epoll_ctl)(ep, op, fd, event);

	if (ss_busypoll_is_on() && !result && op != EPOLL_CTL_DEL &&
	    (ss_busypoll_is_marked(fd) || ss_enroll_is_pending(fd) ||
	     ss_worth_is_open(fd)))
		ss_busypoll_mark(ep);
	return result;
}
