/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sockmap_user: somebody else's sockmap "their_map" with the sk_msg program
 * "their_msg", as a service mesh has them, until it is killed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../bpf/sysbpf.h"

static int die(const char *what)
{
	perror(what);
	exit(1);
}

int main(void)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_SOCKMAP,
				.key_size = 4,
				.value_size = 4,
				.max_entries = 1,
				.map_name = "their_map" };
	int map = ss_sys_bpf(BPF_MAP_CREATE, &attr), prog;

	if (map < 0)
		die("map");
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SK_MSG;
	attr.insn_cnt = 2;
	attr.insns = (uintptr_t)pass;
	attr.license = (uintptr_t) "GPL";
	strcpy(attr.prog_name, "their_msg");
	prog = ss_sys_bpf(BPF_PROG_LOAD, &attr);
	if (prog < 0)
		die("program");
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)map;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_SK_MSG_VERDICT;
	if (ss_sys_bpf(BPF_PROG_ATTACH, &attr))
		die("attach");
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}
