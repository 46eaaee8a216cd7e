/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The BPF object, embedded or custom: opened, checked, sized, loaded,
 * attached to its sockhash and self-tested. Nothing is pinned here.
 */
#ifndef SOCKSHUNT_OBJECT_H
#define SOCKSHUNT_OBJECT_H

#include <stdbool.h>
#include <bpf/libbpf.h>

#include "../conf/conf.h"
#include "abi.h"

struct ss_object {
	struct bpf_object *obj;
	struct bpf_program *verdict;
	struct bpf_program *sockops; /* NULL: a custom object has none */
	struct bpf_program *merge;   /* likewise */
	struct bpf_program *owners;  /* likewise */
	struct bpf_program *splice;  /* likewise; without cgroup_path, too */
	int fds[SS_NR_OBJECTS];	     /* -1: there is none */
	int counters_fd;
	bool own_counters; /* descriptors made here, not the object's */
	bool own_control;
	bool netns_inode;
	bool count_bytes;
	bool knows_task;
	bool takes_tracing; /* asked only with cgroup_path */
	bool merged;
	char merge_reason[112];	      /* why not */
	__u32 test_flags;	      /* SS_KEEPS_... and SS_COUNTS_... */
	unsigned int self_test_usecs; /* 0: not run */
};

/*
 * Returns 0 with @o filled in, or -1 after logging one line. Call
 * ss_object_close() in the first case only.
 */
int ss_object_load(const struct ss_conf *conf, struct ss_object *o);
void ss_object_close(struct ss_object *o);

/* libbpf's own messages go to our log, below the level of our lines. */
void ss_object_redirect_libbpf_log(void);

#endif
