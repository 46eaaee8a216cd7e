/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Starting the loader without the program noticing a child. */
#ifndef SOCKSHUNT_SPAWN_H
#define SOCKSHUNT_SPAWN_H

#include "../bpf/abi.h"

enum ss_spawn_result {
	SS_SPAWN_PINNED,
	SS_SPAWN_PRIVATE,   /* descriptors were handed over */
	SS_SPAWN_FAILED,    /* the loader said why */
	SS_SPAWN_NO_LOADER, /* it could not be run, or was killed */
};

/*
 * Runs @loader with configuration @conf_file (NULL: defaults) and waits for
 * it. The child has no exit signal, so the program gets no SIGCHLD and its
 * waitpid(2) finds nothing. With SS_SPAWN_PRIVATE @fds holds the objects (-1:
 * there is none). Async-signal-safe; may change errno.
 */
enum ss_spawn_result ss_spawn_loader(const char *loader, const char *conf_file,
				     int fds[SS_NR_OBJECTS]);

#endif
