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
	const char *bad; /* NULL: "no: " and merge_reason */
} table[] = {
	{ "merged_queue", "one queue", SS_MERGED, true, "yes (sk_skb attached)",
	  NULL },
	{ "charges_receiver", "receiver pays", SS_COUNT_BYTES, false, "yes",
	  "no: redirected bytes are counted by the sender" },
	{ "netns_cookie", "netns cookie", SS_NETNS_INODE, false, "yes",
	  "no: network namespaces are told apart by inode number" },
};

bool get_finding(const struct ss_control *c, size_t i, struct finding *f)
{
	if (i >= sizeof(table) / sizeof(table[0]))
		return false;
	f->key = table[i].key;
	f->name = table[i].name;
	f->good = !(c->flags & table[i].flag) != table[i].is_good;
	if (f->good || table[i].bad)
		snprintf(f->text, sizeof(f->text), "%s",
			 f->good ? table[i].good : table[i].bad);
	else
		snprintf(f->text, sizeof(f->text), "no: %.*s",
			 (int)sizeof(c->merge_reason), c->merge_reason);
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
