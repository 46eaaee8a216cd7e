/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * sockshunt doctor: the checks, one file for each subject. They report()
 * their lines, never fail themselves, and expect nothing to exist.
 */
#ifndef SOCKSHUNT_DOCTOR_H
#define SOCKSHUNT_DOCTOR_H

#include "../bpf/loader.h"
#include "report.h"

struct doctor {
	const char *file; /* the configuration; NULL: defaults */
	struct ss_conf conf;

	/* What is pinned at pin_path. */
	enum ss_pins_result result;
	char why[512]; /* unless result is SS_PINS_OK */

	/* With usable: the pins, or those of a trial. */
	bool usable;
	struct ss_pins pins;
	char trial_path[SS_CONF_PATH_MAX]; /* "": none was made */
	bool mounts_bpffs;		   /* a load would */
};

/* Whether the first program that needs it would load. */
static inline bool would_load(const struct doctor *d)
{
	return d->result == SS_PINS_ABSENT || d->result == SS_PINS_BROKEN;
}

/* What prevents a load is no failure where something is loaded, or loads. */
static inline enum state if_needed(const struct doctor *d)
{
	return d->usable ? STATE_NOTE : STATE_FAIL;
}

/* doctor_kernel.c: false: bpf(2) must not even be tried. */
bool check_bpf_call(void);
void check_kernel(const struct doctor *d);

/* doctor_setup.c: false: there is no configuration to go on with. */
bool check_configuration(struct doctor *d);
void check_privileges(const struct doctor *d);

/* doctor_places.c */
void check_bpffs(const struct doctor *d);
void check_cgroups(const struct doctor *d);

/* The first of the mounted cgroup v2 hierarchies, or "". */
void find_cgroup2(char path[SS_CONF_PATH_MAX]);

/* doctor_pins.c */
void check_pins(const struct doctor *d);

/*
 * doctor_trial.c: where nothing is loaded, a load as the first program would
 * cause it, but beside pin_path. Between these two only children may be
 * interrupted by signals.
 */
void trial_begin(struct doctor *d);
void trial_end(struct doctor *d);

/* An INI file for children in @path, like @d's, but with what it uses. */
int trial_configuration(const struct doctor *d, char path[64]);

/* doctor_echo.c */
void check_shim(const struct doctor *d);
void check_echo(const struct doctor *d);

/* Exit status of doctor-echo: the host has no such address. */
#define ECHO_NO_ADDRESS 77

/* doctor_others.c */
void check_others(void);

#endif
