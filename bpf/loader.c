/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "object.h"
#include "permit.h"
#include "sysbpf.h"

#define LOCK_WAIT_SECS 10

#define NEW_CONTROL SS_MAP_CONTROL "_new" /* until its access is set */

#define OLD_SHIMMED "shimmed" /* up to ABI 7 */

/* All that may be below pin_path; control last, for it means "complete". */
static const char *const pin_names[] = {
	SS_LINK_SOCKOPS, SS_LINK_SPLICE, SS_MAP_COUNTERS,
	SS_MAP_SOCKHASH, SS_MAP_MERGED,	 SS_PIN_OWNERS,
	OLD_SHIMMED,	 NEW_CONTROL,	 SS_MAP_CONTROL,
};
#define NR_PINS (sizeof(pin_names) / sizeof(pin_names[0]))

bool ss_is_bpffs(const char *path)
{
	struct statfs st;

	return !statfs(path, &st) && st.f_type == BPF_FS_MAGIC;
}

/* As bpftool and tc do: the usual place is mounted on first use. */
static void mount_bpffs_for(const char *pin_path)
{
	size_t len = strlen(SS_BPFFS);

	if (strncmp(pin_path, SS_BPFFS "/", len + 1) || ss_is_bpffs(SS_BPFFS))
		return;
	if (!mount("bpf", SS_BPFFS, "bpf", 0, "mode=0755"))
		ss_log(SS_LOG_INFO, "mounted a BPF file system at " SS_BPFFS);
}

/*
 * Who may write to the directory can hold the lock, and put maps of his own
 * there. And its access is set by us: not that of a whole file system.
 */
static bool is_ours(int fd)
{
	struct stat st, parent;

	return !fstat(fd, &st) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022) && !fstatat(fd, "..", &parent, 0) &&
	       parent.st_dev == st.st_dev;
}

static bool is_at(int fd, const char *dir)
{
	struct stat opened, named;

	return !fstat(fd, &opened) && !stat(dir, &named) &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/*
 * Opens (and makes, if need be) the pin directory and locks it. The lock is
 * the kernel's: a killed loader holds none. Returns a descriptor, or -1 with
 * the reason in @why.
 */
static int lock_pin_path(const char *dir, bool make, char *why, size_t why_size)
{
	bool made;
	int fd, tries;

again:
	made = make && !mkdir(dir, 0700);
	if (make && !made && errno != EEXIST) {
		snprintf(why, why_size, "cannot create pin_path %s: %s", dir,
			 strerror(errno));
		return -1;
	}
	if (!ss_is_bpffs(dir)) {
		if (made)
			rmdir(dir);
		snprintf(why, why_size,
			 "pin_path %s is not on a BPF file system (mount -t "
			 "bpf -o mode=0755 bpf %s)",
			 dir, SS_BPFFS);
		return -1;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, why_size, "cannot open pin_path %s: %s", dir,
			 strerror(errno));
		return -1;
	}
	if (!is_ours(fd)) {
		snprintf(why, why_size,
			 "pin_path %s belongs to somebody else, others may "
			 "write to it, or it is a mount point: name a "
			 "directory of your own below it",
			 dir);
		close(fd);
		return -1;
	}
	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		if (tries == LOCK_WAIT_SECS * 100) {
			snprintf(why, why_size,
				 "another loader has held %s for %d seconds",
				 dir, LOCK_WAIT_SECS);
			close(fd);
			return -1;
		}
		usleep(10000);
	}
	/* Removed by an unload while we waited: that lock keeps nobody out. */
	if (make && !is_at(fd, dir)) {
		close(fd);
		goto again;
	}
	return fd;
}

