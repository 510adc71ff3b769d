/*
 * Does the index find exactly what reading the whole trail finds, and does it notice when it is not about the trail beside it?
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/audit/query.h"
#include "tests/bench/trail.h"
#include "tests/unit/audit_fixture.h"

static const struct trail_plan plan = { .records = 3000, .users = 40, .objects = 300, .per_day = 600, .segment_bytes = 300000 };

static char *dir;
static char file[300];
static struct audit_fields record;

static int
setup(void **state)
{
	(void)state;
	dir = fixture_dir();
	trail_make(dir, &plan);
	(void)snprintf(file, sizeof(file), "%s/index.db", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_remove(dir);
	return 0;
}

static struct audit_index *
open_whole(void)
{
	struct vg_error error;
	struct audit_index *index = audit_index_open(file, dir, true, &error);
	int result;

	assert_non_null(index);
	while ((result = audit_index_update(index, 1, &error)) == 1)
		;
	if (result != 0)
		fail_msg("%s", error.what);
	return index;
}

/* Reads all of the trail: what matches, by seq. */
static size_t
expected(const struct audit_query *query, uint64_t *seqs, size_t max)
{
	struct audit_reader *reader = audit_reader_open(dir, 0, NULL);
	struct audit_line line;
	size_t num = 0;

	while (audit_reader_next(reader, &line, NULL) == 1) {
		uint64_t seq;

		assert_true(audit_fields_read(&record, line.text, line.len));
		seq = strtoull(record.text[FIELD_SEQ], NULL, 10);
		if (audit_match(query->match, &record) && seq > query->after && (query->before == 0 || seq < query->before)) {
			assert_true(num < max);
			seqs[num++] = seq;
		}
	}
	audit_reader_close(reader);
	return num;
}

static size_t
found(struct audit_index *index, const struct audit_query *query, uint64_t *seqs, size_t max, size_t *candidates)
{
	struct audit_lines *lines = audit_lines_open(dir, NULL);
	struct vg_error error;
	struct audit_cursor *cursor = audit_query_open(index, query, &error);
	struct audit_place place;
	size_t num = 0;
	int result;

	assert_non_null(cursor);
	*candidates = 0;
	while ((result = audit_query_next(cursor, &place, &error)) != 0) {
		const char *text;

		assert_true(result > 0);
		if (result == 2)
			continue;
		++*candidates;
		assert_int_equal(audit_lines_get(lines, &place, &text), 1);
		assert_true(audit_fields_read(&record, text, place.len));
		if (audit_match(query->match, &record)) {
			assert_true(num < max);
			seqs[num++] = place.seq;
		}
	}
	audit_query_close(cursor);
	audit_lines_close(lines);
	return num;
}

static void
expect_same(struct audit_index *index, struct audit_match match, uint64_t after, uint64_t before)
{
	static uint64_t wanted[4000], got[4000];
	struct audit_query query = { .match = &match, .after = after, .before = before };
	size_t num = expected(&query, wanted, 4000), candidates;

	assert_int_equal(found(index, &query, got, 4000, &candidates), num);
	assert_memory_equal(got, wanted, num * sizeof(got[0]));
	query.newest_first = true;
	assert_int_equal(found(index, &query, got, 4000, &candidates), num);
	for (size_t i = 0; i < num; i++)
		assert_int_equal(got[i], wanted[num - 1 - i]);
}

