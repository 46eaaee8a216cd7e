/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the files of a service say, as systemd.unit(5) merges them, of what
 * decides whether the shim gets into it. Read from the files, because systemd
 * need not run where an image is built.
 */
#ifndef SOCKSHUNT_UNIT_H
#define SOCKSHUNT_UNIT_H

#include <limits.h>
#include <stdbool.h>

#define UNIT_NAME_MAX 255
#define UNIT_DIR      "/etc/systemd/system" /* the administrator's */
#define UNIT_DROP_IN  "50-sockshunt.conf"
#define UNIT_MARK     "# Written by \"sockshunt enable\""

/* FILE:LINE */
typedef char unit_place[PATH_MAX + 16];

struct unit {
	char name[UNIT_NAME_MAX + 1]; /* not an alias */
	char user[64];		      /* "": root; of a dynamic one "dynamic" */
	unit_place preloads;	      /* sets LD_PRELOAD; "": nothing does */
	unit_place changes_root;
	unit_place undoes; /* read after our drop-in; may undo what that says */
	bool filters_calls;
	bool forbids_exec;
};

/*
 * "redis" is redis.service; "redis@.service" and "redis@1.service" are names,
 * too. Returns 0, or -1 after logging why @text is no service's name.
 */
int unit_name(const char *text, char name[UNIT_NAME_MAX + 1]);

/*
 * The service that @name is (an alias of), below @root ("": this system).
 * Returns 0; or -1 with @unit->name set and, if @quiet is false, after logging
 * why it cannot be read.
 */
int unit_read(const char *root, const char *name, bool quiet,
	      struct unit *unit);

/* Whether "sockshunt enable" has written @file. errno if it cannot be read. */
bool unit_is_ours(const char *file);

#endif
