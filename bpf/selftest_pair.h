/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The self-test's connections, and what is asked of them. */
#ifndef SOCKSHUNT_SELFTEST_PAIR_H
#define SOCKSHUNT_SELFTEST_PAIR_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "selftest.h"

struct ss_pair {
	int a; /* sends */
	int b; /* receives; neither blocks */
};

/* They end the function that tests: without an answer, and with "no". */
#define NEEDS(ok, ...) SS_ANSWER_UNLESS(ok, -1, __VA_ARGS__)
#define CHECK(ok, ...) SS_ANSWER_UNLESS(ok, 0, __VA_ARGS__)
#define SS_ANSWER_UNLESS(ok, answer, ...)                                      \
	do {                                                                   \
		if (!(ok)) {                                                   \
			snprintf(t->why, sizeof(t->why), __VA_ARGS__);         \
			return answer;                                         \
		}                                                              \
	} while (0)

/*
 * Runs @test with a pair that nobody has registered. Never blocks for long: a
 * firewall may drop even loopback.
 */
int ss_pair_test(struct ss_selftest *t,
		 int (*test)(struct ss_selftest *t, const struct ss_pair *p));

bool ss_pair_enter(const struct ss_selftest *t, const struct ss_pair *p);

/* What the verdict has redirected until now. */
struct ss_redirected {
	__u64 messages;
	__u64 bytes;
};
struct ss_redirected ss_pair_redirected(const struct ss_selftest *t);

bool ss_pair_send(const struct ss_pair *p, const char *text);

/* The same by TCP, whatever the rule says. */
bool ss_pair_send_by_tcp(const struct ss_pair *p, const char *text);

/* B's TCP has, or soon gets, @bytes in all. */
bool ss_pair_arrives(const struct ss_pair *p, __u64 bytes);

/* B reads @text, in as many pieces as it likes. */
bool ss_pair_reads(const struct ss_pair *p, const char *text);

/* B reads the end of file. */
bool ss_pair_ends(const struct ss_pair *p);

/* Bytes, or -1; and whether it is @bytes when they can be read. */
int ss_pair_fionread(const struct ss_pair *p);
bool ss_pair_counts(const struct ss_pair *p, int bytes);

/* A member of SO_MEMINFO's answer (SK_MEMINFO_...), or -1. */
int ss_pair_meminfo(const struct ss_pair *p, int member);

/* One of @events on @fd, soon. */
bool ss_pair_polls(int fd, short events);

#endif
