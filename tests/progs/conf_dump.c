/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * conf_dump [FILE [PORT_A PORT_B]]: prints a configuration as the shim reads
 * it, from the file the shim would choose if there is no FILE; with two
 * ports also whether a connection between them is in scope.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../conf/conf.h"

static void dump_ports(const struct ss_conf *conf)
{
	printf("accelerated_ports=");
	for (unsigned int i = 0; i < conf->nr_accelerated_ports; i++)
		printf("%s%u-%u", i ? "," : "",
		       conf->accelerated_ports[i].first,
		       conf->accelerated_ports[i].last);
	printf("\n");
}

static void dump(const struct ss_conf *conf)
{
	static const char *const levels[] = {
		[SS_LOG_OFF] = "off",	  [SS_LOG_ERROR] = "error",
		[SS_LOG_WARN] = "warn",	  [SS_LOG_INFO] = "info",
		[SS_LOG_DEBUG] = "debug",
	};

	printf("bpf_program_path=%s\n", conf->bpf_program_path);
	printf("cgroup_path=%s\n", conf->cgroup_path);
	printf("sockhash_max_entries=%u\n", conf->sockhash_max_entries);
	printf("register_user_space_sockets=%s\n",
	       conf->register_user_space_sockets ? "true" : "false");
	dump_ports(conf);
	printf("pin_path=%s\n", conf->pin_path);
	printf("pin_group=%s\n", conf->pin_group);
	printf("log_level=%s\n", levels[conf->log_level]);
	printf("register_after_exchanges=%u\n", conf->register_after_exchanges);
	printf("busy_poll_usecs=%u\n", conf->busy_poll_usecs);
}

int main(int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : ss_conf_file();
	struct ss_conf_error err;
	struct ss_conf conf;

	if (argc > 4 || argc == 3) {
		fprintf(stderr, "usage: %s [FILE [PORT_A PORT_B]]\n", argv[0]);
		return 2;
	}
	ss_conf_defaults(&conf);
	if (file && ss_conf_read(&conf, file, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	dump(&conf);
	if (argc == 4)
		printf("in_scope=%s\n",
		       ss_conf_in_scope(&conf, (uint16_t)atoi(argv[2]),
					(uint16_t)atoi(argv[3]))
			       ? "true"
			       : "false");
	return 0;
}
