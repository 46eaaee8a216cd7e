/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "findings.h"

#include <stdio.h>
#include <time.h>

static const struct {
	const char *key;
	const char *name;
	__u32 flag;
	bool is_good; /* that the flag is set */
	const char *good;
	const char *bad;
} table[] = {
	{ "keeps_order", "order", SS_KEEPS_ORDER, true, "kept",
	  "broken: messages overtake bytes on TCP" },
	{ "keeps_room", "room", SS_KEEPS_ROOM, true, "kept",
	  "broken: what is unread has no bound" },
	{ "keeps_wakeups", "wake-ups", SS_KEEPS_WAKEUPS, true, "kept",
	  "broken: a reader sleeps on" },
	{ "keeps_end", "end of file", SS_KEEPS_END, true, "kept",
	  "broken: it is lost, or bytes before it" },
	{ "counts_redirected", "FIONREAD", SS_COUNTS_PSOCK, true,
	  "counts redirected bytes (unmerged)",
	  "does not count redirected bytes (unmerged)" },
	{ "counts_tcp", "FIONREAD", SS_COUNTS_TCP, true,
	  "counts bytes on TCP (unmerged)",
	  "does not count bytes on TCP (unmerged)" },
	{ "merged_queue", "one queue", SS_MERGED, true, "yes (sk_skb attached)",
	  "no" },
	{ "charges_receiver", "receiver pays", SS_COUNT_BYTES, false, "yes",
	  "no: redirected bytes are counted by the sender" },
	{ "refuses_splice", "splice(2)", SS_REFUSES_SPLICE, true,
	  "refused to programs of the cgroup without the shim",
	  "programs of the cgroup without the shim hang by it: see "
	  "accelerated_ports" },
	{ "netns_cookie", "netns cookie", SS_NETNS_INODE, false, "yes",
	  "no: network namespaces are told apart by inode number" },
};

bool get_finding(const struct ss_control *c, size_t i, struct finding *f)
{
	const __u32 rule = SS_KEEPS_ALL | SS_COUNTS_PSOCK | SS_COUNTS_TCP;

	if (i >= sizeof(table) / sizeof(table[0]))
		return false;
	f->key = table[i].key;
	f->name = table[i].name;
	f->good = !(c->flags & table[i].flag) != table[i].is_good;
	if (table[i].flag == SS_REFUSES_SPLICE && !c->cgroup_path[0]) {
		f->good = true;
		snprintf(f->text, sizeof(f->text), "needs no guard: no cgroup");
	} else if (table[i].flag == SS_MERGED && !f->good)
		snprintf(f->text, sizeof(f->text), "no: %.*s",
			 (int)sizeof(c->merge_reason), c->merge_reason);
	else if ((table[i].flag & rule) && !c->self_test_usecs)
		snprintf(f->text, sizeof(f->text), "not tested");
	else
		snprintf(f->text, sizeof(f->text), "%s",
			 f->good ? table[i].good : table[i].bad);
	return true;
}

void describe_load(const struct ss_control *c, char *buf, size_t size)
{
	time_t loaded_at = (time_t)c->loaded_at;
	const struct tm *tm = localtime(&loaded_at);
	char when[64] = "?";

	if (tm)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", tm);
	snprintf(buf, size, "version %.*s (ABI %u), by pid %u (uid %u), %s",
		 (int)sizeof(c->loader_version), c->loader_version, c->abi,
		 c->loader_pid, c->loader_uid, when);
}
