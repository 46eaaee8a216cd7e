/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "semantics.h"

/* Bytes from here up are urgent ones; no stream byte ends a line or string. */
#define FIRST_URGENT 0xf0
#define FIRST_BYTE   0x20
#define UNCOUNTED    (1 << 22)

struct shared *shared;
int shared_memory;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct flow *flow_out(void)
{
	return &shared->flow[self.index];
}

struct flow *flow_in(void)
{
	return &shared->flow[!self.index];
}

/* The finalizer of splitmix64 */
static uint8_t byte_at(const struct flow *f, uint64_t position)
{
	uint64_t x = position * 2 + (uint64_t)(f - shared->flow) + 1;

	x *= 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	x = (uint32_t)(x ^ (x >> 31));
	return (uint8_t)(FIRST_BYTE + (x * (FIRST_URGENT - FIRST_BYTE) >> 32));
}

uint8_t *stream_next(size_t len)
{
	uint8_t *p = malloc(len ? len : 1);
	uint64_t from = flow_out()->sent;

	if (!p)
		abort();
	for (size_t i = 0; i < len; i++)
		p[i] = byte_at(flow_out(), from + i);
	return p;
}

uint8_t *stream_next_urgent(size_t len)
{
	uint8_t *p = stream_next(len);

	if (len)
		p[len - 1] = FIRST_URGENT + flow_out()->next_urgent;
	return p;
}

/* Positions */

static bool is_vague(const struct flow *f, uint64_t from, uint64_t to)
{
	for (unsigned int i = 0; i < f->nr_vague; i++) {
		if (from < f->vague[i].to && to > f->vague[i].from)
			return true;
	}
	return false;
}

static void say_position(struct call *c, const struct flow *f, uint64_t at)
{
	unsigned int i, fills = 0;
	uint64_t less = 0;

	for (i = 0; i < f->nr_vague && at >= f->vague[i].to; i++, fills++)
		less += f->vague[i].to - f->vague[i].from;
	if (i < f->nr_vague && at > f->vague[i].from) {
		say(c, "@fill");
		return;
	}
	say(c, "@%llu", (unsigned long long)(at - less));
	if (fills)
		say(c, "+%ufill", fills);
}

void sent_vaguely(uint64_t n)
{
	struct flow *f = flow_out();

	pthread_mutex_lock(&lock);
	if (n && f->nr_vague && f->vague[f->nr_vague - 1].to == f->sent) {
		f->vague[f->nr_vague - 1].to += n;
	} else if (n && f->nr_vague < MAX_VAGUE) {
		f->vague[f->nr_vague].from = f->sent;
		f->vague[f->nr_vague++].to = f->sent + n;
	}
	f->sent += n;
	pthread_mutex_unlock(&lock);
}

void sent(struct call *c, ssize_t n, size_t want)
{
	if (n < 0) {
		say_errno(c);
	} else if ((size_t)n < want) {
		sent_vaguely((uint64_t)n);
		say(c, "%s", n ? "partial" : "0");
	} else {
		flow_out()->sent += (uint64_t)n;
		say(c, "%zd", n);
	}
}

void sent_urgent(struct call *c, ssize_t n, size_t want)
{
	if (n > 0 && (size_t)n == want) {
		flow_out()->next_urgent = (flow_out()->next_urgent + 1) % 16;
		flow_out()->sent += (uint64_t)n - 1;
		say(c, "%zd", n);
	} else {
		sent(c, n, want);
	}
}

void flows_restart(void)
{
	for (int i = 0; i < 2; i++)
		shared->flow[i].read = shared->flow[i].sent;
}

/* Judging */

/* How many bytes at @p are the stream's from @at on. */
static size_t right_bytes(const struct flow *f, uint64_t at, const uint8_t *p,
			  size_t len)
{
	size_t i = 0;

	while (i < len && p[i] == byte_at(f, at + i))
		i++;
	return i;
}

static bool matches(const struct flow *f, uint64_t at, const uint8_t *p,
		    size_t len)
{
	return right_bytes(f, at, p, len) == len;
}

