/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Where the shim is, and how it gets into a program. */
#ifndef SOCKSHUNT_SHIM_H
#define SOCKSHUNT_SHIM_H

#include <limits.h>

#define SHIM   "libsockshunt.so"
#define LOADER "sockshunt-loader" /* in the same directory */

/* The shim's absolute path; with -1, where it should have been installed. */
int find_shim(char path[PATH_MAX]);

/* Where it is installed, of another root. */
const char *installed_shim(void);

/* Where find_shim() finds the loader that the shim would start; -1 with errno. */
int find_loader(char path[PATH_MAX]);

/* Puts @shim before what LD_PRELOAD names already. Returns 0, or -1. */
int preload(const char *shim);

#endif
