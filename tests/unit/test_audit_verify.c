/*
 * I62: whatever is done to a trail shows, and verify names the place. One trail of three segments is made; each row of
 * the table does something to a copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_fixture.h"

#define NUM_FILES	5		/* three segments, head, lock */
#define PER_SEGMENT	10u

static const char *const names[NUM_FILES] = {
	"audit-000001.jsonl", "audit-000002.jsonl", "audit-000003.jsonl", "audit-head", "audit-lock"
};

/* The content of the files; NULL: not there. */
struct trail {
	char *text[NUM_FILES];
	size_t len[NUM_FILES];
};

static void
nothing(const struct scan_line *facts, const char *line, size_t len, void *arg)
{
	(void)facts;
	(void)line;
	(void)len;
	(void)arg;
}

static void
add_record(struct chain *chain, struct buf *lines, unsigned number)
{
	struct buf body = { 0 };
	struct record record;
	char op[27];
	json_t *json;

	fixture_op(op, 'V', number);
	json = fixture_record("event", op);
	(void)json_object_set_new(json, "note", audit_text("quoted \"hash\":\"x\", and \xff", 24));
	assert_int_equal(audit_wire_record(&body, json), 0);
	assert_true(record_get(&record, buf_head(&body), buf_len(&body)));
	assert_int_equal(chain_add(chain, &record, lines), 0);
	buf_free(&body);
	json_decref(json);
}

/* Three segments of PER_SEGMENT records. `first` tells one trail from another. */
static void
make_trail(const char *dir, unsigned first)
{
	struct vg_error error = { "", "" };
	struct store_found found;
	struct chain chain;
	struct store *store = store_open(dir, &store_real_calls, 2, &chain, nothing, NULL, &found, &error);

	assert_non_null(store);
	for (unsigned segment = 0; segment < 3; segment++) {
		struct buf lines = { 0 };

		for (unsigned i = 0; i < PER_SEGMENT; i++)
			add_record(&chain, &lines, first + segment * PER_SEGMENT + i);
		assert_int_equal(store_append(store, buf_head(&lines), buf_len(&lines), &chain), 0);
		buf_free(&lines);
	}
	store_close(store);
}

static void
read_trail(const char *dir, struct trail *trail)
{
	for (int i = 0; i < NUM_FILES; i++)
		trail->text[i] = fixture_read(dir, names[i], &trail->len[i]);
}

static void
free_trail(struct trail *trail)
{
	for (int i = 0; i < NUM_FILES; i++)
		free(trail->text[i]);
}

static struct trail good, other;

static int
make_trails(void **state)
{
	char *dir = fixture_dir();

	(void)state;
	make_trail(dir, 0);
	read_trail(dir, &good);
	fixture_remove(dir);
	dir = fixture_dir();
	make_trail(dir, 1000);
	read_trail(dir, &other);
	fixture_remove(dir);
	return 0;
}

static int
free_trails(void **state)
{
	(void)state;
	free_trail(&good);
	free_trail(&other);
	return 0;
}

static void
copy_trail(struct trail *to, const struct trail *from)
{
	for (int i = 0; i < NUM_FILES; i++) {
		to->len[i] = from->len[i];
		to->text[i] = malloc(2 * from->len[i] + 1);
		assert_non_null(to->text[i]);
		memcpy(to->text[i], from->text[i], from->len[i] + 1);
	}
}

static struct audit_verdict
verdict_of(const struct trail *trail)
{
	char *dir = fixture_dir();
	struct audit_verdict verdict;

	for (int i = 0; i < NUM_FILES; i++)
		if (trail->text[i] != NULL)
			fixture_write(dir, names[i], trail->text[i], trail->len[i]);
	verdict = fixture_verify(dir);
	fixture_remove(dir);
	return verdict;
}

/* Start of line `number` (from 1) of a file. */
static char *
line_of(struct trail *trail, int file, unsigned number)
{
	char *at = trail->text[file];

	while (--number > 0)
		at = strchr(at, '\n') + 1;
	return at;
}

static void
remove_bytes(struct trail *trail, int file, char *from, char *to)
{
	memmove(from, to, (size_t)(trail->text[file] + trail->len[file] + 1 - to));
	trail->len[file] -= (size_t)(to - from);
}

static void
drop_file(struct trail *trail, int file)
{
	free(trail->text[file]);
	trail->text[file] = NULL;
}

/* ---- what is done ---- */

static void
edit_value(struct trail *trail)
{
	memcpy(strstr(line_of(trail, 1, 3), "web-1"), "web-9", 5);
}

static void
edit_hash(struct trail *trail)
{
	char *digit = strstr(line_of(trail, 1, 3), ",\"hash\":\"") + 9;

	*digit = *digit == '0' ? '1' : '0';
}

static void
edit_spaces(struct trail *trail)
{
	char *line = line_of(trail, 0, 2), *colon = strchr(line, ':');

	memmove(colon + 2, colon + 1, (size_t)(trail->text[0] + trail->len[0] + 1 - (colon + 1)));
	colon[1] = ' ';
	trail->len[0]++;
}

