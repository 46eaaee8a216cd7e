/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who else uses sockmaps. A socket is in one of them at most, and the first
 * one keeps it: ours then gets EBUSY, and the connection stays on TCP.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../bpf/sysbpf.h"
#include "doctor.h"

#define MAX_LINES  8
#define SCAN_MSECS 500 /* for holders: of all lines together */

struct scan {
	unsigned int seen;
	long msecs_left;
};

static long msecs_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether descriptor @fd of @pid holds it; @tag: as in fdinfo, "prog_id". */
static bool holds(const char *pid, const char *fd, const char *tag, __u32 id)
{
	char path[600], line[128], target[16] = "", name[16];
	bool found = false;
	unsigned int value;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
	if (readlink(path, target, sizeof(target)) < 14 ||
	    memcmp(target, "anon_inode:bpf", 14))
		return false;
	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%15[^:]: %u", name, &value) == 2 &&
			!strcmp(name, tag) && value == id;
	if (f)
		fclose(f);
	return found;
}

static bool process_holds(const char *pid, const char *tag, __u32 id)
{
	const struct dirent *entry;
	char path[300];
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		found = holds(pid, entry->d_name, tag, id);
	if (dir)
		closedir(dir);
	return found;
}

/* ", held by PID (NAME), ..." */
static void list_holders(struct scan *scan, const char *tag, __u32 id,
			 char *buf, size_t size)
{
	long start = msecs_now();
	const struct dirent *entry;
	size_t len = 0;
	DIR *dir = opendir("/proc");

	buf[0] = '\0';
	while (dir && len < size && msecs_now() - start < scan->msecs_left &&
	       (entry = readdir(dir))) {
		char path[300], name[17] = "?";
		int fd;
		ssize_t n;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !process_holds(entry->d_name, tag, id))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		name[strcspn(name, "\n")] = '\0';
		if (fd >= 0)
			close(fd);
		len += (size_t)snprintf(buf + len, size - len,
					"%s process %s (%s)",
					len ? "," : ", held by", entry->d_name,
					name);
	}
	if (dir)
		closedir(dir);
	scan->msecs_left -= msecs_now() - start;
}

static void found(struct scan *scan, const char *kind, const char *name,
		  const char *tag, __u32 id)
{
	char holders[256];

	if (++scan->seen > MAX_LINES)
		return;
	list_holders(scan, tag, id, holders, sizeof(holders));
	report(STATE_NOTE, "other users",
	       "no harm: a socket that it has is busy (EBUSY) for us, and its "
	       "connection stays on TCP",
	       "%s '%s' (id %u)%s", kind, name, id, holders);
}

/* Names are cut to 15 bytes by the kernel: all of ours begin so. */
static bool is_our_program(const struct bpf_prog_info *info)
{
	return !strncmp(info->name, "sockshunt_", strlen("sockshunt_"));
}

static bool is_our_map(const struct bpf_map_info *info)
{
	return info->key_size == sizeof(struct ss_key) &&
	       (!strcmp(info->name, SS_MAP_SOCKHASH) ||
		!strcmp(info->name, SS_MAP_MERGED));
}

static void look_at_program(struct scan *scan, int fd, __u32 id)
{
	union ss_bpf_info info;

	if (ss_bpf_info(fd, &info) || is_our_program(&info.prog))
		return;
	switch (info.prog.type) {
	case BPF_PROG_TYPE_SK_MSG:
		found(scan, "sk_msg program", info.prog.name, "prog_id", id);
		break;
	case BPF_PROG_TYPE_SK_SKB:
		found(scan, "sk_skb program", info.prog.name, "prog_id", id);
		break;
	case BPF_PROG_TYPE_SOCK_OPS:
		found(scan, "sock_ops program", info.prog.name, "prog_id", id);
		break;
	default:
		break;
	}
}

static void look_at_map(struct scan *scan, int fd, __u32 id)
{
	union ss_bpf_info info;

	if (ss_bpf_info(fd, &info) || is_our_map(&info.map))
		return;
	if (info.map.type == BPF_MAP_TYPE_SOCKMAP ||
	    info.map.type == BPF_MAP_TYPE_SOCKHASH)
		found(scan, "sockmap", info.map.name, "map_id", id);
}

/* Returns 0, or -1 with errno: may not be asked. */
static int walk(struct scan *scan, int (*next)(__u32, __u32 *),
		int (*open_id)(__u32),
		void (*look)(struct scan *, int fd, __u32 id))
{
	__u32 id = 0;

	while (!next(id, &id)) {
		int fd = open_id(id);

		if (fd < 0)
			continue; /* is gone */
		look(scan, fd, id);
		close(fd);
	}
	return errno == ENOENT ? 0 : -1;
}

/* This process's own cgroup, in the v2 hierarchy. */
static int open_own_cgroup(void)
{
	char line[PATH_MAX], path[2 * PATH_MAX], mount[SS_CONF_PATH_MAX];
	FILE *f = fopen("/proc/self/cgroup", "re");
	int fd = -1;

	find_cgroup2(mount);
	while (f && mount[0] && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(path, sizeof(path), "%s%s", mount, line + 3);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (f)
		fclose(f);
	return fd;
}

static void check_own_cgroup(void)
{
	__u32 ids[64], count = 64, flags;
	int fd = open_own_cgroup();
	char text[256] = "";
	size_t len = 0;

	if (fd < 0)
		return; /* no cgroup v2: has been told */
	if (bpf_prog_query(fd, BPF_CGROUP_SOCK_OPS, BPF_F_QUERY_EFFECTIVE,
			   &flags, ids, &count)) {
		report(STATE_NOTE, "own cgroup", NULL,
		       "cannot ask for its sock_ops programs: %s",
		       strerror(errno));
		close(fd);
		return;
	}
	close(fd);
	for (__u32 i = 0; i < count && len < sizeof(text); i++) {
		int prog = bpf_prog_get_fd_by_id(ids[i]);
		union ss_bpf_info info;

		if (prog < 0)
			continue;
		if (!ss_bpf_info(prog, &info))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s'%s' (id %u)",
						len ? ", " : "", info.prog.name,
						ids[i]);
		close(prog);
	}
	report(STATE_OK, "own cgroup", NULL, "sock_ops programs here: %s",
	       count ? text : "none");
}

void check_others(void)
{
	struct scan scan = { .msecs_left = SCAN_MSECS };

	if (walk(&scan, bpf_prog_get_next_id, bpf_prog_get_fd_by_id,
		 look_at_program) ||
	    walk(&scan, bpf_map_get_next_id, bpf_map_get_fd_by_id, look_at_map))
		report(STATE_NOTE, "other users", NULL,
		       "cannot list the host's BPF programs: %s",
		       strerror(errno));
	else if (!scan.seen)
		report(STATE_OK, "other users", NULL,
		       "nobody else on this host uses sockmaps");
	else if (scan.seen > MAX_LINES)
		report(STATE_NOTE, "other users", NULL, "and %u more",
		       scan.seen - MAX_LINES);
	check_own_cgroup();
}