int ss_check_pin_path(const char *dir, char *why, size_t why_size)
{
	int fd = lock_pin_path(dir, false, why, why_size);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_pins(const char *dir)
{
	char path[SS_PIN_NAME_MAX];

	for (size_t i = NR_PINS; i-- > 0;) {
		ss_pin_name(path, dir, pin_names[i]);
		if (unlink(path) && errno != ENOENT) {
			ss_log(SS_LOG_ERROR, "cannot remove %s: %s", path,
			       strerror(errno));
			return -1;
		}
	}
	return 0;
}

static int group_id(const struct ss_conf *conf, gid_t *gid)
{
	struct group *group = getgrnam(conf->pin_group);
	char *end;
	unsigned long number;

	if (group) {
		*gid = group->gr_gid;
		return 0;
	}
	number = strtoul(conf->pin_group, &end, 10);
	if (*end || number >= (gid_t)-1) {
		ss_log(SS_LOG_ERROR, "pin_group: no group '%s'",
		       conf->pin_group);
		return -1;
	}
	*gid = (gid_t)number;
	return 0;
}

/*
 * Only we may use the pins, or we and pin_group: @group_mode is what that gets
 * (never to write the directory, where it could put a map of its own, nor
 * to open it, which is enough to hold the lock).
 */
static int set_access(const struct ss_conf *conf, const char *path, mode_t mode,
		      mode_t group_mode)
{
	gid_t gid = (gid_t)-1;

	if (conf->pin_group[0]) {
		if (group_id(conf, &gid))
			return -1;
		mode |= group_mode;
	}
	if (chown(path, (uid_t)-1, gid) || chmod(path, mode)) {
		ss_log(SS_LOG_ERROR, "cannot set the access of %s: %s", path,
		       strerror(errno));
		return -1;
	}
	return 0;
}

static int pin(const struct ss_conf *conf, int fd, const char *name)
{
	char path[SS_PIN_NAME_MAX];

	ss_pin_name(path, conf->pin_path, name);
	if (bpf_obj_pin(fd, path)) {
		ss_log(SS_LOG_ERROR, "cannot pin %s: %s", path,
		       strerror(errno));
		return -1;
	}
	return set_access(conf, path, 0600, 0060);
}

/* Why a directory cannot be attached to, if that is because of what it is. */
static const char *no_cgroup(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) || st.f_type == CGROUP2_SUPER_MAGIC)
		return NULL;
	return st.f_type == CGROUP_SUPER_MAGIC
		       ? "it belongs to cgroup v1; a directory of a cgroup2 "
			 "file system is needed"
		       : "it is no cgroup; a directory of a cgroup2 file "
			 "system is needed";
}

/* @link is gone afterwards, and if it is pinned, stays attached. */
static int pin_link(const struct ss_conf *conf, struct bpf_link *link,
		    const char *name)
{
	char path[SS_PIN_NAME_MAX];
	int err;

	ss_pin_name(path, conf->pin_path, name);
	err = bpf_link__pin(link, path);
	if (!err)
		bpf_link__disconnect(link);
	bpf_link__destroy(link);
	return err;
}

#define ENOTSUPP 524 /* the kernel's own: no C library has a text for it */

/* A socket is judged when it is spliced, not when it is registered. */
static void attach_splice(const struct ss_conf *conf, const struct ss_object *o,
			  struct ss_control *control)
{
	struct bpf_link *link;
	int err = -EOPNOTSUPP;

	if (o->splice) {
		link = bpf_program__attach_trace(o->splice);
		err = libbpf_get_error(link);
		if (!err)
			err = pin_link(conf, link, SS_LINK_SPLICE);
	}
	if (!err)
		control->flags |= SS_REFUSES_SPLICE;
	else
		ss_log(SS_LOG_WARN,
		       "cgroup_path: cannot refuse splice(2) to programs "
		       "without the shim: %s; those that use it (Go's io.Copy, "
		       "HAProxy) need the shim, or ports that are not in "
		       "accelerated_ports",
		       strerror(err == -ENOTSUPP ? EOPNOTSUPP : -err));
}

/*
 * A failure here is not one of loading: the shim still registers sockets.
 * The link detaches with its last reference, so without a pin (private mode)
 * there is nothing to keep.
 */
static void attach_sockops(const struct ss_conf *conf, struct ss_object *o,
			   struct ss_control *control)
{
	struct bpf_link *link;
	const char *why = NULL;
	int fd = -1, err = -ENOENT;

