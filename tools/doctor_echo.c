/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The shim, and a connection through it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "doctor.h"
#include "shim.h"

#define ECHO_MSECS 5000 /* a process of it ends by itself after 4 s */
#define LD_SO_FILE "/etc/ld.so.preload"

static bool is_in_ld_so_preload(void)
{
	FILE *f = fopen(LD_SO_FILE, "re");
	char line[PATH_MAX];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, SHIM) != NULL;
	if (f)
		fclose(f);
	return found;
}

void check_shim(const struct doctor *d)
{
	const char *everywhere = is_in_ld_so_preload()
					 ? "; in every program, by " LD_SO_FILE
					 : "";
	char shim[PATH_MAX], loader[PATH_MAX];

	if (find_shim(shim))
		report(STATE_FAIL, "shim", "make install", "%s: %s%s", shim,
		       strerror(errno), everywhere);
	else
		report(STATE_OK, "shim", NULL, "%s%s", shim, everywhere);
	if (find_loader(loader))
		report(if_needed(d), "loader", "make install", "%s: %s", loader,
		       strerror(errno));
	else
		report(STATE_OK, "loader", NULL, "%s", loader);
}

static bool read_counters(const struct doctor *d, struct ss_counters *c)
{
	struct ss_conf conf = d->conf;

	if (d->trial_path[0])
		snprintf(conf.pin_path, sizeof(conf.pin_path), "%s",
			 d->trial_path);
	return !ss_read_counters(&conf, &d->pins, c);
}

/* What else was counted meanwhile, as a reason. */
static void list_grown(const struct ss_counters *before,
		       const struct ss_counters *after, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
#define LIST(name, text)                                                       \
	if (after->name > before->name && len < size)                          \
		len += (size_t)snprintf(buf + len, size - len,                 \
					"; " #name " +%llu",                   \
					(unsigned long long)(after->name -     \
							     before->name));
	SS_COUNTERS(LIST)
#undef LIST
}

/* The shim's lines, if any, come first. */
static bool parse_result(char *out, unsigned long long *sent,
			 unsigned long long *by_tcp, unsigned int *messages,
			 const char **said)
{
	char *line = strstr(out, "sent ");

	/* At the start of a line. */
	while (line && line > out && line[-1] != '\n')
		line = strstr(line + 1, "sent ");
	*said = line == out ? "" : child_reason(out);
	return line && sscanf(line, "sent %llu tcp %llu messages %u", sent,
			      by_tcp, messages) == 3;
}

static void run_echo(const struct doctor *d, const char *name,
		     const char *address, const char *conf_path,
		     const char *shim)
{
	char *argv[] = { (char *)"/proc/self/exe", (char *)"doctor-echo",
			 (char *)address, NULL };
	struct child child = { .argv = argv, .shim = shim };
	struct ss_counters before = { 0 }, after = { 0 };
	unsigned long long sent, by_tcp;
	unsigned int messages;
	char grown[512];
	const char *said;
	int status;

	/* Ours, not what the control map says, which others may write. */
	if (!d->trial_path[0] && !d->conf.register_user_space_sockets &&
	    d->conf.cgroup_path[0])
		child.cgroup = d->conf.cgroup_path;
	setenv("SOCKSHUNT_CONF", conf_path, 1);
	read_counters(d, &before);
	status = child_run(&child, ECHO_MSECS);
	read_counters(d, &after);
	if (status == ECHO_NO_ADDRESS) {
		report(STATE_NOTE, name, NULL, "no address %s here", address);
		return;
	}
	if (!parse_result(child.out, &sent, &by_tcp, &messages, &said)) {
		report(STATE_FAIL, name,
		       "see the reason; SOCKSHUNT_LOG=debug shows more", "%s",
		       said[0] ? said : "no answer in time");
		return;
	}
	list_grown(&before, &after, grown, sizeof(grown));
	report(by_tcp < sent ? STATE_OK : STATE_FAIL, name,
	       by_tcp < sent ? NULL
			     : "'sockshunt status' explains the counters",
	       "%u messages arrived, %llu of %llu bytes by TCP%s%s%s", messages,
	       by_tcp, sent, grown, said[0] ? "; " : "", said);
}

void check_echo(const struct doctor *d)
{
	char shim[PATH_MAX], conf[64];
	int fd;

	if (!d->usable || find_shim(shim))
		return; /* has been told */
	fd = trial_configuration(d, conf);
	if (fd < 0)
		return;
	run_echo(d, "echo", "127.0.0.1", conf, shim);
	run_echo(d, "echo, IPv6", "::1", conf, shim);
	close(fd);
}
