/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Seccomp filters of tests, from words: a default action, then rules
 * "ACTION=CALL,CALL...". Actions: allow, log, errno:N, trap, kill (the
 * process), kill-thread. The call "@container" is all but those that Docker's
 * default profile leaves out; "@via-prctl" is none, but has the filter
 * installed by prctl(2) instead of seccomp(2).
 */
#ifndef TESTS_FILTER_H
#define TESTS_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* As docs.docker.com/engine/security/seccomp names them. */
static const char *const filter_not_in_containers[] = {
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"create_module",
	"delete_module",
	"finit_module",
	"get_kernel_syms",
	"get_mempolicy",
	"init_module",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mbind",
	"mount",
	"move_pages",
	"nfsservctl",
	"open_by_handle_at",
	"perf_event_open",
	"personality",
	"pivot_root",
	"process_vm_readv",
	"process_vm_writev",
	"ptrace",
	"query_module",
	"quotactl",
	"reboot",
	"request_key",
	"set_mempolicy",
	"setns",
	"settimeofday",
	"swapon",
	"swapoff",
	"sysfs",
	"_sysctl",
	"umount",
	"umount2",
	"unshare",
	"uselib",
	"userfaultfd",
	"ustat",
	"vm86",
	"vm86old",
};

static inline void filter_check(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "filter: %s: %s\n", what, strerror(-result));
	exit(125);
}

static inline uint32_t filter_action(const char *name)
{
	if (!strcmp(name, "allow"))
		return SCMP_ACT_ALLOW;
	if (!strcmp(name, "log"))
		return SCMP_ACT_LOG;
	if (!strcmp(name, "trap"))
		return SCMP_ACT_TRAP;
	if (!strcmp(name, "kill"))
		return SCMP_ACT_KILL_PROCESS;
	if (!strcmp(name, "kill-thread"))
		return SCMP_ACT_KILL_THREAD;
	if (!strncmp(name, "errno:", 6))
		return SCMP_ACT_ERRNO((uint32_t)atoi(name + 6));
	filter_check(-1, name);
	return 0;
}

static inline bool filter_is_in_containers(const char *name)
{
	size_t n = sizeof(filter_not_in_containers) / sizeof(char *);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(name, filter_not_in_containers[i]))
			return false;
	}
	return true;
}

static inline void filter_add_container(scmp_filter_ctx ctx, uint32_t action)
{
	for (int nr = 0; nr < 600; nr++) {
		char *name =
			seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name && filter_is_in_containers(name))
			filter_check(seccomp_rule_add(ctx, action, nr, 0),
				     name);
		free(name);
	}
}

static inline void filter_load_by_prctl(scmp_filter_ctx ctx)
{
	static struct sock_filter code[BPF_MAXINSNS];
	struct sock_fprog prog = { .filter = code };
	int fd = memfd_create("filter", MFD_CLOEXEC);

	filter_check(seccomp_export_bpf(ctx, fd), "export");
	prog.len = (unsigned short)(pread(fd, code, sizeof(code), 0) /
				    (ssize_t)sizeof(code[0]));
	close(fd);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	filter_check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog),
		     "prctl");
}

/* @words: NULL at the end. Exits if that is not possible. */
static inline void filter_load(char **words)
{
	scmp_filter_ctx ctx = seccomp_init(filter_action(*words));
	bool by_prctl = false;
	char *rule, *name;
	uint32_t action;

	while (*++words) {
		rule = *words;
		action = filter_action(strsep(&rule, "="));
		while ((name = strsep(&rule, ","))) {
			int nr = seccomp_syscall_resolve_name(name);

			if (!strcmp(name, "@container"))
				filter_add_container(ctx, action);
			else if (!strcmp(name, "@via-prctl"))
				by_prctl = true;
			else if (nr != __NR_SCMP_ERROR)
				filter_check(seccomp_rule_add(ctx, action, nr,
							      0),
					     name);
			else
				filter_check(-1, name);
		}
	}
	if (by_prctl)
		filter_load_by_prctl(ctx);
	else
		filter_check(seccomp_load(ctx), "load");
	seccomp_release(ctx);
}

#endif
