/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "semantics.h"

/* FIONREAD | SIOCOUTQ | SIOCATMARK */
void op_ioctl(struct call *c)
{
	int value = -1;

	if (!strcmp(c->argv[1], "FIONREAD")) {
		if (ioctl(self.fd, FIONREAD, &value))
			say_errno(c);
		else
			say_readable(c, value);
	} else if (!strcmp(c->argv[1], "SIOCOUTQ")) {
		if (ioctl(self.fd, SIOCOUTQ, &value))
			say_errno(c);
		else
			say(c, "%s", value ? "not zero" : "0");
	} else if (!strcmp(c->argv[1], "SIOCATMARK")) {
		if (ioctl(self.fd, SIOCATMARK, &value))
			say_errno(c);
		else
			say(c, "%d", value);
	} else {
		say(c, "NO SUCH IOCTL");
	}
}

void op_sockatmark(struct call *c)
{
	say_result(c, sockatmark(self.fd));
}

static int set_option(const struct sockopt *o, struct call *c)
{
	long value = number(c, 2, 1);
	struct timeval time = { value / 1000, value % 1000 * 1000 };
	struct linger linger = { .l_onoff = value >= 0,
				 .l_linger = value < 0 ? 0 : (int)value };
	const char *string = c->argc > 2 ? c->argv[2] : "tls";
	int i = (int)value;

	switch (o->kind) {
	case OPT_TIME:
		return setsockopt(self.fd, o->level, o->number, &time,
				  sizeof(time));
	case OPT_LINGER:
		return setsockopt(self.fd, o->level, o->number, &linger,
				  sizeof(linger));
	case OPT_STRING:
		return setsockopt(self.fd, o->level, o->number, string,
				  (socklen_t)strlen(string));
	default:
		return setsockopt(self.fd, o->level, o->number, &i, sizeof(i));
	}
}

/* setsockopt NAME [VALUE] */
void op_setsockopt(struct call *c)
{
	const struct sockopt *o = option_named(c->argv[1]);

	if (!o)
		say(c, "NO SUCH OPTION");
	else
		say_result(c, set_option(o, c));
}

static const char *state_name(unsigned int state)
{
	static const char *const names[] = {
		"0",	      "ESTABLISHED", "SYN_SENT",  "SYN_RECV",
		"FIN_WAIT1",  "FIN_WAIT2",   "TIME_WAIT", "CLOSE",
		"CLOSE_WAIT", "LAST_ACK",    "LISTEN",	  "CLOSING",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

void op_getsockopt(struct call *c)
{
	const struct sockopt *o = option_named(c->argv[1]);
	union {
		int number;
		struct timeval time;
		struct linger linger;
		struct tcp_info info;
		char string[64];
	} value;
	socklen_t len = sizeof(int);

	if (!o) {
		say(c, "NO SUCH OPTION");
		return;
	}
	memset(&value, 0, sizeof(value));
	if (o->kind != OPT_INT && o->kind != OPT_ERROR)
		len = sizeof(value);
	if (getsockopt(self.fd, o->level, o->number, &value, &len))
		say_errno(c);
	else if (o->kind == OPT_TIME)
		say(c, "%ld",
		    (long)value.time.tv_sec * 1000 +
			    (long)value.time.tv_usec / 1000);
	else if (o->kind == OPT_LINGER)
		say(c, "%d", value.linger.l_onoff ? value.linger.l_linger : -1);
	else if (o->kind == OPT_STRING)
		say(c, "%s", value.string);
	else if (o->kind == OPT_STATE)
		say(c, "%s", state_name(value.info.tcpi_state));
	else if (o->kind == OPT_ERROR)
		say(c, "%s", value.number ? errno_name(value.number) : "0");
	else
		say(c, "%d", value.number);
}

static void set_status(struct call *c, int flag)
{
	int flags = fcntl(self.fd, F_GETFL);

	if (flags >= 0) {
		flags = strcmp(c->argv[1], "on") ? flags & ~flag : flags | flag;
		flags = fcntl(self.fd, F_SETFL, flags);
	}
	say_result(c, flags);
}

/* nonblock on|off */
void op_nonblock(struct call *c)
{
	set_status(c, O_NONBLOCK);
}

/* async on|off */
void op_async(struct call *c)
{
	set_status(c, O_ASYNC);
}

void op_own(struct call *c)
{
	say_result(c, fcntl(self.fd, F_SETOWN, getpid()));
}

/* sigaction NAME restart|norestart|ignore|default */
void op_sigaction(struct call *c)
{
	int number = signal_number(c->argv[1]);

	if (number < 0)
		say(c, "NO SUCH SIGNAL");
	else
		say_result(c, set_signal(number, c->argv[2]));
}

/* alarm MS */
void op_alarm(struct call *c)
{
	long ms = number(c, 1, 0);
	struct itimerval timer = {
		.it_value = { ms / 1000, ms % 1000 * 1000 },
	};

	say_result(c, setitimer(ITIMER_REAL, &timer, NULL));
}
