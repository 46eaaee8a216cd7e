/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "unit.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../conf/log.h"
#include "unit_files.h"

#define BLANKS " \t\r\n"

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

static const char *reason(enum unit_found found)
{
	return found == UNIT_MASKED ? "it is masked: systemctl unmask it first"
				    : "there is none: see systemctl "
				      "list-unit-files --type=service";
}

int unit_read(const char *root, const char *name, bool quiet, struct unit *unit)
{
	struct reading r = { .root = root, .unit = unit };
	struct unit_files files = { .nr = 0 };
	char path[PATH_MAX];
	enum unit_found found;

	memset(unit, 0, sizeof(*unit));
	strcpy(unit->name, name);
	found = unit_find(root, unit->name, path);
	if (found != UNIT_FOUND) {
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
	unit_find_drop_ins(&files, root, unit->name, name);
	for (size_t i = 0; i < files.nr; i++) {
		r.after_ours =
			strcmp(unit_base_of(files.paths[i]), UNIT_DROP_IN) > 0;
		read_file(&r, files.paths[i]);
		free(files.paths[i]);
	}
	return 0;
}
