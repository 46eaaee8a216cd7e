/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * mesh OBJECT CGROUP counts|takes|alone: attaches mesh.bpf.c's programs to a
 * cgroup until it is told to end (SIGTERM); "ready", then "N established, N
 * taken".
 * alone: attached as once upon a time, so that nobody else can be.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	struct { /* the object's variable */
		__u32 takes, established, taken;
	} values = { 0 };
	struct bpf_object *object;
	int cgroup, sockops, variables;
	__u32 zero = 0;
	sigset_t end;
	int signal;

	if (argc != 4)
		return 2;
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	object = bpf_object__open(argv[1]);
	if (!object || bpf_object__load(object))
		die("load");
	sockops = bpf_program__fd(
		bpf_object__find_program_by_name(object, "mesh_sockops"));
	variables = bpf_object__find_map_fd_by_name(object, ".bss");
	if (bpf_prog_attach(bpf_program__fd(bpf_object__find_program_by_name(
				    object, "mesh_msg")),
			    bpf_object__find_map_fd_by_name(object, "mesh"),
			    BPF_SK_MSG_VERDICT, 0))
		die("sk_msg");
	values.takes = !strcmp(argv[3], "takes");
	if (bpf_map_update_elem(variables, &zero, &values, BPF_ANY))
		die(".bss");
	cgroup = open(argv[2], O_RDONLY | O_DIRECTORY);
	if (cgroup < 0 ||
	    bpf_prog_attach(sockops, cgroup, BPF_CGROUP_SOCK_OPS,
			    strcmp(argv[3], "alone") ? BPF_F_ALLOW_MULTI : 0))
		die("sock_ops");
	puts("ready");
	fflush(stdout);
	sigwait(&end, &signal);
	bpf_prog_detach2(sockops, cgroup, BPF_CGROUP_SOCK_OPS);
	if (bpf_map_lookup_elem(variables, &zero, &values))
		die(".bss");
	printf("%u established, %u taken\n", values.established, values.taken);
	return 0;
}
