/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A reader that never waits, and reads again and again until there is something:
 * each vain recvmsg(2) takes the socket's lock, which bpf_tcp_ingress() sleeps
 * for, and a round trip takes twice as long as on TCP. After some vain reads in
 * a row the next ones look by poll(2), which takes no lock, and end there if there
 * is nothing; until one finds something at its first look.
 */
#ifndef SOCKSHUNT_EMPTYREAD_H
#define SOCKSHUNT_EMPTYREAD_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

/* Of this thread: the descriptor that was read in vain, and how often, in a row;
 * and since one of these reads was real. */
struct ss_emptyread {
	int fd;
	unsigned char generation;
	unsigned char times; /* 0: no such descriptor */
	unsigned char looks; /* since a read */
};
extern __thread struct ss_emptyread ss_emptyread
	__attribute__((tls_model("initial-exec")));

#define SS_EMPTYREAD_TIMES 4

/* True: the read of @fd with @flags that is about to begin ends at once, with
 * errno EAGAIN. */
bool ss_emptyread_is_vain_slowly(int fd, int flags);
static inline bool ss_emptyread_is_vain(int fd, int flags)
{
	return __builtin_expect(ss_emptyread.times >= SS_EMPTYREAD_TIMES, 0) &&
	       ss_emptyread.fd == fd && ss_emptyread_is_vain_slowly(fd, flags);
}

/* @n, which a read of @fd with @flags has returned. */
void ss_emptyread_was_vain(int fd, int flags);
static inline ssize_t ss_emptyread_after(int fd, int flags, ssize_t n)
{
	if (__builtin_expect(n < 0, 0) && errno == EAGAIN)
		ss_emptyread_was_vain(fd, flags);
	else if (ss_emptyread.times >= SS_EMPTYREAD_TIMES &&
		 ss_emptyread.fd == fd)
		ss_emptyread.looks = 0;
	else
		ss_emptyread.times = 0;
	return n;
}

#endif
