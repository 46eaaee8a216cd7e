/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include "semantics.h"

static struct timespec after(long ms)
{
	return (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
}

static void say_polled(struct call *c, int n, const struct pollfd *p)
{
	say_result(c, n);
	if (n > 0)
		say_events(c, (uint32_t)(unsigned short)p->revents);
}

void op_poll(struct call *c)
{
	struct pollfd p = { .fd = self.fd,
			    .events = (short)poll_events(c->argv[1]) };

	say_polled(c, poll(&p, 1, (int)number(c, 2, 0)), &p);
}

void op_ppoll(struct call *c)
{
	struct pollfd p = { .fd = self.fd,
			    .events = (short)poll_events(c->argv[1]) };
	struct timespec ms = after(number(c, 2, 0));

	say_polled(c, ppoll(&p, 1, &ms, NULL), &p);
}

struct sets {
	fd_set read, write, error;
};

static void make_sets(struct sets *s, const char *which)
{
	memset(s, 0, sizeof(*s));
	if (strchr(which, 'r'))
		FD_SET(self.fd, &s->read);
	if (strchr(which, 'w'))
		FD_SET(self.fd, &s->write);
	if (strchr(which, 'e'))
		FD_SET(self.fd, &s->error);
}

static void say_sets(struct call *c, int n, struct sets *s)
{
	say_result(c, n);
	if (n > 0)
		say(c, " %s%s%s", FD_ISSET(self.fd, &s->read) ? "r" : "",
		    FD_ISSET(self.fd, &s->write) ? "w" : "",
		    FD_ISSET(self.fd, &s->error) ? "e" : "");
}

/* select rwe MS */
void op_select(struct call *c)
{
	long ms = number(c, 2, 0);
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct sets s;

	make_sets(&s, c->argv[1]);
	say_sets(c, select(self.fd + 1, &s.read, &s.write, &s.error, &tv), &s);
}

void op_pselect(struct call *c)
{
	struct timespec ms = after(number(c, 2, 0));
	struct sets s;

	make_sets(&s, c->argv[1]);
	say_sets(c,
		 pselect(self.fd + 1, &s.read, &s.write, &s.error, &ms, NULL),
		 &s);
}

static void control(struct call *c, int op, const char *events)
{
	struct epoll_event event = { .events = epoll_events(events) };

	if (self.epoll < 0)
		self.epoll = out_of_the_way(epoll_create1(EPOLL_CLOEXEC));
	say_result(c, epoll_ctl(self.epoll, op, self.fd, &event));
}

void op_epoll_add(struct call *c)
{
	control(c, EPOLL_CTL_ADD, c->argv[1]);
}

void op_epoll_mod(struct call *c)
{
	control(c, EPOLL_CTL_MOD, c->argv[1]);
}

void op_epoll_del(struct call *c)
{
	control(c, EPOLL_CTL_DEL, "");
}

static void wait_for_events(struct call *c, bool pwait)
{
	struct epoll_event events[16];
	int ms = (int)number(c, 1, 0), max = (int)number(c, 2, 8), n;

	if (max > (int)ARRAY_SIZE(events))
		max = (int)ARRAY_SIZE(events);
	if (pwait)
		n = epoll_pwait(self.epoll, events, max, ms, NULL);
	else
		n = epoll_wait(self.epoll, events, max, ms);
	say_result(c, n);
	for (int i = 0; i < n; i++)
		say_events(c, events[i].events);
}

/* epoll_wait MS [MAX] */
void op_epoll_wait(struct call *c)
{
	wait_for_events(c, false);
}

void op_epoll_pwait(struct call *c)
{
	wait_for_events(c, true);
}
