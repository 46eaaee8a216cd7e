/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sockshunt load, sockshunt unload */
#include <getopt.h>
#include <stdbool.h>

#include "../bpf/loader.h"
#include "command.h"

static const struct option options[] = {
	{ "conf", required_argument, NULL, 'c' },
	{ "force", no_argument, NULL, 'f' },
	{ 0 },
};

/* Both commands: -c FILE; unload also: --force. */
static int parse(int argc, char **argv, const char *letters,
		 struct ss_conf *conf, bool *force)
{
	const char *file = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (opt == 'c')
			file = optarg;
		else if (opt == 'f' && force)
			*force = true;
		else
			return EXIT_USAGE;
	}
	if (optind != argc)
		return EXIT_USAGE;
	return command_conf(conf, file) ? EXIT_FAILED : EXIT_DONE;
}

int cmd_load(int argc, char **argv)
{
	struct ss_conf conf;
	int status = parse(argc, argv, "c:", &conf, NULL);

	if (status != EXIT_DONE)
		return status;
	return ss_load(&conf, NULL) ? EXIT_FAILED : EXIT_DONE;
}

int cmd_unload(int argc, char **argv)
{
	struct ss_conf conf;
	bool force = false;
	int status = parse(argc, argv, "c:f", &conf, &force);

	if (status != EXIT_DONE)
		return status;
	return ss_unload(&conf, force) ? EXIT_FAILED : EXIT_DONE;
}
