/*
 * audit_wire.c: canonical JSON, and records as they travel to the audit process.
 */
#include "gateway/core/audit_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "gateway/core/audit_client.h"
#include "gateway/core/link.h"

#define MAX_MEMBERS	64
#define MAX_DEPTH	12

static const char *const stages[] = { NULL, "intent", "outcome", "event" };

const char *
audit_stage_name(unsigned stage)
{
	return stage < sizeof(stages) / sizeof(stages[0]) ? stages[stage] : NULL;
}

unsigned
audit_stage_find(const char *name)
{
	for (unsigned i = AUDIT_STAGE_INTENT; i <= AUDIT_STAGE_EVENT; i++)
		if (strcmp(stages[i], name) == 0)
			return i;
	return 0;
}

/* A number with a fraction as the shortest text that gives it back: printers differ about such numbers. */
static json_t *
real_as_string(double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return json_string(text);
}

/* What stands for a value that canonical JSON cannot tell; NULL when it can, or when memory is out (`*failed`). */
static json_t *
replacement(const json_t *value, bool *failed)
{
	json_t *other;

	if (json_is_real(value))
		other = real_as_string(json_real_value(value));
	else if (json_is_string(value) && !audit_utf8_valid(json_string_value(value), json_string_length(value)))
		other = audit_text(json_string_value(value), json_string_length(value));
	else
		return NULL;
	if (other == NULL)
		*failed = true;
	return other;
}

static int
rename_member(json_t *object, const char *key, json_t *value)
{
	json_t *name = audit_text(key, strlen(key));
	int result = name != NULL ? json_object_set(object, json_string_value(name), value) : -1;

	json_decref(name);
	return result == -1 ? -1 : json_object_del(object, key);
}

/* Replaces below `value` what canonical JSON cannot tell; the depth is that of our own records. */
static int
make_plain(json_t *value, int depth)
{
	json_t *child, *other;
	const char *key;
	void *next;
	size_t i;
	bool failed = false;

	if (depth > MAX_DEPTH)
		return -1;
	json_object_foreach_safe(value, next, key, child) {
		if ((other = replacement(child, &failed)) != NULL) {
			failed = json_object_set_new_nocheck(value, key, other) == -1;
			child = json_object_get(value, key);
		}
		if (failed || make_plain(child, depth + 1) == -1)
			return -1;
		if (!audit_utf8_valid(key, strlen(key)) && rename_member(value, key, child) == -1)
			return -1;
	}
	json_array_foreach(value, i, child) {
		if ((other = replacement(child, &failed)) != NULL)
			failed = json_array_set_new(value, i, other) == -1;
		if (failed || make_plain(json_array_get(value, i), depth + 1) == -1)
			return -1;
	}
	return 0;
}

/* jansson prints \u001F and a raw DEL where Python prints \u001f and \u007f; adds `text` in the latter way. */
static int
add_lower_case(struct buf *out, const char *text)
{
	const char *from = text;

	while (*text != '\0') {
		if (*text == 0x7f) {
			if (buf_add(out, from, (size_t)(text - from)) == -1 || buf_add(out, "\\u007f", 6) == -1)
				return -1;
			from = ++text;
		} else if (text[0] == '\\' && text[1] == 'u') {
			char escape[6] = { '\\', 'u' };

			if (buf_add(out, from, (size_t)(text - from)) == -1)
				return -1;
			for (int i = 2; i < 6; i++)
				escape[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
			if (buf_add(out, escape, sizeof(escape)) == -1)
				return -1;
			from = text += 6;
		} else {
			text += text[0] == '\\' ? 2 : 1;
		}
	}
	return buf_add(out, from, (size_t)(text - from));
}

int
audit_canonical(struct buf *out, json_t *value)
{
	bool failed = false;
	json_t *other = replacement(value, &failed);
	char *text;
	int result;

	if (other != NULL) {
		result = audit_canonical(out, other);
		json_decref(other);
		return result;
	}
	if (failed || make_plain(value, 0) == -1)
		return -1;
	text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	if (text == NULL)
		return -1;
	result = add_lower_case(out, text);
	free(text);
	return result;
}

/* ---- cutting what is too long ---- */

static size_t
text_len(const json_t *value)
{
	return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
}

/* { "cut_bytes": …, "cut_sha256": … } of the canonical text of `value`. */
static json_t *
cut_marker(json_t *value)
{
	struct buf text = { 0 };
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[65];
	json_t *marker = NULL;

	if (audit_canonical(&text, value) == -1 ||
	    EVP_Digest(buf_head(&text), buf_len(&text), digest, NULL, EVP_sha256(), NULL) != 1)
		goto out;
	for (int i = 0; i < 32; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	marker = json_pack("{s:I, s:s}", "cut_bytes", (json_int_t)buf_len(&text), "cut_sha256", hex);
out:
	buf_free(&text);
	return marker;
}

/* Replaces every value of `object` that is longer than `limit`; objects are looked into when `into` says so. */
static int
cut_longer(json_t *object, size_t limit, bool into)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value) {
		if (text_len(value) <= limit)
			continue;
		if (into && json_is_object(value)) {
			if (cut_longer(value, limit, false) == -1)
				return -1;
		} else if (json_object_set_new(object, key, cut_marker(value)) == -1) {
			return -1;
		}
	}
	return 0;
}

