/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "owners.h"

#include <string.h>
#include <sys/socket.h>

#include "../bpf/abi.h"
#include "../bpf/permit.h"
#include "hooks.h"
#include "ownfd.h"
#include "runtime.h"

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

bool ss_owners_can_tell(void)
{
	return ss_runtime_is_on() &&
	       ss_runtime.control->ids[SS_OBJECT_OWNERS] &&
	       ss_may(SS_DUTY_READ | SS_DUTY_CLOSE);
}

static int ask(const int pair[2], int fd)
{
	int program = ss_ownfd(SS_OBJECT_OWNERS);
	char message[SS_OWNERS_MANY] = { 0 };

	memcpy(message, &fd, sizeof(fd));
	if (REAL(setsockopt)(pair[1], SOL_SOCKET, SO_ATTACH_BPF, &program,
			     sizeof(program)) ||
	    REAL(send)(pair[0], message, sizeof(message), 0) < 0)
		return SS_OWNERS_MANY;
	return (int)REAL(recv)(pair[1], message, sizeof(message), 0);
}

int ss_owners(int fd)
{
	int pair[2], n;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       pair))
		return SS_OWNERS_MANY;
	n = ask(pair, fd);
	REAL(close)(pair[0]);
	REAL(close)(pair[1]);
	return n;
}
