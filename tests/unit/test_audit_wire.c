/*
 * Ids, names, canonical JSON, and records on their way to the audit process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/audit/chain.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/audit_names.h"
#include "gateway/core/audit_wire.h"
#include "gateway/core/ids.h"
#include "gateway/core/link.h"
#include "proto/virtgate.h"

static void
test_I58_ids_rise_and_differ(void **state)
{
	char last[ID_LEN + 1], id[ID_LEN + 1];

	(void)state;
	id_make(last);
	assert_int_equal(strlen(last), ID_LEN);
	assert_int_equal(strspn(last, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), ID_LEN);
	for (int i = 0; i < 100000; i++) {
		id_make(id);
		assert_true(strcmp(id, last) > 0);
		memcpy(last, id, sizeof(last));
	}
}

static void
test_codes(void **state)
{
	static const struct { uint32_t program, number; char severity; const char *code; } rows[] = {
		{ RPC_PROGRAM_REMOTE, 350, 'I', "VG2350I" }, { RPC_PROGRAM_REMOTE, 9, 'W', "VG2009W" },
		{ RPC_PROGRAM_QEMU, 1, 'E', "VG3001E" }, { RPC_PROGRAM_LXC, 1, 'W', "VG4001W" },
		{ RPC_PROGRAM_VIRTGATE, 3, 'W', "VG5003W" },
		{ 0x06900690, 5, 'W', "VG2000W" }, { RPC_PROGRAM_REMOTE, 1000, 'W', "VG2000W" },
		{ RPC_PROGRAM_QEMU, 4000000000u, 'W', "VG2000W" },
	};
	char code[AUDIT_CODE_LEN + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		audit_call_code(code, rows[i].program, rows[i].number, rows[i].severity);
		assert_string_equal(code, rows[i].code);
	}
}

static void
test_event_names(void **state)
{
	static const char *const rows[][2] = {
		{ "domain_define_xml_flags", "domain.define" }, { "domain_define_xml", "domain.define" },
		{ "domain_create", "domain.create" }, { "domain_create_with_flags", "domain.create" },
		{ "domain_migrate_perform3_params", "domain.migrate_perform" }, { "domain_snapshot_create_xml", "domain.snapshot_create" },
		{ "storage_vol_create_xml_from", "storage_vol.create_xml_from" }, { "storage_pool_refresh", "storage_pool.refresh" },
		{ "network_port_set_parameters", "network_port.set_parameters" }, { "network_update", "network.update" },
		{ "nwfilter_binding_create_xml", "nwfilter_binding.create" }, { "nwfilter_define_xml", "nwfilter.define" },
		{ "node_device_dettach", "node_device.dettach" }, { "node_suspend_for_duration", "node.suspend_for_duration" },
		{ "secret_set_value", "secret.set_value" }, { "connect_open", "connect.open" }, { "auth_list", "auth.list" },
		{ "domain_", "domain_" }, { "x", "x" }, { "domain_xml", "domain.xml" }, { "", "" },
	};
	char event[64], tiny[8];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		audit_call_event(event, sizeof(event), rows[i][0]);
		assert_string_equal(event, rows[i][1]);
	}
	audit_call_event(tiny, sizeof(tiny), "domain_create");
	assert_string_equal(tiny, "domain.");
}

static void
assert_canonical(json_t *value, const char *expected)
{
	struct buf out = { 0 };

	assert_non_null(value);
	assert_int_equal(audit_canonical(&out, value), 0);
	assert_int_equal(buf_len(&out), strlen(expected));
	assert_memory_equal(buf_head(&out), expected, strlen(expected));
	buf_free(&out);
	json_decref(value);
}

/* Expected texts are what Python 3's json.dumps(…, sort_keys=True, separators=(',', ':')) printed. */
static void
test_canonical_is_what_python_prints(void **state)
{
	(void)state;
	assert_canonical(json_pack("{s:i, s:[i,n,b], s:{}}", "b", 1, "a", -5, 1, "_"), "{\"_\":{},\"a\":[-5,null,true],\"b\":1}");
	assert_canonical(json_string("\x1f\x0b\t\n\r\b\f\"\\/\x7f"), "\"\\u001f\\u000b\\t\\n\\r\\b\\f\\\"\\\\/\\u007f\"");
	assert_canonical(json_string("J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x98\x80"), "\"J\\u00f6rg \\u20ac \\ud83d\\ude00\"");
	assert_canonical(json_string("\\u00AF stays"), "\"\\\\u00AF stays\"");
	assert_canonical(json_integer(INT64_MIN), "-9223372036854775808");
	assert_canonical(json_real(0.1), "\"0.1\"");
	assert_canonical(json_pack("{s:[f]}", "x", 2.5), "{\"x\":[\"2.5\"]}");
}

