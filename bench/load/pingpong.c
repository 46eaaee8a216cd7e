/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A message, and the same back; the latency is that of the round trip. */
#include <unistd.h>

#include "load.h"

/* One connection after the other: where the client is another program's. */
static void serve(const struct load *l, int listener)
{
	char *buf = allocate(l->size);

	for (;;) {
		int fd = accept_from(listener);

		no_delay(fd);
		while (read_all(l, fd, buf, l->size))
			write_all(fd, buf, l->size);
		close(fd);
	}
}

static void play(const struct load *l)
{
	char *buf = allocate(l->size);
	int fd = connect_to(l);
	uint64_t last, now;

	no_delay(fd);
	ready();
	for (last = now_nsecs();; last = now) {
		write_all(fd, buf, l->size);
		check(read_all(l, fd, buf, l->size), "the server has gone");
		now = now_nsecs();
		record(now - last);
		count(CLIENT, 1, l->size);
	}
}

const struct workload pingpong = { "pingpong", serve, play };
