/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The grammar is inih's: it splits a line into key and value, drops comments
 * and knows continued lines. It is fed one line at a time, because it cannot
 * tell a line that is too long, a NUL or a section that holds no key.
 *
 * The file is read with syscall(2): the shim interposes close(), and the C
 * library's open(), read() and close() are cancellation points.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ini.h>

#include "conf.h"

#define SECTION	       "[sockshunt]"
#define BLANKS	       " \t\v\f\r\n"
#define BOM	       "\xef\xbb\xbf"
#define MAX_FILE_BYTES (1024 * 1024)
#define MAX_MESSAGE    499 /* within struct ss_conf_error */

/* How much of each text an error message shows, in bytes after escaping. */
#define SHOW_FILE  160
#define SHOW_KEY   40
#define SHOW_VALUE 60
#define SHOW_ALL   MAX_MESSAGE

enum {
	MAY_BE_EMPTY = 1 << 0,
	IS_LIST = 1 << 1, /* may go on on indented lines */
};

struct reader;

struct key {
	const char *name;
	bool (*set)(struct reader *in, const char *value);
	unsigned int flags;
	const char *form; /* the accepted form, for error messages */
};

struct reader {
	const char *file;
	struct ss_conf *conf;
	struct ss_conf_error *err; /* not empty: stop */

	int fd;
	unsigned char buf[512];
	size_t pos, len; /* of buf */

	unsigned int line;
	char word[SHOW_KEY]; /* the line's first word, to name in an error */
	bool is_entry;	     /* the line needs a call of on_entry() */

	const struct key *key;	 /* the latest one, in this section */
	bool continued;		 /* the line goes on with its value */
	unsigned int comma_line; /* its value ended there with a comma */
	unsigned int seen;	 /* one bit for each key */
};

/* Error messages */

/* Appends @len bytes of @text: one line of printable ASCII, at most @show. */
static void put_n(struct ss_conf_error *err, const char *text, size_t len,
		  size_t show)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = strlen(err->text);
	size_t end = at + show < MAX_MESSAGE ? at + show : MAX_MESSAGE;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = c >= ' ' && c <= '~';

		/* The end of what is shown is kept free for the dots. */
		if (at + (plain ? 1 : 4) + (i + 1 < len ? 3 : 0) > end) {
			for (int dots = 0; dots < 3 && at < end; dots++)
				err->text[at++] = '.';
			break;
		}
		if (plain) {
			err->text[at++] = (char)c;
		} else {
			err->text[at++] = '\\';
			err->text[at++] = 'x';
			err->text[at++] = hex[c >> 4];
			err->text[at++] = hex[c & 15];
		}
	}
	err->text[at] = '\0';
}

static void put(struct ss_conf_error *err, const char *text)
{
	put_n(err, text, strlen(text), SHOW_ALL);
}

static void put_number(struct ss_conf_error *err, unsigned int n)
{
	char digits[10];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	put_n(err, digits + at, sizeof(digits) - at, SHOW_ALL);
}

/* "FILE: ", with only the end of a long path. */
static void put_file(struct reader *in)
{
	size_t len = strlen(in->file);
	const char *from = in->file;

	if (len > SHOW_FILE - 3) {
		put(in->err, "...");
		from += len - (SHOW_FILE - 3);
	}
	put_n(in->err, from, strlen(from), SHOW_FILE);
}

/* All the functions below that return false have filled in the error. */
static bool file_error(struct reader *in, const char *what, int error)
{
	const char *reason = error ? strerrordesc_np(error) : NULL;

	put_file(in);
	put(in->err, ": ");
	put(in->err, what);
	if (reason) {
		put(in->err, ": ");
		put(in->err, reason);
	}
	return false;
}

static void put_place(struct reader *in, const char *key)
{
	put_file(in);
	put(in->err, ":");
	put_number(in->err, in->line);
	put(in->err, ": ");
	if (*key) {
		put_n(in->err, key, strlen(key), SHOW_KEY);
		put(in->err, ": ");
	}
}

/* "FILE:LINE: KEY: WHAT; FORM" */
static bool mistake(struct reader *in, const char *key, const char *what,
		    const char *form)
{
	put_place(in, key);
	put(in->err, what);
	put(in->err, "; ");
	put(in->err, form);
	return false;
}

/* "FILE:LINE: KEY: "VALUE" WHAT; FORM", for the key being set. */
static bool reject_n(struct reader *in, const char *value, size_t len,
		     const char *what)
{
	put_place(in, in->key->name);
	put(in->err, "\"");
	put_n(in->err, value, len, SHOW_VALUE);
	put(in->err, "\" ");
	put(in->err, what);
	put(in->err, "; ");
	put(in->err, in->key->form);
	return false;
}

