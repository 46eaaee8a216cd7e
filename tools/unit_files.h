/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Where systemd finds a service's files. */
#ifndef SOCKSHUNT_UNIT_FILES_H
#define SOCKSHUNT_UNIT_FILES_H

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define UNIT_MAX_FILES 128

enum unit_found {
	UNIT_FOUND,
	UNIT_ALIAS,
	UNIT_MASKED,
	UNIT_NOT_FOUND
};

struct unit_files {
	char *paths[UNIT_MAX_FILES];
	size_t nr;
};

/*
 * The file of @name, which becomes that of the unit if it is an alias; of an
 * instance, its own or its template's. Never UNIT_ALIAS.
 */
enum unit_found unit_find(const char *root, char name[UNIT_NAME_MAX + 1],
			  char path[PATH_MAX]);

/*
 * The drop-ins of @name, and of @given, an alias, in the order in which they are
 * read; not our own. The paths are the caller's to free.
 */
void unit_find_drop_ins(struct unit_files *files, const char *root,
			const char *name, const char *given);

static inline const char *unit_base_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

#endif
