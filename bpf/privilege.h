/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What this process, and this kernel, permit. Async-signal-safe. */
#ifndef SOCKSHUNT_PRIVILEGE_H
#define SOCKSHUNT_PRIVILEGE_H

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/types.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SS_LOCKDOWN "/sys/kernel/security/lockdown"
#define SS_BTF	    "/sys/kernel/btf/vmlinux"

/* A set of 1 << CAP_...; empty if it cannot be told. */
static inline __u64 ss_effective_caps(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return 0;
	return data[0].effective | (__u64)data[1].effective << 32;
}

/* @cap, or, where that stands for it, CAP_SYS_ADMIN. */
static inline bool ss_has_cap(__u64 caps, int cap)
{
	return caps & (1ULL << cap) ||
	       (cap != CAP_NET_ADMIN && caps & (1ULL << CAP_SYS_ADMIN));
}

#endif
