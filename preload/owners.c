/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "owners.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "../bpf/abi.h"
#include "../bpf/permit.h"
#include "../bpf/sysbpf.h"
#include "ownfd.h"
#include "runtime.h"

bool ss_owners_can_tell(void)
{
	return ss_runtime_is_on() &&
	       ss_runtime.control->ids[SS_OBJECT_OWNERS] && ss_may(SS_DUTY_BPF);
}

bool ss_owners_ask(int fd, enum ss_ask what, uint32_t *answer)
{
	const struct ss_question question = { (__u32)fd, what };
	unsigned char packet[ETH_HLEN + sizeof(question)] = { 0 };
	int program = ss_ownfd(SS_OBJECT_OWNERS), saved_errno = errno;
	bool answered;

	/* A filter sees a packet from behind its Ethernet header on. */
	memcpy(packet + ETH_HLEN, &question, sizeof(question));
	answered = ss_may(SS_DUTY_OWNERS) &&
		   !ss_bpf_prog_run(program, packet, sizeof(packet), answer);
	errno = saved_errno;
	return answered;
}

bool ss_owners_say(int fd, enum ss_ask what)
{
	uint32_t yes;

	return ss_owners_ask(fd, what, &yes) && yes == 1;
}

int ss_owners(int fd)
{
	uint32_t n;

	return ss_owners_ask(fd, SS_ASK_OWNERS, &n) ? (int)n : SS_OWNERS_MANY;
}
