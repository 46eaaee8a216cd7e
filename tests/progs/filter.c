/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* filter DEFAULT [RULE...] -- COMMAND...: runs it under a filter (filter.h). */
#include "filter.h"

int main(int argc, char **argv)
{
	int i = 1;

	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	if (i < 2 || i + 1 >= argc) {
		fprintf(stderr, "usage: filter DEFAULT [RULE...] -- COMMAND\n");
		return 125;
	}
	argv[i] = NULL;
	filter_load(argv + 1);
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}
