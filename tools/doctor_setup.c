/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What was configured, and what this process may do. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../bpf/privilege.h"
#include "doctor.h"

struct text {
	char buf[768];
	size_t len;
};

/* @separator: unless it is the first. */
__attribute__((format(printf, 3, 4))) static void append(struct text *t,
							 const char *separator,
							 const char *fmt, ...)
{
	va_list args;
	int n = snprintf(t->buf + t->len, sizeof(t->buf) - t->len, "%s",
			 t->len ? separator : "");

	t->len += n > 0 ? (size_t)n : 0;
	if (t->len >= sizeof(t->buf))
		goto full;
	va_start(args, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, args);
	va_end(args);
	t->len += n > 0 ? (size_t)n : 0;
	if (t->len < sizeof(t->buf))
		return;
full:
	t->len = sizeof(t->buf) - 1;
}

static void append_ports(struct text *t, const struct ss_conf *conf)
{
	for (unsigned int i = 0; i < conf->nr_accelerated_ports; i++) {
		const struct ss_port_range *r = &conf->accelerated_ports[i];

		append(t, i ? " " : ", ", "%s%u", i ? "" : "only ports ",
		       r->first);
		if (r->last != r->first)
			append(t, "", "-%u", r->last);
	}
}

/* Only what is not as by default. */
static void describe(const struct doctor *d, struct text *t)
{
	const struct ss_conf *c = &d->conf;
	struct ss_conf defaults;

	ss_conf_defaults(&defaults);
	if (d->file)
		append(t, "", "%s", d->file);
	else
		append(t, "", "defaults (no %s)", SS_CONF_DEFAULT_FILE);
	if (strcmp(c->pin_path, defaults.pin_path))
		append(t, ", ", "pin_path %s", c->pin_path);
	if (c->pin_group[0])
		append(t, ", ", "pin_group %s", c->pin_group);
	if (c->cgroup_path[0])
		append(t, ", ", "cgroup_path %s", c->cgroup_path);
	if (c->bpf_program_path[0])
		append(t, ", ", "bpf_program_path %s", c->bpf_program_path);
	if (c->sockhash_max_entries != defaults.sockhash_max_entries)
		append(t, ", ", "sockhash_max_entries %u",
		       c->sockhash_max_entries);
	append_ports(t, c);
	if (!c->register_user_space_sockets)
		append(t, ", ", "the shim registers nothing");
}

bool check_configuration(struct doctor *d)
{
	struct ss_conf_error err;
	const char *disable = getenv("SOCKSHUNT_DISABLE");
	struct text t = { .len = 0 };

	ss_conf_defaults(&d->conf);
	if (!d->file)
		d->file = ss_conf_file();
	if (d->file && ss_conf_read(&d->conf, d->file, &err)) {
		report(STATE_FAIL, "configuration",
		       "correct it (conf/sockshunt.ini is a sample); until "
		       "then every program stays on plain TCP",
		       "%s", err.text);
		return false;
	}
	/* Its name is the base of another one. */
	for (char *end = strrchr(d->conf.pin_path, '/');
	     end && end > d->conf.pin_path && !end[1];
	     end = strrchr(d->conf.pin_path, '/'))
		*end = '\0';
	describe(d, &t);
	if (!d->conf.register_user_space_sockets && !d->conf.cgroup_path[0])
		report(STATE_FAIL, "configuration",
		       "set register_user_space_sockets = true, or a "
		       "cgroup_path",
		       "%s: nothing registers sockets", t.buf);
	else
		report(STATE_OK, "configuration", NULL, "%s", t.buf);
	if (disable && !strcmp(disable, "1"))
		report(STATE_FAIL, "environment", "unset SOCKSHUNT_DISABLE",
		       "SOCKSHUNT_DISABLE=1: the shim does nothing");
	return true;
}

/* Capabilities in any but the first user namespace are nothing to bpf(2). */
static bool in_user_namespace(void)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long inside = 0, outside = 0, count = 4294967295;

	if (f) {
		if (fscanf(f, "%lu %lu %lu", &inside, &outside, &count) < 3)
			count = 0;
		fclose(f);
	}
	return inside || outside || count != 4294967295;
}

void check_privileges(const struct doctor *d)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = { { CAP_BPF, "CAP_BPF" },
		       { CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		       { CAP_PERFMON, "CAP_PERFMON" } };
	struct text held = { .len = 0 }, missing = { .len = 0 };
	__u64 caps = ss_effective_caps();
	bool user_namespace = in_user_namespace();

	/* It stands for CAP_BPF and CAP_PERFMON. */
	if (caps & (1ULL << CAP_SYS_ADMIN))
		append(&held, ", ", "CAP_SYS_ADMIN");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (caps & (1ULL << needed[i].cap))
			append(&held, ", ", "%s", needed[i].name);
		else if (!ss_has_cap(caps, needed[i].cap))
			append(&missing, ", ", "%s", needed[i].name);
	}
	if (user_namespace)
		append(&held, "",
		       " (in a user namespace, where they do not count)");
	if (!missing.len && !user_namespace)
		report(STATE_OK, "privileges", NULL, "uid %u: %s", geteuid(),
		       held.buf);
	else if (d->result == SS_PINS_OK)
		report(STATE_OK, "privileges", NULL,
		       "uid %u: no %s, nor needed: the pins can be used",
		       geteuid(), missing.len ? missing.buf : held.buf);
	else
		report(would_load(d) ? if_needed(d) : STATE_NOTE, "privileges",
		       "run 'sockshunt load' as root, with a pin_group that "
		       "this user is a member of",
		       "uid %u: no %s", geteuid(),
		       missing.len ? missing.buf : held.buf);
}
