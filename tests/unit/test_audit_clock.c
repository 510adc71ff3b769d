/*
 * The writer on a host whose clock is set while it runs and while it does not: order, verify, search by time, and what is removed by age.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "gateway/audit/clock.h"
#include "gateway/audit/match.h"
#include "gateway/audit/query.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_gateway.h"

#define HOUR	3600
#define DAY	86400
#define YEAR	(365 * DAY)

/* ---- a clock that is set, and time that passes (-Wl,--wrap) ---- */

static int64_t set_by, passed;	/* seconds */

int __real_clock_gettime(clockid_t which, struct timespec *now);
int __wrap_clock_gettime(clockid_t which, struct timespec *now);

int
__wrap_clock_gettime(clockid_t which, struct timespec *now)
{
	int status = __real_clock_gettime(which, now);

	if (which == CLOCK_REALTIME)
		now->tv_sec += set_by + passed;
	else if (which == CLOCK_BOOTTIME)
		now->tv_sec += passed;
	return status;
}

static int
begin(void **state)
{
	set_by = passed = 0;
	return setup(state);
}

static void
now_text(char text[AUDIT_TIME_LEN + 1])
{
	clock_text(clock_wall_us(), text);
}

/* ---- what the trail says ---- */

static json_t *
events(const char *dir, const char *event)
{
	json_t *records = fixture_records(dir), *found = json_array(), *record;
	size_t i;

	json_array_foreach(records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "event")), event) == 0)
			(void)json_array_append(found, record);
	json_decref(records);
	return found;
}

static int64_t
arg(json_t *record, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(json_object_get(record, "args"), key));
}

/* By so many seconds, told so; a test takes less than a minute. */
static void
assert_steps(const char *dir, const int64_t *steps, size_t num)
{
	json_t *found = events(dir, "clock.step");

	assert_int_equal(json_array_size(found), num);
	for (size_t i = 0; i < num; i++)
		assert_in_range(arg(json_array_get(found, i), "by_ms") + 60000 - steps[i] * 1000, 0, 120000);
	json_decref(found);
}

/* In order of seq; earlier than the one before only where the clock stepped. */
static void
assert_order(const char *dir)
{
	json_t *records = fixture_records(dir), *record;
	const char *last = "";
	size_t i;

	json_array_foreach(records, i, record) {
		const char *time = json_string_value(json_object_get(record, "time"));

		assert_int_equal(json_integer_value(json_object_get(record, "seq")), i + 1);
		assert_true(strcmp(time, last) >= 0 || strcmp(json_string_value(json_object_get(record, "event")), "clock.step") == 0);
		last = time;
	}
	json_decref(records);
}

