/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Small messages one way: TCP joins them into large segments, by Nagle's algorithm or
 * while its window is full, and is then faster than a redirect of each; or it sends
 * each by itself, and then it is slower (bench: stream_64_*).
 */
#ifndef SOCKSHUNT_JOINED_H
#define SOCKSHUNT_JOINED_H

#include <stdbool.h>
#include <stdint.h>

/* What was so when it was asked last; no segments: it was not. */
struct ss_joined {
	uint64_t bytes;
	uint32_t segments;
	uint32_t usecs; /* of CLOCK_MONOTONIC */
};

/*
 * Whether TCP joins what is written to @fd, as it has done with the last @messages, or
 * may do so, as they come so fast that Nagle's algorithm would: updates @last. True as
 * well if that cannot be told, so the first time. May change errno.
 */
bool ss_joined(int fd, unsigned int messages, struct ss_joined *last);

/*
 * Whether most of the @bytes that were written to @fd since @last was updated have
 * gone by TCP, and it has joined the @messages: updates it. False if that cannot be
 * told, so the first time. May change errno.
 */
bool ss_joined_by_tcp(int fd, unsigned int messages, uint64_t bytes,
		      struct ss_joined *last);

#endif
