/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Pseudo-random streams whose bytes know where they belong, and the audit of
 * what a reader got of one.
 *
 * Each aligned 8-byte word of a stream is its connection, direction and index
 * put through a bijection. So a word seen anywhere can be turned back into
 * where it was sent, which tells reordering, loss, duplication and bytes of
 * another connection from each other, and from bytes that nobody sent.
 */
#ifndef SOCKSHUNT_TESTS_STREAM_H
#define SOCKSHUNT_TESTS_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All streams of one run. */
struct stream_space {
	uint64_t seed;
	uint64_t max;	/* longest stream in bytes */
	uint32_t conns; /* at most STREAM_MAX_CONNS */
};

/* What one end of a connection sends. */
struct stream {
	const struct stream_space *space;
	uint32_t conn;
	unsigned int dir; /* 0 or 1 */
	uint64_t total;
};

/* A word in clear: 24 bits of connection, 1 of direction, 39 of index. */
#define STREAM_MAX_CONNS   (1u << 24)
#define STREAM_CONN_SHIFT  40
#define STREAM_DIR_SHIFT   39
#define STREAM_INDEX_MASK  ((1ull << STREAM_DIR_SHIFT) - 1)
#define STREAM_MAX_BYTES   (1ull << 32)
#define STREAM_GOLDEN_STEP 0x9e3779b97f4a7c15ull

/* The finalizer of splitmix64, and its inverse. */
static inline uint64_t stream_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t stream_unmix(uint64_t x)
{
	x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642b2d24d8ec3ull;
	x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96de1b173f119089ull;
	return x ^ (x >> 30) ^ (x >> 60);
}

static inline uint64_t stream_key(const struct stream_space *space)
{
	return stream_mix(space->seed + STREAM_GOLDEN_STEP);
}

static inline uint64_t stream_word(const struct stream *s, uint64_t index)
{
	uint64_t clear = (uint64_t)s->conn << STREAM_CONN_SHIFT |
			 (uint64_t)s->dir << STREAM_DIR_SHIFT | index;

	return stream_mix(clear ^ stream_key(s->space));
}

/* Where the word at @p was sent from; false if nobody sent it. */
static inline bool stream_locate(const struct stream_space *space,
				 const uint8_t *p, uint32_t *conn,
				 unsigned int *dir, uint64_t *offset)
{
	uint64_t word, clear;

	memcpy(&word, p, sizeof(word));
	clear = stream_unmix(word) ^ stream_key(space);
	*conn = clear >> STREAM_CONN_SHIFT;
	*dir = clear >> STREAM_DIR_SHIFT & 1;
	*offset = (clear & STREAM_INDEX_MASK) * 8;
	return *conn < space->conns && *offset + 8 <= space->max;
}

static inline uint8_t stream_byte(const struct stream *s, uint64_t offset)
{
	uint64_t word = stream_word(s, offset / 8);
	uint8_t bytes[sizeof(word)];

	memcpy(bytes, &word, sizeof(word));
	return bytes[offset % 8];
}

/* Bytes of the stream from @offset on, also past its end. */
static inline void stream_fill(const struct stream *s, uint64_t offset,
			       uint8_t *p, size_t len)
{
	uint64_t word;

	for (; len && offset % 8; len--)
		*p++ = stream_byte(s, offset++);
	for (; len >= 8; len -= 8, offset += 8, p += 8) {
		word = stream_word(s, offset / 8);
		memcpy(p, &word, sizeof(word));
	}
	for (; len; len--)
		*p++ = stream_byte(s, offset++);
}

/* How many bytes at @p are the stream's from @offset on. */
static inline size_t stream_match(const struct stream *s, uint64_t offset,
				  const uint8_t *p, size_t len)
{
	size_t n = 0;
	uint64_t word;

	if (offset >= s->total)
		return 0;
	if (len > s->total - offset)
		len = s->total - offset;
	while (n < len) {
		if ((offset + n) % 8 == 0 && len - n >= 8) {
			word = stream_word(s, (offset + n) / 8);
			if (!memcmp(p + n, &word, sizeof(word))) {
				n += 8;
				continue;
			}
		}
		if (p[n] != stream_byte(s, offset + n))
			break;
		n++;
	}
	return n;
}