static void
remove_line(struct trail *trail)
{
	remove_bytes(trail, 1, line_of(trail, 1, 5), line_of(trail, 1, 6));
}

static void
remove_first_line(struct trail *trail)
{
	remove_bytes(trail, 0, line_of(trail, 0, 1), line_of(trail, 0, 2));
}

static void
remove_last_line(struct trail *trail)
{
	char *end = trail->text[2] + trail->len[2];

	remove_bytes(trail, 2, line_of(trail, 2, PER_SEGMENT), end);
}

static void
swap_lines(struct trail *trail)
{
	char *a = line_of(trail, 0, 4), *b = line_of(trail, 0, 5), *end = line_of(trail, 0, 6);
	size_t a_len = (size_t)(b - a), b_len = (size_t)(end - b);
	char *copy = malloc(a_len);

	assert_non_null(copy);
	memcpy(copy, a, a_len);
	memmove(a, b, b_len);
	memcpy(a + b_len, copy, a_len);
	free(copy);
}

static void
repeat_line(struct trail *trail)
{
	char *line = line_of(trail, 0, 4), *next = line_of(trail, 0, 5);
	size_t len = (size_t)(next - line);

	memmove(next + len, next, (size_t)(trail->text[0] + trail->len[0] + 1 - next));
	memcpy(next, line, len);
	trail->len[0] += len;
}

static void
cut_middle_segment(struct trail *trail)
{
	trail->len[1] = (size_t)(line_of(trail, 1, 8) - trail->text[1]);
}

static void
cut_middle_segment_in_a_line(struct trail *trail)
{
	trail->len[1] = (size_t)(line_of(trail, 1, 8) - trail->text[1]) + 20;
}

static void
cut_last_segment(struct trail *trail)
{
	trail->len[2] = (size_t)(line_of(trail, 2, 4) - trail->text[2]);
}

static void
empty_last_segment(struct trail *trail)
{
	trail->len[2] = 0;
}

static void
remove_middle_segment(struct trail *trail)
{
	drop_file(trail, 1);
}

static void
remove_first_segment(struct trail *trail)
{
	drop_file(trail, 0);
}

static void
remove_last_segment(struct trail *trail)
{
	drop_file(trail, 2);
}

static void
replace_segment(struct trail *trail)
{
	drop_file(trail, 1);
	trail->text[1] = strdup(other.text[1]);
	trail->len[1] = other.len[1];
}

static void
replace_last_segment(struct trail *trail)
{
	drop_file(trail, 2);
	trail->text[2] = strdup(other.text[2]);
	trail->len[2] = other.len[2];
}

static void
replace_all(struct trail *trail)
{
	for (int i = 0; i < 3; i++) {
		drop_file(trail, i);
		trail->text[i] = strdup(other.text[i]);
		trail->len[i] = other.len[i];
	}
}

static void
remove_head(struct trail *trail)
{
	drop_file(trail, 3);
}

static void
garbage_line(struct trail *trail)
{
	memset(line_of(trail, 1, 2), 'x', 30);
}

static void
nul_bytes(struct trail *trail)
{
	memset(line_of(trail, 1, 2) + 5, '\0', 3);
}

static void
endless_line(struct trail *trail)
{
	trail->text[1] = realloc(trail->text[1], 1u << 20);
	assert_non_null(trail->text[1]);
	memset(trail->text[1], 'x', 1u << 20);
	trail->len[1] = 1u << 20;
}

static const struct {
	const char *name;
	void (*damage)(struct trail *trail);
	const char *file;
	uint64_t line, seq;
	const char *what;		/* part of it */
} rows[] = {
	{ "a value is edited", edit_value, "audit-000002.jsonl", 3, 13, "changed" },
	{ "a hash is edited", edit_hash, "audit-000002.jsonl", 3, 13, "changed" },
	{ "a space is added", edit_spaces, "audit-000001.jsonl", 2, 2, "not a record" },
	{ "a record is removed", remove_line, "audit-000002.jsonl", 5, 16, "number 16 where 15" },
	{ "the first record is removed", remove_first_line, "audit-000001.jsonl", 1, 2, "number 2 where 1" },
	{ "the last record is removed", remove_last_line, "audit-000003.jsonl", 0, 30, "cut from the end" },
	{ "two records are swapped", swap_lines, "audit-000001.jsonl", 4, 5, "number 5 where 4" },
	{ "a record is repeated", repeat_line, "audit-000001.jsonl", 5, 4, "number 4 where 5" },
	{ "a middle segment is cut", cut_middle_segment, "audit-000003.jsonl", 1, 21, "number 21 where 18" },
	{ "a middle segment is cut in a line", cut_middle_segment_in_a_line, "audit-000002.jsonl", 8, 18, "in the middle" },
	{ "the last segment is cut", cut_last_segment, "audit-000003.jsonl", 0, 24, "cut from the end" },
	{ "the last segment is emptied", empty_last_segment, "audit-000002.jsonl", 0, 21, "cut from the end" },
	{ "a middle segment is removed", remove_middle_segment, "audit-000003.jsonl", 1, 11, "audit-000002.jsonl is missing" },
	{ "the first segment is removed", remove_first_segment, "audit-000002.jsonl", 1, 1, "audit-000001.jsonl is missing" },
	{ "the last segment is removed", remove_last_segment, "audit-000002.jsonl", 0, 21, "cut from the end" },
	{ "a segment is replaced", replace_segment, "audit-000002.jsonl", 1, 11, "does not follow" },
	{ "the last segment is replaced", replace_last_segment, "audit-000003.jsonl", 1, 21, "does not follow" },
	{ "all segments are replaced", replace_all, "audit-000003.jsonl", 10, 30, "not the record that audit-head" },
	{ "the note of the end is removed", remove_head, "audit-000003.jsonl", 0, 30, "audit-head is missing" },
	{ "a line is garbage", garbage_line, "audit-000002.jsonl", 2, 12, "not a record" },
	{ "a line holds NUL bytes", nul_bytes, "audit-000002.jsonl", 2, 12, "not a record" },
	{ "a line does not end", endless_line, "audit-000002.jsonl", 1, 11, "longer than any record" },
};

