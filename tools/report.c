/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "report.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "text.h"

static bool as_json;
static unsigned int lines, failures;

static const char *const state_names[] = {
	[STATE_OK] = "ok",
	[STATE_NOTE] = "note",
	[STATE_FAIL] = "FAIL",
};

void report_begin(bool json)
{
	as_json = json;
	if (as_json)
		printf("{\"checks\": [");
}

static void print_json(enum state state, const char *name, const char *advice,
		       const char *text)
{
	printf("%s{\"name\": \"%s\", \"state\": \"%s\", \"text\": ",
	       lines ? ",\n" : "", name, state_names[state]);
	put_json(text, SIZE_MAX);
	printf(", \"advice\": ");
	put_json(advice ? advice : "", SIZE_MAX);
	putchar('}');
}

static void print_text(enum state state, const char *name, const char *advice,
		       const char *text)
{
	printf("%-6s%-16s", state_names[state], name);
	put_text(text, SIZE_MAX);
	if (advice) {
		printf("\n%-22s-> ", "");
		put_text(advice, SIZE_MAX);
	}
	putchar('\n');
}

void report(enum state state, const char *name, const char *advice,
	    const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(as_json ? print_json : print_text)(state, name, advice, text);
	fflush(stdout); /* what follows may take seconds */
	lines++;
	failures += state == STATE_FAIL;
}

bool report_end(void)
{
	if (as_json)
		printf("], \"accelerates\": %s}\n",
		       failures ? "false" : "true");
	else
		printf("\n%s\n",
		       failures ? "A connection would stay on TCP now."
				: "A connection would be accelerated now.");
	return !failures;
}
