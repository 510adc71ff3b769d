/*
 * query.c: asking the index. Of the words that a filter names the rarest lead: the rows of each are in order of seq, and are merged. The other filters
 * are tried on the row. Where nothing names few rows, all between the bounds are looked at.
 */
#include "gateway/audit/query.h"
#include "gateway/audit/index_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LEADERS 64u		/* words whose rows are merged; more of them, and all rows are looked at */
#define ROWS_A_TURN 2048u

/* Ids of the words that a filter names, sorted. */
struct set {
	bool used;
	int64_t *ids;
	size_t num, room;
	int64_t rows;			/* that have one of them */
};

struct leader {
	sqlite3_stmt *statement;
	bool row;			/* it stands on one */
	int64_t seq;			/* of it */
};

struct audit_cursor {
	struct audit_index *index;
	const struct audit_query *query;
	struct set sets[INDEX_NUM_KINDS];
	struct leader leaders[MAX_LEADERS];
	size_t num_leaders;
	unsigned marks;			/* set of results that may match, bit by status; 0: any */
	bool would_deny;		/* or what would have been denied */
	unsigned stage;			/* 0: any */
	int64_t since, until;		/* seconds, both included */
};

static int
fail(struct audit_index *index, struct vg_error *error)
{
	return vg_fail(error, "the index: %s", sqlite3_errmsg(audit_index_db(index)));
}

/* ---- words ---- */

/* The longest run of plain characters in a pattern: every text that it matches has it, also as JSON. */
static void
plain_part(const char *pattern, char *out, size_t size)
{
	size_t best = 0, len;

	out[0] = '\0';
	for (; *pattern != '\0'; pattern += len + (pattern[len] != '\0')) {
		len = strspn(pattern, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-");
		if (len > best && len < size) {
			best = len;
			memcpy(out, pattern, len);
			out[len] = '\0';
		}
	}
}

/* Does a record with this word match, as far as the word says something? */
static bool
word_matches(const struct audit_query *query, enum index_kind kind, const char *text)
{
	static struct audit_fields word;
	const struct audit_match *match = query->match;
	struct audit_match only = { .user = kind == INDEX_USER ? match->user : NULL, .object = kind == INDEX_OBJECT ? match->object : NULL,
		.code = kind == INDEX_WHAT && !query->any_code ? match->code : NULL, .event = kind == INDEX_WHAT ? match->event : NULL,
		.call = kind == INDEX_WHAT ? match->call : NULL };

	return !audit_fields_read(&word, text, strlen(text)) || audit_match(&only, &word);
}

static bool
add_id(struct set *set, int64_t id)
{
	if (set->num == set->room) {
		size_t room = set->room == 0 ? 64 : set->room * 2;
		int64_t *more = room > SIZE_MAX / sizeof(*more) ? NULL : realloc(set->ids, room * sizeof(*more));

		if (more == NULL)
			return false;
		set->ids = more;
		set->room = room;
	}
	set->ids[set->num++] = id;
	return true;
}

static int
fill_set(struct audit_cursor *cursor, enum index_kind kind, const char *pattern, struct vg_error *error)
{
	struct set *set = &cursor->sets[kind];
	sqlite3_stmt *statement = NULL;
	char plain[256];
	int result;

	plain_part(pattern, plain, sizeof(plain));
	set->used = true;
	if (!add_id(set, INDEX_LONG_WORD))
		return vg_fail(error, "out of memory");
	if (sqlite3_prepare_v2(audit_index_db(cursor->index), "SELECT id, text, num FROM word WHERE kind = ? AND (? = '' OR instr(text, ?) > 0) ORDER BY id", -1,
	    &statement, NULL) != SQLITE_OK || sqlite3_bind_int(statement, 1, (int)kind) != SQLITE_OK ||
	    sqlite3_bind_text(statement, 2, plain, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_bind_text(statement, 3, plain, -1, SQLITE_STATIC) != SQLITE_OK) {
		sqlite3_finalize(statement);
		return fail(cursor->index, error);
	}
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 1);

		if (text == NULL || !word_matches(cursor->query, kind, text))
			continue;
		set->rows += sqlite3_column_int64(statement, 2);
		if (!add_id(set, sqlite3_column_int64(statement, 0))) {
			result = SQLITE_NOMEM;
			break;
		}
	}
	sqlite3_finalize(statement);
	return result == SQLITE_DONE ? 0 : fail(cursor->index, error);
}

