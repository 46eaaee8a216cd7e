/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What the kernel has and allows. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../bpf/privilege.h"
#include "../bpf/sysbpf.h"
#include "doctor.h"

#define JIT    "/proc/sys/net/core/bpf_jit_enable"
#define UNPRIV "/proc/sys/kernel/unprivileged_bpf_disabled"

/* The first line of @path. Returns 0, or -1 with errno. */
static int read_line(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

/* What "seccomp" filters have to say, in a process that they may kill. */
static int bpf_call_status(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(ss_bpf_obj_get("/") < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 0;
	return status;
}

static int seccomp_mode(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	int mode = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Seccomp: %d", &mode);
	if (f)
		fclose(f);
	return mode;
}

bool check_bpf_call(void)
{
	int status = bpf_call_status(), mode = seccomp_mode();
	const char *filter =
		mode ? ", with a seccomp filter" : ", no seccomp filter";

	if (WIFSIGNALED(status)) {
		report(STATE_FAIL, "bpf(2)",
		       "allow bpf(2) in the filter; until then preloaded "
		       "programs do not call it, and stay on TCP",
		       "kills the process (signal %d%s)", WTERMSIG(status),
		       filter);
		return false;
	}
	switch (WEXITSTATUS(status)) {
	case EPERM:
		report(STATE_FAIL, "bpf(2)",
		       mode ? "allow bpf(2) in the seccomp filter"
			    : "before Linux 5.19 it takes "
			      "kernel.unprivileged_bpf_disabled = 0, or "
			      "CAP_BPF",
		       "is not permitted to this process%s", filter);
		break;
	case ENOSYS:
		report(STATE_FAIL, "bpf(2)",
		       mode ? "allow bpf(2) in the seccomp filter"
			    : "needs a kernel with CONFIG_BPF_SYSCALL",
		       "is not there%s", filter);
		break;
	default:
		report(STATE_OK, "bpf(2)", NULL, "can be called%s", filter);
	}
	return true;
}

static void check_btf(const struct doctor *d)
{
	if (!access(SS_BTF, R_OK))
		report(STATE_OK, "BTF", NULL, "%s", SS_BTF);
	else
		report(if_needed(d), "BTF",
		       "needs a kernel with CONFIG_DEBUG_INFO_BTF, and /sys",
		       "%s: %s", SS_BTF, strerror(errno));
}

/* By making one: what the kernel was configured with is nowhere certain. */
static void check_sockmap(const struct doctor *d)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "doctor", sizeof(__u32),
				sizeof(__u32), 1, NULL);
	const char *lacks = NULL;

	if (fd < 0 && errno == EPERM) {
		report(d->usable ? STATE_OK : STATE_NOTE, "sockmap", NULL, "%s",
		       d->usable ? "in use"
				 : "cannot be tried without the privilege");
		return;
	}
	if (fd < 0)
		lacks = "sockhash maps";
	else if (!libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SK_MSG, NULL))
		lacks = "sk_msg programs";
	else if (!libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SK_SKB, NULL))
		lacks = "sk_skb programs";
	if (lacks)
		report(if_needed(d), "sockmap",
		       "needs a kernel with CONFIG_BPF_STREAM_PARSER",
		       "no %s: %s", lacks, strerror(errno));
	else
		report(STATE_OK, "sockmap", NULL,
		       "sockhash maps, sk_msg and sk_skb programs");
	if (fd >= 0)
		close(fd);
}

static void check_jit(const struct doctor *d)
{
	char value[16];

	if (read_line(JIT, value, sizeof(value)))
		report(STATE_NOTE, "JIT", NULL,
		       "cannot be told here (" JIT ": %s)", strerror(errno));
	else if (strcmp(value, "0"))
		report(STATE_OK, "JIT", NULL, "on");
	else
		report(if_needed(d), "JIT", "sysctl net.core.bpf_jit_enable=1",
		       "off: our programs are slow, or do not load");
}

static void check_lockdown(const struct doctor *d)
{
	char value[64];

	if (read_line(SS_LOCKDOWN, value, sizeof(value)))
		report(STATE_OK, "lockdown", NULL, "none (" SS_LOCKDOWN ": %s)",
		       strerror(errno));
	else if (strstr(value, "[confidentiality]"))
		report(if_needed(d), "lockdown",
		       "boot with lockdown=integrity, or without",
		       "confidentiality: BPF programs may not read kernel "
		       "memory");
	else
		report(STATE_OK, "lockdown", NULL, "%s", value);
}

static void check_unprivileged(void)
{
	char value[16];

	if (read_line(UNPRIV, value, sizeof(value)))
		report(STATE_NOTE, "unprivileged", NULL, UNPRIV ": %s",
		       strerror(errno));
	else
		report(STATE_OK, "unprivileged", NULL,
		       "kernel.unprivileged_bpf_disabled = %s%s", value,
		       strcmp(value, "0")
			       ? ": without CAP_BPF pins can be used (before "
				 "5.19, not even that)"
			       : "");
}

void check_kernel(const struct doctor *d)
{
	struct utsname u = { 0 };

	uname(&u);
	report(STATE_OK, "kernel", NULL, "%s %s %s", u.sysname, u.release,
	       u.machine);
	check_btf(d);
	check_sockmap(d);
	check_jit(d);
	check_lockdown(d);
	check_unprivileged();
}
