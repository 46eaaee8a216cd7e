/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Out of the sockhash again, while the connection lives: small messages that go by TCP
 * all the same (bpf/oneway.bpf.h) are slower from there. Whatever is in the psock then
 * is lost, and who is about to redirect to it gets an error: so the caller has read all
 * that its peer has sent, by whatever way, and nothing comes any more. (What its peer
 * sends meanwhile TCP sends again, after 200 ms or more.)
 *
 * No thread but the caller may use the socket, or its number: the kernel says whether
 * anyone can.
 */
#ifndef SOCKSHUNT_LEAVE_H
#define SOCKSHUNT_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The bytes that have come to the socket @fd, or were about to be redirected to it
 * when this was asked, since some time: differences count. Too many if another
 * connection has the same slot. 0: cannot tell, or not all of them were read.
 */
uint64_t ss_leave_bytes_for(int fd);

/*
 * Whether the socket of @fd, a duplicate of the only other descriptor, has left,
 * having read all of @bytes. Undisturbed; may change errno. *@waited: a grace period
 * was waited for.
 */
bool ss_leave(int fd, uint64_t bytes, bool *waited);

#endif
