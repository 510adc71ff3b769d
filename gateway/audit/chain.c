/*
 * chain.c: lines of the trail, each holding the hash of the one before.
 */
#include "gateway/audit/chain.h"

#include <stdio.h>
#include <string.h>

#include "gateway/audit/clock.h"
#include "gateway/core/audit_wire.h"

/* The writer's own members, in order. The hash is put in last, when the rest is known. */
static const char *const own_keys[] = { "hash", "op", "prev", "seq", "stage", "time" };
enum { OWN_HASH, OWN_OP, OWN_PREV, OWN_SEQ, OWN_STAGE, OWN_TIME, NUM_OWN };

void
chain_init(struct chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	memcpy(chain->hash, AUDIT_HASH_ZERO, sizeof(chain->hash));
}

/* ---- checking ---- */

static int
compare_keys(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t shorter = a_len < b_len ? a_len : b_len;
	int order = memcmp(a, b, shorter);

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static bool
key_allowed(const struct audit_member *member)
{
	for (size_t i = 0; i < member->key_len; i++) {
		char c = member->key[i];

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_')
			return false;
	}
	for (size_t i = 0; i < NUM_OWN; i++)
		if (compare_keys(member->key, member->key_len, own_keys[i], strlen(own_keys[i])) == 0)
			return false;
	return true;
}

static bool
op_allowed(const uint8_t *op)
{
	for (size_t i = 0; i < ID_LEN; i++)
		if ((op[i] < '0' || op[i] > '9') && (op[i] < 'A' || op[i] > 'Z'))
			return false;
	return true;
}

bool
record_get(struct record *record, const uint8_t *body, size_t len)
{
	struct audit_member member, last = { 0 };
	const uint8_t *at;
	bool bad;

	if (len < AUDIT_WIRE_HEAD || body[0] != AUDIT_WIRE_RECORD || audit_stage_name(body[1]) == NULL ||
	    !op_allowed(body + 2))
		return false;
	record->stage = body[1];
	memcpy(record->op, body + 2, ID_LEN);
	record->op[ID_LEN] = '\0';
	record->members = at = body + AUDIT_WIRE_HEAD;
	record->end = body + len;
	while (audit_wire_next(&at, record->end, &member, &bad)) {
		if (!key_allowed(&member) || scan_value(member.value, member.value_len) != member.value_len)
			return false;
		if (last.key != NULL && compare_keys(last.key, last.key_len, member.key, member.key_len) >= 0)
			return false;
		last = member;
	}
	return !bad;
}

/* ---- adding ---- */

static void
next_time(const struct chain *chain, char text[AUDIT_TIME_LEN + 1])
{
	clock_text(clock_wall_us(), text);
	if (strcmp(text, chain->time) < 0)
		memcpy(text, chain->time, AUDIT_TIME_LEN + 1);
}

/* Adds `"key":value` with a comma before it, or the brace when it is the first. */
static int
add_member(struct buf *line, const char *key, size_t key_len, const char *value, size_t value_len)
{
	size_t len = key_len + value_len + 4;
	char *at = (char *)buf_room(line, len);

	if (at == NULL)
		return -1;
	*at++ = buf_len(line) == 0 ? '{' : ',';
	*at++ = '"';
	memcpy(at, key, key_len);
	at += key_len;
	*at++ = '"';
	*at++ = ':';
	memcpy(at, value, value_len);
	buf_added(line, len);
	return 0;
}

struct own_values {
	char text[NUM_OWN][AUDIT_HASH_LEN + 3];
};

static void
make_own(const struct chain *chain, const struct record *record, const char *time, struct own_values *own)
{
	own->text[OWN_HASH][0] = '\0';
	(void)snprintf(own->text[OWN_OP], sizeof(own->text[0]), "\"%s\"", record->op);
	(void)snprintf(own->text[OWN_PREV], sizeof(own->text[0]), "\"%s\"", chain->hash);
	(void)snprintf(own->text[OWN_SEQ], sizeof(own->text[0]), "%llu", (unsigned long long)chain->seq + 1);
	(void)snprintf(own->text[OWN_STAGE], sizeof(own->text[0]), "\"%s\"", audit_stage_name(record->stage));
	(void)snprintf(own->text[OWN_TIME], sizeof(own->text[0]), "\"%s\"", time);
}

/* All members in order but the hash; `*hash_at` is where it belongs, behind the comma or brace that stands there. */
static int
merge(const struct record *record, const struct own_values *own, struct buf *line, size_t *hash_at)
{
	struct audit_member member;
	const uint8_t *at = record->members;
	bool bad, more = audit_wire_next(&at, record->end, &member, &bad);

	for (size_t i = 0; i < NUM_OWN; i++) {
		size_t own_len = strlen(own_keys[i]);

		while (more && compare_keys(member.key, member.key_len, own_keys[i], own_len) < 0) {
			if (add_member(line, member.key, member.key_len, member.value, member.value_len) == -1)
				return -1;
			more = audit_wire_next(&at, record->end, &member, &bad);
		}
		if (i == OWN_HASH)
			*hash_at = buf_len(line) + 1;
		else if (add_member(line, own_keys[i], own_len, own->text[i], strlen(own->text[i])) == -1)
			return -1;
	}
	while (more) {
		if (add_member(line, member.key, member.key_len, member.value, member.value_len) == -1)
			return -1;
		more = audit_wire_next(&at, record->end, &member, &bad);
	}
	return buf_add(line, "}", 1);
}

int
chain_add(struct chain *chain, const struct record *record, struct buf *out)
{
	struct buf line = { 0 };
	struct own_values own;
	char time[AUDIT_TIME_LEN + 1], hash[AUDIT_HASH_LEN + 1], member[AUDIT_HASH_LEN + 16];
	const char *text;
	size_t hash_at = 0, len, member_len;
	int result = -1;
	uint8_t *room;

	next_time(chain, time);
	make_own(chain, record, time, &own);
	if (merge(record, &own, &line, &hash_at) == -1)
		goto out;
	text = (const char *)buf_head(&line);
	len = buf_len(&line);
	scan_hash(text, len, NULL, 0, hash);
	member_len = (size_t)snprintf(member, sizeof(member), "\"hash\":\"%s\",", hash);
	room = buf_room(out, len + member_len + 1);
	if (room == NULL)
		goto out;
	memcpy(room, text, hash_at);
	memcpy(room + hash_at, member, member_len);
	memcpy(room + hash_at + member_len, text + hash_at, len - hash_at);
	room[len + member_len] = '\n';
	buf_added(out, len + member_len + 1);
	chain->seq++;
	memcpy(chain->hash, hash, sizeof(chain->hash));
	memcpy(chain->time, time, sizeof(chain->time));
	result = 0;
out:
	buf_free(&line);
	return result;
}
