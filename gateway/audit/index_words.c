/*
 * index_words.c: what of a record is in the index: its words, and what else a filter can be about.
 */
#include "gateway/audit/index_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD	4096u		/* bytes; a longer one is INDEX_LONG_WORD */

int64_t
audit_index_op(const char *op)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	int64_t value = 0;

	/* 48 bits of time and ten at random: ops of one time are neighbours, and few are taken for each other. */
	for (size_t i = 0; i < 12 && op[i] != '\0'; i++) {
		const char *at = strchr(digits, op[i]);

		value = value << 5 | (at == NULL ? 0 : at - digits);
	}
	return value;
}

unsigned
audit_index_status(const char *status, size_t len)
{
	static const char *const known[] = { "ok", "error", "denied", "unknown" };

	if (len == 0)
		return 0;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == len && memcmp(known[i], status, len) == 0)
			return i + 1;
	return 7;
}

/* ---- words ---- */

static bool
write_count(struct audit_index *index, struct index_cached *cached)
{
	sqlite3_stmt *statement = audit_index_prepared(index, COUNT_WORD);
	bool written = cached->added == 0 || (statement != NULL && sqlite3_bind_int64(statement, 1, cached->added) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 2, cached->id) == SQLITE_OK && audit_index_done(statement));

	cached->added = 0;
	return written;
}

bool
audit_index_write_counts(struct audit_index *index)
{
	for (size_t i = 0; i < INDEX_NUM_CACHED; i++)
		if (index->cache[i].text != NULL && !write_count(index, &index->cache[i]))
			return false;
	return true;
}

void
audit_index_forget_words(struct audit_index *index)
{
	for (size_t i = 0; i < INDEX_NUM_CACHED; i++) {
		free(index->cache[i].text);
		index->cache[i] = (struct index_cached){ .text = NULL };
	}
}

static uint32_t
hash_of(int kind, const char *text, size_t len)
{
	uint32_t hash = 2166136261u + (uint32_t)kind;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	return hash;
}

static bool
bind_word(sqlite3_stmt *statement, int kind, const char *text, size_t len)
{
	return statement != NULL && sqlite3_bind_int(statement, 1, kind) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 2, text, (int)len, SQLITE_STATIC) == SQLITE_OK;
}

/* Its id, which is made where there is none; counts it. 0: the database failed. */
static int64_t
word_id(struct audit_index *index, int kind, const char *text, size_t len)
{
	struct index_cached *cached = &index->cache[hash_of(kind, text, len) & (INDEX_NUM_CACHED - 1)];
	sqlite3_stmt *statement;
	int64_t id = 0;

	if (cached->text != NULL && cached->kind == kind && cached->len == len && memcmp(cached->text, text, len) == 0) {
		cached->added++;
		return cached->id;
	}
	if (cached->text != NULL && !write_count(index, cached))
		return 0;
	free(cached->text);
	*cached = (struct index_cached){ .text = NULL };
	statement = audit_index_prepared(index, GET_WORD);
	if (!bind_word(statement, kind, text, len))
		return 0;
	if (sqlite3_step(statement) == SQLITE_ROW)
		id = sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	if (id == 0) {
		statement = audit_index_prepared(index, PUT_WORD);
		if (!bind_word(statement, kind, text, len) || !audit_index_done(statement))
			return 0;
		id = sqlite3_last_insert_rowid(index->db);
	}
	cached->text = malloc(len);
	if (cached->text != NULL) {
		memcpy(cached->text, text, len);
		*cached = (struct index_cached){ .text = cached->text, .len = len, .kind = kind, .id = id, .added = 1 };
	}
	return id;
}

/* ---- records ---- */

/* What of a record is a word: these members of it, as an object of its own. Sorted, as in the record. */
static const char *const members[INDEX_NUM_KINDS][4] = {
	[INDEX_USER] = { "by", "user" }, [INDEX_OBJECT] = { "object" }, [INDEX_WHAT] = { "call", "code", "event" },
};

/* Words of a record under way. */
struct words {
	char text[INDEX_NUM_KINDS][MAX_WORD];
	size_t len[INDEX_NUM_KINDS];	/* MAX_WORD: too long */
};

