/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tcp_splice_read() looks into TCP's own queue only. */
#ifndef SOCKSHUNT_SPLICE_H
#define SOCKSHUNT_SPLICE_H

#include <stddef.h>
#include <sys/types.h>

/* splice(2) from @in, whatever it is, to the pipe @out. */
ssize_t ss_splice(int in, int out, size_t len, unsigned int flags);

#endif
