/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What waits in a socket, and where: in TCP's queue, or in the psock's, which
 * some system calls do not look into.
 */
#ifndef SOCKSHUNT_UNREAD_H
#define SOCKSHUNT_UNREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "../bpf/abi.h"

/*
 * Where the next byte of TCP socket @fd is. A peek without a buffer tells, and
 * copies nothing: TCP's own queue gives no fault.
 */
enum ss_unread {
	SS_UNREAD_NONE,	 /* nothing waits (EAGAIN) */
	SS_UNREAD_TCP,	 /* in TCP's queue, or an end or an error is next */
	SS_UNREAD_PSOCK, /* redirected or merged */
};
enum ss_unread ss_unread(int fd);

/*
 * Bytes that came by TCP and were not read, in whichever queue; -1: cannot
 * tell.
 */
int ss_unread_by_tcp(int fd);

/* Whether there are none for certain; as cheap as this kernel allows. */
bool ss_unread_none_by_tcp(int fd);

/* The same of another's socket, as sock_diag(7) tells without privilege, and
 * whether it has received a FIN. */
int ss_unread_by_tcp_of(const struct ss_key *key, bool *fin);

/* ioctl(FIONREAD) was successful with *@bytes: adds what it does not see. */
void ss_unread_complete(int fd, int *bytes);

/* SO_PEEK_OFF, which every peek moves; -1: off. */
int ss_unread_peek_off(int fd);
void ss_unread_set_peek_off(int fd, int offset);

/* End of file or an error is next, after what waits. */
bool ss_unread_has_ended(int fd);

/* A pending error is next. */
bool ss_unread_has_error(int fd);

/* The peer has sent its FIN, or a RST. */
bool ss_unread_has_fin(int fd);

/* ioctl(SIOCATMARK) said *@at: what waits in the psock is before the mark. */
void ss_unread_at_mark(int fd, int *at);

/*
 * getsockopt(TCP_ZEROCOPY_RECEIVE). What is in the psock cannot be mapped: it
 * is to be read, as this call says of bytes that fill no page. The kernel must
 * not be asked: with a page or more merged, tcp_zerocopy_receive() follows a
 * null pointer (seen on 6.18).
 */
int ss_unread_zerocopy(int fd, void *value, socklen_t *len);

#endif
