/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "reset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../bpf/abi.h"
#include "../bpf/key.h"
#include "../bpf/permit.h"
#include "blocking.h"
#include "hooks.h"
#include "owners.h"
#include "runtime.h"
#include "unread.h"
#include "worth.h"

/* The cheaper question, where the kernel counts what is in the psock. */
static bool is_counted_none(int fd)
{
	int bytes = 0;

	return ss_runtime.control->flags & SS_COUNTS_PSOCK &&
	       (REAL(ioctl)(fd, FIONREAD, &bytes) || !bytes);
}

static bool has_unread(int fd)
{
	bool connection = ss_worth_is_open(fd) ||
			  ss_blocking_generation(fd) & SS_GENERATION_TCP;

	/* Most are read to the end; what else is closed is not asked that. */
	if (connection && is_counted_none(fd))
		return false;
	return ss_key_is_tcp(fd) && !is_counted_none(fd) &&
	       ss_unread(fd) == SS_UNREAD_PSOCK;
}

static void reset_if_unread(int fd)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	/* Once more: who held it as well may have read and closed meanwhile. */
	if (!has_unread(fd) || ss_owners(fd) != 1 || !has_unread(fd))
		return;
	REAL(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void ss_reset_before_close(int fd)
{
	int saved_errno = errno, state;

	if (!ss_runtime_is_on() || !ss_may(SS_DUTY_READ | SS_DUTY_CLOSE))
		return;
	/* close(2) may be cancelled only before it has done anything. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	reset_if_unread(fd);
	pthread_setcancelstate(state, NULL);
	errno = saved_errno;
}

/* No memory is taken, no lock: this may be a child of a threaded program. */
static void reset_listed(int dir, unsigned int first, unsigned int last)
{
	_Alignas(struct dirent64) char buf[4096];
	struct dirent64 *entry;
	unsigned int fd;
	ssize_t n;

	while ((n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n; at += entry->d_reclen) {
			entry = (struct dirent64 *)(buf + at);
			fd = (unsigned int)atoi(entry->d_name);
			if (entry->d_name[0] != '.' && fd >= first &&
			    fd <= last)
				reset_if_unread((int)fd);
		}
	}
}

void ss_reset_before_range(unsigned int first, unsigned int last)
{
	int saved_errno = errno, state, dir;

	if (!ss_runtime_is_on() ||
	    !ss_may(SS_DUTY_READ | SS_DUTY_CLOSE | SS_DUTY_LIST) ||
	    !ss_runtime_owns_memory())
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		reset_listed(dir, first, last);
		REAL(close)(dir);
	}
	pthread_setcancelstate(state, NULL);
	errno = saved_errno;
}

/* exit(3), and the return from main(). */
__attribute__((destructor)) static void at_exit(void)
{
	ss_reset_before_range(0, ~0U);
}
