/*
 * pairs.h: a quick no before a glob is matched. The pairs of neighbouring bytes that a glob asks for, hashed into 64
 * bits, must all be among those of the text. Most globs of most bindings fail here, at the price of one AND.
 */
#ifndef POLICY_PAIRS_H
#define POLICY_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t
pair_bit(char first, char second)
{
	uint32_t hash = ((uint32_t)(unsigned char)first << 8 | (unsigned char)second) * 0x9E3779B1u;

	return UINT64_C(1) << (hash >> 26);
}

static inline uint64_t
text_pairs(const char *text)
{
	uint64_t pairs = 0;

	for (; text[0] != '\0' && text[1] != '\0'; text++)
		pairs |= pair_bit(text[0], text[1]);
	return pairs;
}

/* Pairs that touch a wildcard promise nothing. */
static inline uint64_t
glob_pairs(const char *glob)
{
	uint64_t pairs = 0;

	for (; glob[0] != '\0' && glob[1] != '\0'; glob++) {
		if (glob[0] != '*' && glob[0] != '?' && glob[1] != '*' && glob[1] != '?')
			pairs |= pair_bit(glob[0], glob[1]);
	}
	return pairs;
}

static inline bool
pairs_may_match(uint64_t of_glob, uint64_t of_text)
{
	return (of_glob & ~of_text) == 0;
}

#endif
