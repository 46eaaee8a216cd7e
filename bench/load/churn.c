/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connect, a message each way, close; the latency is that of the whole cycle.
 * The server closes first, so that it is not the client's ports that wait in
 * TIME_WAIT, of which there are too few for this.
 */
#include <unistd.h>

#include "load.h"

static void serve(const struct load *l, int listener)
{
	char *buf = allocate(l->size);

	for (;;) {
		int fd = accept_from(listener);

		if (read_all(l, fd, buf, l->size))
			write_all(fd, buf, l->size);
		close(fd);
	}
}

static void play(const struct load *l)
{
	char *buf = allocate(l->size);
	uint64_t last, now;

	ready();
	for (last = now_nsecs();; last = now) {
		int fd = connect_to(l);

		write_all(fd, buf, l->size);
		check(read_all(l, fd, buf, l->size), "the server has gone");
		check(!read_all(l, fd, buf, 1), "more than was sent");
		close(fd);
		now = now_nsecs();
		record(now - last);
		count(CLIENT, 1, l->size);
	}
}

const struct workload churn = { "churn", serve, play };
