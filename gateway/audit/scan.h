/*
 * scan.h: reads one line of the trail without building anything: where its top-level members are, and whether its hash
 * is right. Linear, no recursion, never beyond the line; for the writer at its start, for verify, and as the check that
 * a member that a sender made is exactly one value (I60).
 */
#ifndef AUDIT_SCAN_H
#define AUDIT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gateway/core/ids.h"

#define AUDIT_HASH_LEN 64	/* hex digits of a SHA-256 */
#define AUDIT_TIME_LEN 27	/* 2026-11-23T19:50:12.123456Z */
#define AUDIT_HASH_ZERO "0000000000000000000000000000000000000000000000000000000000000000"

/* Length of the one JSON value that `text` begins with; 0 when there is none, or something that canonical JSON has not: blanks, bytes beyond ASCII, fractions. */
size_t scan_value(const char *text, size_t len);

struct scan_member {
	const char *key, *value;	/* the key without its quotes; the value as it stands */
	size_t key_len, value_len;
};

/* Is that its name? */
static inline bool
scan_is(const struct scan_member *member, const char *name)
{
	return member->key_len == strlen(name) && memcmp(member->key, name, member->key_len) == 0;
}

/* Walks the members of `{"key":value,…}`. */
struct scan {
	const char *at, *end;
	bool bad;			/* it is not such an object; then the walk ends early */
};
void scan_begin(struct scan *scan, const char *line, size_t len);
bool scan_next(struct scan *scan, struct scan_member *member);

/* What chain and writer want to know of a line (without its newline). */
struct scan_line {
	uint64_t seq;
	char time[AUDIT_TIME_LEN + 1];
	char op[ID_LEN + 1];
	unsigned stage;			/* enum audit_stage */
	char code[8];			/* empty when there is none */
	bool ok;			/* the member "result" ends in "status":"ok" */
	char prev[AUDIT_HASH_LEN + 1], hash[AUDIT_HASH_LEN + 1];
	size_t hash_at, hash_end;	/* where `"hash":"…",` stands: what the hash is not over */
};
/* False when the line is not an object in canonical form with all that the writer puts in. */
bool scan_line(const char *line, size_t len, struct scan_line *facts);

/* The second, UTC, that a time in the trail's form begins with (2026-11-23T19:50:12); -1: it is none. */
int64_t scan_second(const char *time);

/* SHA-256 over two pieces, as hex digits. */
void scan_hash(const char *first, size_t first_len, const char *second, size_t second_len,
    char hex[AUDIT_HASH_LEN + 1]);
/* Is `facts->hash` the hash of the rest of the line? */
bool scan_hash_right(const char *line, size_t len, const struct scan_line *facts);

#endif
