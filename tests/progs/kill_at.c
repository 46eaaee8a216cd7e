/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * kill_at N LOG COMMAND [ARGUMENT...]: kills COMMAND (SIGKILL) at its Nth
 * system call of the kinds below, before it is made; 0: never. LOG gets a
 * line for each of them. They are what other processes can see of a loader,
 * so between any two of them one moment is as good as another.
 *
 * Only COMMAND itself is watched, not its children. Exit status: COMMAND's,
 * or 137 if it was killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOPPED_AT_CALL (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

static const struct {
	long number;
	const char *name;
} watched[] = {
	{ SYS_bpf, "bpf" },	   { SYS_flock, "flock" },
	{ SYS_mkdirat, "mkdir" },  { SYS_fchmodat, "chmod" },
	{ SYS_fchownat, "chown" }, { SYS_unlinkat, "unlink" },
#ifdef SYS_mkdir /* the older ones, which newer machines lack */
	{ SYS_mkdir, "mkdir" },	   { SYS_chmod, "chmod" },
	{ SYS_chown, "chown" },	   { SYS_unlink, "unlink" },
	{ SYS_rmdir, "rmdir" },
#endif
};
#define NR_WATCHED (sizeof(watched) / sizeof(watched[0]))

static void run(char **command)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

/* The name of the call that @pid enters; NULL if it is another, or leaves. */
static const char *watched_call(pid_t pid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return NULL;
	for (size_t i = 0; i < NR_WATCHED; i++) {
		if ((long)info.entry.nr == watched[i].number)
			return watched[i].name;
	}
	return NULL;
}

static int watch(pid_t pid, long kill_at, FILE *log)
{
	int status, signal;
	long calls = 0;
	const char *name;

	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		signal = WSTOPSIG(status);
		if (signal == STOPPED_AT_CALL) {
			signal = 0;
			name = watched_call(pid);
			if (name && ++calls == kill_at)
				kill(pid, SIGKILL);
			if (name)
				fprintf(log, "%s\n", name);
		} else if (signal == SIGTRAP || signal == SIGSTOP) {
			signal = 0; /* the exec, or our own raise() */
		}
		/* Fails with ESRCH if the process has just been killed. */
		if (ptrace(PTRACE_SYSCALL, pid, NULL, signal) && errno != ESRCH)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	FILE *log;
	int status;
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr, "usage: %s N LOG COMMAND [ARGUMENT...]\n",
			argv[0]);
		return 2;
	}
	log = fopen(argv[2], "we");
	if (!log) {
		perror(argv[2]);
		return 2;
	}
	pid = fork();
	if (!pid)
		run(argv + 3);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_SYSCALL, pid, NULL, NULL)) {
		perror("ptrace");
		return 2;
	}
	return watch(pid, atol(argv[1]), log);
}
