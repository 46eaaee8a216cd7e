/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "unit.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../conf/log.h"

#define SUFFIX	    ".service"
#define BLANKS	    " \t\r\n"
#define MAX_ALIASES 8
#define MAX_FILES   128

/* systemd.unit(5), "Unit File Load Path"; the first one wins. */
static const char *const directories[] = {
	"/etc/systemd/system.control",
	"/run/systemd/system.control",
	"/run/systemd/transient",
	"/run/systemd/generator.early",
	UNIT_DIR,
	"/etc/systemd/system.attached",
	"/run/systemd/system",
	"/run/systemd/system.attached",
	"/run/systemd/generator",
	"/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system",
	"/lib/systemd/system",
	"/run/systemd/generator.late",
};
#define NR_DIRECTORIES (sizeof(directories) / sizeof(directories[0]))

/* Names */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* As systemctl(1) completes names: other types keep theirs. */
static bool is_other_type(const char *text)
{
	static const char *const types[] = {
		".socket", ".device", ".mount", ".automount", ".swap",
		".target", ".path",   ".timer", ".slice",     ".scope",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (ends_with(text, types[i]))
			return true;
	}
	return false;
}

int unit_name(const char *text, char name[UNIT_NAME_MAX + 1])
{
	static const char accepted[] = "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789:-_.\\@";
	size_t len = strlen(text);

	if (!len || *text == '@' || *text == '.' ||
	    text[strspn(text, accepted)] ||
	    len > UNIT_NAME_MAX - strlen(SUFFIX)) {
		ss_log(SS_LOG_ERROR,
		       "\"%.64s\" is not a unit's name: name a service, such "
		       "as redis-server, redis-server.service or app@.service",
		       text);
		return -1;
	}
	if (is_other_type(text)) {
		ss_log(SS_LOG_ERROR,
		       "%s is not a service: name the one that serves", text);
		return -1;
	}
	strcpy(name, text);
	if (!ends_with(text, SUFFIX))
		strcat(name, SUFFIX);
	return 0;
}

/* "app@1.service" to "app@.service"; false if @name is no instance. */
static bool to_template(const char *name, char template[UNIT_NAME_MAX + 1])
{
	const char *at = strchr(name, '@');

	if (!at || !strcmp(at + 1, SUFFIX))
		return false;
	snprintf(template, UNIT_NAME_MAX + 1, "%.*s" SUFFIX,
		 (int)(at + 1 - name), name);
	return true;
}

/* The unit that the symbolic link of @name points to, with its instance. */
static void follow_alias(char name[UNIT_NAME_MAX + 1], const char *target)
{
	const char *instance = strchr(name, '@'), *at = strchr(target, '@');
	char result[UNIT_NAME_MAX + 1];

	if (instance && at && !strcmp(at + 1, SUFFIX))
		snprintf(result, sizeof(result), "%.*s%s", (int)(at - target),
			 target, instance);
	else
		snprintf(result, sizeof(result), "%s", target);
	strcpy(name, result);
}

/* Files */

enum found {
	FOUND,
	ALIAS,
	MASKED,
	NOT_FOUND
};

/*
 * Links are read, not followed: those of another root would lead out of it.
 * A link to a file of the same name, anywhere, is that file.
 */
static enum found look_at(const char *root, const char *directory,
			  const char *name, char path[PATH_MAX],
			  char alias[UNIT_NAME_MAX + 1])
{
	char target[PATH_MAX];
	struct stat st;
	const char *base;
	ssize_t n;

	snprintf(path, PATH_MAX, "%s%s/%s", root, directory, name);
	if (lstat(path, &st))
		return NOT_FOUND;
	if (!S_ISLNK(st.st_mode))
		return st.st_size ? FOUND : MASKED;
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return NOT_FOUND;
	target[n] = '\0';
	if (!strcmp(target, "/dev/null"))
		return MASKED;
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strcmp(base, name) && ends_with(base, SUFFIX) &&
	    strlen(base) <= UNIT_NAME_MAX) {
		strcpy(alias, base);
		return ALIAS;
	}
	if (*target == '/')
		snprintf(path, PATH_MAX, "%s%s", root, target);
	return FOUND;
}

static enum found look_for(const char *root, const char *name,
			   char path[PATH_MAX], char alias[UNIT_NAME_MAX + 1])
{
	enum found found = NOT_FOUND;

	for (size_t i = 0; i < NR_DIRECTORIES && found == NOT_FOUND; i++)
		found = look_at(root, directories[i], name, path, alias);
	return found;
}

