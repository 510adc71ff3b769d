/*
 * scan.c: lines of the trail, read without building anything.
 */
#include "gateway/audit/scan.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"

#define MAX_DEPTH 64

static bool
printable(char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* The four hex digits at `text`; -1: they are none. */
static int
hex4(const char *text, size_t len)
{
	int value = 0;

	for (size_t i = 0; i < 4; i++) {
		char c = i < len ? text[i] : '\0';

		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			value = value << 4 | ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* Length of the escape at `text`, which begins with its backslash; 0: it stands for no character, or for one that no text of C can have. */
static size_t
escape_len(const char *text, size_t len)
{
	int unit;

	if (len < 2)
		return 0;
	if (text[1] != 'u')
		return memchr("\"\\/bfnrt", text[1], 8) != NULL ? 2 : 0;
	unit = hex4(text + 2, len - 2);
	if (unit < 0xd800 || unit > 0xdfff)
		return unit > 0 ? 6 : 0;
	if (unit > 0xdbff || len < 12 || text[6] != '\\' || text[7] != 'u')
		return 0;
	unit = hex4(text + 8, len - 8);
	return unit >= 0xdc00 && unit <= 0xdfff ? 12 : 0;
}

/* Length of the string literal at `text`, with its quotes; 0 when it does not end, or is none. */
static size_t
string_len(const char *text, size_t len)
{
	size_t i = 1, step;

	if (len == 0 || text[0] != '"')
		return 0;
	for (; i < len && text[i] != '"'; i += step) {
		step = text[i] == '\\' ? escape_len(text + i, len - i) : printable(text[i]) ? 1 : 0;
		if (step == 0)
			return 0;
	}
	return i < len ? i + 1 : 0;
}

/* Length of a whole number that 64 bits hold, as the longest that is looked at here has 19 digits; 0 when there is none. */
static size_t
number_len(const char *text, size_t len)
{
	size_t sign = len > 0 && text[0] == '-', i = sign;

	while (i < len && text[i] >= '0' && text[i] <= '9')
		i++;
	if (i == sign || (text[sign] == '0' && i - sign > 1) || i - sign > 19)
		return 0;
	return i - sign == 19 && memcmp(text + sign, sign ? "9223372036854775808" : "9223372036854775807", 19) > 0 ? 0 : i;
}

/* Length of a number, true, false or null; 0 when it is none of them. */
static size_t
word_len(const char *text, size_t len)
{
	static const char *const words[] = { "null", "true", "false" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (len >= strlen(words[i]) && memcmp(text, words[i], strlen(words[i])) == 0)
			return strlen(words[i]);
	return number_len(text, len);
}

/* What may come next: a value, or the end of a list without one; a key, or the end of an object; behind a value a comma, or the end. */
enum next { NEXT_VALUE, NEXT_VALUE_OR_END, NEXT_KEY, NEXT_KEY_OR_END, NEXT_MORE };

/* Length of what there is other than brackets: a comma, a key with its colon, a string, a word. 0: it may not be there. */
static size_t
piece_len(const char *text, size_t len, bool in_object, enum next *next)
{
	size_t step;

	switch (*next) {
	case NEXT_MORE:
		*next = in_object ? NEXT_KEY : NEXT_VALUE;
		return text[0] == ',';
	case NEXT_KEY:
	case NEXT_KEY_OR_END:
		step = string_len(text, len);
		*next = NEXT_VALUE;
		return step > 0 && step < len && text[step] == ':' ? step + 1 : 0;
	default:
		*next = NEXT_MORE;
		return text[0] == '"' ? string_len(text, len) : word_len(text, len);
	}
}

size_t
scan_value(const char *text, size_t len)
{
	uint64_t objects = 0;		/* one bit a level: is it an object? */
	enum next next = NEXT_VALUE;
	unsigned depth = 0;

	for (size_t at = 0, step; at < len; at += step) {
		char c = text[at];

		step = 1;
		if (depth > 0 && c == ((objects & 1) != 0 ? '}' : ']') && next != NEXT_VALUE && next != NEXT_KEY) {
			objects >>= 1;
			depth--;
			next = NEXT_MORE;
		} else if ((c == '{' || c == '[') && (next == NEXT_VALUE || next == NEXT_VALUE_OR_END)) {
			if (depth++ == MAX_DEPTH)
				return 0;
			objects = objects << 1 | (c == '{');
			next = c == '{' ? NEXT_KEY_OR_END : NEXT_VALUE_OR_END;
		} else {
			step = piece_len(text + at, len - at, (objects & 1) != 0, &next);
			if (step == 0)
				return 0;
		}
		if (depth == 0 && next == NEXT_MORE)
			return at + step;
	}
	return 0;
}

void
scan_begin(struct scan *scan, const char *line, size_t len)
{
	scan->bad = len < 2 || line[0] != '{' || line[len - 1] != '}';
	scan->at = scan->bad ? line : line + 1;
	scan->end = scan->bad ? line : line + len - 1;
}

bool
scan_next(struct scan *scan, struct scan_member *member)
{
	size_t left, key;

	if (scan->bad || scan->at == scan->end)
		return false;
	left = (size_t)(scan->end - scan->at);
	scan->bad = true;
	key = string_len(scan->at, left);
	if (key < 3 || left < key + 2 || scan->at[key] != ':')
		return false;
	member->key = scan->at + 1;
	member->key_len = key - 2;
	member->value = scan->at + key + 1;
	member->value_len = scan_value(member->value, left - key - 1);
	if (member->value_len == 0)
		return false;
	scan->at = member->value + member->value_len;
	if (scan->at != scan->end) {
		if (*scan->at != ',' || scan->at + 1 == scan->end)
			return false;
		scan->at++;
	}
	scan->bad = false;
	return true;
}

/* ---- the members that the writer puts in ---- */

/* A string of exactly `want` plain characters (no escapes) into `out`, which has room for one more. */
static bool
take_string(const struct scan_member *member, char *out, size_t want)
{
	if (member->value_len != want + 2 || member->value[0] != '"' || memchr(member->value, '\\', member->value_len) != NULL)
		return false;
	memcpy(out, member->value + 1, want);
	out[want] = '\0';
	return true;
}

static bool
take_hash(const struct scan_member *member, char *out)
{
	return take_string(member, out, AUDIT_HASH_LEN) && strspn(out, "0123456789abcdef") == AUDIT_HASH_LEN;
}

static bool
take_seq(const struct scan_member *member, uint64_t *seq)
{
	if (member->value_len > 18 || member->value[0] == '0')
		return false;
	*seq = 0;
	for (size_t i = 0; i < member->value_len; i++) {
		if (member->value[i] < '0' || member->value[i] > '9')
			return false;
		*seq = *seq * 10 + (uint64_t)(member->value[i] - '0');
	}
	return true;
}

static bool
take_stage(const struct scan_member *member, unsigned *stage)
{
	char name[16];

	if (member->value_len < 2 || member->value_len - 2 >= sizeof(name) ||
	    !take_string(member, name, member->value_len - 2))
		return false;
	*stage = audit_stage_find(name);
	return *stage != 0;
}

enum { HAS_SEQ = 1, HAS_TIME = 2, HAS_OP = 4, HAS_STAGE = 8, HAS_PREV = 16, HAS_HASH = 32, HAS_ALL = 63 };

/* Of the result's members the status is the last. */
static bool
ends_ok(const struct scan_member *member)
{
	static const char end[] = "\"status\":\"ok\"}";
	size_t len = sizeof(end) - 1;

	return member->value_len > len && memcmp(member->value + member->value_len - len, end, len) == 0;
}

/* Takes the member when it is one of ours; false when it is, and malformed or there for the second time. */
static bool
take_member(const struct scan_member *member, struct scan_line *facts, unsigned *has)
{
	static const struct { const char *key; unsigned bit; } ours[] = {
		{ "seq", HAS_SEQ }, { "time", HAS_TIME }, { "op", HAS_OP }, { "stage", HAS_STAGE }, { "prev", HAS_PREV },
		{ "hash", HAS_HASH }
	};
	unsigned bit = 0;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (scan_is(member, ours[i].key))
			bit = ours[i].bit;
	if ((*has & bit) != 0)
		return false;
	*has |= bit;
	switch (bit) {
	case HAS_SEQ:
		return take_seq(member, &facts->seq);
	case HAS_TIME:
		return take_string(member, facts->time, AUDIT_TIME_LEN);
	case HAS_OP:
		return take_string(member, facts->op, ID_LEN);
	case HAS_STAGE:
		return take_stage(member, &facts->stage);
	case HAS_PREV:
		return take_hash(member, facts->prev);
	case HAS_HASH:
		return take_hash(member, facts->hash);
	default:
		if (scan_is(member, "code"))
			(void)take_string(member, facts->code, sizeof(facts->code) - 1);
		else if (scan_is(member, "result"))
			facts->ok = ends_ok(member);
		return true;
	}
}

bool
scan_line(const char *line, size_t len, struct scan_line *facts)
{
	struct scan_member member;
	struct scan scan;
	unsigned has = 0;

	memset(facts, 0, sizeof(*facts));
	scan_begin(&scan, line, len);
	while (scan_next(&scan, &member)) {
		if (!take_member(&member, facts, &has))
			return false;
		if (scan_is(&member, "hash")) {	/* with the quote before the key and the comma behind the value */
			facts->hash_at = (size_t)(member.key - line) - 1;
			facts->hash_end = (size_t)(member.value - line) + member.value_len + 1;
		}
	}
	return !scan.bad && has == HAS_ALL && facts->hash_end < len;
}

int64_t
scan_second(const char *time)
{
	struct tm tm = { .tm_isdst = 0 };

	if (sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm);
}

/* ---- hashes ---- */

void
scan_hash(const char *first, size_t first_len, const char *second, size_t second_len,
    char hex[AUDIT_HASH_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	static EVP_MD_CTX *context;
	static EVP_MD *sha256;
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (context == NULL) {		/* once a process: fetching costs more than hashing a record */
		context = EVP_MD_CTX_new();
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	}
	if (context == NULL || sha256 == NULL || EVP_DigestInit_ex(context, sha256, NULL) != 1 ||
	    EVP_DigestUpdate(context, first, first_len) != 1 || EVP_DigestUpdate(context, second, second_len) != 1 ||
	    EVP_DigestFinal_ex(context, digest, NULL) != 1)
		log_fatal("SHA-256 does not work");
	for (size_t i = 0; i < AUDIT_HASH_LEN / 2; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[AUDIT_HASH_LEN] = '\0';
}

bool
scan_hash_right(const char *line, size_t len, const struct scan_line *facts)
{
	char hex[AUDIT_HASH_LEN + 1];

	scan_hash(line, facts->hash_at, line + facts->hash_end, len - facts->hash_end, hex);
	return strcmp(hex, facts->hash) == 0;
}
