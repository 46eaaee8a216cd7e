/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TCP tells the peer of a socket that is closed with unread bytes by a RST.
 * tcp_close() does not see those of the psock, and would send a FIN. (Nobody
 * can help a process that is killed.)
 */
#ifndef SOCKSHUNT_RESET_H
#define SOCKSHUNT_RESET_H

/*
 * The number @fd is about to be closed. If that is the last reference to a
 * TCP socket with bytes unread in its psock, the close will reset. Keeps errno.
 */
void ss_reset_before_close(int fd);

/* The same for all from @first to @last, and when the process exits. */
void ss_reset_before_range(unsigned int first, unsigned int last);

#endif