static void
test_I62_an_untouched_trail_is_whole(void **state)
{
	struct audit_verdict verdict = verdict_of(&good);

	(void)state;
	if (!verdict.whole)
		fail_msg("%s:%llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	assert_int_equal(verdict.records, 3 * PER_SEGMENT);
	assert_int_equal(verdict.segments, 3);
	assert_int_equal(verdict.num_notes, 0);
}

static void
test_I62_every_damage_shows_and_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct audit_verdict verdict;
		struct trail trail;

		copy_trail(&trail, &good);
		rows[i].damage(&trail);
		verdict = verdict_of(&trail);
		if (verdict.whole)
			fail_msg("%s: not seen", rows[i].name);
		if (strcmp(verdict.file, rows[i].file) != 0 || verdict.line != rows[i].line || verdict.seq != rows[i].seq ||
		    strstr(verdict.what, rows[i].what) == NULL)
			fail_msg("%s: told as %s:%llu record %llu: %s", rows[i].name, verdict.file, (unsigned long long)verdict.line,
			    (unsigned long long)verdict.seq, verdict.what);
		free_trail(&trail);
	}
}

/* Any single bit of any record. */
static void
test_I62_every_flipped_bit_shows(void **state)
{
	char *dir = fixture_dir();
	struct trail trail;

	(void)state;
	copy_trail(&trail, &good);
	for (int i = 0; i < NUM_FILES; i++)
		fixture_write(dir, names[i], trail.text[i], trail.len[i]);
	for (size_t at = 0; at < trail.len[1]; at++) {
		int bit = (int)(at % 8);

		trail.text[1][at] = (char)(trail.text[1][at] ^ 1 << bit);
		fixture_write(dir, names[1], trail.text[1], trail.len[1]);
		if (fixture_verify(dir).whole)
			fail_msg("bit %d of byte %zu", bit, at);
		trail.text[1][at] = (char)(trail.text[1][at] ^ 1 << bit);
	}
	free_trail(&trail);
	fixture_remove(dir);
}

/* The writer at work, or killed: an unfinished line at the very end is told and is no damage. */
static void
test_an_unfinished_line_at_the_end_is_told(void **state)
{
	struct audit_verdict verdict;
	struct trail trail;

	(void)state;
	copy_trail(&trail, &good);
	memcpy(trail.text[2] + trail.len[2], trail.text[2], 100);
	trail.len[2] += 100;
	verdict = verdict_of(&trail);
	assert_true(verdict.whole);
	assert_int_equal(verdict.num_notes, 1);
	assert_non_null(strstr(verdict.note, "unfinished record of 100 bytes"));
	free_trail(&trail);
}

static void
test_an_empty_directory_is_whole(void **state)
{
	char *dir = fixture_dir();
	struct audit_verdict verdict = fixture_verify(dir);

	(void)state;
	assert_true(verdict.whole);
	assert_int_equal(verdict.records, 0);
	fixture_remove(dir);
}

static void
test_names_of_segments(void **state)
{
	static const struct { const char *name; unsigned number; } names_of[] = {
		{ "audit-000001.jsonl", 1 }, { "audit-999999.jsonl", 999999 }, { "audit-1000000.jsonl", 1000000 },
		{ "audit-1.jsonl", 0 }, { "audit-000001.jsonl.bak", 0 }, { "audit-000001.torn-5", 0 }, { "audit-head", 0 },
		{ "audit-+00001.jsonl", 0 }, { "audit- 00001.jsonl", 0 }, { "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names_of) / sizeof(names_of[0]); i++)
		assert_int_equal(audit_segment_number(names_of[i].name), names_of[i].number);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I62_an_untouched_trail_is_whole),
		cmocka_unit_test(test_I62_every_damage_shows_and_is_named),
		cmocka_unit_test(test_I62_every_flipped_bit_shows),
		cmocka_unit_test(test_an_unfinished_line_at_the_end_is_told),
		cmocka_unit_test(test_an_empty_directory_is_whole),
		cmocka_unit_test(test_names_of_segments),
	};

	return cmocka_run_group_tests(tests, make_trails, free_trails);
}