static bool
has_id(const struct set *set, int64_t id)
{
	size_t from = 0, to = set->num;

	if (!set->used)
		return true;
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (set->ids[middle] == id)
			return true;
		if (set->ids[middle] < id)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

/* ---- bounds ---- */

/* The second that the beginning of a time stands for: its first, or its last. */
static int64_t
second_of(const char *text, bool last)
{
	char whole[] = "0000-01-01T00:00:00";
	size_t len = strlen(text);
	int64_t second;

	if (last)
		memcpy(whole + 10, "T23:59:59", 9);
	if (len > sizeof(whole) - 1)
		len = sizeof(whole) - 1;
	memcpy(whole, text, len);
	if (last && len == 12 && whole[11] != '2')	/* "…T1": up to 19:59:59 */
		whole[12] = '9';
	second = scan_second(whole);
	return second == -1 && last ? INT64_MAX : second;
}

static int64_t
one_number(struct audit_index *index, const char *sql, int64_t bound, bool *found)
{
	sqlite3_stmt *statement = NULL;
	int64_t number = 0;

	*found = sqlite3_prepare_v2(audit_index_db(index), sql, -1, &statement, NULL) == SQLITE_OK &&
	    (sqlite3_bind_parameter_count(statement) == 0 || sqlite3_bind_int64(statement, 1, bound) == SQLITE_OK) &&
	    sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL;
	if (*found)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

/* The first seq from `low` on whose second is this one or later, times rising; `high` where there is none. */
static int64_t
first_at(struct audit_index *index, int64_t second, int64_t low, int64_t high)
{
	static const char of[] = "SELECT second FROM record WHERE seq >= ? ORDER BY seq LIMIT 1";
	bool found;

	while (low < high) {
		int64_t middle = low + (high - low) / 2, at = one_number(index, of, middle, &found);

		if (found && at < second)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* All that is between two times: from the first to the last such record, whatever the clock did in between; rows are asked for their second too. */
static void
find_times(struct audit_cursor *cursor, int64_t *least, int64_t *most)
{
	static const char next_turn[] = "SELECT min(seq) FROM turn WHERE seq > ?";
	struct audit_index *index = cursor->index;
	bool found, more = true;
	int64_t begin = one_number(index, "SELECT min(seq) FROM record", 0, &found);
	int64_t behind = one_number(index, "SELECT max(seq) FROM record", 0, &found) + 1;

	*least = INT64_MAX;
	*most = -1;
	while (more) {
		int64_t end = one_number(index, next_turn, begin, &more), from, to;

		if (!more)
			end = behind;
		from = first_at(index, cursor->since, begin, end);
		to = cursor->until == INT64_MAX ? end : first_at(index, cursor->until + 1, from, end);
		if (from < to) {
			*least = from < *least ? from : *least;
			*most = to - 1;
		}
		begin = end;
	}
}

static void
find_bounds(struct audit_cursor *cursor, int64_t *least, int64_t *most)
{
	const struct audit_query *query = cursor->query;
	int64_t from, to;

	*least = query->after < INT64_MAX ? (int64_t)query->after + 1 : INT64_MAX;
	*most = query->before == 0 || query->before > INT64_MAX ? INT64_MAX : (int64_t)query->before - 1;
	if (cursor->since == INT64_MIN && cursor->until == INT64_MAX)
		return;
	find_times(cursor, &from, &to);
	*least = from > *least ? from : *least;
	*most = to < *most ? to : *most;
}

/* ---- leaders ---- */

static int
add_leader(struct audit_cursor *cursor, const char *where, int64_t id, int64_t least, int64_t most, struct vg_error *error)
{
	struct leader *leader = &cursor->leaders[cursor->num_leaders];
	char sql[256];

	(void)snprintf(sql, sizeof(sql), "SELECT " INDEX_COLUMNS " FROM record WHERE %s seq BETWEEN ?1 AND ?2 ORDER BY seq%s", where,
	    cursor->query->newest_first ? " DESC" : "");
	if (sqlite3_prepare_v2(audit_index_db(cursor->index), sql, -1, &leader->statement, NULL) != SQLITE_OK)
		return fail(cursor->index, error);
	cursor->num_leaders++;
	if (sqlite3_bind_int64(leader->statement, 1, least) != SQLITE_OK || sqlite3_bind_int64(leader->statement, 2, most) != SQLITE_OK ||
	    (where[0] != '\0' && sqlite3_bind_int64(leader->statement, 3, id) != SQLITE_OK))
		return fail(cursor->index, error);
	return 0;
}

/* The set that leads: few words, and the fewest rows. NULL: none. */
static const struct set *
choose(const struct audit_cursor *cursor, enum index_kind *kind)
{
	const struct set *best = NULL;

	for (unsigned i = 0; i < INDEX_NUM_KINDS; i++) {
		const struct set *set = &cursor->sets[i];

		if (!set->used || set->num > MAX_LEADERS || (best != NULL && best->rows <= set->rows))
			continue;
		best = set;
		*kind = (enum index_kind)i;
	}
	return best;
}

static int
step(struct audit_cursor *cursor, struct leader *leader, struct vg_error *error)
{
	int result = sqlite3_step(leader->statement);

	leader->row = result == SQLITE_ROW;
	if (leader->row)
		leader->seq = sqlite3_column_int64(leader->statement, 0);
	return leader->row || result == SQLITE_DONE ? 0 : fail(cursor->index, error);
}

static int
start(struct audit_cursor *cursor, struct vg_error *error)
{
	static const char *const wheres[INDEX_NUM_KINDS] = { "user = ?3 AND", "object = ?3 AND", "what = ?3 AND" };
	enum index_kind kind = INDEX_USER;
	const struct set *set = choose(cursor, &kind);
	int64_t least, most;

	find_bounds(cursor, &least, &most);
	for (size_t i = 0; set != NULL && i < set->num; i++)
		if (add_leader(cursor, wheres[kind], set->ids[i], least, most, error) < 0)
			return -1;
	if (set == NULL && add_leader(cursor, "", 0, least, most, error) < 0)
		return -1;
	for (size_t i = 0; i < cursor->num_leaders; i++)
		if (step(cursor, &cursor->leaders[i], error) < 0)
			return -1;
	return 0;
}

struct audit_cursor *
audit_query_open(struct audit_index *index, const struct audit_query *query, struct vg_error *error)
{
	const struct audit_match *match = query->match;
	struct audit_cursor *cursor = calloc(1, sizeof(*cursor));
	const char *what = match->call != NULL ? match->call : match->event != NULL ? match->event : query->any_code ? NULL : match->code;

	if (cursor == NULL) {
		vg_fail(error, "out of memory");
		return NULL;
	}
	cursor->index = index;
	cursor->query = query;
	cursor->since = match->since[0] == '\0' ? INT64_MIN : second_of(match->since, false);
	cursor->until = match->until[0] == '\0' ? INT64_MAX : second_of(match->until, true);
	if (match->result != NULL && !query->any_result) {
		cursor->marks = 1u << audit_index_status(match->result, strlen(match->result)) | 1u << 7;
		cursor->would_deny = strcmp(match->result, "would-deny") == 0;
	}
	for (unsigned i = 0; match->stage != NULL && i < 3; i++)
		if (strcmp(match->stage, audit_match_stages[i]) == 0)
			cursor->stage = i + 1;
	if ((match->user != NULL && fill_set(cursor, INDEX_USER, match->user, error) < 0) ||
	    (match->object != NULL && fill_set(cursor, INDEX_OBJECT, match->object, error) < 0) ||
	    (what != NULL && fill_set(cursor, INDEX_WHAT, what, error) < 0) || start(cursor, error) < 0) {
		audit_query_close(cursor);
		return NULL;
	}
	return cursor;
}

void
audit_query_close(struct audit_cursor *cursor)
{
	if (cursor == NULL)
		return;
	for (size_t i = 0; i < cursor->num_leaders; i++)
		sqlite3_finalize(cursor->leaders[i].statement);
	for (size_t i = 0; i < INDEX_NUM_KINDS; i++)
		free(cursor->sets[i].ids);
	free(cursor);
}

/* ---- rows ---- */

static struct leader *
foremost(struct audit_cursor *cursor)
{
	struct leader *best = NULL;

	for (size_t i = 0; i < cursor->num_leaders; i++) {
		struct leader *leader = &cursor->leaders[i];

		if (leader->row && (best == NULL || (leader->seq < best->seq) != cursor->query->newest_first))
			best = leader;
	}
	return best;
}

static bool
may_match(const struct audit_cursor *cursor, sqlite3_stmt *row)
{
	int64_t mark = sqlite3_column_int64(row, 6), second = sqlite3_column_int64(row, 7);
	unsigned status = ((unsigned)mark & MARK_STATUS) >> MARK_STATUS_SHIFT;

	if (second < cursor->since || second > cursor->until)
		return false;
	if (cursor->stage != 0 && ((unsigned)mark & MARK_STAGE) != cursor->stage)
		return false;
	if (cursor->marks != 0 && (cursor->marks >> status & 1) == 0 && !(cursor->would_deny && (mark & MARK_WOULD_DENY) != 0))
		return false;
	return has_id(&cursor->sets[INDEX_USER], sqlite3_column_int64(row, 3)) &&
	    has_id(&cursor->sets[INDEX_OBJECT], sqlite3_column_int64(row, 4)) && has_id(&cursor->sets[INDEX_WHAT], sqlite3_column_int64(row, 5));
}

static void
take_place(sqlite3_stmt *row, struct audit_place *place)
{
	place->seq = (uint64_t)sqlite3_column_int64(row, 0);
	audit_place_unpack(sqlite3_column_int64(row, 1), place);
	place->len = (size_t)sqlite3_column_int64(row, 2);
}

int
audit_query_next(struct audit_cursor *cursor, struct audit_place *place, struct vg_error *error)
{
	for (unsigned i = 0; i < ROWS_A_TURN; i++) {
		struct leader *leader = foremost(cursor);
		bool matches;

		if (leader == NULL)
			return 0;
		matches = may_match(cursor, leader->statement);
		if (matches)
			take_place(leader->statement, place);
		if (step(cursor, leader, error) < 0)
			return -1;
		if (matches)
			return 1;
	}
	return 2;
}

/* ---- one operation, one record ---- */

static int
places_of(struct audit_index *index, enum index_statement which, int64_t key, struct audit_place *places, size_t max, struct vg_error *error)
{
	sqlite3_stmt *statement = audit_index_prepared(index, which);
	int result = SQLITE_ERROR;
	size_t num = 0;

	if (statement != NULL && sqlite3_bind_int64(statement, 1, key) == SQLITE_OK)
		while (num < max && (result = sqlite3_step(statement)) == SQLITE_ROW)
			take_place(statement, &places[num++]);
	(void)sqlite3_reset(statement);
	return result == SQLITE_ROW || result == SQLITE_DONE ? (int)num : fail(index, error);
}

int
audit_query_op(struct audit_index *index, const char *op, struct audit_place *places, size_t max, struct vg_error *error)
{
	return places_of(index, GET_OP, audit_index_op(op), places, max, error);
}

int
audit_query_seq(struct audit_index *index, uint64_t seq, struct audit_place *place, struct vg_error *error)
{
	return places_of(index, GET_SEQ, (int64_t)seq, place, 1, error);
}
