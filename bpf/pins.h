/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Using a loaded sockhash: opening its pins, or descriptors that were handed
 * over. No libbpf, nothing but system calls: this runs in the shim.
 */
#ifndef SOCKSHUNT_PINS_H
#define SOCKSHUNT_PINS_H

#include <stddef.h>

#include "abi.h"

struct ss_pins {
	int fds[SS_NR_OBJECTS];	    /* close-on-exec; -1: there is none */
	struct ss_control *control; /* shared mapping; outlives descriptors */
};

enum ss_pins_result {
	SS_PINS_OK,
	SS_PINS_ABSENT,	   /* nothing is loaded there */
	SS_PINS_DENIED,	   /* loaded, but this process may not use it */
	SS_PINS_OTHER_ABI, /* loaded by an incompatible version */
	SS_PINS_BROKEN,	   /* incomplete, or not ours */
};

/*
 * Opens the pins in directory @dir. On SS_PINS_OK @pins is filled in and is
 * the caller's (ss_pins_close()); else @why (of @why_size bytes) holds one
 * line for a person, with what to do about it.
 * Thread-safe, async-signal-safe.
 */
enum ss_pins_result ss_pins_open(const char *dir, struct ss_pins *pins,
				 char *why, size_t why_size);

/*
 * The same for descriptors of the objects (-1: there is none). They belong to
 * @pins on SS_PINS_OK, else they stay the caller's.
 */
enum ss_pins_result ss_pins_adopt(const int fds[SS_NR_OBJECTS],
				  struct ss_pins *pins, char *why,
				  size_t why_size);

/* Undoes either. Connections that are registered stay so. */
void ss_pins_close(struct ss_pins *pins);

/* Whether @fd still is that object of @control, not a reused number. */
int ss_pins_is(const struct ss_control *control, enum ss_object_kind kind,
	       int fd);

/* The name of an object's pin. */
const char *ss_pin_of(enum ss_object_kind kind);

/* Which object @fd is, by the name it was loaded with; -1: none of ours. */
int ss_pins_identify(int fd);

/* "@dir/@name" into @buf of 512 bytes; longer than any configured path. */
#define SS_PIN_NAME_MAX 512
void ss_pin_name(char *buf, const char *dir, const char *name);

#endif
