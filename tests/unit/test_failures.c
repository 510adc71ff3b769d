/* test_failures.c: is who fails often known, whatever others do? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/auth/failures.h"

enum { WINDOW = 60, MOST = 5, CROWD = 100000, PLACES = 1024 };

static const time_t now = 1000000;

static struct failures *
make(void)
{
	struct failures *failures = failures_create(WINDOW, MOST);

	assert_non_null(failures);
	return failures;
}

/* So many of as many addresses; returns how many of them were not too many. */
static unsigned
crowd(struct failures *failures, bool tried, time_t time)
{
	unsigned few = 0, beyond;
	char address[32];

	for (unsigned i = 0; i < CROWD; i++) {
		(void)snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		few += failures_count(failures, "timeout", address, tried, time, &beyond);
	}
	return few;
}

static void
test_a_window_and_what_was_beyond_it(void **state)
{
	struct failures *failures = make();
	unsigned beyond;

	(void)state;
	for (int i = 0; i < MOST; i++) {
		assert_false(failures_too_many(failures, "name", "alice", now));
		assert_true(failures_count(failures, "name", "alice", true, now + i, &beyond));
	}
	for (int i = 0; i < 3; i++) {
		assert_true(failures_too_many(failures, "name", "alice", now + WINDOW - 1));
		assert_false(failures_count(failures, "name", "alice", true, now + WINDOW - 1, &beyond));
		assert_int_equal(beyond, 0);
	}
	assert_false(failures_too_many(failures, "name", "alice", now + WINDOW));
	assert_true(failures_count(failures, "name", "alice", true, now + WINDOW, &beyond));
	assert_int_equal(beyond, 3);
	assert_true(failures_count(failures, "name", "alice", true, now + WINDOW, &beyond));
	assert_int_equal(beyond, 0);
	failures_destroy(failures);
}

static void
test_kinds_and_texts_are_apart(void **state)
{
	struct failures *failures = make();
	unsigned beyond;

	(void)state;
	for (int i = 0; i < MOST; i++)
		(void)failures_count(failures, "name", "alice", true, now, &beyond);
	assert_true(failures_too_many(failures, "name", "alice", now));
	assert_false(failures_too_many(failures, "address", "alice", now));
	assert_false(failures_too_many(failures, "name", "alic", now));
	assert_false(failures_too_many(failures, "namea", "lice", now));
	failures_destroy(failures);
}

static void
test_what_was_only_begun_is_not_held_against_anybody(void **state)
{
	struct failures *failures = make();
	unsigned beyond;

	(void)state;
	for (int i = 0; i < 2 * MOST; i++)
		assert_int_equal(failures_count(failures, "address", "10.0.0.1", false, now, &beyond), i < MOST);
	assert_false(failures_too_many(failures, "address", "10.0.0.1", now));
	assert_true(failures_count(failures, "address", "10.0.0.1", true, now, &beyond));
	failures_destroy(failures);
}

static void
test_a_crowd_that_only_begins_pushes_nobody_out(void **state)
{
	struct failures *failures = make();
	unsigned beyond, few;

	(void)state;
	for (int i = 0; i < MOST; i++)
		(void)failures_count(failures, "address", "10.0.0.1", true, now, &beyond);
	few = crowd(failures, false, now);
	assert_in_range(few, 1, PLACES * MOST);
	assert_true(failures_too_many(failures, "address", "10.0.0.1", now));
	/* Nor does it keep the next one who guesses out of the trail. */
	assert_true(failures_count(failures, "address", "10.0.0.2", true, now, &beyond));
	/* When they are gone, those that begin count from nought again. */
	assert_true(failures_count(failures, "timeout", "10.0.0.3", false, now + WINDOW, &beyond));
	failures_destroy(failures);
}

static void
test_who_failed_often_outlasts_a_crowd_that_failed_once(void **state)
{
	struct failures *failures = make();
	unsigned beyond;

	(void)state;
	for (int i = 0; i < CROWD; i++)
		(void)failures_count(failures, "address", "10.0.0.1", true, now, &beyond);
	assert_in_range(crowd(failures, true, now), 1, PLACES * MOST);
	assert_true(failures_too_many(failures, "address", "10.0.0.1", now));
	failures_destroy(failures);
}

static void
test_an_address_of_ipv6_is_its_network(void **state)
{
	char buf[FAILURES_ORIGIN_LEN];

	(void)state;
	assert_string_equal(failures_origin("192.0.2.7", buf), "192.0.2.7");
	assert_string_equal(failures_origin("", buf), "");
	assert_string_equal(failures_origin("2001:db8:1:2:3:4:5:6", buf), "2001:db8:1:2::");
	assert_string_equal(failures_origin("2001:db8:1:2::1", buf), "2001:db8:1:2::");
	assert_string_equal(failures_origin("2001:db8:1:3::1", buf), "2001:db8:1:3::");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_window_and_what_was_beyond_it),
		cmocka_unit_test(test_kinds_and_texts_are_apart),
		cmocka_unit_test(test_what_was_only_begun_is_not_held_against_anybody),
		cmocka_unit_test(test_a_crowd_that_only_begins_pushes_nobody_out),
		cmocka_unit_test(test_who_failed_often_outlasts_a_crowd_that_failed_once),
		cmocka_unit_test(test_an_address_of_ipv6_is_its_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