static void
test_I60_any_bytes_are_a_string(void **state)
{
	static const struct { const char *bytes; size_t len; const char *text; } rows[] = {
		{ "plain \xc3\xb6", 8, "\"plain \\u00f6\"" },
		{ "a\0b", 3, "\"a\\udbff\\ude00b\"" },
		{ "\xff", 1, "\"\\udbff\\udeff\"" },
		{ "\xc3", 1, "\"\\udbff\\udec3\"" },			/* cut short */
		{ "\xc0\x80", 2, "\"\\udbff\\udec0\\udbff\\ude80\"" },	/* overlong */
		{ "\xed\xa0\x80", 3, "\"\\udbff\\udeed\\udbff\\udea0\\udbff\\ude80\"" },	/* surrogate */
		{ "\xf4\x8f\xb8\x80", 4, "\"\\udbff\\udef4\\udbff\\ude8f\\udbff\\udeb8\\udbff\\ude80\"" },	/* our own mark */
		{ "\x7f", 1, "\"\\udbff\\ude7f\"" },
		{ "x\n{\"seq\":1}", 11, "\"x\\n{\\\"seq\\\":1}\"" },
		{ "", 0, "\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_canonical(audit_text(rows[i].bytes, rows[i].len), rows[i].text);
}

/* A client names a typed parameter with bytes that are no UTF-8: the record must not be lost over it. */
static void
test_I60_keys_and_texts_that_were_not_checked(void **state)
{
	json_t *object = json_object();

	(void)state;
	(void)json_object_set_new_nocheck(object, "p\xff", json_stringn_nocheck("v\xfe", 2));
	(void)json_object_set_new(object, "list", json_pack("[o, f]", json_stringn_nocheck("\xc3", 1), 0.5));
	assert_canonical(object, "{\"list\":[\"\\udbff\\udec3\",\"0.5\"],\"p\\udbff\\udeff\":\"v\\udbff\\udefe\"}");
	assert_canonical(json_stringn_nocheck("\xff", 1), "\"\\udbff\\udeff\"");
}

static void
test_text_is_bounded(void **state)
{
	char *big = malloc(100000);
	json_t *value;

	(void)state;
	assert_non_null(big);
	memset(big, 'a', 100000);
	value = audit_text_bounded(big, AUDIT_TEXT_MAX);
	assert_int_equal(json_string_length(value), AUDIT_TEXT_MAX);
	json_decref(value);
	value = audit_text_bounded(big, 100000);
	assert_int_equal(json_integer_value(json_object_get(value, "cut_bytes")), 100000);
	assert_string_equal(json_string_value(json_object_get(value, "cut_sha256")),
	    "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee");
	json_decref(value);
	free(big);
}

/* One record becomes a body and then a line; gives the line, parsed. */
static json_t *
through(json_t *record)
{
	struct buf body = { 0 }, line = { 0 };
	struct record parsed;
	struct chain chain;
	struct scan_line facts;
	json_t *result;

	chain_init(&chain);
	assert_int_equal(audit_wire_record(&body, record), 0);
	assert_true(buf_len(&body) <= LINK_MAX_BODY);
	assert_true(record_get(&parsed, buf_head(&body), buf_len(&body)));
	assert_int_equal(chain_add(&chain, &parsed, &line), 0);
	assert_true(scan_line((const char *)buf_head(&line), buf_len(&line) - 1, &facts));
	assert_true(scan_hash_right((const char *)buf_head(&line), buf_len(&line) - 1, &facts));
	assert_int_equal(facts.seq, 1);
	result = json_loadb((const char *)buf_head(&line), buf_len(&line), 0, NULL);
	assert_non_null(result);
	buf_free(&body);
	buf_free(&line);
	json_decref(record);
	return result;
}

static json_t *
any_record(void)
{
	return audit_record_call("intent", "01ABCDEFGHJKMNPQRSTVWXYZ01", "VG2350I", "domain.define");
}

static void
test_a_record_keeps_what_it_says(void **state)
{
	json_t *record = any_record(), *line;

	(void)state;
	audit_add_result(record, "ok", 0, "line\nbreak \"quoted\"");
	(void)json_object_set_new(record, "zeta", json_integer(5));
	line = through(record);
	assert_string_equal(json_string_value(json_object_get(line, "op")), "01ABCDEFGHJKMNPQRSTVWXYZ01");
	assert_string_equal(json_string_value(json_object_get(line, "stage")), "intent");
	assert_string_equal(json_string_value(json_object_get(line, "prev")), AUDIT_HASH_ZERO);
	assert_string_equal(json_string_value(json_object_get(json_object_get(line, "result"), "message")),
	    "line\nbreak \"quoted\"");
	assert_int_equal(json_integer_value(json_object_get(line, "zeta")), 5);
	json_decref(line);
}

static void
test_identity_members(void **state)
{
	struct vg_identity identity = { .proofs = VG_PROOF_X509 | VG_PROOF_SASL, .sasl_name = (char *)"alice@EXAMPLE.COM",
	    .sasl_mech = (char *)"GSSAPI", .x509_dn = (char *)"CN=al\xff,O=Lab", .x509_sha256 = (char *)"00ff", .port = 41022,
	    .via = VG_VIA_RPC_TLS, .address = "10.0.0.7" };
	json_t *record = any_record(), *user, *source;

	(void)state;
	audit_add_identity(record, &identity, "01S");
	user = json_object_get(record, "user");
	source = json_object_get(record, "source");
	assert_string_equal(json_string_value(json_object_get(user, "name")), "alice@EXAMPLE.COM");
	assert_string_equal(json_string_value(json_object_get(user, "mech")), "GSSAPI");
	assert_string_equal(json_string_value(json_object_get(user, "x509")), "CN=al\xf4\x8f\xbb\xbf,O=Lab");
	assert_null(json_object_get(user, "unix"));
	assert_string_equal(json_string_value(json_object_get(source, "address")), "10.0.0.7");
	assert_int_equal(json_integer_value(json_object_get(source, "port")), 41022);
	assert_string_equal(json_string_value(json_object_get(source, "via")), "rpc-tls");
	assert_string_equal(json_string_value(json_object_get(record, "session")), "01S");
	json_decref(record);
}

/* I60: 32 MiB in one argument, 4,000 arguments, or a text that grows sixfold by its escapes: there is always a record. */
static void
test_I60_long_values_are_cut_not_lost(void **state)
{
	json_t *record = any_record(), *args = json_object(), *line;
	size_t len = 32u * 1024 * 1024;
	char *big = malloc(len), name[32];

	(void)state;
	assert_non_null(big);
	memset(big, 'x', len);
	(void)json_object_set_new(args, "xml", json_stringn(big, len));
	(void)json_object_set_new(args, "flags", json_integer(3));
	(void)json_object_set_new(record, "args", args);
	line = through(record);
	args = json_object_get(line, "args");
	assert_int_equal(json_integer_value(json_object_get(args, "flags")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(args, "xml"), "cut_bytes")), len + 2);
	assert_int_equal(json_string_length(json_object_get(json_object_get(args, "xml"), "cut_sha256")), 64);
	json_decref(line);

	record = any_record();
	args = json_object();
	for (int i = 0; i < 4000; i++) {
		(void)snprintf(name, sizeof(name), "parameter_%d", i);
		(void)json_object_set_new(args, name, json_string("thirty bytes or so of a value…"));
	}
	(void)json_object_set_new(record, "args", args);
	line = through(record);
	assert_true(json_integer_value(json_object_get(json_object_get(line, "args"), "cut_bytes")) > 98304);
	assert_string_equal(json_string_value(json_object_get(line, "event")), "domain.define");
	json_decref(line);

	record = any_record();
	memset(big, 0x7f, 30000);
	(void)json_object_set_new(record, "diff", json_stringn(big, 30000));
	line = through(record);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "diff"), "cut_bytes")), 180002);
	json_decref(line);
	free(big);
}

