/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "permit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "../conf/log.h"

unsigned int ss_forbidden;

void ss_permit_forbid(unsigned int duties)
{
	__atomic_fetch_or(&ss_forbidden, duties, __ATOMIC_RELAXED);
	if (duties & SS_DUTY_LOG)
		ss_log_stop();
}

/* For pointers that must not be NULL, so as not to wait, or to limit. */
static const struct timespec no_time;
static const struct rlimit nothing;

#define ANY_SOCKET (SS_DUTY_BPF | SS_DUTY_READ)
#define NO_FD	   -1UL

/* No core file is to be left by a child; these two come first, in each. */
#define NR_PREPARING 2

const struct ss_call ss_calls[] = {
	{ 0, SYS_prlimit64, { 0, RLIMIT_CORE, (unsigned long)&nothing } },
	{ 0, SYS_prctl, { PR_SET_DUMPABLE, 0 } },
	{ SS_DUTY_BPF, SYS_bpf, { BPF_OBJ_GET, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_BPF,
	  SYS_bpf,
	  { BPF_OBJ_GET_INFO_BY_FD, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_BPF,
	  SYS_bpf,
	  { BPF_MAP_UPDATE_ELEM, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_BPF,
	  SYS_bpf,
	  { BPF_MAP_LOOKUP_ELEM, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_BPF,
	  SYS_bpf,
	  { BPF_MAP_DELETE_ELEM, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_BPF,
	  SYS_bpf,
	  { BPF_MAP_GET_NEXT_KEY, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_OWNERS,
	  SYS_bpf,
	  { BPF_PROG_TEST_RUN, 0, sizeof(union bpf_attr) } },
	{ SS_DUTY_OWNERS, SYS_fcntl, { NO_FD, F_DUPFD_CLOEXEC } },
	{ SS_DUTY_OWNERS, SYS_close, { NO_FD } },
	{ SS_DUTY_OWNERS, SYS_getpid, { 0 } },
	{ SS_DUTY_OWNERS, SYS_sched_yield, { 0 } },
	{ SS_DUTY_OWNERS, SYS_prlimit64, { 0, RLIMIT_NOFILE } },
	{ SS_DUTY_OWNERS, SYS_rt_sigprocmask, { 0, 0, 0, 8 } },
	{ SS_DUTY_JOINED, SYS_getsockopt, { NO_FD, IPPROTO_TCP, TCP_INFO } },
	{ SS_DUTY_OWNERS, SYS_getsockopt, { NO_FD, IPPROTO_TCP, TCP_NODELAY } },
	{ SS_DUTY_BPF, SYS_getpeername, { NO_FD } },
	{ SS_DUTY_BPF, SYS_getsockname, { NO_FD } },
	{ SS_DUTY_START, SYS_clone, { CLONE_SIGHAND } }, /* without CLONE_VM */
	{ SS_DUTY_START, SYS_execve, { 0 } },
	{ SS_DUTY_START, SYS_wait4, { NO_FD, 0, WNOHANG } },
	{ SS_DUTY_START, SYS_openat, { NO_FD } },
	{ SS_DUTY_START, SYS_mmap, { 0 } },
	{ SS_DUTY_START, SYS_munmap, { 0 } },
	{ SS_DUTY_START, SYS_capget, { 0 } },
	{ SS_DUTY_START, SYS_prlimit64, { 0, RLIMIT_NOFILE } },
	{ SS_DUTY_START, SYS_socketpair, { AF_UNIX, SOCK_SEQPACKET } },
	{ SS_DUTY_START, SYS_socket, { AF_NETLINK, SOCK_RAW } },
	{ SS_DUTY_START, SYS_fcntl, { NO_FD, F_DUPFD } },
	{ SS_DUTY_LOG, SYS_getpid, { 0 } },
	{ SS_DUTY_LOG, SYS_rt_sigprocmask, { 0, 0, 0, 8 } },
#ifdef SYS_newfstatat
	{ SS_DUTY_LOG, SYS_newfstatat, { NO_FD } },
#endif
	{ SS_DUTY_LOG, SYS_fstat, { NO_FD } },
	{ SS_DUTY_LOG, SYS_ppoll, { 0, 0, (unsigned long)&no_time } },
	{ SS_DUTY_LOG, SYS_write, { NO_FD } },
	{ ANY_SOCKET, SYS_getsockopt, { NO_FD, SOL_SOCKET, SO_PROTOCOL } },
	{ ANY_SOCKET, SYS_recvfrom, { NO_FD } },
	{ SS_DUTY_READ, SYS_getpid, { 0 } },
	{ SS_DUTY_READ, SYS_fcntl, { NO_FD, F_GETFL } },
	{ SS_DUTY_READ, SYS_fcntl, { NO_FD, F_DUPFD_CLOEXEC } },
	{ SS_DUTY_READ, SYS_close, { NO_FD } },
	{ SS_DUTY_READ, SYS_ppoll, { 0, 0, (unsigned long)&no_time } },
#ifdef SYS_poll
	{ SS_DUTY_READ, SYS_poll, { 0 } },
#endif
#ifdef SYS_epoll_wait
	{ SS_DUTY_READ, SYS_epoll_wait, { NO_FD } },
#else
	{ SS_DUTY_READ, SYS_epoll_pwait, { NO_FD } },
#endif
	{ SS_DUTY_READ, SYS_epoll_create1, { -1UL } },
	{ SS_DUTY_READ, SYS_epoll_ctl, { NO_FD } },
	{ SS_DUTY_READ, SYS_recvmsg, { NO_FD } },
	{ SS_DUTY_READ, SYS_ioctl, { NO_FD, FIONREAD } },
	{ SS_DUTY_READ, SYS_setsockopt, { NO_FD, SOL_SOCKET, SO_PEEK_OFF } },
	{ SS_DUTY_SPIN, SYS_fcntl, { NO_FD, F_GETFL } },
	{ SS_DUTY_SPIN, SYS_ppoll, { 0, 0, (unsigned long)&no_time } },
#ifdef SYS_poll
	{ SS_DUTY_SPIN, SYS_poll, { 0 } },
#endif
	{ SS_DUTY_SPIN, SYS_getcpu, { 0 } },
	{ SS_DUTY_SPIN, SYS_epoll_pwait, { NO_FD } },
	{ SS_DUTY_SPIN, SYS_epoll_pwait2, { NO_FD } },
	{ SS_DUTY_SPIN, SYS_pselect6, { 0, 0, 0, 0, (unsigned long)&no_time } },
	{ SS_DUTY_YIELD, SYS_getcpu, { 0 } },
	{ SS_DUTY_YIELD, SYS_sched_yield, { 0 } },
	{ SS_DUTY_NAP, SYS_getsockopt, { NO_FD, SOL_SOCKET, SO_COOKIE } },
	{ SS_DUTY_NAP, SYS_fcntl, { NO_FD, F_GETFL } },
	{ SS_DUTY_NAP, SYS_prctl, { PR_GET_TIMERSLACK } },
	{ SS_DUTY_NAP, SYS_restart_syscall, { 0 } },
	{ SS_DUTY_NAP,
	  SYS_clock_nanosleep,
	  { CLOCK_MONOTONIC, 0, (unsigned long)&no_time } },
	{ SS_DUTY_CLOSE, SYS_setsockopt, { NO_FD, SOL_SOCKET, SO_LINGER } },
	{ SS_DUTY_CLOSE, SYS_sendto, { NO_FD } },
	{ SS_DUTY_GRACE, SYS_membarrier, { MEMBARRIER_CMD_QUERY } },
	{ SS_DUTY_GRACE,
	  SYS_setsockopt,
	  { NO_FD, SOL_SOCKET, SO_ATTACH_FILTER } },
	{ SS_DUTY_GRACE,
	  SYS_setsockopt,
	  { NO_FD, SOL_SOCKET, SO_DETACH_FILTER } },
	{ SS_DUTY_GRACE,
	  SYS_getsockopt,
	  { NO_FD, IPPROTO_TCP, TCP_NOTSENT_LOWAT } },
	{ SS_DUTY_GRACE,
	  SYS_setsockopt,
	  { NO_FD, IPPROTO_TCP, TCP_NOTSENT_LOWAT } },
	{ SS_DUTY_LIST, SYS_openat, { NO_FD } },
	{ SS_DUTY_LIST, SYS_getdents64, { NO_FD } },
};
#define NR_CALLS (sizeof(ss_calls) / sizeof(ss_calls[0]))

const size_t ss_nr_calls = NR_CALLS;

/*
 * Shared with the children. at: the call being made.
 * result: of each call: UNTRIED, KILLS, or its errno (0: none).
 */
#define UNTRIED (-1)
#define KILLS	(-2)
struct report {
	size_t at;
	int results[NR_CALLS];
};

/* PR_GET_SECCOMP itself may be what kills; reading a file seldom does. */
static bool is_filtered(void)
{
	static char status[8192]; /* not on a signal handler's small stack */
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/status",
			      O_RDONLY | O_CLOEXEC);
	const char *line;
	long n = 0;

	if (fd >= 0) {
		n = syscall(SYS_read, fd, status, sizeof(status) - 1);
		syscall(SYS_close, fd);
	}
	status[n > 0 ? n : 0] = '\0';
	line = strstr(status, "\nSeccomp:");
	if (line)
		return !strstr(line, "\nSeccomp:\t0");
	return syscall(SYS_prctl, PR_GET_SECCOMP) != SECCOMP_MODE_DISABLED;
}

static void try_calls(struct report *r)
{
	for (size_t i = 0; i < NR_CALLS; i++) {
		const struct ss_call *c = &ss_calls[i];
		const unsigned long *a = c->args;

		if (r->results[i] == KILLS ||
		    (r->results[i] != UNTRIED && i >= NR_PREPARING))
			continue;
		__atomic_store_n(&r->at, i, __ATOMIC_SEQ_CST);
		r->results[i] =
			syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]) < 0
				? errno
				: 0;
	}
}

/*
 * Not on our memory (CLONE_VM): a core dump ends all who share that, up to
 * 5.15. Without an exit signal, it is nobody's child but ours. Returns its
 * wait status, or -1.
 */
static int try_in_child(struct report *r)
{
	long pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	int status;

	if (!pid) {
		try_calls(r);
		syscall(SYS_exit_group, 0);
	}
	if (pid < 0)
		return -1;
	while (syscall(SYS_wait4, pid, &status, __WALL, NULL) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

static bool refuses(const struct ss_call *call, int result)
{
	return result == KILLS ||
	       (call->nr == SYS_bpf &&
		(result == EPERM || result == EACCES || result == ENOSYS));
}

/* Returns the call that keeps us from registering, or NULL. */
static const struct ss_call *draw_conclusions(const struct report *r)
{
	const struct ss_call *first = NULL;

	for (size_t i = NR_CALLS; i-- > 0;) {
		const struct ss_call *c = &ss_calls[i];

		if (!refuses(c, r->results[i]))
			continue;
		ss_permit_forbid(c->duties);
		if (c->duties & (SS_DUTY_BPF | SS_DUTY_START))
			first = c;
	}
	return first;
}

/* Each child but the last is killed by a call, and that is one less. */
static bool try_all(struct report *r)
{
	for (size_t i = 0; i < NR_CALLS; i++)
		r->results[i] = UNTRIED;
	for (size_t i = 0; i <= NR_CALLS; i++) {
		int status = try_in_child(r);

		if (!status)
			return true;
		if (status == -1 || !WIFSIGNALED(status))
			return false;
		r->results[r->at] = KILLS;
	}
	return false;
}

static void explain(const struct report *r, const struct ss_call *call,
		    char *why, size_t why_size)
{
	int result = r->results[call - ss_calls];
	char name[32] = "bpf(2)";

	if (call->nr != SYS_bpf)
		snprintf(name, sizeof(name), "system call %ld", call->nr);
	snprintf(why, why_size,
		 "%s is forbidden by a seccomp filter (%s): allow it in "
		 "SystemCallFilter= or the container's profile",
		 name, result == KILLS ? "which would kill" : strerror(result));
}

bool ss_permit_find_out(char *why, size_t why_size)
{
	const struct ss_call *call;
	struct report *r;

	if (!ss_may(SS_DUTY_BPF | SS_DUTY_START)) {
		snprintf(why, why_size,
			 "the program has installed a seccomp filter that "
			 "forbids bpf(2), or what it takes to start, before it "
			 "used TCP");
		return false;
	}
	if (!is_filtered())
		return true;
	r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED || !try_all(r)) {
		snprintf(why, why_size,
			 "cannot try whether the seccomp filter here allows "
			 "bpf(2): %s",
			 strerror(errno));
		ss_permit_forbid(SS_DUTY_BPF);
	} else {
		call = draw_conclusions(r);
		if (call)
			explain(r, call, why, why_size);
	}
	if (r != MAP_FAILED)
		munmap(r, sizeof(*r));
	return ss_may(SS_DUTY_BPF | SS_DUTY_START);
}