static void
test_finds_what_reading_finds(void **state)
{
	struct audit_index *index = open_whole();
	static const struct audit_match rows[] = {
		{ .user = NULL }, { .user = "user-7" }, { .user = "sasl:user-7" }, { .user = "user-*" }, { .user = "user-1?" }, { .user = "nobody" },
		{ .user = "*" }, { .user = "x509:*" }, { .object = "guest-12" }, { .object = "domain:guest-1*" }, { .object = "0000000c-*" },
		{ .object = "network:*" }, { .code = "VG2009I" }, { .code = "*W" }, { .event = "console.*" }, { .call = "domain_create" },
		{ .result = "denied" }, { .result = "ok" }, { .result = "unknown" }, { .stage = "intent" }, { .stage = "event", .user = "user-3" },
		{ .user = "user-*", .object = "guest-12?", .result = "ok" }, { .since = "2026-01-02" }, { .until = "2026-01-02" },
		{ .since = "2026-01-02T1", .until = "2026-01-02T1" }, { .since = "2026-01-03T23:59:58", .until = "2026-01-04T00:1" },
		{ .until = "2025-12-31" }, { .since = "2026-02-01" }, { .user = "user-7", .since = "2026-01-02", .until = "2026-01-03T0" },
		{ .user = "\"}" }, { .user = "" }, { .object = "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_same(index, rows[i], 0, 0);
		expect_same(index, rows[i], 700, 2100);
	}
	audit_index_close(index);
}

static void
test_a_rare_user_costs_his_rows(void **state)
{
	struct audit_index *index = open_whole();
	struct audit_match match = { .user = "user-7", .object = "guest-*" };
	struct audit_query query = { .match = &match };
	static uint64_t got[4000];
	size_t candidates, num;

	(void)state;
	num = found(index, &query, got, 4000, &candidates);
	assert_true(num > 20 && num < 200);
	assert_int_equal(candidates, num);
	audit_index_close(index);
}

static void
test_operations_and_numbers(void **state)
{
	struct audit_index *index = open_whole();
	struct audit_place places[8];
	struct vg_error error;
	char op[ID_LEN + 1];

	(void)state;
	trail_op(301, op);
	assert_int_equal(audit_query_op(index, op, places, 8, &error), 2);
	assert_int_equal(places[0].seq, 301);
	assert_int_equal(places[1].seq, 302);
	assert_int_equal(audit_query_seq(index, 2999, places, &error), 1);
	assert_int_equal(places[0].seq, 2999);
	assert_int_equal(audit_query_seq(index, 3001, places, &error), 0);
	audit_index_close(index);
}

static void
test_goes_on_where_it_was(void **state)
{
	struct trail_plan more = plan;
	struct audit_index_state now;
	struct audit_index *index = open_whole();
	struct audit_match match = { .user = "user-7" };

	(void)state;
	audit_index_close(index);
	/* the same trail, and more of it */
	more.records = 3600;
	trail_make(dir, &more);
	index = audit_index_open(file, dir, true, NULL);
	audit_index_state(index, &now);
	assert_false(now.rebuilt);
	assert_int_equal(now.last_seq, 3000);
	assert_true(now.lag_bytes > 100000);
	while (audit_index_update(index, 1, NULL) == 1)
		;
	audit_index_state(index, &now);
	assert_int_equal(now.last_seq, 3600);
	assert_int_equal(now.lag_bytes, 0);
	expect_same(index, match, 0, 0);
	audit_index_close(index);
	/* who only reads finds the same, and leaves it alone */
	index = audit_index_open(file, dir, false, NULL);
	assert_non_null(index);
	expect_same(index, match, 0, 0);
	audit_index_close(index);
}

/* Somebody reads and takes his time: what is new waits, and is there when he is done. */
static void
test_a_reader_in_the_way(void **state)
{
	struct audit_index *index = audit_index_open(file, dir, true, NULL), *other;
	struct audit_match match = { .user = "user-7" };
	sqlite3_stmt *slow = NULL;
	sqlite3 *reader = NULL;
	struct vg_error error;

	(void)state;
	assert_int_equal(sqlite3_open_v2(file, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(reader, "SELECT name FROM sqlite_schema", -1, &slow, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(slow), SQLITE_ROW);
	for (int i = 0; i < 3; i++)
		while (audit_index_update(index, 1, &error) == 1)
			;
	assert_false(audit_index_is_spoiled(index));
	expect_same(index, match, 0, 0);	/* its writer sees it already */
	sqlite3_finalize(slow);
	sqlite3_close(reader);
	assert_int_equal(audit_index_update(index, 1, &error), 0);
	other = audit_index_open(file, dir, false, &error);
	assert_non_null(other);
	expect_same(other, match, 0, 0);
	audit_index_close(other);
	audit_index_close(index);
}

static void
expect_rebuilt(const char *why)
{
	struct audit_index_state now;
	struct audit_match match = { .user = "user-7" };
	struct vg_error error;
	struct audit_index *index = audit_index_open(file, dir, false, &error);

	assert_null(index);
	index = open_whole();
	audit_index_state(index, &now);
	assert_true(now.rebuilt);
	if (strstr(now.why, why) == NULL)
		fail_msg("'%s' where '%s' was expected", now.why, why);
	expect_same(index, match, 0, 0);
	audit_index_close(index);
}

static void
test_another_trail_is_noticed(void **state)
{
	struct trail_plan other = plan;

	(void)state;
	audit_index_close(open_whole());
	other.users = 41;
	trail_make(dir, &other);
	expect_rebuilt("does not fit");
	/* the same first record, another last one: the trail was cut */
	other.records = 2000;
	trail_make(dir, &other);
	for (unsigned segment = 7; segment < 12; segment++) {
		char name[AUDIT_NAME_MAX];

		audit_segment_name(name, segment);
		(void)unlink(fixture_path(dir, name));
	}
	expect_rebuilt("does not fit");
}

static void
test_a_damaged_file_is_thrown_away(void **state)
{
	size_t len;
	char *text;

	(void)state;
	fixture_write(dir, "index.db", "this is no database, and long enough that nobody takes it for an empty one ................", 90);
	expect_rebuilt("");
	text = fixture_read(dir, "index.db", &len);
	fixture_write(dir, "index.db", text, len / 2);
	expect_rebuilt("");
	memset(text + 4096, 0xa5, len - 4096);
	fixture_write(dir, "index.db", text, len);
	expect_rebuilt("");
	fixture_write(dir, "index.db", text, 0);
	expect_rebuilt("");
	free(text);
}

static void
test_a_wrong_place_is_no_record(void **state)
{
	struct audit_index *index = open_whole();
	struct audit_lines *lines = audit_lines_open(dir, NULL);
	struct audit_place place, wrong;
	struct vg_error error;
	const char *line;

	(void)state;
	assert_int_equal(audit_query_seq(index, 1500, &place, &error), 1);
	assert_int_equal(audit_lines_get(lines, &place, &line), 1);
	wrong = place;
	wrong.offset++;
	assert_int_equal(audit_lines_get(lines, &wrong, &line), -1);
	wrong = place;
	wrong.len--;
	assert_int_equal(audit_lines_get(lines, &wrong, &line), -1);
	wrong = place;
	wrong.seq++;
	assert_int_equal(audit_lines_get(lines, &wrong, &line), -1);
	wrong = place;
	wrong.segment = 77;
	assert_int_equal(audit_lines_get(lines, &wrong, &line), 0);
	wrong.len = 1u << 30;
	assert_int_equal(audit_lines_get(lines, &wrong, &line), -1);
	audit_lines_close(lines);
	/* and the index that led there is made anew */
	audit_index_spoiled(index, "a place was wrong");
	while (audit_index_update(index, 1, &error) == 1)
		;
	expect_same(index, (struct audit_match){ .user = "user-7" }, 0, 0);
	audit_index_close(index);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_finds_what_reading_finds), TEST(test_a_rare_user_costs_his_rows), TEST(test_operations_and_numbers),
		TEST(test_goes_on_where_it_was), TEST(test_a_reader_in_the_way), TEST(test_another_trail_is_noticed), TEST(test_a_damaged_file_is_thrown_away),
		TEST(test_a_wrong_place_is_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
