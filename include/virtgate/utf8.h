/*
 * utf8.h: characters of UTF-8 (RFC 3629): shortest forms only, no surrogates.
 */
#ifndef VIRTGATE_UTF8_H
#define VIRTGATE_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How many of the `left` bytes at `p`, one at least, are its first character, which goes to `*point`; 0: they begin with none. */
static inline size_t
utf8_len(const uint8_t *p, size_t left, uint32_t *point)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;

	if (len == 0 || len > left)
		return 0;
	*point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (p[i] & 0x3fu);
	}
	if (*point < smallest[len] || *point > 0x10ffff || (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return len;
}

/* The same of a text that is not at its end. */
static inline size_t
utf8_len_of(const char *text, uint32_t *point)
{
	return utf8_len((const uint8_t *)text, strnlen(text, 4), point);
}

#endif