/*
 * What a reader got of @s. As long as all is well only @next moves. From the
 * first wrong byte on, every byte is put where it belongs and counted, so the
 * report can say what happened and not only that something did.
 */
struct audit {
	struct stream s;
	uint64_t next; /* offset in the stream of the next byte, if all well */
	uint64_t arrived; /* bytes that were judged */
	uint64_t highest; /* end of the furthest byte seen */
	uint64_t hole;	  /* every byte before this one was seen */
	uint8_t *seen;	  /* one per byte of the stream; NULL: all is well */
	uint8_t *text;	  /* the stream, likewise */
	uint8_t *held;	  /* wrong bytes, too few to be located yet */
	size_t held_len;

	uint64_t reordered;  /* came after bytes that were sent later */
	uint64_t duplicated; /* came before */
	uint64_t lost;	     /* never came */
	uint64_t foreign;    /* belong to another stream */
	uint64_t unknown;    /* belong to none */
	char first[192];     /* the first mistake, for a person */
};

/* Within 15 bytes lies an aligned word; more, to find where damage ends. */
#define AUDIT_WINDOW 24

static inline bool audit_bad(const struct audit *a)
{
	return a->reordered || a->duplicated || a->lost || a->foreign ||
	       a->unknown;
}

static inline void audit_mark(struct audit *a, uint64_t offset, uint64_t len)
{
	uint64_t i;

	for (i = offset; i < offset + len; i++) {
		if (a->seen[i])
			a->duplicated++;
		else if (i < a->highest)
			a->reordered++;
		a->seen[i] = 1;
	}
	if (offset + len > a->highest)
		a->highest = offset + len;
}

/* Out of memory is no reason to call a stream good: give up loudly. */
static inline void *audit_alloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p) {
		perror("audit");
		abort();
	}
	return p;
}

static inline void audit_describe(struct audit *a, const uint8_t *p, size_t len,
				  const char *what)
{
	uint8_t want[8] = { 0 };
	char hex[2][17] = { "end", "" };
	size_t i;

	if (a->first[0])
		return;
	stream_fill(&a->s, a->next, want, sizeof(want));
	for (i = 0; i < 8 && a->next + i < a->s.total; i++)
		snprintf(hex[0] + 2 * i, 3, "%02x", want[i]);
	for (i = 0; i < 8 && i < len; i++)
		snprintf(hex[1] + 2 * i, 3, "%02x", p[i]);
	snprintf(a->first, sizeof(a->first),
		 "offset=%llu expected=%s got=%s: %s arrived at offset %llu",
		 (unsigned long long)a->arrived, hex[0], hex[1], what,
		 (unsigned long long)a->arrived);
}

/*
 * How many bytes at @p only took the place of the right ones: after them the
 * stream goes on as it should. 0: it does not.
 */
static inline size_t audit_in_place(const struct audit *a, const uint8_t *p,
				    size_t len)
{
	size_t n;

	for (n = 1; n < AUDIT_WINDOW && n + 8 <= len; n++) {
		if (stream_match(&a->s, a->next + n, p + n, len - n) >= 8)
			return n;
	}
	return 0;
}

/* Short pieces in another order, rather than bytes nobody sent. */
static inline bool audit_same_bytes(const struct audit *a, const uint8_t *p,
				    size_t len)
{
	int balance[256] = { 0 };
	size_t i;

	for (i = 0; i < len; i++) {
		balance[p[i]]++;
		balance[a->text[a->next + i]]--;
	}
	for (i = 0; i < 256; i++) {
		if (balance[i])
			return false;
	}
	return true;
}

/* Whether the bytes at @p belong to another stream; if so, how many surely. */
static inline size_t audit_foreign(const struct audit *a, const uint8_t *p,
				   size_t len, char *what, size_t size)
{
	uint64_t offset;
	unsigned int dir;
	uint32_t conn;
	size_t skip;

	for (skip = 0; skip < 8 && skip + 8 <= len; skip++) {
		if (!stream_locate(a->s.space, p + skip, &conn, &dir, &offset))
			continue;
		if (conn == a->s.conn && dir == a->s.dir)
			break;
		snprintf(what, size, "bytes of conn=%u dir=%u offset %llu",
			 conn, dir, (unsigned long long)(offset - skip));
		return skip + 8;
	}
	return 0;
}

