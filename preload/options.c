/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "blocking.h"
#include "enroll.h"
#include "hooks.h"
#include "runtime.h"
#include "undisturbed.h"
#include "unmerge.h"
#include "worth.h"

/* used: this process has set such an option, or met one. Atomic. */
static bool used;

enum effect {
	UNMERGE,
	REFUSE,
	TIMEOUT,
};

static const struct {
	int level;
	int name;
	int without; /* value of a socket that does not use it; -1: any */
	enum effect effect;
	int error; /* for REFUSE */
} options[] = {
	{ SOL_SOCKET, SO_RCVTIMEO, -1, TIMEOUT, 0 },
	{ SOL_SOCKET, SO_RCVLOWAT, 1, UNMERGE, 0 },
	{ SOL_SOCKET, SO_PEEK_OFF, -1, UNMERGE, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP, 0, UNMERGE, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPNS, 0, UNMERGE, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPING, 0, UNMERGE, 0 },
	{ SOL_SOCKET, SO_OOBINLINE, 0, UNMERGE, 0 },
	{ IPPROTO_TCP, TCP_INQ, 0, UNMERGE, 0 },
	/* tcp_bpf_sendmsg() copies, and no completion would ever come. */
	{ SOL_SOCKET, SO_ZEROCOPY, 0, REFUSE, EOPNOTSUPP },
	/* As without the module: libraries encrypt by themselves. */
	{ IPPROTO_TCP, TCP_ULP, -1, REFUSE, ENOENT },
};
#define NR_OPTIONS (sizeof(options) / sizeof(options[0]))

static int find(int level, int name)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (options[i].level == level && options[i].name == name)
			return (int)i;
	}
	return -1;
}

static bool switches_on(int i, const void *value, socklen_t len)
{
	int number;

	if (options[i].effect == REFUSE && options[i].without < 0)
		return true;
	if (!value || len < sizeof(number))
		return false;
	memcpy(&number, value, sizeof(number));
	/* The kernel takes an SO_RCVLOWAT of 0 for 1. */
	return number != options[i].without &&
	       !(options[i].name == SO_RCVLOWAT && number == 0);
}

/*
 * It is set, and only TCP's queue honours it: unset for as long as it takes to get
 * there, or bytes would come by TCP meanwhile (see quiet.h). In the merged
 * queue fewer bytes than SO_RCVLOWAT could not be read at all.
 */
static void unmerge_for(int i, int fd, const void *value, socklen_t len)
{
	int level = options[i].level, name = options[i].name;
	struct ss_undisturbed u;

	if (!ss_unmerge_is_not(fd))
		return;
	ss_undisturbed_begin(&u);
	REAL(setsockopt)(fd, level, name, &options[i].without, sizeof(int));
	if (ss_unmerge(fd) || name != SO_RCVLOWAT)
		REAL(setsockopt)(fd, level, name, value, len);
	ss_undisturbed_end(&u);
}

static int set(int i, int fd, const void *value, socklen_t len)
{
	int result = REAL(setsockopt)(fd, options[i].level, options[i].name,
				      value, len);
	int saved_errno = errno;

	if (result)
		return result;
	/* The kernel has read @value, so we may. */
	if (options[i].effect == TIMEOUT) {
		ss_blocking_timed = true;
	} else if (switches_on(i, value, len)) {
		__atomic_store_n(&used, true, __ATOMIC_RELAXED);
		if (options[i].effect == UNMERGE && ss_runtime_on_for(fd))
			unmerge_for(i, fd, value, len);
	}
	errno = saved_errno;
	return result;
}

static bool is_refused(int i, int fd, const void *value, socklen_t len)
{
	struct ss_key key;

	return options[i].effect == REFUSE && ss_runtime_on_for(fd) &&
	       switches_on(i, value, len) && ss_enroll_is_registered(fd, &key);
}

static int set_or_refuse(int i, int fd, const void *value, socklen_t len)
{
	int saved_errno = errno;

	if (is_refused(i, fd, value, len)) {
		errno = options[i].error;
		return -1;
	}
	errno = saved_errno;
	return set(i, fd, value, len);
}

int ss_options_set(int fd, int level, int name, const void *value,
		   socklen_t len)
{
	int i = find(level, name), result;
	struct ss_undisturbed u;
	bool held;

	if (i < 0)
		return REAL(setsockopt)(fd, level, name, value, len);
	held = options[i].effect != TIMEOUT && ss_worth_hold(fd, &u);
	result = set_or_refuse(i, fd, value, len);
	if (held)
		ss_worth_release(&u);
	return result;
}

static bool has_ulp(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return !REAL(getsockopt)(fd, IPPROTO_TCP, TCP_ULP, name, &len) &&
	       len > 0 && name[0];
}

static bool has(int fd, int i)
{
	int number = 0;
	socklen_t len = sizeof(number);

	if (options[i].name == TCP_ULP)
		return has_ulp(fd);
	return !REAL(getsockopt)(fd, options[i].level, options[i].name, &number,
				 &len) &&
	       len == sizeof(number) && switches_on(i, &number, len);
}

static bool has_any(int fd)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (options[i].effect != TIMEOUT && has(fd, (int)i))
			return true;
	}
	return false;
}

bool ss_options_used(void)
{
	return __atomic_load_n(&used, __ATOMIC_RELAXED);
}

bool ss_options_keep_tcp(int fd)
{
	return ss_options_used() && has_any(fd);
}

void ss_options_learn(int fd)
{
	if (has_any(fd))
		__atomic_store_n(&used, true, __ATOMIC_RELAXED);
}