static void
add_member(struct words *words, const struct scan_member *member)
{
	for (int kind = 0; kind < INDEX_NUM_KINDS; kind++) {
		for (size_t i = 0; i < 4 && members[kind][i] != NULL; i++) {
			size_t *len = &words->len[kind], more = member->key_len + member->value_len + 4;

			if (!scan_is(member, members[kind][i]))
				continue;
			if (*len + more + 2 > MAX_WORD) {
				*len = MAX_WORD;
				return;
			}
			*len += (size_t)snprintf(words->text[kind] + *len, MAX_WORD - *len, "%c\"%.*s\":%.*s", *len == 0 ? '{' : ',',
			    (int)member->key_len, member->key, (int)member->value_len, member->value);
			return;
		}
	}
}

/* The string member `key` of an object, without its quotes; an empty one where there is none. */
static struct scan_member
string_in(const struct scan_member *object, const char *key)
{
	struct scan_member member;
	struct scan scan;

	scan_begin(&scan, object->value, object->value_len);
	while (scan_next(&scan, &member)) {
		if (scan_is(&member, key) && member.value_len >= 2 && member.value[0] == '"') {
			member.value++;
			member.value_len -= 2;
			return member;
		}
	}
	return (struct scan_member){ .value = "", .value_len = 0 };
}

/* It tells what became of another operation. */
static bool
put_later(struct audit_index *index, const struct scan_line *facts, const struct scan_member *of)
{
	sqlite3_stmt *statement = audit_index_prepared(index, PUT_LATER);
	char op[ID_LEN + 1] = "";

	if (of->value_len == ID_LEN + 2)
		memcpy(op, of->value + 1, ID_LEN);
	return statement != NULL && sqlite3_bind_int64(statement, 1, audit_index_op(op)) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 2, (int64_t)facts->seq) == SQLITE_OK && audit_index_done(statement);
}

/* Is the record earlier than the one before? */
static bool
put_turn(struct audit_index *index, uint64_t seq, int64_t second)
{
	bool turns = second < index->last_second;
	sqlite3_stmt *statement = turns ? audit_index_prepared(index, PUT_TURN) : NULL;

	index->last_second = second;
	return !turns || (statement != NULL && sqlite3_bind_int64(statement, 1, (int64_t)seq) == SQLITE_OK && audit_index_done(statement));
}

bool
audit_index_put(struct audit_index *index, const struct audit_line *line, const struct scan_line *facts)
{
	static struct words words;
	int64_t values[9] = { (int64_t)facts->seq, audit_place_pack(line->segment, line->offset), (int64_t)line->len, scan_second(facts->time),
		[8] = audit_index_op(facts->op) };
	struct scan_member member, text;
	sqlite3_stmt *statement;
	struct scan scan;
	int64_t mark = (int64_t)(facts->stage & MARK_STAGE);

	memset(words.len, 0, sizeof(words.len));
	scan_begin(&scan, line->text, line->len);
	while (scan_next(&scan, &member)) {
		add_member(&words, &member);
		if (scan_is(&member, "result")) {
			text = string_in(&member, "status");
			mark |= (int64_t)audit_index_status(text.value, text.value_len) << MARK_STATUS_SHIFT;
		} else if (scan_is(&member, "of")) {
			if (!put_later(index, facts, &member))
				return false;
		} else if (scan_is(&member, "decision")) {
			text = string_in(&member, "verdict");
			if (text.value_len == 10 && memcmp(text.value, "would-deny", 10) == 0)
				mark |= MARK_WOULD_DENY;
		}
	}
	for (int kind = 0; kind < INDEX_NUM_KINDS; kind++) {
		size_t *len = &words.len[kind];

		if (*len == 0)
			words.text[kind][(*len)++] = '{';
		if (*len < MAX_WORD)
			words.text[kind][(*len)++] = '}';
		values[4 + kind] = *len >= MAX_WORD ? INDEX_LONG_WORD : word_id(index, kind, words.text[kind], *len);
		if (values[4 + kind] == 0)
			return false;
	}
	values[7] = mark;
	if (!put_turn(index, facts->seq, values[3]))
		return false;
	statement = audit_index_prepared(index, PUT_RECORD);
	for (int i = 0; statement != NULL && i < 9; i++)
		if (sqlite3_bind_int64(statement, i + 1, values[i]) != SQLITE_OK)
			return false;
	return statement != NULL && audit_index_done(statement);
}
