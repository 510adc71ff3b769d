/*
 * Old segments go, and what is left of a signed trail is whole: the keys still lead to the root, and what went without a record shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/audit/clock.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_signed.h"

static uint64_t
trail_bytes(struct gateway *gateway, unsigned *first, unsigned *last)
{
	uint64_t bytes;

	assert_int_equal(audit_reader_range(gateway->dir, first, last, &bytes, NULL), 0);
	return bytes;
}

static bool
below_the_limit(void *arg)
{
	struct gateway *gateway = arg;
	unsigned first, last;

	return trail_bytes(gateway, &first, &last) <= gateway->options.retention.bytes + 2 * gateway->options.segment_bytes;
}

static void
keep_little(struct gateway *gateway)
{
	stop_writer(gateway);
	gateway->options.segment_bytes = 4000;
	gateway->options.retention.bytes = 20000;
	start_signed(gateway);
}

/* Epochs change meanwhile; what is left is whole, and begins with what a record tells. */
static void
test_old_segments_go_and_the_rest_stays_whole(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	const char *root;
	unsigned first, last;
	char text[65];
	bool is_new;

	keep_little(gateway);
	(void)snprintf(text, sizeof(text), "%s", writer_root(gateway->writer, &is_new));
	root = text;
	for (int i = 0; i < 4; i++) {
		write_records(gateway, 100);
		stop_writer(gateway);
		age_key(gateway);
		start_signed(gateway);
	}
	assert_true(fixture_until_true(gateway->base, below_the_limit, gateway));
	stop_writer(gateway);
	(void)trail_bytes(gateway, &first, &last);
	assert_true(first > 20);
	verdict = verify(gateway, &(struct audit_verify_options){ .roots = &root, .num_roots = 1 });
	if (!verdict.whole)
		fail_msg("%s:%llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	assert_int_equal(verdict.removed + verdict.records, verdict.last_seq);
	assert_true(verdict.removed > 300);

	/* Without the list of keys nobody vouches for the first one that is left. */
	assert_int_equal(unlink(fixture_path(gateway->dir, AUDIT_KEYS_FILE)), 0);
	verdict = verify(gateway, NULL);
	assert_bad(&verdict, "none before it vouches");
}

static bool list_fails;

static ssize_t
write_but_list(int fd, const void *data, size_t len)
{
	if (!list_fails || !fixture_fd_is(fd, AUDIT_KEYS_FILE))
		return write(fd, data, len);
	errno = ENOSPC;
	return -1;
}

static const struct store_calls list_calls = { write_but_list, fdatasync };

static bool answered;

static void
on_answer(bool durable, void *arg)
{
	answered = true;
	on_done(durable, arg);
}

static bool
is_answered(void *arg)
{
	(void)arg;
	return answered;
}

/* Records until one is refused, or the trail has `segments` more. */
static void
write_until_refused(struct gateway *gateway, unsigned segments)
{
	static unsigned number;
	unsigned first, last, end;

	(void)trail_bytes(gateway, &first, &end);
	end += segments;
	gateway->refused = 0;
	do {
		char op[27];

		fixture_op(op, 'R', number++);
		answered = false;
		assert_true(audit_submit(gateway->client, fixture_record("event", op), AUDIT_OR_REFUSE, on_answer, gateway) != 0);
		assert_true(fixture_until_true(gateway->base, is_answered, NULL));
		(void)trail_bytes(gateway, &first, &last);
	} while (gateway->refused == 0 && last < end);
}

/*
 * A key ends its time, and the list of keys cannot be written from then to the end of the process, nor in the life of the next one. No segment is
 * begun, so that the checkpoint stays where a start finds it, and changes are refused; a third process lists it, and the keys still lead to the
 * root when the segments are removed that had it.
 */
static void
test_a_list_of_keys_that_cannot_be_written_gets_no_hole(void **state)
{
	struct gateway *gateway = *state;
	unsigned first, last;

	stop_writer(gateway);
	gateway->options.calls = &list_calls;
	gateway->options.epoch_seconds = 0;
	gateway->options.segment_bytes = 4000;
	gateway->options.retry_ms = 5;
	start_signed(gateway);
	write_records(gateway, 20);
	list_fails = true;		/* from the last moments of this one */
	for (int life = 0; life < 2; life++) {
		stop_writer(gateway);		/* with a checkpoint */
		start_signed(gateway);
		write_until_refused(gateway, 8);
		assert_int_equal(gateway->refused, 1);
	}
	list_fails = false;
	stop_writer(gateway);
	gateway->options.retention.bytes = 20000;
	start_signed(gateway);
	write_records(gateway, 200);
	assert_true(fixture_until_true(gateway->base, below_the_limit, gateway));
	stop_writer(gateway);
	(void)trail_bytes(gateway, &first, &last);
	assert_true(first > 10);
	(void)whole_trail(gateway->dir);
}

/* By hand, one more than the records say. */
static void
test_I62_a_removal_that_is_not_told_shows(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	unsigned first, last;
	char name[AUDIT_NAME_MAX];

	keep_little(gateway);
	write_records(gateway, 200);
	assert_true(fixture_until_true(gateway->base, below_the_limit, gateway));
	stop_writer(gateway);
	(void)whole_trail(gateway->dir);
	(void)trail_bytes(gateway, &first, &last);
	audit_segment_name(name, first);
	assert_int_equal(unlink(fixture_path(gateway->dir, name)), 0);
	verdict = verify(gateway, NULL);
	assert_bad(&verdict, "no record tells");
}

/* Between the record and the removal: the segments are still there; the next start tells again, and removes them. */
static void
test_a_stop_before_the_removal(void **state)
{
	struct gateway *gateway = *state;
	struct vg_error error;
	struct removal removal;
	unsigned first, last;

	stop_writer(gateway);
	gateway->options.segment_bytes = 4000;
	start_signed(gateway);
	write_records(gateway, 100);
	stop_writer(gateway);
	gateway->options.retention.bytes = 20000;
	assert_int_equal(retention_plan(gateway->dir, &gateway->options.retention, clock_wall_us(), 0, &removal, &error), 1);
	start_signed(gateway);
	stop_writer(gateway);
	(void)trail_bytes(gateway, &first, &last);
	assert_int_equal(first, removal.last + 1);
	(void)whole_trail(gateway->dir);
}

/* Three segments of another century: the third is kept, because its last record is only older than what the fourth begins with. */
static void
test_retention_by_age(void **state)
{
	struct gateway *gateway = *state;
	struct retention retention = { 0, 0 };
	struct removal removal;
	struct vg_error error;

	stop_writer(gateway);
	gateway->options.segment_bytes = 4000;
	start_signed(gateway);
	write_records(gateway, 100);
	stop_writer(gateway);
	for (unsigned segment = 1; segment <= 3; segment++) {
		char name[AUDIT_NAME_MAX], *text;
		size_t len;

		audit_segment_name(name, segment);
		text = fixture_read(gateway->dir, name, &len);
		memcpy(strstr(text, "\"time\":\"") + 8, "1999", 4);
		fixture_write(gateway->dir, name, text, len);
		free(text);
	}
	assert_int_equal(retention_plan(gateway->dir, &retention, clock_wall_us(), 0, &removal, &error), 0);
	retention.days = 1;
	assert_int_equal(retention_plan(gateway->dir, &retention, clock_wall_us(), 0, &removal, &error), 1);
	assert_int_equal(removal.first, 1);
	assert_int_equal(removal.last, 2);
	retention.days = 36500;
	assert_int_equal(retention_plan(gateway->dir, &retention, clock_wall_us(), 0, &removal, &error), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_signed, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_old_segments_go_and_the_rest_stays_whole),
		TEST(test_a_list_of_keys_that_cannot_be_written_gets_no_hole),
		TEST(test_I62_a_removal_that_is_not_told_shows),
		TEST(test_a_stop_before_the_removal),
		TEST(test_retention_by_age),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
