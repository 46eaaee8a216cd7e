/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "semantics.h"

#define OP(name, function, args, quiet) { #name, op_##function, args, quiet },
static const struct op ops[] = { OPS(OP) };
#undef OP

const struct op *op_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!strcmp(ops[i].name, name))
			return &ops[i];
	}
	return NULL;
}

void say(struct call *c, const char *format, ...)
{
	size_t room = sizeof(c->text) - c->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(c->text + c->len, room, format, args);
	va_end(args);
	c->len += (size_t)n < room ? (size_t)n : room - 1;
}

void say_errno(struct call *c)
{
	say(c, "%s", errno_name(errno));
}

void say_result(struct call *c, long result)
{
	if (result < 0)
		say_errno(c);
	else
		say(c, "%ld", result);
}

void make_call(struct call *c, const char *words)
{
	char *save = NULL;

	memset(c, 0, sizeof(*c));
	snprintf(c->words, sizeof(c->words), "%s", words);
	for (char *word = strtok_r(c->words, " \t\n", &save);
	     word && c->argc < MAX_WORDS; word = strtok_r(NULL, " \t\n", &save))
		c->argv[c->argc++] = word;
}

void run_call(struct call *c)
{
	const struct op *op = c->argc ? op_named(c->argv[0]) : NULL;

	if (!op || c->argc <= op->args)
		say(c, "NO SUCH OP");
	else
		op->run(c);
}

long number(struct call *c, int word, long otherwise)
{
	return word < c->argc ? strtol(c->argv[word], NULL, 0) : otherwise;
}

bool has_word(const struct call *c, const char *word)
{
	for (int i = 1; i < c->argc; i++) {
		if (!strcmp(c->argv[i], word))
			return true;
	}
	return false;
}

/* Whether @name is among @names, which are separated by , or |. */
bool has_name(const char *names, const char *name)
{
	size_t len = strlen(name);

	while (*names) {
		size_t piece = strcspn(names, ",|");

		if (piece == len && !strncmp(names, name, len))
			return true;
		names += piece + (names[piece] != '\0');
	}
	return false;
}
