/*
 * Is what fields.c takes from a line what jansson reads in it, and is everything refused that jansson refuses?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "gateway/audit/fields.h"
#include "virtgate/member.h"

static const char line[] = "{\"args\":{\"a\":[1,{\"b\":\"\\u00e9\"},[],{}]},\"by\":{\"name\":\"root\",\"unix\":\"root\"},\"call\":\"domain_create\",\"code\":\"VG2009W\","
    "\"connection\":{\"readonly\":false,\"uri\":\"qemu:///system\"},\"decision\":{\"binding\":\"webops\",\"permissions\":[\"domain:start\"],\"rule\":null,"
    "\"verdict\":\"deny\"},\"event\":\"domain.create\",\"hash\":\"abc\",\"object\":{\"class\":\"domain\",\"name\":\"m\\u00fcller \\ud83d\\ude00 \\\"\\\\\\/\\b\\f\\n\\r\\t\","
    "\"uuid\":\"6695eb01-f6a4-8304-79aa-97f2502e193f\"},\"op\":\"01JD0000000000000000000001\",\"result\":{\"code\":-88,\"message\":\"\\udbff\\udeff\\u20ac\","
    "\"status\":\"denied\"},\"seq\":41,\"session\":\"01JD\",\"source\":{\"address\":\"10.0.0.7\",\"port\":41022,\"via\":\"rpc-tls\"},\"stage\":\"event\","
    "\"time\":\"2026-11-23T19:50:12.123456Z\",\"user\":{\"name\":\"alice\",\"sasl\":\"alice\",\"x509\":\"CN=alice\"}}";

static struct audit_fields fields;

static const struct { const char *member, *part; } rows[AUDIT_NUM_FIELDS] = {
#define TEXT(name, member, part) [FIELD_##name] = { member, part },
#define NUMBER(name, member, part) [FIELD_##name] = { member, part },
#include "gateway/audit/fields.def"
#undef TEXT
#undef NUMBER
};

static void
expect_same(json_t *record)
{
	for (size_t i = 0; i < AUDIT_NUM_FIELDS; i++) {
		const char *part = rows[i].part[0] == '\0' ? NULL : rows[i].part;
		json_t *value = json_object_get(record, rows[i].member);
		char number[24] = "";

		if (part != NULL)
			value = json_object_get(value, part);
		if (i != FIELD_SEQ && i != FIELD_PORT) {
			assert_string_equal(fields.text[i], audit_member(record, rows[i].member, part));
			continue;
		}
		if (json_is_integer(value))
			(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		assert_string_equal(fields.text[i], number);
	}
	assert_int_equal(fields.has_by, json_object_get(record, "by") != NULL);
}

static void
test_fields_are_what_the_record_says(void **state)
{
	json_t *record = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	(void)state;
	assert_true(audit_fields_read(&fields, line, sizeof(line) - 1));
	expect_same(record);
	assert_string_equal(fields.text[FIELD_OBJECT], "m\xc3\xbcller \xf0\x9f\x98\x80 \"\\/\b\f\n\r\t");
	assert_memory_equal(fields.args, "{\"a\":[1,{\"b\":\"\\u00e9\"},[],{}]}", fields.args_len);
	json_decref(record);
	assert_true(audit_fields_read(&fields, "{}", 2));
	for (size_t i = 0; i < AUDIT_NUM_FIELDS; i++)
		assert_string_equal(fields.text[i], "");
	assert_null(fields.args);
}

/* Each byte of the line becomes each other one: what is taken is what jansson takes, and what it says is the same. */
static void
test_what_is_no_record_is_refused(void **state)
{
	static const char bytes[] = "\"\\{}[]:,-0129aenux/ \n\x01\x7f\xc3";
	char text[sizeof(line)];
	size_t taken = 0;

	(void)state;
	for (size_t at = 0; at < sizeof(line) - 1; at++) {
		for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
			json_t *record;
			bool is;

			memcpy(text, line, sizeof(line));
			text[at] = bytes[i];
			record = json_loadb(text, sizeof(line) - 1, JSON_REJECT_DUPLICATES, NULL);
			is = audit_fields_read(&fields, text, sizeof(line) - 1);
			if (is) {
				if (record == NULL)
					fail_msg("taken: %s", text);
				expect_same(record);
				taken++;
			} else if (record != NULL && strcspn(text, " \n\x7f\xc3") == sizeof(line) - 1 && strstr(text, "\"\":") == NULL) {
				fail_msg("not taken: %s", text);	/* JSON, but not as it is written here: blanks, bytes beyond ASCII, empty names */
			}
			json_decref(record);
		}
	}
	assert_true(taken > sizeof(line));
}

static void
test_twice_is_no_record(void **state)
{
	static const char *const bad[] = { "{\"op\":\"a\",\"op\":\"b\"}", "{\"user\":{\"name\":\"a\",\"name\":\"b\"}}", "{\"user\":{},\"user\":{\"name\":\"b\"}}", "[]", "{}x", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(audit_fields_read(&fields, bad[i], strlen(bad[i])));
}

/* Of an outcome all members stay; of its intent come those that it has not, whole. */
static void
test_an_intent_adds_what_its_outcome_lacks(void **state)
{
	static const char outcome[] = "{\"object\":{\"name\":\"new\"},\"op\":\"1\",\"stage\":\"outcome\",\"time\":\"2\"}";
	static const char intent[] = "{\"args\":{},\"by\":{\"name\":\"root\"},\"object\":{\"class\":\"domain\",\"name\":\"old\"},\"op\":\"1\",\"stage\":\"intent\",\"time\":\"1\",\"user\":{\"name\":\"alice\"}}";

	(void)state;
	assert_true(audit_fields_read(&fields, outcome, sizeof(outcome) - 1));
	assert_false(fields.has_by);
	assert_true(audit_fields_add(&fields, intent, sizeof(intent) - 1));
	assert_true(fields.has_by);
	assert_string_equal(fields.text[FIELD_USER], "alice");
	assert_string_equal(fields.text[FIELD_OBJECT], "new");
	assert_string_equal(fields.text[FIELD_CLASS], "");
	assert_string_equal(fields.text[FIELD_STAGE], "outcome");
	assert_string_equal(fields.text[FIELD_TIME], "2");
	assert_memory_equal(fields.args, "{}", 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_what_the_record_says), cmocka_unit_test(test_what_is_no_record_is_refused),
		cmocka_unit_test(test_twice_is_no_record), cmocka_unit_test(test_an_intent_adds_what_its_outcome_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
