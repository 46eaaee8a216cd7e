/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void put_text(const char *s, size_t max)
{
	for (size_t i = 0, len = strnlen(s, max); i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= ' ' && c <= '~')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

/* Bytes of the UTF-8 character at @s, of which @left are there; 0: is none. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80	 ? 1
		   : s[0] < 0xc0 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf8 ? 4
				 : 0;
	unsigned int code = n > 1 ? s[0] & (0x7f >> n) : s[0];

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (n && (code < least[n] || code > 0x10ffff ||
		  (code >= 0xd800 && code <= 0xdfff)))
		return 0;
	return n;
}

void put_json(const char *s, size_t max)
{
	const unsigned char *at = (const unsigned char *)s;
	size_t left = strnlen(s, max);

	putchar('"');
	while (left) {
		size_t n = utf8_length(at, left);

		if (!n) {
			fputs("\\ufffd", stdout);
			n = 1;
		} else if (*at == '"' || *at == '\\') {
			printf("\\%c", *at);
		} else if (*at < ' ' || *at == 0x7f) {
			printf("\\u%04x", *at);
		} else {
			fwrite(at, 1, n, stdout);
		}
		at += n;
		left -= n;
	}
	putchar('"');
}