static bool reject(struct reader *in, const char *value, const char *what)
{
	return reject_n(in, value, strlen(value), what);
}

/* Values */

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, BLANKS);
}

/* Returns what follows the digits, or NULL without digits or on overflow. */
static const char *parse_u32(const char *s, uint32_t *number)
{
	const char *digits = s;
	uint32_t n = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint32_t)(*s - '0'), &n))
			return NULL;
	}
	*number = n;
	return s > digits ? s : NULL;
}

static bool set_text(struct reader *in, char to[SS_CONF_PATH_MAX],
		     const char *value)
{
	if (strlen(value) >= SS_CONF_PATH_MAX)
		return reject(in, value, "is too long");
	strcpy(to, value);
	return true;
}

static bool set_path(struct reader *in, char to[SS_CONF_PATH_MAX],
		     const char *value)
{
	if (*value && *value != '/')
		return reject(in, value, "is not an absolute path");
	for (const char *s = value; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return reject(in, value, "has a control character");
	}
	return set_text(in, to, value);
}

static bool set_bpf_program_path(struct reader *in, const char *value)
{
	return set_path(in, in->conf->bpf_program_path, value);
}

static bool set_cgroup_path(struct reader *in, const char *value)
{
	return set_path(in, in->conf->cgroup_path, value);
}

static bool set_sockhash_max_entries(struct reader *in, const char *value)
{
	const char *end = parse_u32(value, &in->conf->sockhash_max_entries);

	if (!end || *end || !in->conf->sockhash_max_entries)
		return reject(in, value, "is not a number in range");
	return true;
}

