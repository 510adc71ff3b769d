/*
 * What does each format make of a record, and of one whose every text was chosen by somebody who wants to end the line, begin another field,
 * reach a terminal, or be taken for somebody else?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "gateway/audit/export.h"

static const char plain[] = "{\"args\":{\"flags\":0},\"call\":\"domain_create\",\"code\":\"VG2009W\",\"decision\":{\"binding\":\"webops\",\"permissions\":[\"domain:start\"],"
    "\"verdict\":\"deny\"},\"event\":\"domain.create\",\"hash\":\"abc\",\"object\":{\"class\":\"domain\",\"name\":\"web-1\",\"uuid\":\"6695eb01-f6a4-8304-79aa-97f2502e193f\"},"
    "\"op\":\"01JD0000000000000000000001\",\"prev\":\"def\",\"result\":{\"code\":88,\"message\":\"access denied\",\"status\":\"denied\"},\"seq\":41,\"session\":\"01JD\","
    "\"source\":{\"address\":\"10.0.0.7\",\"port\":41022,\"via\":\"rpc-tls\"},\"stage\":\"event\",\"time\":\"2026-11-23T19:50:12.123456Z\","
    "\"user\":{\"mech\":\"PLAIN\",\"name\":\"alice\",\"sasl\":\"alice\",\"x509\":\"CN=alice,O=Lab\"}}";

/* The text of a record in a format; the caller frees. */
static char *
put_line(const char *format, const char *line)
{
	static struct audit_fields record;
	struct buf out = { .data = NULL };
	char *text;

	assert_true(audit_fields_read(&record, line, strlen(line)));
	assert_int_equal(audit_format_find(format)->put(&out, &record, line, strlen(line)), 0);
	text = strndup((const char *)buf_head(&out), buf_len(&out));
	assert_int_equal(strlen(text), buf_len(&out));
	buf_free(&out);
	return text;
}

static char *
put(const char *format, const json_t *record)
{
	char *line = json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_SORT_KEYS), *text = put_line(format, line);

	free(line);
	return text;
}

static void
expect_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no '%s' in: %s", part, text);
}

static void
test_jsonl_is_the_line(void **state)
{
	char *text = put_line("jsonl", plain);

	(void)state;
	assert_memory_equal(text, plain, sizeof(plain) - 1);
	assert_string_equal(text + sizeof(plain) - 1, "\n");
	free(text);
}

static void
test_cef(void **state)
{
	char *text = put_line("cef", plain);

	(void)state;
	expect_has(text, "CEF:0|virtgate|virtgate|");
	expect_has(text, "|VG2009W|domain.create|6|rt=1795463412123 destinationServiceName=domain:web-1 cn1=41 cn1Label=seq "
	    "externalId=01JD0000000000000000000001 suser=alice src=10.0.0.7 spt=41022 app=rpc-tls act=domain_create outcome=denied msg=access denied reason=deny "
	    "cs1=event cs1Label=stage cs2=webops cs2Label=binding cs3=CN\\=alice,O\\=Lab cs3Label=x509");
	free(text);
}

static void
test_rfc5424(void **state)
{
	char *text = put_line("rfc5424", plain);

	(void)state;
	/* facility 13, warning */
	expect_has(text, "<108>1 2026-11-23T19:50:12.123456Z ");
	expect_has(text, " virtgate - VG2009W [virtgate@32473 seq=\"41\" op=\"01JD0000000000000000000001\" stage=\"event\" event=\"domain.create\" user=\"alice\"");
	expect_has(text, " result=\"denied\" message=\"access denied\" hash=\"abc\"] \xef\xbb\xbf" "alice domain.create domain:web-1 denied\n");
	free(text);
}

