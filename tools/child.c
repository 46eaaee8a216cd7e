/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig)
{
	stop_signal = sig;
}

void child_catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

int child_stop_signal(void)
{
	return stop_signal;
}

const char *child_reason(char *out)
{
	const char *colon = out;

	out[strcspn(out, "\n")] = '\0';
	if (strncmp(out, "sockshunt[", strlen("sockshunt[")))
		return out;
	for (int i = 0; colon && i < 2; i++)
		colon = strstr(colon + 1, ": ");
	return colon ? colon + 2 : out;
}

static int join_cgroup(const char *cgroup)
{
	char path[PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	err = write(fd, "0", 1) != 1;
	close(fd);
	return err ? -1 : 0;
}

static void be_child(const struct child *child, int out)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
		_exit(127);
	if (child->cgroup && join_cgroup(child->cgroup)) {
		dprintf(STDERR_FILENO, "cannot join %s: %s\n", child->cgroup,
			strerror(errno));
		_exit(127);
	}
	setenv("SOCKSHUNT_LOG", "warn", 1);
	unsetenv("SOCKSHUNT_LOG_FILE");
	if (child->shim ? preload(child->shim) : unsetenv("LD_PRELOAD"))
		_exit(127);
	execv(child->argv[0], child->argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", child->argv[0],
		strerror(errno));
	_exit(127);
}

static int msecs_left(const struct timespec *start, int msecs)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	msecs -= (int)((now.tv_sec - start->tv_sec) * 1000 +
		       (now.tv_nsec - start->tv_nsec) / 1000000);
	return msecs > 0 ? msecs : 0;
}

/* Whether it came to end of file: its processes have exited. */
static bool listen_to(struct child *child, int fd, int msecs)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec start;
	size_t len = 0;
	char rest[256];
	bool ended = false;
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!ended && !stop_signal &&
	       poll(&p, 1, msecs_left(&start, msecs)) > 0) {
		size_t room = sizeof(child->out) - 1 - len;

		n = room ? read(fd, child->out + len, room)
			 : read(fd, rest, sizeof(rest));
		ended = n <= 0;
		len += room && n > 0 ? (size_t)n : 0;
	}
	child->out[len] = '\0';
	return ended;
}

/* Not reaped before its group is killed: nobody else can have the number. */
static void end_group(pid_t pid, bool ended)
{
	siginfo_t info = { 0 };

	for (int i = 0; ended && !info.si_pid && i < 1000; i++) {
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
		if (!info.si_pid)
			usleep(1000);
	}
	kill(-pid, SIGKILL);
}

int child_run(struct child *child, int msecs)
{
	int fds[2], status;
	pid_t pid;

	child->out[0] = '\0';
	if (stop_signal || pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		be_child(child, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -1;
	}
	setpgid(pid, pid);
	end_group(pid, listen_to(child, fds[0], msecs));
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	if (stop_signal)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
