/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "hosts.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hooks.h"
#include "runtime.h"

/* The table is open-addressed, insert-only, and in shared memory. */
static struct ss_addr *slot_of(const __u32 ip[4], unsigned int probe)
{
	__u32 hash = (ip[0] ^ ip[1] * 31 ^ ip[2] * 17 ^ ip[3]) * 2654435761u;

	return &ss_runtime.control->addrs[(hash / 4096 + probe) % SS_MAX_ADDRS];
}

static bool holds(const struct ss_addr *slot, const __u32 ip[4])
{
	return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == SS_ADDR_SET &&
	       !memcmp(slot->ip, ip, sizeof(slot->ip));
}

bool ss_hosts_know(const __u32 ip[4])
{
	for (unsigned int probe = 0; probe < SS_MAX_ADDRS; probe++) {
		const struct ss_addr *slot = slot_of(ip, probe);

		if (holds(slot, ip))
			return true;
		if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) ==
		    SS_ADDR_FREE)
			return false;
	}
	return false;
}

/* A writer killed in between leaves a busy slot: lost, and stepped over. */
void ss_hosts_add(const __u32 ip[4])
{
	for (unsigned int probe = 0; probe < SS_MAX_ADDRS; probe++) {
		struct ss_addr *slot = slot_of(ip, probe);
		__u32 free = SS_ADDR_FREE;

		if (holds(slot, ip))
			return;
		if (!__atomic_compare_exchange_n(&slot->state, &free,
						 SS_ADDR_BUSY, false,
						 __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			continue;
		memcpy(slot->ip, ip, sizeof(slot->ip));
		__atomic_store_n(&slot->state, SS_ADDR_SET, __ATOMIC_RELEASE);
		return;
	}
}

static void add_address(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *msg = NLMSG_DATA(h);
	int len = (int)IFA_PAYLOAD(h);
	const struct rtattr *attr;
	__u32 ip[4] = { 0, 0, SS_V4_MAPPED, 0 };
	bool found = false;

	for (attr = IFA_RTA(msg); RTA_OK(attr, len);
	     attr = RTA_NEXT(attr, len)) {
		if (msg->ifa_family == AF_INET && attr->rta_type == IFA_LOCAL) {
			memcpy(&ip[3], RTA_DATA(attr), 4);
			found = true;
		} else if (msg->ifa_family == AF_INET6 &&
			   attr->rta_type == IFA_ADDRESS) {
			memcpy(ip, RTA_DATA(attr), 16);
			found = true;
		}
	}
	/* Every namespace has the same loopback: no need to know it. */
	if (found && !ss_is_loopback(ip))
		ss_hosts_add(ip);
}

/* One datagram of the dump; false at its end. */
static bool add_addresses(const char *buf, ssize_t n)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	unsigned int len = n > 0 ? (unsigned int)n : 0;

	if (!len)
		return false;
	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type != RTM_NEWADDR)
			return false;
		add_address(h);
	}
	return true;
}

/* getifaddrs(3) allocates memory, which a signal handler must not. */
void ss_hosts_announce(void)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} request = { .head = { .nlmsg_len = sizeof(request),
				.nlmsg_type = RTM_GETADDR,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	/* Not on a signal handler's small stack; only one thread starts us. */
	static char buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return;
	if (send(fd, &request, sizeof(request), 0) == sizeof(request)) {
		while (add_addresses(buf, recv(fd, buf, sizeof(buf), 0)))
			;
	}
	REAL(close)(fd);
}