static void
test_ocsf(void **state)
{
	static const struct { const char *event, *call; int activity; } rows[] = { { "domain.define", "domain_define_xml", 1 },
		{ "domain.undefine", "domain_undefine", 4 }, { "storage_vol.create", "storage_vol_create_xml", 1 }, { "domain.create", "domain_create", 3 },
		{ "domain.screenshot", "domain_screenshot", 2 }, { "session.login", NULL, 99 }, { "domain.get_xml_desc", "domain_get_xml_desc", 2 } };
	char *text = put_line("ocsf", plain);
	json_t *event = json_loads(text, 0, NULL);
	const char *name;

	(void)state;
	assert_non_null(event);
	assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
	assert_int_equal(json_integer_value(json_object_get(event, "class_uid")), 6003);
	assert_int_equal(json_integer_value(json_object_get(event, "category_uid")), 6);
	assert_int_equal(json_integer_value(json_object_get(event, "type_uid")), 600303);
	assert_int_equal(json_integer_value(json_object_get(event, "severity_id")), 3);
	assert_int_equal(json_integer_value(json_object_get(event, "status_id")), 2);
	assert_true(json_integer_value(json_object_get(event, "time")) == 1795463412123);
	/* what the class requires */
	for (size_t i = 0; i < 6; i++) {
		static const char *const required[] = { "actor", "api", "src_endpoint", "metadata", "activity_id", "severity_id" };

		assert_non_null(json_object_get(event, required[i]));
	}
	assert_int_equal(json_unpack(event, "{s:{s:{s:s}}}", "actor", "user", "name", &name), 0);
	assert_string_equal(name, "alice");
	assert_int_equal(json_unpack(event, "{s:{s:s}}", "api", "operation", &name), 0);
	assert_string_equal(name, "domain_create");
	assert_int_equal(json_unpack(event, "{s:[{s:s}]}", "resources", "name", &name), 0);
	assert_string_equal(name, "web-1");
	/* one event has one uid; what belongs together is told by another one */
	assert_int_equal(json_unpack(event, "{s:{s:s}}", "metadata", "uid", &name), 0);
	assert_string_equal(name, "abc");
	assert_int_equal(json_unpack(event, "{s:{s:s}}", "metadata", "correlation_uid", &name), 0);
	assert_string_equal(name, "01JD0000000000000000000001");
	assert_int_equal(json_unpack(event, "{s:{s:s}}", "unmapped", "hash", &name), 0);
	assert_string_equal(name, "abc");
	json_decref(event);
	free(text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *record = json_pack("{s:s, s:s*}", "event", rows[i].event, "call", rows[i].call);

		text = put("ocsf", record);
		event = json_loads(text, 0, NULL);
		assert_int_equal(json_integer_value(json_object_get(event, "activity_id")), rows[i].activity);
		assert_int_equal(json_integer_value(json_object_get(event, "type_uid")), 600300 + rows[i].activity);
		/* nobody: an actor is not empty, nor is a user without a name one; what has no result has no response */
		assert_int_equal(json_unpack(event, "{s:{s:s}}", "actor", "app_name", &name), 0);
		assert_null(json_object_get(json_object_get(event, "actor"), "user"));
		assert_null(json_object_get(json_object_get(event, "api"), "response"));
		json_decref(event);
		json_decref(record);
		free(text);
	}
}

/* Every string of the record becomes this text. */
static void
poison(json_t *value, const char *text)
{
	const char *key;
	json_t *member;
	void *next;

	json_object_foreach_safe(value, next, key, member) {
		if (json_is_object(member))
			poison(member, text);
		else if (json_is_string(member))
			json_object_set_new(value, key, json_string(text));
	}
}