	if (!conf->cgroup_path[0])
		return;
	if (!o->sockops) {
		ss_log(SS_LOG_WARN,
		       "cgroup_path: the object has no program '%s'",
		       SS_PROG_SOCKOPS);
		return;
	}
	fd = open(conf->cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	why = no_cgroup(fd);
	if (why)
		goto out;
	link = bpf_program__attach_cgroup(o->sockops, fd);
	err = libbpf_get_error(link);
	if (!err)
		err = pin_link(conf, link, SS_LINK_SOCKOPS);
	if (err)
		goto out;
	snprintf(control->cgroup_path, sizeof(control->cgroup_path), "%s",
		 conf->cgroup_path);
	attach_splice(conf, o, control);
out:
	if (err)
		ss_log(SS_LOG_WARN,
		       "cgroup_path: cannot attach to %s: %s; only sockets "
		       "that "
		       "the shim sees are registered",
		       conf->cgroup_path, why ? why : strerror(-err));
	if (fd >= 0)
		close(fd);
}

static void describe(const struct ss_conf *conf, const struct ss_object *o,
		     struct ss_control *control)
{
	union ss_bpf_info info;

	control->magic = SS_MAGIC;
	control->abi = SS_ABI;
	for (int i = 0; i < SS_NR_OBJECTS; i++) {
		if (o->fds[i] >= 0 && !ss_bpf_info(o->fds[i], &info))
			control->ids[i] = info.map.id;
	}
	control->flags = (o->merged ? SS_MERGED : 0) |
			 (o->netns_inode ? SS_NETNS_INODE : 0) |
			 (o->count_bytes ? SS_COUNT_BYTES : 0) |
			 (conf->bpf_program_path[0] ? SS_CUSTOM : 0) |
			 o->test_flags;
	control->state = SS_STATE_ON;
	control->cpus = (__u32)sysconf(_SC_NPROCESSORS_ONLN);
	control->loader_pid = (__u32)getpid();
	control->loader_uid = (__u32)getuid();
	control->self_test_usecs = o->self_test_usecs;
	control->loaded_at = (__u64)time(NULL);
	snprintf(control->loader_version, sizeof(control->loader_version), "%s",
		 SS_VERSION);
	snprintf(control->merge_reason, sizeof(control->merge_reason), "%s",
		 o->merge_reason);
}

static struct ss_control *map_control(int fd)
{
	void *p = mmap(NULL, sizeof(struct ss_control), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		ss_log(SS_LOG_ERROR, "cannot map the control map: %s",
		       strerror(errno));
		return NULL;
	}
	return p;
}

static int pin_all(const struct ss_conf *conf, struct ss_object *o,
		   struct ss_control *control)
{
	char from[SS_PIN_NAME_MAX], to[SS_PIN_NAME_MAX];

