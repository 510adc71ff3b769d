/*
 * glob.h: libvirt's globs in time linear in pattern times text at worst, without recursion: '*' any run of bytes, '?'
 * one byte, everything else itself. Bytes, not characters; case counts. (Sources: libvirt matches DNs and SASL names
 * with g_pattern_match_simple.)
 */
#ifndef VIRTGATE_GLOB_H
#define VIRTGATE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

static inline bool
glob_match(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;	/* behind the last '*', and how much text it has eaten */

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

#endif
