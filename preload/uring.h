/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * io_uring continues a send with MSG_WAITALL where the socket left the
 * iterator; tcp_bpf_sendmsg() leaves it behind bytes that it did not send, and
 * they would be lost. So a process with a ring registers no sockets. (For those
 * that are registered, the verdict sends by TCP only as a last resort.)
 */
#ifndef SOCKSHUNT_URING_H
#define SOCKSHUNT_URING_H

#include <stdbool.h>

/* A ring is being made, by liburing or by syscall(2). */
void ss_uring_seen(void);
bool ss_uring_is_used(void);

#endif