	if (set_access(conf, conf->pin_path, 0700, 0010) ||
	    pin(conf, o->counters_fd, SS_MAP_COUNTERS))
		return -1;
	for (int i = 0; i < SS_OBJECT_CONTROL; i++) {
		if (o->fds[i] >= 0 && pin(conf, o->fds[i], ss_pin_of(i)))
			return -1;
	}
	attach_sockops(conf, o, control);
	if (pin(conf, o->fds[SS_OBJECT_CONTROL], NEW_CONTROL))
		return -1;
	ss_pin_name(from, conf->pin_path, NEW_CONTROL);
	ss_pin_name(to, conf->pin_path, SS_MAP_CONTROL);
	if (rename(from, to)) {
		ss_log(SS_LOG_ERROR, "cannot pin %s: %s", to, strerror(errno));
		return -1;
	}
	return 0;
}

/* Loads; pins if @lock is a locked directory, else hands the maps over. */
static int load(const struct ss_conf *conf, int lock, int *private_fds)
{
	struct ss_control *control;
	struct ss_object object;
	int result = -1;

	if (ss_object_load(conf, &object))
		return -1;
	control = map_control(object.fds[SS_OBJECT_CONTROL]);
	if (!control)
		goto close;
	describe(conf, &object, control);
	if (lock >= 0) {
		result = pin_all(conf, &object, control);
		if (result)
			remove_pins(conf->pin_path);
	} else {
		for (int i = 0; i < SS_NR_OBJECTS; i++)
			private_fds[i] =
				fcntl(object.fds[i], F_DUPFD_CLOEXEC, 3);
		result = 1;
	}
	munmap(control, sizeof(*control));
close:
	ss_object_close(&object);
	return result;
}

/* What is loaded stays as it is: say where it is not what was asked for. */
static void compare(const struct ss_conf *conf, const struct ss_pins *pins)
{
	unsigned int max = ss_max_entries(pins);

	if (max != conf->sockhash_max_entries)
		ss_log(SS_LOG_WARN,
		       "sockhash_max_entries: %u are loaded, not %u: run "
		       "'sockshunt unload' first",
		       max, conf->sockhash_max_entries);
	if (strncmp(pins->control->cgroup_path, conf->cgroup_path,
		    sizeof(pins->control->cgroup_path)))
		ss_log(SS_LOG_WARN,
		       "cgroup_path: loaded with '%.*s', not '%s': run "
		       "'sockshunt unload' first",
		       (int)sizeof(pins->control->cgroup_path),
		       pins->control->cgroup_path, conf->cgroup_path);
}

static int load_locked(const struct ss_conf *conf, int lock)
{
	struct ss_pins pins;
	char why[256];

	switch (ss_pins_open(conf->pin_path, &pins, why, sizeof(why))) {
	case SS_PINS_OK: /* somebody was faster */
		compare(conf, &pins);
		ss_pins_close(&pins);
		return 0;
	case SS_PINS_ABSENT:
	case SS_PINS_BROKEN: /* left by a killed loader; ours is the lock */
		if (remove_pins(conf->pin_path))
			return -1;
		return load(conf, lock, NULL);
	default:
		ss_log(SS_LOG_ERROR, "%s: %s", conf->pin_path, why);
		return -1;
	}
}

int ss_load(const struct ss_conf *conf, int *private_fds)
{
	char why[512];
	int lock, result;

	if (!ss_permit_find_out(why, sizeof(why))) {
		ss_log(SS_LOG_ERROR, "%s", why);
		return -1;
	}
	ss_object_redirect_libbpf_log();
	mount_bpffs_for(conf->pin_path);
	lock = lock_pin_path(conf->pin_path, true, why, sizeof(why));
	if (lock >= 0) {
		result = load_locked(conf, lock);
		close(lock);
		return result;
	}
	if (!private_fds) {
		ss_log(SS_LOG_ERROR, "%s", why);
		return -1;
	}
	result = load(conf, -1, private_fds);
	if (result == 1)
		ss_log(SS_LOG_WARN,
		       "%s: only connections inside this process and its "
		       "children are accelerated",
		       why);
	return result;
}

static int unload_locked(const struct ss_conf *conf, bool force)
{
	struct ss_pins pins;
	unsigned int left;
	char why[256];

	if (ss_pins_open(conf->pin_path, &pins, why, sizeof(why)) != SS_PINS_OK)
		goto remove; /* another ABI's, or half a load */
	__atomic_store_n(&pins.control->state, SS_STATE_DRAINING,
			 __ATOMIC_SEQ_CST);
	left = ss_count_entries(&pins);
	if (left && !force) {
		__atomic_store_n(&pins.control->state, SS_STATE_ON,
				 __ATOMIC_SEQ_CST);
		ss_pins_close(&pins);
		ss_log(SS_LOG_ERROR,
		       "%u sockets are still in the sockhash: stop their "
		       "programs first, or use --force (they go on, but meet "
		       "no new ones)",
		       left);
		return -1;
	}
	ss_pins_close(&pins);
remove:
	if (remove_pins(conf->pin_path))
		return -1;
	if (rmdir(conf->pin_path) && errno != ENOENT)
		ss_log(SS_LOG_WARN, "cannot remove %s: %s", conf->pin_path,
		       strerror(errno));
	return 0;
}

int ss_unload(const struct ss_conf *conf, bool force)
{
	char why[512];
	int lock, result;

	if (access(conf->pin_path, F_OK) && errno == ENOENT)
		return 0;
	if (!ss_permit_find_out(why, sizeof(why))) {
		ss_log(SS_LOG_ERROR, "%s", why);
		return -1;
	}
	lock = lock_pin_path(conf->pin_path, false, why, sizeof(why));
	if (lock < 0) {
		ss_log(SS_LOG_ERROR, "%s", why);
		return -1;
	}
	result = unload_locked(conf, force);
	close(lock);
	return result;
}
