/*
 * harmless.h: which characters of a text that somebody else chose may reach a terminal, or a line that a program reads.
 */
#ifndef CORE_HARMLESS_H
#define CORE_HARMLESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "virtgate/utf8.h"

/* How many bytes `text` begins with that are plain: printable ASCII. */
static inline size_t
harmless_plain(const char *text)
{
	size_t len = 0;

	while (text[len] >= 0x20 && text[len] < 0x7f)
		len++;
	return len;
}

/* The character that `text`, which is not at its end, begins with, and its length. A byte that is no UTF-8 is U+10FE00 + byte, as in a record. */
static inline size_t
harmless_character(const char *text, uint32_t *point)
{
	size_t len = utf8_len_of(text, point);

	if (len > 0)
		return len;
	*point = 0x10fe00u + (unsigned char)*text;
	return 1;
}

/* Controls, and what turns the direction of the text around. */
static inline bool
harmless_not(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c || point == 0x200e || point == 0x200f || point == 0x2028 ||
	    point == 0x2029 || (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* The same, as a terminal may have it: a terminated text, with \xHH and \uHHHH for what is not harmless. */
#define HARMLESS_SHOWN 16
static inline size_t
harmless_show(const char *text, char shown[HARMLESS_SHOWN])
{
	uint32_t point;
	size_t len = harmless_character(text, &point);

	if (point >= 0x10fe00 && point <= 0x10feff) {
		(void)snprintf(shown, HARMLESS_SHOWN, "\\x%02x", point - 0x10fe00);
	} else if (harmless_not(point)) {
		(void)snprintf(shown, HARMLESS_SHOWN, point < 0x100 ? "\\x%02x" : "\\u%04x", point);
	} else {
		memcpy(shown, text, len);
		shown[len] = '\0';
	}
	return len;
}

#endif