/* Of an instance, its own file or its template's. */
static enum found find_unit(const char *root, char name[UNIT_NAME_MAX + 1],
			    char path[PATH_MAX])
{
	char template[UNIT_NAME_MAX + 1], alias[UNIT_NAME_MAX + 1];

	for (int i = 0; i < MAX_ALIASES; i++) {
		enum found found = look_for(root, name, path, alias);

		if (found == NOT_FOUND && to_template(name, template))
			found = look_for(root, template, path, alias);
		if (found != ALIAS)
			return found;
		follow_alias(name, alias);
	}
	return NOT_FOUND;
}

bool unit_is_ours(const char *file)
{
	FILE *in = fopen(file, "re");
	char line[sizeof(UNIT_MARK)];
	bool ours;

	if (!in)
		return false;
	ours = fgets(line, sizeof(line), in) && !strcmp(line, UNIT_MARK);
	fclose(in);
	errno = 0;
	return ours;
}

struct files {
	char *paths[MAX_FILES];
	size_t nr;
};

static const char *base_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A file hides those of its name in later directories. */
static void add_drop_in(struct files *files, const char *path)
{
	for (size_t i = 0; i < files->nr; i++) {
		if (!strcmp(base_of(files->paths[i]), base_of(path)))
			return;
	}
	if (files->nr == MAX_FILES ||
	    (!strcmp(base_of(path), UNIT_DROP_IN) && unit_is_ours(path)))
		return;
	files->paths[files->nr] = strdup(path);
	if (files->paths[files->nr])
		files->nr++;
}

static void add_drop_ins(struct files *files, const char *root,
			 const char *name)
{
	char pattern[PATH_MAX];
	glob_t found;

	for (size_t i = 0; i < NR_DIRECTORIES; i++) {
		/* A name's backslashes are not the pattern's. */
		snprintf(pattern, sizeof(pattern), "%s%s/%s.d/*.conf", root,
			 directories[i], name);
		if (glob(pattern, GLOB_NOESCAPE, NULL, &found))
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++)
			add_drop_in(files, found.gl_pathv[j]);
		globfree(&found);
	}
}

/* "a-b-c.service" has those of a-b-.service and a-.service, too. */
static void add_prefixes(struct files *files, const char *root,
			 const char *name)
{
	char prefix[UNIT_NAME_MAX + 1];
	int len = (int)strcspn(name, "@") - 1;

	if (!name[len + 1])
		len -= (int)strlen(SUFFIX);
	while (--len > 0) {
		if (name[len] != '-')
			continue;
		snprintf(prefix, sizeof(prefix), "%.*s" SUFFIX, len + 1, name);
		add_drop_ins(files, root, prefix);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(base_of(*(char *const *)a), base_of(*(char *const *)b));
}

static void find_drop_ins(struct files *files, const char *root,
			  const char *name, const char *given)
{
	char template[UNIT_NAME_MAX + 1];

	add_drop_ins(files, root, name);
	if (strcmp(name, given))
		add_drop_ins(files, root, given);
	if (to_template(name, template))
		add_drop_ins(files, root, template);
	add_prefixes(files, root, name);
	add_drop_ins(files, root, "service");
	qsort(files->paths, files->nr, sizeof(files->paths[0]), by_name);
}

/* Settings */

struct reading {
	const char *root;
	struct unit *unit;
	const char *path; /* the file being read */
	unsigned int line;
	bool after_ours;
};

static void put_place(const struct reading *r, unit_place place)
{
	snprintf(place, sizeof(unit_place), "%s:%u", r->path, r->line);
}

/* Whether @value, words that may be quoted, names @variable. */
static bool names(const char *value, const char *variable)
{
	size_t len = strlen(variable);

	for (const char *s = value; (s = strstr(s, variable)); s += len) {
		if ((s == value || strchr(BLANKS "\"'", s[-1])) &&
		    (!s[len] || strchr("=" BLANKS "\"'", s[len])))
			return true;
	}
	return false;
}

static void set_environment(struct reading *r, const char *value)
{
	if (!*value) {
		r->unit->preloads[0] = '\0';
		if (r->after_ours)
			put_place(r, r->unit->undoes);
	} else if (names(value, "LD_PRELOAD")) {
		put_place(r, r->unit->preloads);
	}
}

/* Later than Environment=, whatever the order; a name with % is not known. */
static void set_environment_file(struct reading *r, const char *value)
{
	struct reading of_file = *r;
	char pattern[PATH_MAX], line[1024];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s%s", r->root,
		 *value == '-' ? value + 1 : value);
	if (!*value || glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *in = fopen(found.gl_pathv[i], "re");

		of_file.path = found.gl_pathv[i];
		of_file.line = 0;
		while (in && fgets(line, sizeof(line), in)) {
			const char *s = line + strspn(line, BLANKS);

			of_file.line++;
			if (!strncmp(s, "LD_PRELOAD=", 11))
				put_place(&of_file, r->unit->preloads);
		}
		if (in)
			fclose(in);
	}
	globfree(&found);
}