/* Where the bytes come from; the nearest place after @near, then before. */
static bool locate(const struct flow *f, uint64_t near, const uint8_t *p,
		   size_t len, uint64_t *at)
{
	if (len > 32)
		len = 32;
	/* A call that has not returned yet sends more than is counted. */
	for (*at = near; *at + len <= f->sent + UNCOUNTED; (*at)++) {
		if (matches(f, *at, p, len))
			return true;
	}
	for (*at = near; (*at)-- > 0;) {
		if (matches(f, *at, p, len))
			return true;
	}
	return false;
}

/* Takes urgent bytes out of @buf; what they were is added to @text. */
static size_t take_urgent(uint8_t *buf, size_t n, char *text, size_t size)
{
	size_t kept = 0, used = 0;

	for (size_t i = 0; i < n; i++) {
		if (buf[i] < FIRST_URGENT) {
			buf[kept++] = buf[i];
			continue;
		}
		if (used + 32 < size)
			used += (size_t)snprintf(text + used, size - used,
						 " urgent[%zu]=%02X", i,
						 buf[i]);
	}
	return kept;
}

static void say_count(struct call *c, const struct flow *f, size_t n)
{
	if (!is_vague(f, f->read, f->read + n))
		say(c, "%zu ", n);
	else if (f->read + n == f->sent)
		say(c, "everything ");
	else
		say(c, "part ");
	say_position(c, f, f->read);
}

/* Says what is wrong with @n bytes; returns how far the stream got by them. */
static uint64_t say_corrupt(struct call *c, const struct flow *f,
			    const uint8_t *buf, size_t n)
{
	size_t good = right_bytes(f, f->read, buf, n);
	uint64_t at;

	say(c, "CORRUPT %zu ", n);
	say_position(c, f, f->read);
	if (good)
		say(c, " after %zu", good);
	if (!locate(f, f->read + good, buf + good, n - good, &at)) {
		say(c, ", unlike anything sent");
		return f->read + n;
	}
	say(c, ", looks like ");
	say_position(c, f, at);
	return at + n - good;
}

static void judge(struct call *c, uint8_t *buf, size_t n, bool peek)
{
	struct flow *f = flow_in();
	char urgent[128] = "";
	uint64_t read = f->read, to = read;
	size_t kept = take_urgent(buf, n, urgent, sizeof(urgent));
	bool right = matches(f, read, buf, kept);

	if (!right && peek && locate(f, read, buf, kept, &to) &&
	    matches(f, to, buf, kept)) {
		f->read = to; /* SO_PEEK_OFF: only where it is counts */
		right = true;
	}
	if (right) {
		say_count(c, f, n);
		to = f->read + kept;
	} else {
		to = say_corrupt(c, f, buf, kept);
	}
	say(c, "%s", urgent);
	f->read = peek ? read : to;
}

static void judge_call(struct call *c, const uint8_t *buf, ssize_t n, bool peek)
{
	uint8_t *own;

	if (n < 0) {
		say_errno(c);
		return;
	}
	if (!n) {
		say(c, "0");
		return;
	}
	own = malloc((size_t)n);
	if (!own)
		abort();
	memcpy(own, buf, (size_t)n);
	pthread_mutex_lock(&lock);
	judge(c, own, (size_t)n, peek);
	pthread_mutex_unlock(&lock);
	free(own);
}

void received(struct call *c, const uint8_t *buf, ssize_t n)
{
	judge_call(c, buf, n, false);
}

void peeked(struct call *c, const uint8_t *buf, ssize_t n)
{
	judge_call(c, buf, n, true);
}

void dropped(struct call *c, size_t n)
{
	pthread_mutex_lock(&lock);
	say_count(c, flow_in(), n);
	say(c, " dropped");
	flow_in()->read += n;
	pthread_mutex_unlock(&lock);
}

void say_readable(struct call *c, long n)
{
	const struct flow *f = flow_in();
	uint64_t unread = f->sent - f->read;

	if (!is_vague(f, f->read, f->read + unread))
		say(c, "%ld", n);
	else if (n == (long)unread)
		say(c, "all");
	else
		say(c, "%s", n ? "some" : "0");
}