static uint64_t
steps_verified(const char *dir)
{
	struct audit_verdict verdict = fixture_verify(dir);

	if (!verdict.whole)
		fail_msg("%s line %llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	return verdict.clock_steps;
}

/* How many changes the index finds between two times, and reading all of it. */
static unsigned
found(const char *dir, const char *since, const char *until)
{
	char file[300];
	struct audit_match match = { .call = "domain_define_xml_flags" };
	const struct audit_query query = { .match = &match };
	struct audit_fields *fields = calloc(1, sizeof(*fields));
	struct audit_index *index;
	struct audit_lines *lines = audit_lines_open(dir, NULL);
	struct audit_reader *reader = audit_reader_open(dir, 0, NULL);
	struct audit_cursor *cursor;
	struct audit_place place;
	struct audit_line line;
	struct vg_error error;
	unsigned num = 0, all = 0;
	const char *text;
	int result;

	(void)snprintf(match.since, sizeof(match.since), "%.19s", since);
	(void)snprintf(match.until, sizeof(match.until), "%.19s", until);
	(void)snprintf(file, sizeof(file), "%s/index.db", dir);
	index = audit_index_open(file, dir, true, &error);
	assert_non_null(index);
	assert_int_equal(audit_index_update(index, 10000, &error), 0);
	cursor = audit_query_open(index, &query, &error);
	assert_non_null(cursor);
	while ((result = audit_query_next(cursor, &place, &error)) == 1) {
		assert_int_equal(audit_lines_get(lines, &place, &text), 1);
		num += audit_fields_read(fields, text, place.len) && audit_match(&match, fields);
	}
	assert_int_equal(result, 0);
	while (audit_reader_next(reader, &line, NULL) == 1)
		all += audit_fields_read(fields, line.text, line.len) && audit_match(&match, fields);
	assert_int_equal(num, all);
	audit_query_close(cursor);
	audit_reader_close(reader);
	audit_lines_close(lines);
	audit_index_close(index);
	free(fields);
	return num;
}

static void
write_some(struct gateway *gateway, unsigned num)
{
	for (unsigned i = 0; i < num; i++) {
		(void)submit(gateway, "event", 'B', gateway->durable);
		wait_durable(gateway, gateway->durable + 1);
	}
}

static void
restart(struct gateway *gateway)
{
	writer_destroy(gateway->writer);
	start_writer(gateway);
	connect_client(gateway);
}

/* ---- while it runs ---- */

static void
test_I64_steps_of_a_running_clock(void **state)
{
	static const int64_t steps[] = { -HOUR, YEAR, -YEAR };
	struct gateway *gateway = *state;
	char begun[AUDIT_TIME_LEN + 1], back[AUDIT_TIME_LEN + 1], ahead[AUDIT_TIME_LEN + 1], end[AUDIT_TIME_LEN + 1];

	now_text(begun);
	write_some(gateway, 3);
	set_by = -HOUR;
	now_text(back);
	write_some(gateway, 4);
	assert_steps(gateway->dir, steps, 1);
	set_by += YEAR;
	now_text(ahead);
	passed += 60;
	write_some(gateway, 5);
	set_by -= YEAR;
	passed += 60;
	write_some(gateway, 6);
	now_text(end);
	assert_steps(gateway->dir, steps, 3);
	assert_order(gateway->dir);
	assert_int_equal(steps_verified(gateway->dir), 3);
	/* What was recorded at a time by the host's clock is found by it. */
	assert_int_equal(found(gateway->dir, begun, ahead), 3);
	assert_int_equal(found(gateway->dir, back, end), 4 + 6);
	assert_int_equal(found(gateway->dir, ahead, "9999"), 5);
	assert_int_equal(found(gateway->dir, "1999", "9999"), 3 + 4 + 5 + 6);
	assert_int_equal(found(gateway->dir, "1999", "2001"), 0);
}

/* Less than a step: times stand still, and nothing is told. Many of them in one direction are a step when they are one together. */
static void
test_I64_a_clock_that_jitters(void **state)
{
	struct gateway *gateway = *state;

	for (int i = 0; i < 20; i++) {
		set_by = i % 2;
		write_some(gateway, 2);
	}
	assert_steps(gateway->dir, NULL, 0);
	assert_order(gateway->dir);
	for (int i = 0; i < 6; i++) {
		set_by = i % 2 == 0 ? HOUR : 0;
		write_some(gateway, 2);
	}
	assert_int_equal(steps_verified(gateway->dir), 6);
	assert_order(gateway->dir);
}

/* The group with its record fails: it is told again, behind the record that begins the next segment. */
static void
test_I57_a_step_on_a_disk_that_fails(void **state)
{
	static const int64_t step = -HOUR;
	struct gateway *gateway = *state;

	write_some(gateway, 2);
	set_by = step;
	disk.write = EIO;
	assert_true(submit(gateway, "event", 'C', 1) != 0);
	assert_true(fixture_until_true(gateway->base, no_writer, gateway->client));
	disk.write = 0;
	assert_true(fixture_until_true(gateway->base, is_healthy, gateway->client));
	wait_sent(gateway);
	write_some(gateway, 1);
	assert_steps(gateway->dir, &step, 1);
	assert_int_equal(steps_verified(gateway->dir), 1);
	assert_order(gateway->dir);
}

/* ---- between two runs ---- */

static void
test_I64_set_while_no_gateway_ran(void **state)
{
	static const int64_t steps[] = { -HOUR, 8 * DAY };
	struct gateway *gateway = *state;
	json_t *told;

	write_some(gateway, 2);
	set_by = -HOUR;
	restart(gateway);
	assert_steps(gateway->dir, steps, 1);
	passed = 6 * DAY;		/* a week-end */
	restart(gateway);
	assert_steps(gateway->dir, steps, 1);
	write_some(gateway, 1);
	passed += 8 * DAY;
	restart(gateway);
	assert_steps(gateway->dir, steps, 2);
	told = events(gateway->dir, "clock.step");
	assert_string_equal(json_string_value(json_object_get(json_object_get(json_array_get(told, 1), "args"), "while")), "down");
	json_decref(told);
	write_some(gateway, 1);
	assert_int_equal(steps_verified(gateway->dir), 2);
	assert_order(gateway->dir);
}

/* ---- what is removed by age ---- */

static unsigned
first_segment(const struct gateway *gateway)
{
	unsigned first = 0, last;

	assert_int_equal(audit_reader_range(gateway->dir, &first, &last, NULL, NULL), 0);
	return first;
}

static void
keep_days(struct gateway *gateway, unsigned days)
{
	gateway->options.segment_bytes = 4000;
	gateway->options.retention.days = days;
	restart(gateway);
	write_some(gateway, 40);
}

/* More segments: each looks what may go. The number of the last one before. */
static unsigned
look_again(struct gateway *gateway)
{
	unsigned first, last;

	assert_int_equal(audit_reader_range(gateway->dir, &first, &last, NULL, NULL), 0);
	write_some(gateway, 40);
	return last;
}

static void
test_a_year_ahead_removes_nothing(void **state)
{
	struct gateway *gateway = *state;
	json_t *told;
	unsigned last;

	keep_days(gateway, 30);
	set_by = YEAR;
	(void)look_again(gateway);
	assert_int_equal(first_segment(gateway), 1);
	told = events(gateway->dir, "audit.removal_waits");
	assert_true(json_array_size(told) > 1);
	assert_in_range(arg(json_array_get(told, 0), "held_seconds"), YEAR - 60, YEAR + 60);
	json_decref(told);
	/* Nor another process of the same gateway, nor the next one when the clock was set right. */
	restart(gateway);
	(void)look_again(gateway);
	passed = DAY / 2;
	restart(gateway);
	(void)look_again(gateway);
	assert_int_equal(first_segment(gateway), 1);
	set_by = 0;
	(void)look_again(gateway);
	passed += 2 * DAY;
	(void)look_again(gateway);
	restart(gateway);
	(void)look_again(gateway);
	assert_int_equal(first_segment(gateway), 1);
	/* Those of the year to come are no younger than what follows them. */
	passed += 40 * DAY;
	last = look_again(gateway);
	assert_true(first_segment(gateway) >= last);
	(void)steps_verified(gateway->dir);
}

/* Nobody set it right: it is believed. */
static void
test_a_clock_that_stays_ahead_is_believed_after_a_day(void **state)
{
	struct gateway *gateway = *state;

	keep_days(gateway, 30);
	set_by = YEAR;
	(void)look_again(gateway);
	passed = DAY - HOUR;
	(void)look_again(gateway);
	assert_int_equal(first_segment(gateway), 1);
	passed = DAY + HOUR;
	(void)look_again(gateway);
	assert_true(first_segment(gateway) > 1);
	(void)steps_verified(gateway->dir);
}

/* A host that began in another century, until its clock was set: neither what was before nor what came after is old by it. */
static void
test_another_century_removes_nothing(void **state)
{
	struct gateway *gateway = *state;
	unsigned last;

	keep_days(gateway, 30);
	set_by = -40 * (int64_t)YEAR;
	(void)look_again(gateway);
	restart(gateway);
	(void)look_again(gateway);
	assert_int_equal(first_segment(gateway), 1);
	set_by = 0;
	(void)look_again(gateway);
	passed = 2 * DAY;
	(void)look_again(gateway);
	assert_int_equal(first_segment(gateway), 1);
	passed += 40 * DAY;
	last = look_again(gateway);
	assert_true(first_segment(gateway) >= last);
	(void)steps_verified(gateway->dir);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_I64_steps_of_a_running_clock),
		TEST(test_I64_a_clock_that_jitters),
		TEST(test_I57_a_step_on_a_disk_that_fails),
		TEST(test_I64_set_while_no_gateway_ran),
		TEST(test_a_year_ahead_removes_nothing),
		TEST(test_a_clock_that_stays_ahead_is_believed_after_a_day),
		TEST(test_another_century_removes_nothing),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
