/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sockshunt load, sockshunt unload */
#include "../bpf/loader.h"
#include "command.h"

int cmd_load(int argc, char **argv)
{
	struct ss_conf conf;
	const char *file;

	if (command_options(argc, argv, &file, 0, NULL))
		return EXIT_USAGE;
	if (command_conf(&conf, file))
		return EXIT_FAILED;
	return ss_load(&conf, NULL) ? EXIT_FAILED : EXIT_DONE;
}

int cmd_unload(int argc, char **argv)
{
	struct ss_conf conf;
	const char *file;
	bool force = false;

	if (command_options(argc, argv, &file, 'f', &force))
		return EXIT_USAGE;
	if (command_conf(&conf, file))
		return EXIT_FAILED;
	return ss_unload(&conf, force) ? EXIT_FAILED : EXIT_DONE;
}
