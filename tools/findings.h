/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the control map tells of loading and its self-test, for a person. */
#ifndef SOCKSHUNT_FINDINGS_H
#define SOCKSHUNT_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "../bpf/abi.h"

struct finding {
	const char *key;  /* in JSON */
	const char *name; /* in a line of text */
	bool good;
	char text[160]; /* may hold any byte */
};

/* The self-test's result number @i into @f; false: there are no more. */
bool get_finding(const struct ss_control *c, size_t i, struct finding *f);

/* "version 1.2.3 (ABI 2), by pid 12 (uid 0), 2026-01-02 03:04:05" */
void describe_load(const struct ss_control *c, char *buf, size_t size);

#endif
