/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The configuration: one INI section, [sockshunt]. Read once, immutable
 * after that, so readers need no lock. See conf/sockshunt.ini for the keys.
 */
#ifndef SOCKSHUNT_CONF_H
#define SOCKSHUNT_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "log.h"

#define SS_CONF_DEFAULT_FILE	  "/etc/sockshunt.ini"
#define SS_CONF_PATH_MAX	  256 /* longer than any line inih accepts */
#define SS_CONF_MAX_PORTS	  128 /* ranges; the limit of Envoy's field */
/* In microseconds: a spin that is longer than a time slice helps nobody. */
#define SS_CONF_MAX_BUSY_POLL	  1000
/* By then registering has cost less than it will have saved: bench, churn. */
#define SS_CONF_DEFAULT_EXCHANGES 2
#define SS_CONF_MAX_EXCHANGES	  100

struct ss_port_range {
	uint16_t first; /* 1..65535 */
	uint16_t last;	/* inclusive, >= first */
};

struct ss_conf {
	char bpf_program_path[SS_CONF_PATH_MAX]; /* "": the embedded object */
	char cgroup_path[SS_CONF_PATH_MAX];	 /* "": not attached */
	uint32_t sockhash_max_entries;		 /* >= 1 */
	bool register_user_space_sockets;
	struct ss_port_range accelerated_ports[SS_CONF_MAX_PORTS];
	unsigned int nr_accelerated_ports; /* 0: all ports */
	char pin_path[SS_CONF_PATH_MAX];   /* directory on a bpffs */
	char pin_group[SS_CONF_PATH_MAX];  /* "": owner only */
	enum ss_log_level log_level;
	/* At most SS_CONF_MAX_EXCHANGES; 0: at once. */
	uint32_t register_after_exchanges;
	uint32_t busy_poll_usecs; /* at most SS_CONF_MAX_BUSY_POLL; 0: none */
};

/*
 * One line for a person: "FILE:LINE: KEY: what is wrong; the accepted form",
 * under 500 bytes of printable ASCII: all other bytes are shown as \xNN.
 * Without a line (the file cannot be read): "FILE: reason".
 */
struct ss_conf_error {
	char text[512];
};

/* Fills @conf with the documented defaults. Thread-safe. */
void ss_conf_defaults(struct ss_conf *conf);

/*
 * Reads @file over the values already in @conf.
 *
 * Returns 0, or -1 with @err filled in; @conf is then unspecified. Only the
 * first mistake is reported. Never allocates and uses only async-signal-safe
 * calls: it can run inside the first connect(2) of any program. Thread-safe.
 */
int ss_conf_read(struct ss_conf *conf, const char *file,
		 struct ss_conf_error *err);

/*
 * The file to read: $SOCKSHUNT_CONF if it is set and not empty (and the process
 * is not set-id); else SS_CONF_DEFAULT_FILE if that exists; else NULL for the
 * defaults. The environment's own string is returned, not a copy.
 */
const char *ss_conf_file(void);

/* Whether a connection with these two ports is in scope (host byte order). */
bool ss_conf_in_scope(const struct ss_conf *conf, uint16_t port_a,
		      uint16_t port_b);

#endif