static void
test_records_without_a_name_are_refused(void **state)
{
	struct buf body = { 0 };
	json_t *record = any_record();

	(void)state;
	(void)json_object_del(record, "op");
	assert_int_equal(audit_wire_record(&body, record), -1);
	(void)json_object_set_new(record, "op", json_string("short"));
	assert_int_equal(audit_wire_record(&body, record), -1);
	json_decref(record);
	record = any_record();
	(void)json_object_set_new(record, "stage", json_string("guess"));
	assert_int_equal(audit_wire_record(&body, record), -1);
	json_decref(record);
	buf_free(&body);
}

/* Body with one or two members as given, lengths right. */
static bool
accepted(const char *key, const char *value, const char *key2, const char *value2)
{
	static const char head[] = "R\001" "01ABCDEFGHJKMNPQRSTVWXYZ01";
	struct buf body = { 0 };
	struct record record;
	bool ok;

	assert_int_equal(buf_add(&body, head, sizeof(head) - 1), 0);
	assert_int_equal(audit_wire_member(&body, key, value, strlen(value)), 0);
	if (key2 != NULL)
		assert_int_equal(audit_wire_member(&body, key2, value2, strlen(value2)), 0);
	ok = record_get(&record, buf_head(&body), buf_len(&body));
	buf_free(&body);
	return ok;
}

