/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What programs do with descriptors: copies, numbers, and holders: processes
 * beside a peer that have its socket by fork, exec or SCM_RIGHTS.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "semantics.h"

/* shutdown RD|WR|RDWR */
void op_shutdown(struct call *c)
{
	int how = SHUT_RDWR;

	if (!strcmp(c->argv[1], "RD"))
		how = SHUT_RD;
	else if (!strcmp(c->argv[1], "WR"))
		how = SHUT_WR;
	say_result(c, shutdown(self.fd, how));
}

void op_close(struct call *c)
{
	say_result(c, close(self.fd));
}

static void say_ok(struct call *c, bool ok)
{
	if (ok)
		say(c, "ok");
	else
		say_errno(c);
}

void op_dup(struct call *c)
{
	self.copy = dup(self.fd);
	say_ok(c, self.copy >= 0);
}

void op_close_dup(struct call *c)
{
	say_result(c, close(self.copy));
}

void op_use_dup(struct call *c)
{
	if (self.copy < 0) {
		say(c, "no dup");
		return;
	}
	self.fd = self.copy;
	say(c, "ok");
}

/*
 * waste_numbers [raw|range]: the socket moves to another number behind the C
 * library's back, and a pipe gets its old one.
 */
void op_waste_numbers(struct call *c)
{
	bool range = c->argc > 1 && !strcmp(c->argv[1], "range");
	int old = self.fd, ends[2];
	char byte = 'x';

	self.fd = (int)syscall(SYS_dup, old);
	if (self.fd < 0) {
		say_errno(c);
		return;
	}
	if (range)
		syscall(SYS_close_range, old, old, 0);
	else
		syscall(SYS_close, old);
	if (syscall(SYS_pipe2, ends, O_NONBLOCK) || ends[0] != old) {
		say(c, "the old number was not free");
		return;
	}
	if (read(old, &byte, 1) != -1 || errno != EAGAIN)
		say(c, "the empty pipe at its old number has data");
	else if (write(ends[1], &byte, 1) != 1 || read(old, &byte, 1) != 1)
		say(c, "the pipe at its old number does not work");
	else
		say(c, "ok");
}

/* Holders */

#define HOLDER_FD 500

struct holder {
	pid_t pid;
	int control;
};

static struct holder holder = { .control = -1 };

static void holder_serve(int control)
{
	struct call c;
	char words[sizeof(c.words)];
	ssize_t n;

	while ((n = syscall(SYS_read, control, words, sizeof(words) - 1)) > 0) {
		words[n] = '\0';
		make_call(&c, words);
		if (c.argc && !strcmp(c.argv[0], "end"))
			return;
		run_call(&c);
		syscall(SYS_write, control, c.text, c.len + 1);
	}
	pause(); /* it outlives the peer */
}

static bool make_control(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return false;
	ends[0] = out_of_the_way(ends[0]);
	ends[1] = out_of_the_way(ends[1]);
	return true;
}

/* The coordinator notices by its socket that a peer died. */
static void leave_coordinator(void)
{
	struct sockaddr_storage addr;
	socklen_t len;

	for (int fd = 400; fd < 420; fd++) {
		len = sizeof(addr);
		if (!getsockname(fd, (struct sockaddr *)&addr, &len) &&
		    addr.ss_family == AF_UNIX)
			syscall(SYS_close, fd);
	}
}

static bool start_holder(struct holder *h, void (*child)(int control))
{
	int ends[2];

	if (!make_control(ends))
		return false;
	h->pid = fork();
	if (h->pid < 0)
		return false;
	if (!h->pid) {
		int control =
			(int)syscall(SYS_dup3, ends[1], HOLDER_FD, O_CLOEXEC);

		leave_coordinator();
		child(control);
		_exit(0);
	}
	close(ends[1]);
	h->control = ends[0];
	return true;
}

void op_fork_hold(struct call *c)
{
	say_ok(c, start_holder(&holder, holder_serve));
}

static void exec_holder(int control)
{
	char words[4][16],
		*argv[] = { "semantics", "--hold", words[0], words[1],
			    words[2],	 words[3], NULL };

	snprintf(words[0], sizeof(words[0]), "%d", control);
	snprintf(words[1], sizeof(words[1]), "%d", self.fd);
	snprintf(words[2], sizeof(words[2]), "%d", shared_memory);
	snprintf(words[3], sizeof(words[3]), "%d", self.index);
	fcntl(control, F_SETFD, 0);
	fcntl(shared_memory, F_SETFD, 0);
	execv("/proc/self/exe", argv);
}

/* --hold CONTROL SOCKET MEMORY PEER: a peer's holder after exec */
_Noreturn void holder_main(char **argv)
{
	self.fd = atoi(argv[1]);
	self.index = atoi(argv[3]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      atoi(argv[2]), 0);
	if (shared != MAP_FAILED)
		holder_serve(atoi(argv[0]));
	_exit(0);
}

static void ask_holder(struct call *c, const char *words)
{
	ssize_t n;

	if (holder.control < 0) {
		say(c, "nobody holds it");
		return;
	}
	if (write(holder.control, words, strlen(words)) < 0) {
		say_errno(c);
		return;
	}
	n = syscall(SYS_read, holder.control, c->text, sizeof(c->text) - 1);
	c->len = n > 0 ? (size_t)n - 1 : 0;
	c->text[c->len] = '\0';
	if (n <= 0)
		say(c, "the holder died");
}

void op_exec_hold(struct call *c)
{
	if (!start_holder(&holder, exec_holder))
		say_errno(c);
	else
		ask_holder(c, "sigaction USR1 restart"); /* it has started */
}

/* The courier is forked before there is a socket, and gets it by SCM_RIGHTS. */
static struct holder courier = { .control = -1 };

static void courier_serve(int control)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = space,
			      .msg_controllen = sizeof(space) };

	if (recvmsg(control, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return;
	memcpy(&self.fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(self.fd));
	holder_serve(control);
}

void courier_start(void)
{
	start_holder(&courier, courier_serve);
}

void op_pass(struct call *c)
{
	char byte = 'x', space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = space,
			      .msg_controllen = sizeof(space) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &self.fd, sizeof(int));
	if (courier.control < 0 || sendmsg(courier.control, &msg, 0) != 1) {
		say_errno(c);
		return;
	}
	holder = courier;
	ask_holder(c, "sigaction USR1 restart"); /* it has arrived */
}

static void forward(struct call *c, const char *op)
{
	char words[300];

	snprintf(words, sizeof(words), "%s %s %s", op, c->argv[1],
		 c->argc > 2 ? c->argv[2] : "");
	ask_holder(c, words);
}

/* fork_read | exec_read | pass_read N [FLAGS] */
void op_hold_read(struct call *c)
{
	forward(c, "recv");
}

/* fork_send | exec_send | pass_send N [FLAGS] */
void op_hold_send(struct call *c)
{
	forward(c, "send");
}

/* fork_release | exec_release | pass_close: the holder ends */
void op_hold_release(struct call *c)
{
	if (holder.control < 0) {
		say(c, "nobody holds it");
		return;
	}
	if (write(holder.control, "end", 3) != 3)
		kill(holder.pid, SIGKILL);
	close(holder.control);
	while (waitpid(holder.pid, NULL, 0) < 0 && errno == EINTR)
		;
	holder.control = -1;
	say(c, "ok");
}
