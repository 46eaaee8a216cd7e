/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Strings of unknown origin on standard output: paths, the control map's. */
#ifndef SOCKSHUNT_TEXT_H
#define SOCKSHUNT_TEXT_H

#include <stddef.h>

/* @s, at most @max bytes of it: all but printable ASCII as \xNN. */
void put_text(const char *s, size_t max);

/* The same as a JSON string; what is not UTF-8 becomes U+FFFD. */
void put_json(const char *s, size_t max);

#endif
