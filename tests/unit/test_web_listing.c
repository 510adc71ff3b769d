/* The packed list of guests: what was put in comes out, guest by guest, and two lists are compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "web/listing.h"

#define ONE	"11111111-0000-4000-8000-000000000001"
#define TWO	"22222222-0000-4000-8000-000000000002"
#define THREE	"33333333-0000-4000-8000-000000000003"

static struct listing *
make(const char *json)
{
	json_t *guests = json_loads(json, 0, NULL);
	struct listing *listing = listing_create(guests);

	json_decref(guests);
	assert_non_null(listing);
	return listing;
}

static void
test_text(void **state)
{
	/* In the order in which they came. */
	struct listing *listing = make("{\"" TWO "\": {\"uuid\": \"" TWO "\", \"id\": null}, \"" ONE "\": {\"name\": \"\\\"a,]}\"}}");
	const char *wanted = "{\"guests\":[{\"uuid\":\"" TWO "\",\"id\":null},{\"name\":\"\\\"a,]}\"}]}";
	const uint8_t *packed;
	size_t len;
	char *text = listing_text(listing, &len);

	(void)state;
	assert_string_equal(text, wanted);
	assert_int_equal(len, strlen(wanted));
	packed = listing_packed(listing, &len);
	assert_true(len > 18 && packed[0] == 0x1f && packed[1] == 0x8b);	/* RFC 1952, 2.3 */
	free(text);
	listing_destroy(listing);
}

static void
test_guest(void **state)
{
	struct listing *listing = make("{\"" TWO "\": {\"n\": 2}, \"" ONE "\": {\"n\": 1}, \"" THREE "\": {\"n\": 3}}");
	bool found;
	char *text = listing_guest(listing, ONE, &found);

	(void)state;
	assert_true(found);
	assert_string_equal(text, "{\"n\":1}");
	free(text);
	text = listing_guest(listing, THREE, &found);
	assert_string_equal(text, "{\"n\":3}");
	free(text);
	assert_null(listing_guest(listing, "44444444-0000-4000-8000-000000000004", &found));
	assert_false(found);
	assert_null(listing_guest(listing, ONE ONE, &found));	/* longer than any */
	assert_false(found);
	listing_destroy(listing);
}

static void
test_empty(void **state)
{
	struct listing *listing = make("{}");
	bool found;
	size_t len;
	char *text = listing_text(listing, &len);

	(void)state;
	assert_string_equal(text, "{\"guests\":[]}");
	assert_null(listing_guest(listing, ONE, &found));
	assert_false(found);
	free(text);
	listing_destroy(listing);
}

static char told[512];

static void
on_change(const char *uuid, const char *text, void *arg)
{
	size_t len = strlen(told);

	(void)arg;
	(void)snprintf(told + len, sizeof(told) - len, "%c%s ", uuid[0], text == NULL ? "-" : text);
}

static void
expect_changes(const char *before, const char *after, const char *wanted)
{
	struct listing *old = before == NULL ? NULL : make(before), *new = make(after);

	told[0] = '\0';
	assert_int_equal(listing_compare(old, new, on_change, NULL), 0);
	assert_string_equal(told, wanted);
	listing_destroy(old);
	listing_destroy(new);
}

static void
test_compare(void **state)
{
	(void)state;
	expect_changes(NULL, "{\"" TWO "\": {\"n\": 2}, \"" ONE "\": {\"n\": 1}}", "1{\"n\":1} 2{\"n\":2} ");
	expect_changes("{\"" ONE "\": {\"n\": 1}}", "{\"" ONE "\": {\"n\": 1}}", "");
	/* Others around it, and another place in the text, are no change. */
	expect_changes("{\"" TWO "\": {\"n\": 2}, \"" ONE "\": {\"n\": 1}}", "{\"" ONE "\": {\"n\": 1}, \"" THREE "\": {\"n\": 3}, \"" TWO "\": {\"n\": 2}}",
	    "3{\"n\":3} ");
	expect_changes("{\"" ONE "\": {\"n\": 1}, \"" TWO "\": {\"n\": 2}, \"" THREE "\": {}}", "{\"" TWO "\": {\"n\": 3}, \"" ONE "\": {\"n\": 12}}",
	    "1{\"n\":12} 2{\"n\":3} 3- ");
	expect_changes("{\"" ONE "\": {}}", "{}", "1- ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_guest), cmocka_unit_test(test_empty), cmocka_unit_test(test_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
