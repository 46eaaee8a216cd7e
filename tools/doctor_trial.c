/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Loading for as long as doctor runs. */
#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "child.h"
#include "doctor.h"
#include "shim.h"

#define LOADER_MSECS 20000 /* it may wait 10 s for another one */
#define MARK	     "-doctor-"

/* The file ends with the children that have inherited it. */
int trial_configuration(const struct doctor *d, char path[64])
{
	const struct ss_conf *c = &d->conf;
	int fd = memfd_create("sockshunt.ini", 0);
	bool trial = d->trial_path[0];

	if (fd < 0)
		return -1;
	dprintf(fd,
		"[sockshunt]\npin_path = %s\npin_group = %s\n"
		"bpf_program_path = %s\nsockhash_max_entries = %u\n"
		"register_user_space_sockets = %s\nlog_level = warn\n"
		"register_after_exchanges = 0\n",
		trial ? d->trial_path : c->pin_path, c->pin_group,
		c->bpf_program_path, c->sockhash_max_entries,
		trial || c->register_user_space_sockets ? "true" : "false");
	/* The shim obeys any port here; the kernel side that is loaded, not. */
	if (!trial && !c->register_user_space_sockets) {
		dprintf(fd, "accelerated_ports =\n");
		for (unsigned int i = 0; i < c->nr_accelerated_ports; i++)
			dprintf(fd, "  %u-%u%s\n",
				c->accelerated_ports[i].first,
				c->accelerated_ports[i].last,
				i + 1 < c->nr_accelerated_ports ? "," : "");
	}
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static int unload(const char *pin_path)
{
	struct ss_conf conf;

	ss_conf_defaults(&conf);
	snprintf(conf.pin_path, sizeof(conf.pin_path), "%s", pin_path);
	return ss_unload(&conf, true);
}

/* Left by one that was killed. */
static void remove_old_trials(const struct doctor *d)
{
	char pattern[2 * SS_CONF_PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s" MARK "*", d->conf.pin_path);
	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *mark = strrchr(found.gl_pathv[i], '-');

		if (kill(atoi(mark + 1), 0) && errno == ESRCH)
			unload(found.gl_pathv[i]);
	}
	globfree(&found);
}

/* The loader would mount it for good: ours ends with this process. */
static void keep_mounts(struct doctor *d)
{
	d->mounts_bpffs = !strncmp(d->conf.pin_path, SS_BPFFS "/",
				   strlen(SS_BPFFS "/")) &&
			  !ss_is_bpffs(SS_BPFFS);
	if (d->mounts_bpffs && !unshare(CLONE_NEWNS))
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static bool run_loader(struct doctor *d)
{
	char loader[PATH_MAX], conf[64];
	char *argv[] = { loader, (char *)"-c", conf, NULL };
	struct child child = { .argv = argv };
	const char *reason;
	int fd, status;

	find_loader(loader);
	fd = trial_configuration(d, conf);
	if (fd < 0)
		return false;
	status = child_run(&child, LOADER_MSECS);
	close(fd);
	if (!status)
		return true;
	reason = child_reason(child.out);
	snprintf(d->why, sizeof(d->why), "%.500s",
		 reason[0] ? reason : "the loader did not end in time");
	return false;
}

void trial_begin(struct doctor *d)
{
	struct ss_pins pins;

	if (!would_load(d))
		return;
	if (!access(d->conf.pin_path, F_OK) &&
	    ss_check_pin_path(d->conf.pin_path, d->why, sizeof(d->why)))
		return;
	keep_mounts(d);
	remove_old_trials(d);
	if (snprintf(d->trial_path, sizeof(d->trial_path), "%s" MARK "%d",
		     d->conf.pin_path,
		     getpid()) >= (int)sizeof(d->trial_path)) {
		snprintf(d->why, sizeof(d->why),
			 "pin_path is too long to try a load beside it");
		d->trial_path[0] = '\0';
		return;
	}
	if (!run_loader(d) || ss_pins_open(d->trial_path, &pins, d->why,
					   sizeof(d->why)) != SS_PINS_OK)
		return;
	d->pins = pins;
	d->usable = true;
}

void trial_end(struct doctor *d)
{
	if (d->usable)
		ss_pins_close(&d->pins);
	if (d->trial_path[0] && ss_is_bpffs(d->trial_path))
		unload(d->trial_path);
}