static bool set_register_user_space_sockets(struct reader *in,
					    const char *value)
{
	static const char *const words[][2] = {
		{ "true", "false" },
		{ "yes", "no" },
		{ "on", "off" },
		{ "1", "0" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		bool yes = !strcmp(value, words[i][0]);

		if (yes || !strcmp(value, words[i][1])) {
			in->conf->register_user_space_sockets = yes;
			return true;
		}
	}
	return reject(in, value, "is neither true nor false");
}

static const char *parse_port(const char *s, uint32_t *port)
{
	s = parse_u32(s, port);
	if (!s || *port < 1 || *port > UINT16_MAX)
		return NULL;
	return skip_blanks(s);
}

/* One port or range: @len bytes, blanks at the end included. */
static bool add_ports(struct reader *in, const char *item, size_t len)
{
	struct ss_conf *conf = in->conf;
	uint32_t first, last;
	const char *s;

	if (!len)
		return mistake(in, in->key->name, "there is a stray comma",
			       in->key->form);
	s = parse_port(item, &first);
	last = first;
	if (s && *s == '-')
		s = parse_port(skip_blanks(s + 1), &last);
	if (s != item + len)
		return reject_n(in, item, len, "is not a port or a range");
	if (first > last)
		return reject_n(in, item, len, "ends before it starts");
	if (conf->nr_accelerated_ports == SS_CONF_MAX_PORTS)
		return reject_n(in, item, len, "is one range too many");
	conf->accelerated_ports[conf->nr_accelerated_ports++] =
		(struct ss_port_range){ (uint16_t)first, (uint16_t)last };
	return true;
}

/* Called for each line of the list; the end of a line ends an item, too. */
static bool set_accelerated_ports(struct reader *in, const char *value)
{
	if (!in->continued)
		in->conf->nr_accelerated_ports = 0;
	in->comma_line = 0;
	while (*value) {
		size_t len = strcspn(value, ",");

		if (!add_ports(in, value, len))
			return false;
		value += len;
		if (*value == ',') {
			value = skip_blanks(value + 1);
			in->comma_line = *value ? 0 : in->line;
		}
	}
	return true;
}

static bool set_pin_path(struct reader *in, const char *value)
{
	const char *name;

	/* The last name is the one we make: bpf_lookup() in the kernel's
	 * kernel/bpf/inode.c. Where the bpffs is mounted may have dots. */
	for (const char *s = name = value; *s; s++) {
		if (*s == '/' && s[strspn(s, "/")])
			name = s + 1;
	}
	if (strchr(name, '.'))
		return reject(in, value,
			      "has a dot in its last name, which bpffs "
			      "reserves");
	return set_path(in, in->conf->pin_path, value);
}

static bool set_pin_group(struct reader *in, const char *value)
{
	static const char accepted[] = "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_-.$";

	if (value[strspn(value, accepted)])
		return reject(in, value, "is not a group");
	return set_text(in, in->conf->pin_group, value);
}

static bool set_log_level(struct reader *in, const char *value)
{
	if (ss_log_parse_level(value, &in->conf->log_level))
		return reject(in, value, "is not a log level");
	return true;
}

static bool set_busy_poll_usecs(struct reader *in, const char *value)
{
	const char *end = parse_u32(value, &in->conf->busy_poll_usecs);

	if (!end || *end || in->conf->busy_poll_usecs > SS_CONF_MAX_BUSY_POLL)
		return reject(in, value, "is not a number in range");
	return true;
}

static bool set_register_after_exchanges(struct reader *in, const char *value)
{
	uint32_t *number = &in->conf->register_after_exchanges;
	const char *end = parse_u32(value, number);

	if (!end || *end || *number > SS_CONF_MAX_EXCHANGES)
		return reject(in, value, "is not a number in range");
	return true;
}

/* Not a whole initializer: clang-format 14 would take it for a block. */
#define KEY(key, flags, form) #key, set_##key, flags, "accepted: " form

static const struct key keys[] = {
	{ KEY(bpf_program_path, MAY_BE_EMPTY,
	      "an absolute path, or nothing for the built-in program") },
	{ KEY(cgroup_path, MAY_BE_EMPTY,
	      "the absolute path of a cgroup v2 directory, or nothing") },
	{ KEY(sockhash_max_entries, 0, "a decimal number, 1 to 4294967295") },
	{ KEY(register_user_space_sockets, 0,
	      "true or false (also yes or no, on or off, 1 or 0)") },
	{ KEY(register_after_exchanges, 0,
	      "a decimal number, 0 (at once) to 100") },
	{ KEY(accelerated_ports, MAY_BE_EMPTY | IS_LIST,
	      "up to 128 ports or ranges from 1 to 65535, such as "
	      "6379, 8000-8010, or nothing for all") },
	{ KEY(pin_path, 0,
	      "an absolute path on a bpffs, such as "
	      "/sys/fs/bpf/sockshunt") },
	{ KEY(pin_group, MAY_BE_EMPTY,
	      "a group's name or number (letters, digits, _ - . $), "
	      "or nothing") },
	{ KEY(log_level, 0, "off, error, warn, info or debug") },
	{ KEY(busy_poll_usecs, 0, "a decimal number, 0 (none) to 1000") },
};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

static bool unknown_key(struct reader *in, const char *name)
{
	mistake(in, name, "is not a key", "accepted: ");
	for (size_t i = 0; i < NR_KEYS; i++) {
		put(in->err, i ? ", " : "");
		put(in->err, keys[i].name);
	}
	return false;
}

static bool start_key(struct reader *in, const char *name)
{
	size_t i;

	for (i = 0; i < NR_KEYS && strcmp(name, keys[i].name); i++)
		;
	if (i == NR_KEYS)
		return unknown_key(in, name);
	if (in->seen & 1U << i)
		return mistake(in, name, "is set a second time",
			       "accepted: each key once");
	in->seen |= 1U << i;
	in->key = &keys[i];
	return true;
}

/*
 * inih's handler. Debian builds inih to pass a line number as a fifth
 * argument, against what its header says; the reader counts lines itself.
 */
static int on_entry(void *user, const char *section, const char *name,
		    const char *value)
{
	struct reader *in = user;

	in->is_entry = false;
	if (!*section)
		return mistake(in, name, "stands before any section",
			       "accepted: keys after a line " SECTION);
	if (!in->continued && !start_key(in, name))
		return false;
	if (in->continued && !(in->key->flags & IS_LIST))
		return mistake(in, in->key->name,
			       "an indented line continues the value",
			       "accepted: one line, each key in column 1");
	if (!*value && !(in->key->flags & MAY_BE_EMPTY))
		return mistake(in, in->key->name, "the value is missing",
			       in->key->form);
	return in->key->set(in, value);
}

/* Lines */

/* Returns the next byte, or -1 at the end of the file or on an error. */
static int next_byte(struct reader *in)
{
	long n;

	if (in->pos == in->len) {
		n = syscall(SYS_read, in->fd, in->buf, sizeof(in->buf));
		if (n < 0)
			file_error(in, "cannot be read", errno);
		if (n <= 0)
			return -1;
		in->pos = 0;
		in->len = (size_t)n;
	}
	return in->buf[in->pos++];
}

/* Stores the next line without its end. Returns false if there is none. */
static bool read_line(struct reader *in, char *line, size_t size)
{
	bool has_nul = false;
	size_t len = 0;
	int c;

	while ((c = next_byte(in)) >= 0 && c != '\n') {
		if (len < size)
			line[len] = (char)c;
		len++;
		has_nul |= !c;
	}
	if (*in->err->text || (c < 0 && !len))
		return false;
	if (len && len <= size && line[len - 1] == '\r')
		len--;
	in->line++;
	line[len < size ? len : size - 1] = '\0';
	in->word[0] = '\0';
	strncat(in->word, skip_blanks(line), sizeof(in->word) - 1);
	in->word[strcspn(in->word, BLANKS "=:")] = '\0';
	if (has_nul)
		return mistake(in, in->word, "the line has a NUL byte",
			       "accepted: plain text");
	if (len >= size)
		return mistake(in, in->word,
			       "the line is longer than 199 characters",
			       "a list may be continued on an indented line");
	return true;
}

/* inih forgets to look for a comment on a continued line. */
static void cut_comment(char *line)
{
	for (char *s = line; (s = strchr(s, ';')); s++) {
		if (s > line && strchr(BLANKS, s[-1])) {
			*s = '\0';
			return;
		}
	}
}

static bool start_section(struct reader *in, const char *s)
{
	size_t len = strlen(SECTION);
	const char *rest;

	if (!strncmp(s, SECTION, len)) {
		rest = skip_blanks(s + len);
		if (!*rest || *rest == ';' || *rest == '#') {
			in->key = NULL;
			return true;
		}
	}
	return mistake(in, s, "is not a section", "accepted: only " SECTION);
}

/* Runs when a line is neither empty, nor a comment, nor a continuation. */
static bool end_value(struct reader *in)
{
	if (!in->comma_line)
		return true;
	in->line = in->comma_line;
	return mistake(in, in->key->name, "the list ends with a comma",
		       in->key->form);
}

/* inih's reader: fgets(3) for a line that has passed the checks above. */
static char *next_line(char *line, int size, void *user)
{
	struct reader *in = user;
	char *start = line;
	char *s;

	if (*in->err->text)
		return NULL;
	if (in->is_entry) {
		mistake(in, in->word, "there is no \"=\"",
			"accepted: KEY = VALUE");
		return NULL;
	}
	if (!read_line(in, line, (size_t)size)) {
		if (!*in->err->text)
			end_value(in);
		return NULL;
	}

	if (in->line == 1 && !strncmp(line, BOM, strlen(BOM)))
		start += strlen(BOM);
	s = start + strspn(start, BLANKS);
	if (!*s || *s == ';' || *s == '#')
		return line;
	in->continued = s > start && in->key;
	if (in->continued)
		cut_comment(s);
	else if (!end_value(in))
		return NULL;
	if (!in->continued && *s == '[')
		return start_section(in, s) ? line : NULL;
	in->is_entry = true;
	return line;
}

static bool check_file(struct reader *in)
{
	struct stat st;

	if (fstat(in->fd, &st))
		return file_error(in, "cannot be read", errno);
	if (S_ISDIR(st.st_mode))
		return file_error(in, "is a directory, not a file", 0);
	/* A device for the sake of /dev/null; a FIFO could stop us. */
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return file_error(in, "is not a regular file", 0);
	if (st.st_size > MAX_FILE_BYTES)
		return file_error(in, "is larger than 1 MiB", 0);
	return true;
}

int ss_conf_read(struct ss_conf *conf, const char *file,
		 struct ss_conf_error *err)
{
	struct reader in = { .file = file, .conf = conf, .err = err };

	err->text[0] = '\0';
	in.fd = (int)syscall(SYS_openat, AT_FDCWD, file,
			     O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	if (in.fd < 0) {
		file_error(&in, "cannot be opened", errno);
		return -1;
	}
	/* What inih returns is known already: next_line() sees all errors. */
	if (check_file(&in))
		ini_parse_stream(next_line, &in, on_entry, &in);
	syscall(SYS_close, in.fd);
	return err->text[0] ? -1 : 0;
}

void ss_conf_defaults(struct ss_conf *conf)
{
	*conf = (struct ss_conf){
		.sockhash_max_entries = 65536,
		.register_user_space_sockets = true,
		.register_after_exchanges = SS_CONF_DEFAULT_EXCHANGES,
		.pin_path = "/sys/fs/bpf/sockshunt",
		.log_level = SS_LOG_WARN,
	};
}

const char *ss_conf_file(void)
{
	const char *file = secure_getenv("SOCKSHUNT_CONF");

	if (file && *file)
		return file;
	if (!access(SS_CONF_DEFAULT_FILE, F_OK) || errno != ENOENT)
		return SS_CONF_DEFAULT_FILE;
	return NULL;
}

static bool in_ranges(const struct ss_conf *conf, uint16_t port)
{
	for (unsigned int i = 0; i < conf->nr_accelerated_ports; i++) {
		if (port >= conf->accelerated_ports[i].first &&
		    port <= conf->accelerated_ports[i].last)
			return true;
	}
	return false;
}

bool ss_conf_in_scope(const struct ss_conf *conf, uint16_t port_a,
		      uint16_t port_b)
{
	return !conf->nr_accelerated_ports || in_ranges(conf, port_a) ||
	       in_ranges(conf, port_b);
}
