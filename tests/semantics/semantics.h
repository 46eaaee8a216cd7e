/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The interpreter of the language in language.md: a coordinator that has no
 * socket of its own commands two peers, step by step, and prints what each
 * step showed.
 */
#ifndef SOCKSHUNT_TESTS_SEMANTICS_H
#define SOCKSHUNT_TESTS_SEMANTICS_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "ops.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_WORDS  12
#define MAX_RESULT 1024

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* stream.c: what one peer sends */

#define MAX_VAGUE 64

struct flow {
	uint64_t sent; /* stream bytes that a call said it took */
	uint64_t read;
	uint8_t next_urgent;
	/*
	 * Stretches whose length is the kernel's choice (how much fits a
	 * buffer): counts and positions are printed without it.
	 */
	unsigned int nr_vague;
	struct {
		uint64_t from, to;
	} vague[MAX_VAGUE];
};

/* All that the processes of a script share. */
struct shared {
	struct flow flow[2];
	uint16_t port;
	int family;
};

extern struct shared *shared;
extern int shared_memory; /* what it is mapped from */

/* One operation: its words, and what it showed. */
struct call {
	int argc;
	char *argv[MAX_WORDS];
	char words[256];
	char text[MAX_RESULT];
	size_t len;
};

__attribute__((format(printf, 2, 3))) void say(struct call *c,
					       const char *format, ...);
void say_errno(struct call *c);
/* 0, or errno's name if it is negative */
void say_result(struct call *c, long result);

struct flow *flow_out(void);
struct flow *flow_in(void);
/* The next @len bytes of what this peer sends, from malloc(3). */
uint8_t *stream_next(size_t len);
/* The same with the last byte an urgent one. */
uint8_t *stream_next_urgent(size_t len);
/* A call that was to send @want returned @n: counts, and says so. */
void sent(struct call *c, ssize_t n, size_t want);
void sent_urgent(struct call *c, ssize_t n, size_t want);
/* @n bytes went away in calls whose number of bytes is the kernel's choice. */
void sent_vaguely(uint64_t n);
/* A call returned @n bytes at @buf: judges them, and says so. */
void received(struct call *c, const uint8_t *buf, ssize_t n);
void peeked(struct call *c, const uint8_t *buf, ssize_t n);
/* @n bytes were taken that nobody can look at. */
void dropped(struct call *c, size_t n);
/* A number of bytes that can be read. */
void say_readable(struct call *c, long n);
/* After a new connection: what is unread of the old one never comes. */
void flows_restart(void);

/* names.c: flags, events and options have names in scripts */

const char *errno_name(int error);
int signal_number(const char *name);
const char *signal_name(int number);
/* Flags in the words from @first on; -1: no such name. */
long msg_flags(struct call *c, int first);
void say_msg_flags(struct call *c, int flags);
int poll_events(const char *names);
uint32_t epoll_events(const char *names);
void say_events(struct call *c, uint32_t events);

struct sockopt {
	const char *name;
	int level, number;
	enum {
		OPT_INT,
		OPT_TIME,
		OPT_LINGER,
		OPT_STRING,
		OPT_ERROR,
		OPT_STATE
	} kind;
};

const struct sockopt *option_named(const char *name);

/* ops.c: the table of operations */

struct op {
	const char *name;
	void (*run)(struct call *c);
	int args;   /* at least so many */
	bool quiet; /* the other peer sees nothing of it */
};

const struct op *op_named(const char *name);
void run_call(struct call *c);
/* Splits @words; the operation is its first word. */
void make_call(struct call *c, const char *words);
long number(struct call *c, int word, long otherwise);
bool has_word(const struct call *c, const char *word);
bool has_name(const char *names, const char *name);

/* peer.c */

struct peer {
	int index; /* 0: a, 1: b */
	int fd;	   /* the socket; before connect b's is the listener */
	int copy;  /* of dup */
	int listener;
	int epoll;
	bool accept_by_uring;
};

extern struct peer self;

/* A descriptor of ours, at a number that programs do not meet. */
int out_of_the_way(int fd);
socklen_t loopback(union address *addr);
/* Serves until the control socket closes; never returns. */
_Noreturn void peer_main(int index, int control, bool with_courier);

struct reply {
	pid_t thread;
	char text[MAX_RESULT];
};

#define STARTED_SLOTS 2
void op_start(struct call *c, int slot, pid_t *thread);
void op_join(struct call *c, int slot);
const char *count_signals(struct call *c);
int set_signal(int number, const char *how);

/* ops_fd.c: processes beside a peer that have its socket */
void courier_start(void);
_Noreturn void holder_main(char **argv);

#define OP(name, function, args, quiet) void op_##function(struct call *c);
OPS(OP)
#undef OP

#endif
