/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Seccomp filters that the program installs by itself: what they forbid us is
 * read from the filter, for there is no trying any more.
 */
#ifndef SOCKSHUNT_SECCOMP_H
#define SOCKSHUNT_SECCOMP_H

/* seccomp(2) and prctl(2) in place of the originals; result and errno are the
 * originals'. */
long ss_seccomp_set(unsigned int operation, unsigned int flags, void *args);
long ss_seccomp_prctl(int option, unsigned long a, unsigned long b,
		      unsigned long c, unsigned long d);

#endif