/*
 * Where in this stream the bytes at @p come from. The more of them agree the
 * better; few of them are only believed to be the first that are missing.
 */
static inline bool audit_find(struct audit *a, const uint8_t *p, size_t len,
			      uint64_t *offset)
{
	const uint8_t *found;
	size_t n, in_hole;

	while (a->hole < a->s.total && a->seen[a->hole])
		a->hole++;
	in_hole = stream_match(&a->s, a->hole, p, len);
	for (n = len < AUDIT_WINDOW ? len : AUDIT_WINDOW; n; n--) {
		if (in_hole >= n) {
			*offset = a->hole;
			return true;
		}
		if (n < 3)
			continue;
		found = memmem(a->text, a->s.total, p, n);
		if (found) {
			*offset = found - a->text;
			return true;
		}
	}
	return false;
}

/*
 * At @p is something else than the stream's next bytes. Finds where it comes
 * from and moves @next there, or counts it as not ours. Returns how many bytes
 * are thereby dealt with.
 */
static inline size_t audit_resync(struct audit *a, const uint8_t *p, size_t len)
{
	char what[80];
	size_t n = audit_foreign(a, p, len, what, sizeof(what));
	uint64_t offset;
	bool moved;

	if (n) {
		audit_describe(a, p, len, what);
		a->foreign += n;
		return n;
	}
	n = audit_in_place(a, p, len);
	if (n) {
		moved = audit_same_bytes(a, p, n);
		snprintf(what, sizeof(what), "%zu %s bytes", n,
			 moved ? "transposed" : "damaged");
		audit_describe(a, p, len, what);
		audit_mark(a, a->next, n);
		a->next += n;
		if (moved)
			a->reordered += n;
		else
			a->unknown += n;
		return n;
	}
	if (audit_find(a, p, len, &offset)) {
		snprintf(what, sizeof(what), "bytes from offset %llu",
			 (unsigned long long)offset);
		audit_describe(a, p, len, what);
		a->next = offset;
		return 0;
	}
	audit_describe(a, p, len, "unknown bytes");
	a->unknown++;
	return 1;
}

/* Judges the held bytes; all of them if no more will come (@last). */
static inline void audit_sort(struct audit *a, bool last)
{
	size_t done = 0, n;

	while (done < a->held_len) {
		n = stream_match(&a->s, a->next, a->held + done,
				 a->held_len - done);
		if (n) {
			audit_mark(a, a->next, n);
			a->next += n;
		} else if (a->held_len - done < AUDIT_WINDOW && !last) {
			break;
		} else {
			n = audit_resync(a, a->held + done, a->held_len - done);
		}
		done += n;
		a->arrived += n;
	}
	a->held_len -= done;
	memmove(a->held, a->held + done, a->held_len);
}

/* The reader got these bytes. */
static inline void audit_feed(struct audit *a, const uint8_t *p, size_t len)
{
	size_t n;

	if (!a->seen) {
		n = stream_match(&a->s, a->next, p, len);
		a->next += n;
		a->arrived += n;
		if (n == len)
			return;
		a->seen = audit_alloc(NULL, a->s.total);
		memset(a->seen, 0, a->s.total);
		a->text = audit_alloc(NULL, a->s.total);
		stream_fill(&a->s, 0, a->text, a->s.total);
		audit_mark(a, 0, a->next);
		p += n;
		len -= n;
	}
	a->held = audit_alloc(a->held, a->held_len + len);
	memcpy(a->held + a->held_len, p, len);
	a->held_len += len;
	audit_sort(a, false);
}

/*
 * No more bytes will come. @eof: because of an orderly end, so what is missing
 * at the end of the stream is lost too, not only holes before what came.
 */
static inline void audit_end(struct audit *a, bool eof)
{
	uint64_t i;

	if (a->seen) {
		audit_sort(a, true);
		for (i = 0; i < (eof ? a->s.total : a->highest); i++)
			a->lost += !a->seen[i];
	} else if (eof) {
		a->lost = a->s.total - a->next;
	}
	if (a->lost && !a->first[0])
		audit_describe(a, NULL, 0, "end of file");
	free(a->seen);
	free(a->text);
	free(a->held);
	a->seen = NULL;
	a->text = NULL;
	a->held = NULL;
}

#endif
