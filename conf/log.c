/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Descriptors are handled with syscall(2): the shim interposes close(), and
 * the C library's open(), write() and close() are cancellation points, which
 * a log line must not be.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LINE_MAX_BYTES 1024 /* with the newline; PIPE_BUF is 4096 */

/*
 * Written by ss_log_remember_stderr() and ss_log_init(), which run once each
 * before other threads log, and only read after that: no lock. The file name
 * is a copy because programs that set their title write over the environment.
 */
static struct {
	enum ss_log_level level;
	bool stderr_known;
	dev_t stderr_dev;
	ino_t stderr_ino;
} state = { .level = SS_LOG_WARN };
static char log_file[PATH_MAX]; /* "": standard error; apart, to stay in .bss */

static const char *const level_names[] = {
	[SS_LOG_OFF] = "off",	  [SS_LOG_ERROR] = "error",
	[SS_LOG_WARN] = "warn",	  [SS_LOG_INFO] = "info",
	[SS_LOG_DEBUG] = "debug",
};

#define NR_LEVELS (sizeof(level_names) / sizeof(level_names[0]))

void ss_log_remember_stderr(void)
{
	int saved_errno = errno;
	struct stat st;

	/* If 2 is closed now, whatever is opened there later is not ours. */
	if (fstat(STDERR_FILENO, &st))
		memset(&st, 0, sizeof(st));
	state.stderr_dev = st.st_dev;
	state.stderr_ino = st.st_ino;
	state.stderr_known = true;
	errno = saved_errno;
}

bool ss_log_stderr_is_ours(void)
{
	int saved_errno = errno;
	struct stat st;
	bool ours = true;

	if (state.stderr_known)
		ours = !fstat(STDERR_FILENO, &st) &&
		       st.st_dev == state.stderr_dev &&
		       st.st_ino == state.stderr_ino;
	errno = saved_errno;
	return ours;
}

int ss_log_parse_level(const char *name, enum ss_log_level *level)
{
	for (unsigned int i = 0; i < NR_LEVELS; i++) {
		if (!strcmp(name, level_names[i])) {
			*level = (enum ss_log_level)i;
			return 0;
		}
	}
	return -1;
}

/* An empty variable counts as an unset one. */
static const char *environment(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

void ss_log_init(enum ss_log_level level)
{
	const char *file = environment("SOCKSHUNT_LOG_FILE");
	const char *name = environment("SOCKSHUNT_LOG");
	bool bad_level, bad_file;

	state.level = level;
	bad_level = name && ss_log_parse_level(name, &state.level);
	bad_file = file && strlen(file) >= sizeof(log_file);
	if (file && !bad_file)
		strcpy(log_file, file);

	/* Only now, so that the warnings obey both. */
	if (bad_level)
		ss_log(SS_LOG_WARN,
		       "SOCKSHUNT_LOG: \"%.40s\" is no log level; accepted: "
		       "off, error, warn, info or debug; staying at %s",
		       name, level_names[level]);
	if (bad_file)
		ss_log(SS_LOG_WARN, "SOCKSHUNT_LOG_FILE: the path is too long; "
				    "logging to standard error");
}

void ss_log_stop(void)
{
	state.level = SS_LOG_OFF;
}

/* Appends @c, as \xNN if it is a control byte. Returns 0 if it does not fit. */
static size_t put_byte(char line[LINE_MAX_BYTES], size_t len, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	bool plain = c >= ' ' && c != 0x7f;

	/* One byte is for the newline. */
	if (len + (plain ? 1 : 4) >= LINE_MAX_BYTES)
		return 0;
	if (plain) {
		line[len++] = (char)c;
		return len;
	}
	line[len++] = '\\';
	line[len++] = 'x';
	line[len++] = hex[c >> 4];
	line[len++] = hex[c & 15];
	return len;
}

/* Returns the length of the line, its newline included. */
static size_t format_line(char line[LINE_MAX_BYTES], enum ss_log_level level,
			  const char *fmt, va_list args)
{
	char text[LINE_MAX_BYTES];
	size_t len, next, n;

	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		text[0] = '\0';
	/* Other libraries' messages, libbpf's for one, end with a newline. */
	for (n = strlen(text); n && text[n - 1] == '\n'; n--)
		;
	len = (size_t)snprintf(line, LINE_MAX_BYTES,
			       "sockshunt[%ld]: %s: ", syscall(SYS_getpid),
			       level_names[level]);
	for (size_t i = 0; i < n; i++) {
		next = put_byte(line, len, (unsigned char)text[i]);
		if (!next)
			break;
		len = next;
	}
	line[len++] = '\n';
	return len;
}

static bool write_to_file(const char *line, size_t len)
{
	/* O_NONBLOCK: a FIFO without a reader must not stop the program. */
	long fd = syscall(SYS_openat, AT_FDCWD, log_file,
			  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
				  O_NONBLOCK,
			  0644);

	if (fd < 0)
		return false;
	syscall(SYS_write, fd, line, len);
	syscall(SYS_close, fd);
	return true;
}

/*
 * A pipe that is full or whose reader has gone loses the line: writing would
 * stop the program, or kill it with SIGPIPE.
 */
static void write_to_stderr(const char *line, size_t len)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct timespec now = { 0 };

	if (!ss_log_stderr_is_ours())
		return;
	if (syscall(SYS_ppoll, &pfd, 1, &now, NULL, 0) == 1 &&
	    pfd.revents == POLLOUT)
		syscall(SYS_write, STDERR_FILENO, line, len);
}

void ss_log(enum ss_log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char line[LINE_MAX_BYTES];
	va_list args;
	size_t len;

	if (level == SS_LOG_OFF || level > state.level)
		return;

	va_start(args, fmt);
	len = format_line(line, level, fmt, args);
	va_end(args);
	if (!log_file[0] || !write_to_file(line, len))
		write_to_stderr(line, len);
	errno = saved_errno;
}
