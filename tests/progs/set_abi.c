/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * set_abi CONTROL_PIN ABI [VERSION]: makes a pinned control map look as if
 * another version had loaded it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../bpf/abi.h"
#include "../../bpf/sysbpf.h"

int main(int argc, char **argv)
{
	struct ss_control *control;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: %s CONTROL_PIN ABI [VERSION]\n",
			argv[0]);
		return 2;
	}
	fd = ss_bpf_obj_get(argv[1]);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);
	if (control == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	control->abi = (__u32)atoi(argv[2]);
	if (argc > 3)
		memcpy(control->loader_version, argv[3],
		       strnlen(argv[3], sizeof(control->loader_version)));
	return 0;
}
