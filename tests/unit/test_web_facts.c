/* What is known of guests goes from one list to the next, as long as it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "web/facts.h"

static const uint8_t one[VG_UUID_LEN] = { 1 }, two[VG_UUID_LEN] = { 2 }, three[VG_UUID_LEN] = { 0, 3 };

/* A list of `one` and `two`, both asked about in the second 100. */
static struct facts
make_old(void)
{
	struct facts facts = { 0 };

	assert_int_equal(facts_add(&facts, two, 7), 0);
	assert_int_equal(facts_add(&facts, one, -1), 0);
	facts_settle(&facts, &(struct facts){ 0 }, 0);
	for (size_t i = 0; i < 2; i++) {
		assert_false(facts.facts[i].known);
		facts.facts[i].known = true;
		facts.facts[i].asked = 100;
	}
	facts_find(&facts, one)->vcpus = 1;
	facts_find(&facts, two)->vcpus = 2;
	return facts;
}

static void
expect(const struct facts *old, const uint8_t uuid[VG_UUID_LEN], int32_t id, time_t oldest, bool known)
{
	struct facts fresh = { 0 };
	const struct fact *fact;

	assert_int_equal(facts_add(&fresh, uuid, id), 0);
	assert_int_equal(facts_add(&fresh, three, 1), 0);
	facts_settle(&fresh, old, oldest);
	fact = facts_find(&fresh, uuid);
	assert_int_equal(fact->known, known);
	assert_int_equal(fact->vcpus, known ? uuid[0] : 0);
	assert_int_equal(fact->id, id);
	assert_false(fact->touched);
	assert_false(facts_find(&fresh, three)->known);
	facts_free(&fresh);
}

static void
test_what_holds(void **state)
{
	struct facts old = make_old();

	(void)state;
	expect(&old, one, -1, 100, true);
	expect(&old, two, 7, 50, true);
	expect(&old, one, -1, 101, false);	/* asked too long ago */
	expect(&old, one, 5, 100, false);	/* was started */
	expect(&old, two, -1, 100, false);	/* does not run any more */
	expect(&old, two, 8, 100, false);	/* another run */
	facts_free(&old);
}

static void
test_events(void **state)
{
	struct facts old = make_old();

	(void)state;
	facts_touch(&old, one);
	facts_touch(&old, three);		/* not there */
	expect(&old, one, -1, 100, false);
	expect(&old, two, 7, 100, true);
	/* What is told now may have been so before the event: asked once more. */
	facts_find(&old, one)->asked = 200;
	expect(&old, one, -1, 100, false);
	facts_free(&old);
}

static void
test_many(void **state)
{
	struct facts facts = { 0 };
	uint8_t uuid[VG_UUID_LEN] = { 0 };

	(void)state;
	facts_touch(&facts, one);
	assert_null(facts_find(&facts, one));
	for (unsigned i = 1000; i-- > 0;) {
		uuid[5] = (uint8_t)i;
		uuid[6] = (uint8_t)(i >> 8);
		assert_int_equal(facts_add(&facts, uuid, (int32_t)i), 0);
	}
	facts_settle(&facts, &(struct facts){ 0 }, 0);
	for (unsigned i = 0; i < 1000; i++) {
		uuid[5] = (uint8_t)i;
		uuid[6] = (uint8_t)(i >> 8);
		assert_int_equal(facts_find(&facts, uuid)->id, i);
	}
	assert_null(facts_find(&facts, one));
	facts_free(&facts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_holds), cmocka_unit_test(test_events), cmocka_unit_test(test_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
