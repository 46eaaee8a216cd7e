/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One line per event, to standard error or to $SOCKSHUNT_LOG_FILE.
 */
#ifndef SOCKSHUNT_LOG_H
#define SOCKSHUNT_LOG_H

#include <stdbool.h>

enum ss_log_level {
	SS_LOG_OFF,
	SS_LOG_ERROR,
	SS_LOG_WARN,
	SS_LOG_INFO,
	SS_LOG_DEBUG,
};

/*
 * Remembers which file descriptor 2 is, so that a daemon which later reuses
 * the number for a socket never finds a log line in its data. Call it at
 * start-up, before the program runs. One fstat(2), nothing else.
 */
void ss_log_remember_stderr(void);

/* Whether descriptor 2 is still the file seen by ss_log_remember_stderr(). */
bool ss_log_stderr_is_ours(void);

/*
 * Sets the level from the configuration; $SOCKSHUNT_LOG overrides it, and
 * $SOCKSHUNT_LOG_FILE chooses the file (both ignored in a set-id process, and
 * if empty).
 * Call once, before other threads log. The level before that is warn.
 */
void ss_log_init(enum ss_log_level level);

/* Not a system call for a log line from now on. */
void ss_log_stop(void);

/* Parses off|error|warn|info|debug. Returns 0, or -1 if @name is none. */
int ss_log_parse_level(const char *name, enum ss_log_level *level);

/*
 * Writes "sockshunt[PID]: LEVEL: MESSAGE\n" with a single write(2) (the file
 * is opened O_APPEND for each line and closed again: no descriptor is held).
 * Preserves errno. Async-signal-safe for the formats used here (no floats),
 * thread-safe, allocates nothing. A line longer than 1023 bytes is cut; control
 * bytes are written as \xNN; newlines at the end of the message are dropped.
 *
 * Never blocks: a line is lost if standard error cannot take it at once. If
 * the file cannot be opened, the line goes to standard error.
 */
void ss_log(enum ss_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
