/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bpf/abi.h"
#include "../conf/log.h"
#include "hooks.h"

#define STACK_SIZE (64 * 1024)

/* As the loader's exit status; see bpf/loader_main.c. */
#define EXIT_PINNED    0
#define EXIT_PRIVATE   2
#define EXIT_NO_LOADER 127

struct child {
	const char *loader;
	char *const *argv;
	char *const *envp;
	int sock;
	char *stack; /* the loader's, until it executes */
};

/*
 * Two processes are needed. exec(2) gives its process an exit signal, and the
 * program would get a SIGCHLD and find a child it never made. So a keeper,
 * which does not exec and has none, starts the loader and waits for it. Both
 * run on the program's memory while the program's thread waits (CLONE_VFORK),
 * with descriptors and signal dispositions of their own: system calls only,
 * so that no hook is entered.
 */
static pid_t start_on(char *stack, int (*fn)(void *), void *arg)
{
	return clone(fn, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, arg);
}

static int wait_for(pid_t pid)
{
	int status;

	while (syscall(SYS_wait4, pid, &status, __WALL, NULL) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int loader_main(void *arg)
{
	const struct child *child = arg;

	/* A descriptor 2 that the program reused is not for our messages. */
	if (!ss_log_stderr_is_ours()) {
		int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null",
					O_WRONLY);

		if (null >= 0)
			syscall(SYS_dup3, null, STDERR_FILENO, 0);
	}
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC)) {
		for (int fd = 3; fd < 1024; fd++) /* before 5.11 */
			syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
	}
	syscall(SYS_fcntl, child->sock, F_SETFD, 0);
	syscall(SYS_execve, child->loader, child->argv, child->envp);
	syscall(SYS_exit, EXIT_NO_LOADER);
	return EXIT_NO_LOADER;
}

static int keeper_main(void *arg)
{
	const struct child *child = arg;
	int status = -1;
	pid_t pid;

	/* If the program ignores SIGCHLD, the status would be lost. */
	signal(SIGCHLD, SIG_DFL);
	pid = start_on(child->stack, loader_main, arg);
	if (pid > 0)
		status = wait_for(pid);
	syscall(SYS_exit, status < 0 ? EXIT_NO_LOADER : status);
	return EXIT_NO_LOADER;
}

static int run(struct child *child)
{
	char *stacks = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, old;
	int status = -1;
	pid_t pid;

	if (stacks == MAP_FAILED)
		return -1;
	child->stack = stacks + STACK_SIZE;
	/* No handler of the program may run on the borrowed memory. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid = start_on(stacks, keeper_main, child);
	if (pid > 0)
		status = wait_for(pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(stacks, 2 * STACK_SIZE);
	return status;
}

static int receive_fds(int sock, int fds[SS_NR_OBJECTS])
{
	char kinds[SS_NR_OBJECTS];
	union {
		char buf[CMSG_SPACE(SS_NR_OBJECTS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = kinds, .iov_len = sizeof(kinds) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (!c || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN((size_t)n * sizeof(int)))
		return -1;
	for (int i = 0; i < SS_NR_OBJECTS; i++)
		fds[i] = -1;
	for (int i = 0; i < n; i++)
		memcpy(&fds[(unsigned char)kinds[i] % SS_NR_OBJECTS],
		       CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	return 0;
}

/* "NAME=value" of our own variables, which are all the loader needs. */
static char *copy_variable(const char *name, char *buf, size_t size)
{
	const char *value = secure_getenv(name);

	if (!value || (size_t)snprintf(buf, size, "%s=%s", name, value) >= size)
		return NULL;
	return buf;
}

enum ss_spawn_result ss_spawn_loader(const char *loader, const char *conf_file,
				     int fds[SS_NR_OBJECTS])
{
	char number[16], level[64], file[512];
	char *argv[6] = { (char *)loader, "-s", number }, *envp[3] = { NULL };
	struct child child = { loader, argv, envp, -1, NULL };
	int pair[2], status, n = 0;
	enum ss_spawn_result result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return SS_SPAWN_NO_LOADER;
	child.sock = pair[1];
	snprintf(number, sizeof(number), "%d", pair[1]);
	if (conf_file) {
		argv[3] = "-c";
		argv[4] = (char *)conf_file;
	}
	envp[n] = copy_variable("SOCKSHUNT_LOG", level, sizeof(level));
	n += !!envp[n];
	envp[n] = copy_variable("SOCKSHUNT_LOG_FILE", file, sizeof(file));

	status = run(&child);
	if (status == EXIT_PINNED)
		result = SS_SPAWN_PINNED;
	else if (status == EXIT_PRIVATE)
		result = receive_fds(pair[0], fds) ? SS_SPAWN_FAILED
						   : SS_SPAWN_PRIVATE;
	else if (status < 0 || status == EXIT_NO_LOADER)
		result = SS_SPAWN_NO_LOADER;
	else
		result = SS_SPAWN_FAILED;
	REAL(close)(pair[0]);
	REAL(close)(pair[1]);
	return result;
}
