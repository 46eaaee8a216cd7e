/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "emptyread.h"

#include <poll.h>
#include <sys/socket.h>

#include "../bpf/permit.h"
#include "blocking.h"
#include "hooks.h"
#include "options.h"

__thread struct ss_emptyread ss_emptyread
	__attribute__((tls_model("initial-exec")));

/* So many looks, and then a real read again: poll(2) does not tell of bytes that
 * are fewer than a SO_RCVLOWAT that another process may have set meanwhile. */
#define MOST_LOOKS 64

#define NOT_PLAIN (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE | MSG_WAITALL)

bool ss_emptyread_is_vain_slowly(int fd, int flags)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct ss_emptyread *e = &ss_emptyread;

	if (++e->looks > MOST_LOOKS) {
		e->times = SS_EMPTYREAD_TIMES - 1;
		return false;
	}
	if (flags & NOT_PLAIN || ss_options_used() ||
	    e->generation != ss_blocking_generation(fd) ||
	    !ss_may(SS_DUTY_READ) || ss_blocking_waits(fd, flags)) {
		e->times = 0;
		return false;
	}
	if (REAL(poll)(&p, 1, 0)) {
		if (e->looks == 1)
			e->times = 0;
		return false;
	}
	errno = EAGAIN;
	return true;
}

void ss_emptyread_was_vain(int fd, int flags)
{
	struct ss_emptyread *e = &ss_emptyread;
	unsigned char generation = ss_blocking_generation(fd);

	if (!(generation & SS_GENERATION_TCP) || flags & NOT_PLAIN ||
	    !ss_may(SS_DUTY_READ))
		return;
	if (e->times && (e->fd != fd || e->generation != generation))
		e->times = 0;
	e->fd = fd;
	e->generation = generation;
	e->looks = 0;
	if (e->times == SS_EMPTYREAD_TIMES - 1 && ss_blocking_hides(fd))
		return; /* SO_RCVLOWAT */
	if (e->times < SS_EMPTYREAD_TIMES)
		e->times++;
	errno = EAGAIN;
}
