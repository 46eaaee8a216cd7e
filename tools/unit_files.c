/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "unit_files.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../conf/log.h"

#define SUFFIX	    ".service"
#define MAX_ALIASES 8

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

/*
 * Links are read, not followed: those of another root would lead out of it.
 * A link to a file of the same name, anywhere, is that file.
 */
static enum unit_found look_at(const char *root, const char *directory,
			       const char *name, char path[PATH_MAX],
			       char alias[UNIT_NAME_MAX + 1])
{
	char target[PATH_MAX];
	struct stat st;
	const char *base;
	ssize_t n;

	snprintf(path, PATH_MAX, "%s%s/%s", root, directory, name);
	if (lstat(path, &st))
		return UNIT_NOT_FOUND;
	if (!S_ISLNK(st.st_mode))
		return st.st_size ? UNIT_FOUND : UNIT_MASKED;
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return UNIT_NOT_FOUND;
	target[n] = '\0';
	if (!strcmp(target, "/dev/null"))
		return UNIT_MASKED;
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strcmp(base, name) && ends_with(base, SUFFIX) &&
	    strlen(base) <= UNIT_NAME_MAX) {
		strcpy(alias, base);
		return UNIT_ALIAS;
	}
	if (*target == '/')
		snprintf(path, PATH_MAX, "%s%s", root, target);
	return UNIT_FOUND;
}

static enum unit_found look_for(const char *root, const char *name,
				char path[PATH_MAX],
				char alias[UNIT_NAME_MAX + 1])
{
	enum unit_found found = UNIT_NOT_FOUND;

	for (size_t i = 0; i < NR_DIRECTORIES && found == UNIT_NOT_FOUND; i++)
		found = look_at(root, directories[i], name, path, alias);
	return found;
}

enum unit_found unit_find(const char *root, char name[UNIT_NAME_MAX + 1],
			  char path[PATH_MAX])
{
	char template[UNIT_NAME_MAX + 1], alias[UNIT_NAME_MAX + 1];

	for (int i = 0; i < MAX_ALIASES; i++) {
		enum unit_found found = look_for(root, name, path, alias);

		if (found == UNIT_NOT_FOUND && to_template(name, template))
			found = look_for(root, template, path, alias);
		if (found != UNIT_ALIAS)
			return found;
		follow_alias(name, alias);
	}
	return UNIT_NOT_FOUND;
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

/* A file hides those of its name in later directories. */
static void add_drop_in(struct unit_files *files, const char *path)
{
	for (size_t i = 0; i < files->nr; i++) {
		if (!strcmp(unit_base_of(files->paths[i]), unit_base_of(path)))
			return;
	}
	if (files->nr == UNIT_MAX_FILES ||
	    (!strcmp(unit_base_of(path), UNIT_DROP_IN) && unit_is_ours(path)))
		return;
	files->paths[files->nr] = strdup(path);
	if (files->paths[files->nr])
		files->nr++;
}

static void add_drop_ins(struct unit_files *files, const char *root,
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
static void add_prefixes(struct unit_files *files, const char *root,
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
	return strcmp(unit_base_of(*(char *const *)a),
		      unit_base_of(*(char *const *)b));
}

void unit_find_drop_ins(struct unit_files *files, const char *root,
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