static void set_unset_environment(struct reading *r, const char *value)
{
	if (names(value, "LD_PRELOAD"))
		put_place(r, r->unit->preloads);
}

static void set_system_call_filter(struct reading *r, const char *value)
{
	r->unit->filters_calls = *value;
	if (r->after_ours && (!*value || *value == '~'))
		put_place(r, r->unit->undoes);
}

static void set_no_exec_paths(struct reading *r, const char *value)
{
	r->unit->forbids_exec = *value;
}

static void set_root(struct reading *r, const char *value)
{
	r->unit->changes_root[0] = '\0';
	if (*value && strcmp(value, "/"))
		put_place(r, r->unit->changes_root);
}

static void set_user(struct reading *r, const char *value)
{
	bool root = !strcmp(value, "root") || !strcmp(value, "0");

	snprintf(r->unit->user, sizeof(r->unit->user), "%s", root ? "" : value);
}

static void set_dynamic_user(struct reading *r, const char *value)
{
	if (!*r->unit->user && *value && strchr("1yYtT", *value))
		strcpy(r->unit->user, "dynamic");
}

static const struct {
	const char *name;
	void (*set)(struct reading *r, const char *value);
} settings[] = {
	{ "Environment", set_environment },
	{ "EnvironmentFile", set_environment_file },
	{ "UnsetEnvironment", set_unset_environment },
	{ "SystemCallFilter", set_system_call_filter },
	{ "NoExecPaths", set_no_exec_paths },
	{ "RootDirectory", set_root },
	{ "RootImage", set_root },
	{ "User", set_user },
	{ "DynamicUser", set_dynamic_user },
};

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, BLANKS);
	for (len = strlen(s); len && strchr(BLANKS, s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

static void set(struct reading *r, char *line)
{
	char *value = strchr(line, '=');
	const char *name;

	if (!value)
		return;
	*value = '\0';
	name = trim(line);
	value = trim(value + 1);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!strcmp(settings[i].name, name))
			settings[i].set(r, value);
	}
}

/* A backslash joins the next line to this one, over comments in between. */
static bool read_settings(struct reading *r)
{
	FILE *in = fopen(r->path, "re");
	char *line = NULL, *whole = NULL, *more, *s;
	bool service = false, goes_on;
	size_t size = 0, len;

	if (!in)
		return false;
	while (getline(&line, &size, in) >= 0) {
		r->line++;
		s = trim(line);
		if (*s == '#' || *s == ';')
			continue;
		len = strlen(s);
		goes_on = len && s[len - 1] == '\\';
		if (goes_on)
			s[len - 1] = ' ';
		if (asprintf(&more, "%s%s", whole ? whole : "", s) < 0)
			break;
		free(whole);
		whole = more;
		if (goes_on)
			continue;
		if (*whole == '[')
			service = !strcmp(whole, "[Service]");
		else if (service)
			set(r, whole);
		free(whole);
		whole = NULL;
	}
	free(whole);
	free(line);
	fclose(in);
	return true;
}

static bool read_file(struct reading *r, const char *path)
{
	r->path = path;
	r->line = 0;
	return read_settings(r);
}

static const char *reason(enum found found)
{
	return found == MASKED ? "it is masked: systemctl unmask it first"
			       : "there is none: see systemctl "
				 "list-unit-files --type=service";
}

int unit_read(const char *root, const char *name, bool quiet, struct unit *unit)
{
	struct reading r = { .root = root, .unit = unit };
	struct files files = { .nr = 0 };
	char path[PATH_MAX];
	enum found found;

	memset(unit, 0, sizeof(*unit));
	strcpy(unit->name, name);
	found = find_unit(root, unit->name, path);
	if (found != FOUND) {
		if (!quiet)
			ss_log(SS_LOG_ERROR, "%s: %s", name, reason(found));
		return -1;
	}
	if (!read_file(&r, path)) {
		if (!quiet)
			ss_log(SS_LOG_ERROR, "%s: %s: %s", name, path,
			       strerror(errno));
		return -1;
	}
	find_drop_ins(&files, root, unit->name, name);
	for (size_t i = 0; i < files.nr; i++) {
		r.after_ours =
			strcmp(base_of(files.paths[i]), UNIT_DROP_IN) > 0;
		read_file(&r, files.paths[i]);
		free(files.paths[i]);
	}
	return 0;
}
