/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The lines of sockshunt doctor, as text or as one JSON object. */
#ifndef SOCKSHUNT_REPORT_H
#define SOCKSHUNT_REPORT_H

#include <stdbool.h>

/* FAIL: for this reason, no connection is accelerated now. */
enum state {
	STATE_OK,
	STATE_NOTE,
	STATE_FAIL,
};

void report_begin(bool json);

/* One check; @advice (NULL: none): what to do about it. */
void report(enum state state, const char *name, const char *advice,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Returns whether nothing has failed. */
bool report_end(void);

#endif