static void
test_I60_I65_members_cannot_forge(void **state)
{
	(void)state;
	assert_true(accepted("args", "{\"a\":[1,\"x\\\"y\"]}", "user", "null"));
	assert_false(accepted("args", "1,\"seq\":9", NULL, NULL));
	assert_false(accepted("args", "1}\n{\"a\":1", NULL, NULL));
	assert_false(accepted("args", "\"a\nb\"", NULL, NULL));
	assert_false(accepted("args", "\"a\\\nb\"", NULL, NULL));
	assert_false(accepted("args", "\"open", NULL, NULL));
	assert_false(accepted("args", "\"open\\", NULL, NULL));
	assert_false(accepted("args", "{]", NULL, NULL));
	assert_false(accepted("args", "{", NULL, NULL));
	assert_false(accepted("args", "1 ", NULL, NULL));
	assert_false(accepted("args", "\"\xc3\xb6\"", NULL, NULL));
	assert_false(accepted("seq", "1", NULL, NULL));
	assert_false(accepted("hash", "1", NULL, NULL));
	assert_false(accepted("prev", "1", NULL, NULL));
	assert_false(accepted("stage", "1", NULL, NULL));
	assert_false(accepted("a\":1,\"seq", "1", NULL, NULL));
	assert_false(accepted("Args", "1", NULL, NULL));
	assert_false(accepted("b", "1", "a", "1"));
	assert_false(accepted("b", "1", "b", "1"));
	assert_true(accepted("a", "1", "ab", "1"));
}

static void
test_I60_cut_bodies_are_refused(void **state)
{
	struct buf body = { 0 };
	json_t *record = any_record();
	struct record parsed;
	size_t good = 0;

	(void)state;
	assert_int_equal(audit_wire_record(&body, record), 0);
	for (size_t len = 0; len <= buf_len(&body); len++) {
		uint8_t *copy = malloc(len + 1);	/* of its own, so that a read beyond shows */

		assert_non_null(copy);
		memcpy(copy, buf_head(&body), len);
		good += record_get(&parsed, copy, len);
		free(copy);
	}
	assert_int_equal(good, 3);	/* whole, without its last member, without both: code and event */
	buf_free(&body);
	json_decref(record);
}

static void
test_values_that_are_none(void **state)
{
	static const char *const bad[] = { "", "-", "01", "-01", "1.5", "1e3", "tru", "truex", "nul", "[1,]", "[,1]", "[1 ,2]", "[1}", "{\"a\":1]", "{\"a\"}",
		"{\"a\":}", "{\"a\":1,}", "{1:2}", "{,}", "{\"a\":1,,\"b\":2}", "[1:2]", "\"\\q\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
		"\"\\udc00\"", "\"\\u0000\"", "\"", "\"\\", "\"\\\"", "[", "{", ":", ",", "}", "]", "9223372036854775808", "-9223372036854775809",
		"12345678901234567890" };
	static const char *const good[] = { "0", "-0", "-1", "9223372036854775807", "-9223372036854775808", "true", "false", "null", "\"\"", "[]", "{}",
		"[[],{}]", "{\"\":[0,-1]}", "\"\\ud83d\\ude00\"", "{\"a\":{\"b\":[{}]},\"c\":null}" };

	(void)state;
	assert_int_equal(scan_value("\"\\\0\"", 4), 0);		/* a byte 0 ends no text here, and no escape has it */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scan_value(bad[i], strlen(bad[i])) == strlen(bad[i]) && bad[i][0] != '\0')
			fail_msg("taken: %s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (scan_value(good[i], strlen(good[i])) != strlen(good[i]))
			fail_msg("not taken: %s", good[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_that_are_none), cmocka_unit_test(test_I58_ids_rise_and_differ),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_event_names),
		cmocka_unit_test(test_canonical_is_what_python_prints),
		cmocka_unit_test(test_I60_any_bytes_are_a_string),
		cmocka_unit_test(test_I60_keys_and_texts_that_were_not_checked),
		cmocka_unit_test(test_text_is_bounded),
		cmocka_unit_test(test_a_record_keeps_what_it_says),
		cmocka_unit_test(test_identity_members),
		cmocka_unit_test(test_I60_long_values_are_cut_not_lost),
		cmocka_unit_test(test_records_without_a_name_are_refused),
		cmocka_unit_test(test_I60_I65_members_cannot_forge),
		cmocka_unit_test(test_I60_cut_bodies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
