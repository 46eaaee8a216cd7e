/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "joined.h"

#include <linux/tcp.h> /* libc's structure ends before the segments of data */
#include <netinet/in.h>
#include <stddef.h>
#include <time.h>

#include "../bpf/permit.h"
#include "hooks.h"

/* More than it takes the peer to acknowledge a segment: waking it on another CPU. */
#define SLOW_USECS 100

static uint32_t now_usecs(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000000 +
			  (uint64_t)now.tv_nsec / 1000);
}

static bool has_nagle(int fd)
{
	int no_delay = 0;
	socklen_t len = sizeof(no_delay);

	REAL(getsockopt)(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len);
	return !no_delay;
}

/* Where TCP joins messages of that size, at most two thirds as many segments. */
static bool is_small(const struct tcp_info *info, unsigned int messages,
		     uint64_t bytes)
{
	return bytes / messages <= info->tcpi_snd_mss / 3 * 2;
}

static bool renew(int fd, struct tcp_info *info, struct ss_joined *last)
{
	socklen_t len = sizeof(*info);

	if (!ss_may(SS_DUTY_JOINED) ||
	    REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, info, &len) ||
	    len < offsetof(struct tcp_info, tcpi_bytes_sent) +
			    sizeof(info->tcpi_bytes_sent))
		return false;
	last->segments = info->tcpi_data_segs_out;
	last->bytes = info->tcpi_bytes_sent;
	last->usecs = now_usecs();
	return true;
}

bool ss_joined(int fd, unsigned int messages, struct ss_joined *last)
{
	struct ss_joined before = *last;
	struct tcp_info info;

	if (!renew(fd, &info, last) || !before.segments ||
	    last->segments - before.segments < messages / 4 * 3 ||
	    !is_small(&info, messages, last->bytes - before.bytes))
		return true;
	return last->usecs - before.usecs < messages * SLOW_USECS &&
	       has_nagle(fd);
}

bool ss_joined_by_tcp(int fd, unsigned int messages, uint64_t bytes,
		      struct ss_joined *last)
{
	struct ss_joined before = *last;
	struct tcp_info info;

	return renew(fd, &info, last) && before.segments &&
	       last->segments - before.segments < messages / 4 * 3 &&
	       last->bytes - before.bytes >= bytes / 4 * 3;
}
