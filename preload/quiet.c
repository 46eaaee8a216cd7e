/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "quiet.h"

#include <linux/filter.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../bpf/permit.h"
#include "hooks.h"

/* Not on kernels with nohz_full. */
static bool has_grace_periods(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	return commands > 0 && commands & MEMBARRIER_CMD_GLOBAL;
}

/* Another one, of the program itself, is not to be lost. */
static bool has_filter(int fd)
{
	socklen_t len = 0;

	return REAL(getsockopt)(fd, SOL_SOCKET, SO_ATTACH_FILTER, NULL, &len) ||
	       len;
}

/*
 * Lets a RST pass, which nobody sends again, and mere acknowledgements, or else our
 * sender would wait for its retransmission timer. It sees TCP's header first.
 */
static bool refuse_packets(int fd)
{
	/* Where these stand; a jump counts from the statement behind it. */
	enum {
		AT_RST = 1,
		AT_FIN = 2,
		AT_PASS = 9,
		AT_REFUSE = 10
	};
	const __u8 pass = AT_PASS - (AT_RST + 1);
	const __u8 refuse = AT_REFUSE - (AT_FIN + 1);
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* flags */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_RST, pass, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_FIN, refuse, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12), /* data offset */
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 60),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), /* no data */
		BPF_STMT(BPF_RET | BPF_K, ~0U),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]),
					    filter };

	return !REAL(setsockopt)(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				 sizeof(program));
}

/* Those that were past the filter are done with when a grace period, and then the
 * socket's lock, have been waited for. */
static bool wait_for_others(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) &&
	       !REAL(getsockopt)(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
}

bool ss_quiet_begin(int fd)
{
	if (!ss_may(SS_DUTY_GRACE) || !has_grace_periods() || has_filter(fd) ||
	    !refuse_packets(fd))
		return false;
	if (wait_for_others(fd))
		return true;
	ss_quiet_end(fd);
	return false;
}

void ss_quiet_end(int fd)
{
	const int none = 0;

	REAL(setsockopt)(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}