/* The longest single values go first, whole objects only when they consist of many small ones. */
static int
shorten(json_t *record, size_t max)
{
	static const struct { size_t limit; bool into; } steps[] = {
		{ 32768, true }, { 8192, true }, { 2048, true }, { 512, true }, { 1024, false }, { 256, false }
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (text_len(record) <= max)
			return 0;
		if (cut_longer(record, steps[i].limit, steps[i].into) == -1)
			return -1;
	}
	return 0;
}

/* ---- the wire ---- */

int
audit_wire_member(struct buf *out, const char *key, const void *value, size_t len)
{
	size_t key_len = strlen(key);
	uint8_t head[1] = { (uint8_t)key_len };
	uint8_t length[4] = { (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16), (uint8_t)(len >> 24) };

	if (key_len == 0 || key_len > AUDIT_KEY_MAX || len > UINT32_MAX)
		return -1;
	if (buf_add(out, head, 1) == -1 || buf_add(out, key, key_len) == -1 || buf_add(out, length, 4) == -1)
		return -1;
	return buf_add(out, value, len);
}

bool
audit_wire_next(const uint8_t **at, const uint8_t *end, struct audit_member *member, bool *bad)
{
	const uint8_t *p = *at;
	size_t left = (size_t)(end - p), key_len, value_len;

	*bad = false;
	if (left == 0)
		return false;
	*bad = true;
	key_len = p[0];
	if (key_len == 0 || key_len > AUDIT_KEY_MAX || left < 1 + key_len + 4)
		return false;
	member->key = (const char *)p + 1;
	member->key_len = key_len;
	p += 1 + key_len;
	value_len = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
	p += 4;
	if (value_len == 0 || value_len > (size_t)(end - p))
		return false;
	member->value = (const char *)p;
	member->value_len = value_len;
	*at = p + value_len;
	*bad = false;
	return true;
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
add_members(struct buf *out, json_t *record)
{
	const char *keys[MAX_MEMBERS];
	struct buf text = { 0 };
	const char *key;
	json_t *value;
	size_t num = 0;
	int result = 0;

	json_object_foreach(record, key, value) {
		if (strcmp(key, "op") == 0 || strcmp(key, "stage") == 0)
			continue;		/* these travel in the head */
		if (num == MAX_MEMBERS)
			return -1;
		keys[num++] = key;
	}
	qsort(keys, num, sizeof(keys[0]), compare_keys);
	for (size_t i = 0; i < num && result == 0; i++) {
		result = audit_canonical(&text, json_object_get(record, keys[i]));
		if (result == 0)
			result = audit_wire_member(out, keys[i], buf_head(&text), buf_len(&text));
		buf_drop(&text, buf_len(&text));
	}
	buf_free(&text);
	return result;
}

int
audit_wire_record(struct buf *out, json_t *record)
{
	/* Few records are too long. What the text grows by on the wire and by escapes is not known before: so twice. */
	static const size_t limits[] = { SIZE_MAX, LINK_MAX_BODY - 2048, LINK_MAX_BODY / 8 };
	const char *op = json_string_value(json_object_get(record, "op"));
	const char *stage_name = json_string_value(json_object_get(record, "stage"));
	unsigned stage = stage_name != NULL ? audit_stage_find(stage_name) : 0;
	uint8_t head[2] = { AUDIT_WIRE_RECORD, (uint8_t)stage };

	if (op == NULL || strlen(op) != ID_LEN || stage == 0 || make_plain(record, 0) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		buf_drop(out, buf_len(out));
		if (limits[i] != SIZE_MAX && shorten(record, limits[i]) == -1)
			return -1;
		if (buf_add(out, head, sizeof(head)) == -1 || buf_add(out, op, ID_LEN) == -1 ||
		    add_members(out, record) == -1)
			return -1;
		if (buf_len(out) <= LINK_MAX_BODY)
			return 0;
	}
	return -1;
}
