/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The file systems: bpffs and cgroup v2. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "../bpf/sysbpf.h"
#include "doctor.h"

/* Where file systems of @type are mounted, in @buf; the first in @first. */
static void list_mounts(const char *type, char *buf, size_t size,
			char first[SS_CONF_PATH_MAX])
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	char lines[4096];
	struct mntent m;
	size_t len = 0;

	buf[0] = first[0] = '\0';
	while (f && getmntent_r(f, &m, lines, sizeof(lines))) {
		if (strcmp(m.mnt_type, type))
			continue;
		if (!first[0])
			snprintf(first, SS_CONF_PATH_MAX, "%s", m.mnt_dir);
		if (len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s",
						len ? ", " : "", m.mnt_dir);
	}
	if (f)
		endmntent(f);
}

void find_cgroup2(char path[SS_CONF_PATH_MAX])
{
	char all[256];

	list_mounts("cgroup2", all, sizeof(all), path);
}

/* pin_path, or the directory that it would be made in. */
static const char *existing(const char *path, char buf[SS_CONF_PATH_MAX])
{
	char *slash;

	snprintf(buf, SS_CONF_PATH_MAX, "%s", path);
	slash = strrchr(buf, '/');
	if (access(buf, F_OK) && slash)
		slash[slash == buf] = '\0';
	return buf;
}

void check_bpffs(const struct doctor *d)
{
	char mounts[256], dir[SS_CONF_PATH_MAX], first[SS_CONF_PATH_MAX];
	struct statvfs st;

	list_mounts("bpf", mounts, sizeof(mounts), first);
	existing(d->conf.pin_path, dir);
	if (d->mounts_bpffs)
		report(if_needed(d), "bpffs",
		       "mount -t bpf -o mode=0755 bpf " SS_BPFFS,
		       "none at " SS_BPFFS "; a program that loads as root "
		       "mounts it");
	else if (statvfs(dir, &st))
		report(STATE_FAIL, "bpffs", "make that directory",
		       "pin_path %s: %s: %s", d->conf.pin_path, dir,
		       strerror(errno));
	else if (!ss_is_bpffs(dir))
		report(STATE_FAIL, "bpffs",
		       "mount -t bpf -o mode=0755 bpf " SS_BPFFS
		       ", and let pin_path be a directory in it",
		       "pin_path %s is not on a BPF file system (%s%s)",
		       d->conf.pin_path, mounts[0] ? "mounted at " : "none",
		       mounts);
	else if (st.f_flag & ST_RDONLY)
		report(STATE_FAIL, "bpffs", "mount -o remount,rw it",
		       "pin_path %s is on a BPF file system that is read-only",
		       d->conf.pin_path);
	else if (!would_load(d) || !access(dir, W_OK | X_OK))
		report(STATE_OK, "bpffs", NULL, "mounted at %s", mounts);
	else
		report(if_needed(d), "bpffs",
		       "run 'sockshunt load' as the owner of that directory",
		       "mounted at %s; cannot write to %s: %s", mounts, dir,
		       strerror(errno));
}

static bool is_cgroup2(const char *path)
{
	struct statfs st;

	return !statfs(path, &st) && st.f_type == CGROUP2_SUPER_MAGIC;
}

/* The program of our link; 0: no link, or none that is attached. */
static __u32 linked_program(const struct doctor *d)
{
	char path[SS_PIN_NAME_MAX];
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	int fd;

	ss_pin_name(path, d->conf.pin_path, SS_LINK_SOCKOPS);
	fd = ss_bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.prog_id = 0;
	close(fd);
	/* Its cgroup was removed: the kernel has detached it. */
	return info.cgroup.cgroup_id ? info.prog_id : 0;
}

/* Returns 1, 0, or -1 with errno. */
static int is_attached(const struct doctor *d)
{
	int fd = open(d->conf.cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__u32 ids[64], count = 64, flags, ours = linked_program(d);
	int result;

	if (fd < 0)
		return -1;
	result =
		bpf_prog_query(fd, BPF_CGROUP_SOCK_OPS, 0, &flags, ids, &count);
	close(fd);
	if (result) {
		/* Without the privilege to ask, what the loader wrote. */
		return errno == EPERM
			       ? !strncmp(d->pins.control->cgroup_path,
					  d->conf.cgroup_path,
					  sizeof(d->pins.control->cgroup_path))
			       : -1;
	}
	for (__u32 i = 0; i < count; i++) {
		if (ours && ids[i] == ours)
			return 1;
	}
	return 0;
}

void check_cgroups(const struct doctor *d)
{
	char mounts[256], first[SS_CONF_PATH_MAX], old[256];
	const char *path = d->conf.cgroup_path;
	enum state bad =
		d->conf.register_user_space_sockets ? STATE_NOTE : STATE_FAIL;

	list_mounts("cgroup2", mounts, sizeof(mounts), first);
	if (!mounts[0]) {
		list_mounts("cgroup", old, sizeof(old), first);
		report(path[0] ? bad : STATE_NOTE, "cgroup v2",
		       path[0] ? "mount -t cgroup2 none /sys/fs/cgroup/unified"
			       : NULL,
		       "not mounted%s: cgroup_path cannot be used",
		       old[0] ? ", there is cgroup v1 only" : "");
		return;
	}
	report(STATE_OK, "cgroup v2", NULL, "mounted at %s", mounts);
	if (!path[0])
		report(STATE_OK, "cgroup_path", NULL,
		       "not set: sockets that the shim sees are registered");
	else if (access(path, F_OK))
		report(bad, "cgroup_path", "make it, then unload and load",
		       "%s: %s", path, strerror(errno));
	else if (!is_cgroup2(path))
		report(bad, "cgroup_path",
		       "name a directory below a cgroup v2 mount",
		       "%s is not a directory of cgroup v2", path);
	else if (d->result != SS_PINS_OK)
		report(if_needed(d), "cgroup_path", NULL,
		       "%s: attached when something is loaded", path);
	else if (is_attached(d) == 1)
		report(STATE_OK, "cgroup_path", NULL,
		       "%s: our sock_ops program is attached", path);
	else
		report(bad, "cgroup_path",
		       "run 'sockshunt unload' and 'sockshunt load'",
		       "%s: our sock_ops program is not attached", path);
}
