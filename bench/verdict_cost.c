/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * verdict_cost MAP-ID COMMAND...: nanoseconds that a run of the sk_msg program
 * of that sockhash took while COMMAND ran, as the kernel counts them, which
 * includes some of the counting. The kernel counts while our descriptor is
 * open; so nothing is left to restore.
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_MAPS 64

static int get_info(int fd, struct bpf_prog_info *info, __u32 *maps)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	info->nr_map_ids = maps ? MAX_MAPS : 0;
	info->map_ids = (__u64)(unsigned long)maps;
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

static int uses_map(int fd, __u32 map)
{
	__u32 maps[MAX_MAPS];
	struct bpf_prog_info info;

	if (get_info(fd, &info, maps) || info.type != BPF_PROG_TYPE_SK_MSG)
		return 0;
	for (__u32 i = 0; i < info.nr_map_ids && i < MAX_MAPS; i++) {
		if (maps[i] == map)
			return 1;
	}
	return 0;
}

/* It has no pin: the sockhash is what holds it. */
static int open_verdict(__u32 map)
{
	__u32 id = 0;

	while (!bpf_prog_get_next_id(id, &id)) {
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (uses_map(fd, map))
			return fd;
		close(fd);
	}
	return -1;
}

static int fail(const char *what)
{
	fprintf(stderr, "verdict_cost: ");
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	struct bpf_prog_info before, after;
	int verdict, stats, status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: verdict_cost MAP-ID COMMAND...\n");
		return 2;
	}
	verdict = open_verdict((__u32)strtoul(argv[1], NULL, 10));
	if (verdict < 0)
		return fail("the map has no verdict");
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats < 0 || get_info(verdict, &before, NULL))
		return fail("BPF statistics");
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		_exit(fail(argv[2]));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return fail("fork");
	if (status || get_info(verdict, &after, NULL))
		return 1;
	if (after.run_cnt == before.run_cnt) {
		fprintf(stderr, "verdict_cost: it did not run\n");
		return 1;
	}
	printf("verdict %.2f\nruns %llu\n",
	       (double)(after.run_time_ns - before.run_time_ns) /
		       (double)(after.run_cnt - before.run_cnt),
	       (unsigned long long)(after.run_cnt - before.run_cnt));
	return 0;
}
