/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A registered socket that sends many small messages and gets no answer: they go by
 * TCP (bpf/oneway.bpf.h), which is slower from the sockhash than without. It then
 * leaves it (leave.h), for which all that is read has to be counted.
 */
#ifndef SOCKSHUNT_FLOOD_H
#define SOCKSHUNT_FLOOD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "joined.h"

/* Of one descriptor number. No locks: with two threads it does not leave. */
struct ss_flood {
	uint64_t cookie;   /* of the socket */
	uint64_t come;	   /* ss_leave_bytes_for(), if all of that is read */
	uint64_t written;  /* bytes since it was read, or the last run ended */
	uint32_t messages; /* likewise */
	struct ss_joined sent;
};

/*
 * The socket @fd, a duplicate, is about to be merged: asked first, and then whether
 * anything is unread, of which nothing can be said here. May change errno.
 */
void ss_flood_begin(struct ss_flood *f, int fd);

/* Whether it may leave. */
bool ss_flood_counts(const struct ss_flood *f);

/* A read of it has returned @n bytes that are taken from it. */
static inline void ss_flood_read(struct ss_flood *f, ssize_t n)
{
	f->come += (uint64_t)n;
	f->written = 0;
	f->messages = 0;
	f->sent.segments = 0;
}

/* And so many again: about as long as leaving takes. */
#define SS_FLOOD_MESSAGES 4096

/* A write to @fd has returned @n bytes. Whether it has left. Keeps errno. */
bool ss_flood_ends(struct ss_flood *f, int fd);
static inline bool ss_flood_write(struct ss_flood *f, int fd, ssize_t n)
{
	f->written += (uint64_t)n;
	return __builtin_expect(++f->messages >= SS_FLOOD_MESSAGES, 0) &&
	       ss_flood_ends(f, fd);
}

#endif