static void
test_I60_nothing_ends_a_line_or_begins_a_field(void **state)
{
	static const struct { const char *text, *cef, *syslog; } rows[] = {
		{ "a\nb", "suser=a\\\\x0ab ", "user=\"a\\\\x0ab\"" },
		{ "a\r\nCEF:0|x", "suser=a\\\\x0d\\\\x0aCEF:0|x ", "user=\"a\\\\x0d\\\\x0aCEF:0|x\"" },
		{ "x suser=root", "suser=x suser\\=root ", "user=\"x suser=root\"" },
		{ "x|9|y", "suser=x|9|y ", "user=\"x|9|y\"" },
		{ "a\\", "suser=a\\\\ ", "user=\"a\\\\\"" },
		{ "a\"] root [b c=\"", "suser=a\"] root [b c\\=\" ", "user=\"a\\\"\\] root [b c=\\\"\"" },
		{ "\x1b[31mred", "suser=\\\\x1b[31mred ", "user=\"\\\\x1b[31mred\"" },
		{ "\xc2\x9b" "31m", "suser=\\\\u009b31m ", "user=\"\\\\u009b31m\"" },
		{ "\xe2\x80\xae" "live", "suser=\\\\u202elive ", "user=\"\\\\u202elive\"" },
		{ "\xf4\x8f\xbb\xbf", "suser=\\\\xff ", "user=\"\\\\xff\"" },		/* a byte that was no UTF-8, as records have it */
		{ "m\xc3\xbcller", "suser=m\xc3\xbcller ", "user=\"m\xc3\xbcller\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *record = json_loads(plain, 0, NULL), *event;

		poison(record, rows[i].text);
		for (size_t f = 1; audit_format_at(f) != NULL; f++) {
			char *text = put(audit_format_at(f)->name, record);

			/* one line, and no control in it but its end */
			assert_true(strlen(text) > 10);
			for (const char *at = text; *at != '\0'; at++)
				assert_true((unsigned char)*at >= 0x20 || (*at == '\n' && at[1] == '\0'));
			assert_null(strstr(text, "\xc2\x9b"));
			assert_null(strstr(text, "\xe2\x80\xae"));
			if (strcmp(audit_format_at(f)->name, "cef") == 0)
				expect_has(text, rows[i].cef);
			else if (strcmp(audit_format_at(f)->name, "rfc5424") == 0)
				expect_has(text, rows[i].syslog);
			if (strcmp(audit_format_at(f)->name, "ocsf") == 0) {
				const char *name;

				event = json_loads(text, 0, NULL);
				assert_int_equal(json_unpack(event, "{s:{s:{s:s}}}", "actor", "user", "name", &name), 0);
				assert_string_equal(name, rows[i].text);
				json_decref(event);
			}
			free(text);
		}
		json_decref(record);
	}
}

/* In CEF's header '|' ends a field; in RFC 5424 a blank ends the time. */
static void
test_I60_heads_are_escaped_too(void **state)
{
	json_t *record = json_pack("{s:s, s:s, s:s}", "code", "VG|1\\", "event", "a|b c]\"\n", "time", "x y");
	char *text = put("cef", record);

	(void)state;
	expect_has(text, "|VG\\|1\\\\|a\\|b c]\"\\\\x0a|");
	free(text);
	text = put("rfc5424", record);
	expect_has(text, "<110>1 x?y ");
	expect_has(text, " virtgate - VG|1\\ [virtgate@32473 event=\"a|b c\\]\\\"\\\\x0a\"");
	free(text);
	json_decref(record);
}

static void
test_records_that_lack_everything(void **state)
{
	static const char *const bad[] = { "{}", "{\"user\":7,\"object\":[],\"result\":null,\"source\":{\"port\":\"x\"},\"time\":{},\"code\":\"\",\"seq\":\"x\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t f = 0; audit_format_at(f) != NULL; f++) {
			char *text = put_line(audit_format_at(f)->name, bad[i]);

			assert_true(strlen(text) > 1 && text[strlen(text) - 1] == '\n');
			free(text);
		}
	}
	assert_null(audit_format_find("csv"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jsonl_is_the_line), cmocka_unit_test(test_cef), cmocka_unit_test(test_rfc5424), cmocka_unit_test(test_ocsf),
		cmocka_unit_test(test_I60_nothing_ends_a_line_or_begins_a_field), cmocka_unit_test(test_I60_heads_are_escaped_too),
		cmocka_unit_test(test_records_that_lack_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
