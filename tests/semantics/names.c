/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "semantics.h"

/* Newer than the headers of Debian 12. */
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef TCP_INQ
#define TCP_INQ 36
#endif

struct name {
	const char *name;
	uint32_t value;
};

const char *errno_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "EUNKNOWN";
}

int signal_number(const char *name)
{
	for (int i = 1; i < NSIG; i++) {
		if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), name))
			return i;
	}
	return strcmp(name, "IO") ? -1 : SIGIO;
}

const char *signal_name(int number)
{
	if (number == SIGIO)
		return "IO";
	return sigabbrev_np(number) ? sigabbrev_np(number) : "?";
}

static const struct name flags[] = {
	{ "OOB", MSG_OOB },
	{ "PEEK", MSG_PEEK },
	{ "DONTROUTE", MSG_DONTROUTE },
	{ "CTRUNC", MSG_CTRUNC },
	{ "TRUNC", MSG_TRUNC },
	{ "DONTWAIT", MSG_DONTWAIT },
	{ "EOR", MSG_EOR },
	{ "WAITALL", MSG_WAITALL },
	{ "ERRQUEUE", MSG_ERRQUEUE },
	{ "NOSIGNAL", MSG_NOSIGNAL },
	{ "MORE", MSG_MORE },
	{ "WAITFORONE", MSG_WAITFORONE },
	{ "ZEROCOPY", MSG_ZEROCOPY },
	{ "FASTOPEN", MSG_FASTOPEN },
	{ "CMSG_CLOEXEC", MSG_CMSG_CLOEXEC },
};

/* In the order in which they are printed. */
static const struct name events[] = {
	{ "IN", EPOLLIN },	   { "PRI", EPOLLPRI },
	{ "OUT", EPOLLOUT },	   { "ERR", EPOLLERR },
	{ "HUP", EPOLLHUP },	   { "NVAL", POLLNVAL },
	{ "RDHUP", EPOLLRDHUP },   { "RDNORM", EPOLLRDNORM },
	{ "RDBAND", EPOLLRDBAND }, { "WRNORM", EPOLLWRNORM },
	{ "WRBAND", EPOLLWRBAND }, { "MSG", EPOLLMSG },
};

static const struct name epoll_flags[] = {
	{ "ET", EPOLLET },
	{ "ONESHOT", EPOLLONESHOT },
	{ "EXCLUSIVE", EPOLLEXCLUSIVE },
};

static bool add_named(const struct name *names, size_t n, const char *word,
		      size_t len, uint32_t *value)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(names[i].name) == len &&
		    !strncmp(names[i].name, word, len)) {
			*value |= names[i].value;
			return true;
		}
	}
	return false;
}

/* The first piece of @names up to , or | without a usual prefix. */
static const char *next_name(const char **names, size_t *len)
{
	static const char *const prefixes[] = { "MSG_", "EPOLL", "POLL" };
	const char *word = *names;

	*len = strcspn(word, ",|");
	*names = word + *len + (word[*len] != '\0');
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t skip = strlen(prefixes[i]);

		if (*len > skip && !strncmp(word, prefixes[i], skip)) {
			*len -= skip;
			return word + skip;
		}
	}
	return word;
}

long msg_flags(struct call *c, int first)
{
	uint32_t value = 0;
	size_t len;

	for (int i = first; i < c->argc; i++) {
		const char *names = c->argv[i];

		while (*names) {
			const char *word = next_name(&names, &len);

			if (len == 1 && *word == '0')
				continue;
			if (!add_named(flags, ARRAY_SIZE(flags), word, len,
				       &value)) {
				say(c, "NO SUCH FLAG");
				return -1;
			}
		}
	}
	return (long)value;
}

void say_msg_flags(struct call *c, int value)
{
	const char *separator = " flags=";

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (value & (int)flags[i].value &&
		    flags[i].value != MSG_CMSG_CLOEXEC) {
			say(c, "%s%s", separator, flags[i].name);
			separator = ",";
		}
	}
}

