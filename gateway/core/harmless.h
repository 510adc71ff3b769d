/*
 * harmless.h: which characters of a text that somebody else chose may reach a terminal, or a line that a program reads.
 */
#ifndef CORE_HARMLESS_H
#define CORE_HARMLESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes `text` begins with that are plain: printable ASCII. */
static inline size_t
harmless_plain(const char *text)
{
	size_t len = 0;

	while (text[len] >= 0x20 && text[len] < 0x7f)
		len++;
	return len;
}

/* The character that valid UTF-8 begins with, and its length; never beyond the terminator. */
static inline size_t
harmless_character(const char *text, uint32_t *point)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	*point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] == '\0')
			return i;
		*point = *point << 6 | (p[i] & 0x3fu);
	}
	return len;
}

/* Controls, and what turns the direction of the text around. */
static inline bool
harmless_not(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c || point == 0x200e || point == 0x200f || point == 0x2028 ||
	    point == 0x2029 || (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

#endif
