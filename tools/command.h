/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the commands of sockshunt(1) share. */
#ifndef SOCKSHUNT_COMMAND_H
#define SOCKSHUNT_COMMAND_H

#include <stdbool.h>

#include "../conf/conf.h"

/* Exit statuses. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/*
 * A command gets its own name as argv[0], and returns an exit status; with
 * EXIT_USAGE the caller prints the usage line.
 */
int cmd_run(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_unload(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_enable(int argc, char **argv);
int cmd_disable(int argc, char **argv);
int cmd_echo(int argc, char **argv);

/*
 * For commands without arguments: -c FILE into @file (else NULL), and @flag's
 * option, which is known by its @letter ('f': --force, 'j': --json; 0: none).
 * Returns EXIT_DONE or EXIT_USAGE.
 */
int command_options(int argc, char **argv, const char **file, char letter,
		    bool *flag);

/*
 * Reads the configuration: @file, or, if that is NULL, what ss_conf_file()
 * says; and starts logging. Returns 0, or -1 after logging why not.
 */
int command_conf(struct ss_conf *conf, const char *file);

#endif