uint32_t epoll_events(const char *names)
{
	uint32_t value = 0;
	size_t len;

	while (*names) {
		const char *word = next_name(&names, &len);

		if (!add_named(events, ARRAY_SIZE(events), word, len, &value))
			add_named(epoll_flags, ARRAY_SIZE(epoll_flags), word,
				  len, &value);
	}
	return value;
}

int poll_events(const char *names)
{
	return (int)epoll_events(names);
}

void say_events(struct call *c, uint32_t value)
{
	const char *separator = " ";

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (value & events[i].value) {
			say(c, "%s%s", separator, events[i].name);
			separator = ",";
		}
	}
}

static const struct sockopt options[] = {
	{ "RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, OPT_INT },
	{ "SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, OPT_INT },
	{ "RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO, OPT_TIME },
	{ "SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO, OPT_TIME },
	{ "PEEK_OFF", SOL_SOCKET, SO_PEEK_OFF, OPT_INT },
	{ "OOBINLINE", SOL_SOCKET, SO_OOBINLINE, OPT_INT },
	{ "TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP, OPT_INT },
	{ "TIMESTAMPNS", SOL_SOCKET, SO_TIMESTAMPNS, OPT_INT },
	{ "TIMESTAMPING", SOL_SOCKET, SO_TIMESTAMPING, OPT_INT },
	{ "LINGER", SOL_SOCKET, SO_LINGER, OPT_LINGER },
	{ "ZEROCOPY", SOL_SOCKET, SO_ZEROCOPY, OPT_INT },
	{ "KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, OPT_INT },
	{ "RCVBUF", SOL_SOCKET, SO_RCVBUF, OPT_INT },
	{ "SNDBUF", SOL_SOCKET, SO_SNDBUF, OPT_INT },
	{ "BUSY_POLL", SOL_SOCKET, SO_BUSY_POLL, OPT_INT },
	{ "PRIORITY", SOL_SOCKET, SO_PRIORITY, OPT_INT },
	{ "MARK", SOL_SOCKET, SO_MARK, OPT_INT },
	{ "ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, OPT_INT },
	{ "TYPE", SOL_SOCKET, SO_TYPE, OPT_INT },
	{ "PROTOCOL", SOL_SOCKET, SO_PROTOCOL, OPT_INT },
	{ "ERROR", SOL_SOCKET, SO_ERROR, OPT_ERROR },
	{ "INQ", IPPROTO_TCP, TCP_INQ, OPT_INT },
	{ "ULP", IPPROTO_TCP, TCP_ULP, OPT_STRING },
	{ "CONGESTION", IPPROTO_TCP, TCP_CONGESTION, OPT_STRING },
	{ "NODELAY", IPPROTO_TCP, TCP_NODELAY, OPT_INT },
	{ "CORK", IPPROTO_TCP, TCP_CORK, OPT_INT },
	{ "QUICKACK", IPPROTO_TCP, TCP_QUICKACK, OPT_INT },
	{ "MAXSEG", IPPROTO_TCP, TCP_MAXSEG, OPT_INT },
	{ "WINDOW_CLAMP", IPPROTO_TCP, TCP_WINDOW_CLAMP, OPT_INT },
	{ "NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, OPT_INT },
	{ "USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, OPT_INT },
	{ "DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, OPT_INT },
	{ "FASTOPEN", IPPROTO_TCP, TCP_FASTOPEN, OPT_INT },
	{ "FASTOPEN_CONNECT", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, OPT_INT },
	{ "REPAIR", IPPROTO_TCP, TCP_REPAIR, OPT_INT },
	{ "STATE", IPPROTO_TCP, TCP_INFO, OPT_STATE },
};

const struct sockopt *option_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strcmp(options[i].name, name))
			return &options[i];
	}
	return NULL;
}
