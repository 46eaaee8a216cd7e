/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Loading the BPF side with libbpf: used by the command line and by the
 * helper that the shim starts, never inside an application.
 *
 * These functions log their own failures (conf/log.h). Not thread-safe: the
 * process is ours. Between processes a lock on pin_path keeps order.
 */
#ifndef SOCKSHUNT_LOADER_H
#define SOCKSHUNT_LOADER_H

#include <stdbool.h>
#include <stddef.h>

#include "../conf/conf.h"
#include "abi.h"
#include "pins.h"

#ifndef SS_VERSION
#define SS_VERSION "0.1.0"
#endif

#define SS_BPFFS "/sys/fs/bpf" /* where every tool expects it */

bool ss_is_bpffs(const char *path);

/*
 * Whether a load could use @dir, which exists. Returns 0, or -1 with one line
 * in @why. Waits for another loader, as loading does.
 */
int ss_check_pin_path(const char *dir, char *why, size_t why_size);

/*
 * Makes sure that the maps and programs of @conf are pinned at its pin_path:
 * does nothing if they are, else loads, tests, attaches and pins them. What
 * a killed loader left behind is removed first.
 *
 * Returns 0; -1 if it failed; 1 if everything could be loaded but not pinned
 * (no bpffs, or no permission to write): then, if @private_fds is not NULL,
 * descriptors of the objects are returned in it (SS_NR_OBJECTS, -1: there is
 * none) and are the caller's (with NULL this is a failure, and logged so).
 */
int ss_load(const struct ss_conf *conf, int *private_fds);

/*
 * Removes the pins at @conf's pin_path, and detaches sock_ops. Refused while
 * sockets are in the sockhash, unless @force. Those that remain keep their
 * programs and their unread bytes (the kernel holds the map for them), but
 * meet no new ones.
 *
 * Returns 0 (also if nothing was loaded), or -1.
 */
int ss_unload(const struct ss_conf *conf, bool force);

/*
 * Sums up the counters of kernel and user space. Returns 0, or -1 with errno
 * if the counters cannot be opened.
 */
int ss_read_counters(const struct ss_conf *conf, const struct ss_pins *pins,
		     struct ss_counters *sum);

/* Entries now in the sockhash; approximate while sockets come and go. */
unsigned int ss_count_entries(const struct ss_pins *pins);

/* The sockhash's max_entries, 0 if it cannot be had. */
unsigned int ss_max_entries(const struct ss_pins *pins);

#endif
