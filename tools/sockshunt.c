/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sockshunt: the command line. One table of commands; the rest is theirs. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "../bpf/loader.h"
#include "command.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *help;
};

static const struct command commands[] = {
	{ "run", cmd_run, "[-c FILE] [--] COMMAND [ARGUMENT...]",
	  "start COMMAND with its same-host TCP accelerated" },
	{ "load", cmd_load, "[-c FILE]",
	  "load and pin the BPF side, for programs without the privilege" },
	{ "unload", cmd_unload, "[-c FILE] [-f|--force]",
	  "remove what was loaded and pinned" },
	{ "status", cmd_status, "[-c FILE] [-j|--json]",
	  "show what is loaded, and every counter" },
	{ "doctor", cmd_doctor, "[-c FILE] [-j|--json]",
	  "tell whether a connection would be accelerated, and why not" },
	{ "enable", cmd_enable, "[--root DIR] UNIT",
	  "make a service of systemd start with the shim, by a drop-in" },
	{ "disable", cmd_disable, "[--root DIR] UNIT", "remove that drop-in" },
	{ "doctor-echo", cmd_echo, "ADDRESS", NULL }, /* doctor's own */
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
	fputs("usage: sockshunt COMMAND [OPTION...]\n\n"
	      "Makes TCP between programs on this host as cheap as the kernel "
	      "allows.\n\n",
	      to);
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (commands[i].help)
			fprintf(to, "  sockshunt %s %s\n        %s\n",
				commands[i].name, commands[i].arguments,
				commands[i].help);
	}
	fputs("\n  -c FILE     configuration; default $SOCKSHUNT_CONF, else "
	      "/etc/sockshunt.ini\n"
	      "  --root DIR  another system's root, such as an image's\n"
	      "  -h, --help  this text\n"
	      "  --version   the version\n\n"
	      "Environment: SOCKSHUNT_CONF, SOCKSHUNT_LOG (off, error, warn, "
	      "info, debug),\nSOCKSHUNT_LOG_FILE, SOCKSHUNT_DISABLE=1.\n"
	      "Exit status: 0 done, 1 failed (doctor: not accelerated), 2 "
	      "usage.\n",
	      to);
}

int command_options(int argc, char **argv, const char **file, char letter,
		    bool *flag)
{
	static const struct option options[] = {
		{ "conf", required_argument, NULL, 'c' },
		{ "force", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int opt;

	*file = NULL;
	while ((opt = getopt_long(argc, argv, "c:fj", options, NULL)) != -1) {
		if (opt == 'c')
			*file = optarg;
		else if (opt == letter)
			*flag = true;
		else
			return EXIT_USAGE;
	}
	return optind == argc ? EXIT_DONE : EXIT_USAGE;
}

int command_conf(struct ss_conf *conf, const char *file)
{
	struct ss_conf_error err;

	ss_conf_defaults(conf);
	if (!file)
		file = ss_conf_file();
	if (file && ss_conf_read(conf, file, &err)) {
		ss_log(SS_LOG_ERROR, "%s", err.text);
		return -1;
	}
	ss_log_init(conf->log_level);
	return 0;
}

static bool is_help(const char *argument)
{
	return !strcmp(argument, "-h") || !strcmp(argument, "--help");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (is_help(name)) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(name, "--version")) {
		printf("sockshunt %s (ABI %d)\n", SS_VERSION, SS_ABI);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = &commands[i];
		int status;

		if (strcmp(name, c->name))
			continue;
		if (argc == 3 && c->help && is_help(argv[2])) {
			printf("usage: sockshunt %s %s\n        %s\n", c->name,
			       c->arguments, c->help);
			return EXIT_DONE;
		}
		status = c->run(argc - 1, argv + 1);
		if (status == EXIT_USAGE)
			fprintf(stderr, "usage: sockshunt %s %s\n", c->name,
				c->arguments);
		return status;
	}
	fprintf(stderr, "sockshunt: no command '%s' (sockshunt --help)\n",
		name);
	return EXIT_USAGE;
}
