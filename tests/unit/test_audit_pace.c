/*
 * How long a group waits for company: never for a change alone, for nearly all where many are in flight, and not again for those that did not come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/audit/pace.h"

#define SLOW 5000u
#define FAST 100u
#define RATE 20u		/* us from record to record */

static uint64_t now_us;

static void
group(struct pace *pace, size_t records, size_t in_flight, unsigned sync_us)
{
	now_us += records * RATE;
	pace_group_done(pace, records, in_flight, sync_us, now_us);
}

/* As many as are wanted come, `num` times. */
static void
all_come(struct pace *pace, size_t in_flight, unsigned sync_us, unsigned num)
{
	while (num-- > 0)
		group(pace, pace->wanted > 2 ? pace->wanted : 2, in_flight, sync_us);
}

static void
test_a_change_alone_waits_for_nobody(void **state)
{
	struct pace pace = { .wanted = 0 };

	(void)state;
	assert_true(pace_enough(&pace, 1));
	for (int i = 0; i < 10; i++) {
		group(&pace, 1, 1, SLOW);
		assert_true(pace_enough(&pace, 1));
	}
	/* Nor where others hang in libvirtd. */
	group(&pace, 1, 200, SLOW);
	assert_true(pace_enough(&pace, 1));
}

static void
test_nearly_all_of_many_go_together(void **state)
{
	struct pace pace = { .wanted = 0 };

	(void)state;
	all_come(&pace, 64, SLOW, 30);
	assert_int_equal(pace.wanted, 56);
	assert_false(pace_enough(&pace, 55));
	assert_true(pace_enough(&pace, 56));
	assert_int_equal(pace.wait_us, SLOW);
	/* Fewer are left. */
	group(&pace, 8, 8, SLOW);
	assert_true(pace_enough(&pace, 7));
}

static void
test_a_fast_disk_waits_only_for_very_many(void **state)
{
	struct pace pace = { .wanted = 0 };

	(void)state;
	all_come(&pace, 32, FAST, 30);
	assert_true(pace_enough(&pace, 1));
	all_come(&pace, 256, FAST, 30);
	assert_int_equal(pace.wait_us, 256 * RATE / 2);
	assert_int_equal(pace.wanted, 224);
}

static void
test_those_who_did_not_come_are_not_waited_for_again(void **state)
{
	struct pace pace = { .wanted = 0 };
	unsigned waits = 0;

	(void)state;
	all_come(&pace, 64, SLOW, 30);
	while (!pace_enough(&pace, 1)) {
		group(&pace, 1, 64, SLOW);
		waits++;
	}
	assert_true(waits <= 6);
	/* Of two that go on, with 62 that hang, one group in 17 waits in vain. */
	waits = 0;
	for (int i = 0; i < 170; i++) {
		waits += !pace_enough(&pace, 2);
		group(&pace, 2, 64, SLOW);
	}
	assert_true(waits <= 10);
}

/* Nor is what came after a quiet night any reason to wait for long. */
static void
test_a_disk_that_hung_is_forgotten(void **state)
{
	struct pace pace = { .wanted = 0 };

	(void)state;
	all_come(&pace, 64, SLOW, 10);
	all_come(&pace, 64, 30000000, 1);
	assert_true(pace.wait_us <= 30000);
	all_come(&pace, 256, FAST, 30);
	assert_int_equal(pace.wait_us, 256 * RATE / 2);
	now_us += 28800000000;
	all_come(&pace, 256, FAST, 1);
	assert_true(pace.wait_us <= 20000);
	all_come(&pace, 256, FAST, 30);
	assert_int_equal(pace.wait_us, 256 * RATE / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_change_alone_waits_for_nobody),
		cmocka_unit_test(test_nearly_all_of_many_go_together),
		cmocka_unit_test(test_a_fast_disk_waits_only_for_very_many),
		cmocka_unit_test(test_those_who_did_not_come_are_not_waited_for_again),
		cmocka_unit_test(test_a_disk_that_hung_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
