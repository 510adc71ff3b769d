#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/core/buf.h"

static void
test_empty_holds_no_memory(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_add(&buf, "", 0), 0);
	assert_null(buf.data);
	assert_int_equal(buf_add(&buf, "hello", 5), 0);
	assert_int_equal(buf_len(&buf), 5);
	buf_drop(&buf, 2);
	assert_memory_equal(buf_head(&buf), "llo", 3);
	buf_drop(&buf, 3);
	assert_null(buf.data);
	assert_int_equal(buf.size, 0);
}

/* A queue that never runs empty stays small, and its bytes stay in order. */
static void
test_long_running_queue(void **state)
{
	struct buf buf = { 0 };
	uint32_t next_in = 0, next_out = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		assert_int_equal(buf_add(&buf, &next_in, sizeof(next_in)), 0);
		next_in++;
		if (next_in - next_out > 100) {
			uint32_t value;

			memcpy(&value, buf_head(&buf), sizeof(value));
			assert_int_equal(value, next_out);
			next_out++;
			buf_drop(&buf, sizeof(value));
		}
	}
	assert_true(buf.size <= 4096);
	buf_free(&buf);
}

static void
test_room_refuses_overflow(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_add(&buf, "x", 1), 0);
	assert_null(buf_room(&buf, SIZE_MAX));
	assert_null(buf_room(&buf, SIZE_MAX / 2));
	assert_int_equal(buf_len(&buf), 1);
	assert_int_equal(*buf_head(&buf), 'x');
	buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_holds_no_memory),
		cmocka_unit_test(test_long_running_queue),
		cmocka_unit_test(test_room_refuses_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
