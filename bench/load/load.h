/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The load of the benchmark: two processes, the ends of one or more
 * connections, which work until they are ended; a third one, the meter
 * (main.c), reads what they count before and after the time that is measured.
 */
#ifndef SOCKSHUNT_BENCH_LOAD_H
#define SOCKSHUNT_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "hist.h"

enum {
	SERVER,
	CLIENT,
	ENDS
};

enum reader {
	READER_BLOCKS,
	READER_SPINS,	   /* polls for a while, then blocks */
	READER_NONBLOCKING /* MSG_DONTWAIT until there is something */
};

struct load {
	size_t size; /* of a message */
	unsigned int conns;
	unsigned int idle;    /* connections beside these that say nothing */
	unsigned int stalled; /* and that are written to, but never read */
	bool both_ways;
	bool no_delay;		 /* streams, too */
	unsigned int greetings;	 /* exchanges before a stream begins */
	unsigned int work_usecs; /* of a stream's reader, on WORK_BYTES */
	enum reader reader;
	unsigned int spin_usecs;
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

/* What the processes share. Each end has counters, and cache lines, of its own. */
struct shared {
	int ready;     /* all connections are there */
	int measuring; /* latencies count from now on */
	int stopping;  /* from now on an end may see that the other has gone */
	struct {
		_Alignas(128) uint64_t ops;
		uint64_t bytes;
	} end[ENDS];
	_Alignas(128) struct hist hist;
};

extern struct shared *shared;

/* An end of a workload never returns. */
struct workload {
	const char *name;
	void (*server)(const struct load *l, int listener);
	void (*client)(const struct load *l);
};

extern const struct workload pingpong, stream, churn, busy;

/* By one thread of that end alone. */
static inline void count(int end, uint64_t ops, uint64_t bytes)
{
	__atomic_store_n(&shared->end[end].ops, shared->end[end].ops + ops,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&shared->end[end].bytes,
			 shared->end[end].bytes + bytes, __ATOMIC_RELAXED);
}

static inline void record(uint64_t nsecs)
{
	if (__atomic_load_n(&shared->measuring, __ATOMIC_RELAXED))
		hist_add(&shared->hist, nsecs);
}

static inline void ready(void)
{
	__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
}

/* util.c: what cannot fail here ends the process with a line. */
void check(bool ok, const char *what);
void *allocate(size_t size);
uint64_t now_nsecs(void);
void pin_to(int cpu); /* -1: anywhere */

/* calibrate.c */
int calibrate(int nr, char **cpus);

/* net.c */
void parse_address(struct load *l, const char *text);
int listen_at(struct load *l);
int accept_from(int listener);
int connect_to(const struct load *l);
void no_delay(int fd);
void write_all(int fd, const char *buf, size_t size);
/* False: the peer has gone. */
bool read_all(const struct load *l, int fd, char *buf, size_t size);

#endif
