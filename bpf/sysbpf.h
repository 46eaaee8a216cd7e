/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * bpf(2) without libbpf, for code that runs inside other people's programs:
 * one system call each, async-signal-safe. Return -1 with errno, as the
 * kernel's man page says.
 */
#ifndef SOCKSHUNT_SYSBPF_H
#define SOCKSHUNT_SYSBPF_H

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "permit.h"

static inline int ss_sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	if (!ss_may(SS_DUTY_BPF)) {
		errno = EPERM;
		return -1;
	}
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Opens a pin; the new descriptor is close-on-exec. */
static inline int ss_bpf_obj_get(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	return ss_sys_bpf(BPF_OBJ_GET, &attr);
}

/* The commands on one element; @value: or the next key, which has its place. */
static inline int ss_bpf_map_elem(enum bpf_cmd cmd, int map_fd, const void *key,
				  const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map_fd;
	attr.key = (uintptr_t)key;
	attr.value = (uintptr_t)value;
	attr.flags = flags;
	return ss_sys_bpf(cmd, &attr);
}

static inline int ss_bpf_map_update(int map_fd, const void *key,
				    const void *value, uint64_t flags)
{
	return ss_bpf_map_elem(BPF_MAP_UPDATE_ELEM, map_fd, key, value, flags);
}

static inline int ss_bpf_map_delete(int map_fd, const void *key)
{
	return ss_bpf_map_elem(BPF_MAP_DELETE_ELEM, map_fd, key, NULL, 0);
}

static inline int ss_bpf_map_lookup(int map_fd, const void *key, void *value)
{
	return ss_bpf_map_elem(BPF_MAP_LOOKUP_ELEM, map_fd, key, value, 0);
}

/* The key after @key (NULL: the first) into @next; ENOENT: that was the last. */
static inline int ss_bpf_map_next_key(int map_fd, const void *key, void *next)
{
	return ss_bpf_map_elem(BPF_MAP_GET_NEXT_KEY, map_fd, key, next, 0);
}

/* Runs a program of packets on @data, in this thread; what it returns in @result. */
static inline int ss_bpf_prog_run(int prog_fd, const void *data, uint32_t size,
				  uint32_t *result)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)prog_fd;
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = size;
	if (ss_sys_bpf(BPF_PROG_TEST_RUN, &attr))
		return -1;
	*result = attr.test.retval;
	return 0;
}

/* Type and id are at the same place in both. */
union ss_bpf_info {
	struct bpf_map_info map;
	struct bpf_prog_info prog;
};

/* Fails with EINVAL if @fd is open but no BPF object. */
static inline int ss_bpf_info(int fd, union ss_bpf_info *info)
{
	union bpf_attr attr;

	memset(info, 0, sizeof(*info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(*info);
	attr.info.info = (uintptr_t)info;
	return ss_sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

#endif
