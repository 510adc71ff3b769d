/* test_xdr.c: what xdr_check() accepts and refuses, finding, items, objects, walking and writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/fields.h"
#include "tests/unit/packets.h"

static const struct xdr_field one_int[] = { F(value, int32) END_OF_FIELDS };
static const struct xdr_field one_count[] = { F(nparams, count) END_OF_FIELDS };
static const struct xdr_field one_char[] = { F(value, char) END_OF_FIELDS };
static const struct xdr_field one_uchar[] = { F(value, uchar) END_OF_FIELDS };
static const struct xdr_field one_ushort[] = { F(value, ushort) END_OF_FIELDS };
static const struct xdr_field one_auth[] = { F(value, auth_type) END_OF_FIELDS };
static const struct xdr_field one_double[] = { F(value, double) END_OF_FIELDS };
static const struct xdr_field one_string[] = { F(value, nonnull_string) END_OF_FIELDS };
static const struct xdr_field one_uuid[] = { F(value, uuid) END_OF_FIELDS };
static const struct xdr_field one_typed[] = { F(value, typed_param_value) END_OF_FIELDS };
static const struct xdr_field maybe_int[] = { O(value, int32) END_OF_FIELDS };
static const struct xdr_field maybe_domain[] = { O(dom, nonnull_domain) F(flags, uint32) END_OF_FIELDS };
static const struct xdr_field three_ints[] = { A(values, int32, 3) END_OF_FIELDS };
static const struct xdr_field two_fixed[] = { N(values, char, 2) END_OF_FIELDS };
static const struct xdr_field five_bytes[] = { B(cookie, 5) END_OF_FIELDS };
static const struct xdr_field no_fields[] = { END_OF_FIELDS };
static const struct xdr_field list_reply[] = { A(domains, nonnull_domain, 16384) F(ret, uint32) END_OF_FIELDS };

struct hex {
	uint8_t data[512];
	size_t len;
};

/* "0000 0001" to bytes; blanks are for the eye. */
static struct hex
from_hex(const char *text)
{
	struct hex hex = { .len = 0 };

	for (; *text != '\0'; text++) {
		if (*text == ' ')
			continue;
		assert_true(hex.len < sizeof(hex.data) && packets_digit(text[0]) >= 0 && packets_digit(text[1]) >= 0);
		hex.data[hex.len++] = (uint8_t)(packets_digit(text[0]) << 4 | packets_digit(text[1]));
		text++;
	}
	return hex;
}

struct sample {
	const char *what;
	const struct xdr_field *fields;
	const char *hex;
	enum vg_parse expected;
};

static void
check_samples(const struct sample *samples, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct hex hex = from_hex(samples[i].hex);
		uint8_t *exact = packets_alloc(hex.len);	/* so that reading behind it is noticed */
		enum vg_parse got;

		memcpy(exact, hex.data, hex.len);
		got = xdr_check(samples[i].fields, exact, hex.len);
		free(exact);
		if (got != samples[i].expected)
			fail_msg("%s: got %d", samples[i].what, got);
	}
}

static void
test_values(void **state)
{
	static const struct sample samples[] = {
		{ "nothing", no_fields, "", VG_OK },
		{ "int", one_int, "ffffffff", VG_OK },
		{ "int, short", one_int, "ffffff", VG_BAD },
		{ "double", one_double, "7ff8000000000001", VG_OK },
		{ "double, short", one_double, "7ff80000000000", VG_BAD },
		{ "uuid", one_uuid, "00112233445566778899aabbccddeeff", VG_OK },
		{ "uuid, short", one_uuid, "00112233445566778899aabbccddee", VG_BAD },
		{ "string", one_string, "00000003 61626300", VG_OK },
		{ "empty string", one_string, "00000000", VG_OK },
		{ "string without its padding", one_string, "00000003 616263", VG_BAD },
		{ "string that claims more", one_string, "00000008 61626300", VG_BAD },
		{ "array", three_ints, "00000002 00000001 00000002", VG_OK },
		{ "empty array", three_ints, "00000000", VG_OK },
		{ "array, item missing", three_ints, "00000002 00000001", VG_BAD },
		{ "fixed", two_fixed, "00000001 00000002", VG_OK },
		{ "fixed, item missing", two_fixed, "00000001", VG_BAD },
		{ "bytes", five_bytes, "00000005 0000000000 000000", VG_OK },
		{ "absent", maybe_int, "00000000", VG_OK },
		{ "present", maybe_int, "00000001 00000005", VG_OK },
		{ "present, value missing", maybe_int, "00000001", VG_BAD },
		{ "typed int", one_typed, "00000001 ffffffff", VG_OK },
		{ "typed uint", one_typed, "00000002 ffffffff", VG_OK },
		{ "typed llong", one_typed, "00000003 ffffffffffffffff", VG_OK },
		{ "typed ullong", one_typed, "00000004 ffffffffffffffff", VG_OK },
		{ "typed double", one_typed, "00000005 3ff0000000000000", VG_OK },
		{ "typed boolean", one_typed, "00000006 00000001", VG_OK },
		{ "typed string", one_typed, "00000007 00000001 61000000", VG_OK },
		{ "typed 0", one_typed, "00000000 00000000", VG_BAD },
		{ "typed 8", one_typed, "00000008 00000000", VG_BAD },
		{ "typed -1", one_typed, "ffffffff 00000000", VG_BAD },
	};

	(void)state;
	check_samples(samples, sizeof(samples) / sizeof(samples[0]));
	assert_int_equal(xdr_check(no_fields, NULL, 0), VG_OK);
	assert_int_equal(xdr_check(one_int, NULL, 0), VG_BAD);
}

static void
test_I19_lenient_forms_are_refused(void **state)
{
	static const struct sample samples[] = {
		{ "trailing byte", one_int, "00000000 00", VG_BAD },
		{ "trailing word", no_fields, "00000000", VG_BAD },
		{ "padding of a string", one_string, "00000003 61626301", VG_BAD },
		{ "padding of bytes", five_bytes, "00000005 0000000000 000100", VG_BAD },
		{ "NUL first", one_string, "00000004 00616263", VG_BAD },
		{ "NUL last", one_string, "00000004 61626300", VG_BAD },
		{ "optional word 2", maybe_int, "00000002 00000005", VG_BAD },
		{ "optional word 2, two values", maybe_int, "00000002 00000005 00000006", VG_BAD },
		{ "optional word -1", maybe_int, "ffffffff 00000005", VG_BAD },
		{ "typed boolean 2", one_typed, "00000006 00000002", VG_BAD },
		{ "4 of at most 3", three_ints, "00000004 00000001 00000002 00000003 00000004", VG_BAD },
		{ "count -1", three_ints, "ffffffff 00000001", VG_BAD },
		{ "6 of at most 5 bytes", five_bytes, "00000006 000000000000 0000", VG_BAD },
		{ "string of -1", one_string, "ffffffff 61626364", VG_BAD },
		{ "string of -4", one_string, "fffffffc 61626364", VG_BAD },
		{ "char 255", one_char, "000000ff", VG_OK },
		{ "char -128", one_char, "ffffff80", VG_OK },
		{ "char 256", one_char, "00000100", VG_BAD },
		{ "char -129", one_char, "ffffff7f", VG_BAD },
		{ "uchar 255", one_uchar, "000000ff", VG_OK },
		{ "uchar 256", one_uchar, "00000100", VG_BAD },
		{ "uchar -1", one_uchar, "ffffffff", VG_BAD },
		{ "ushort 65535", one_ushort, "0000ffff", VG_OK },
		{ "ushort 65536", one_ushort, "00010000", VG_BAD },
		{ "auth type 2", one_auth, "00000002", VG_OK },
		{ "auth type 3", one_auth, "00000003", VG_BAD },
		{ "auth type -1", one_auth, "ffffffff", VG_BAD },
	};

	(void)state;
	check_samples(samples, sizeof(samples) / sizeof(samples[0]));
}

static void
test_I19_CVE_2024_2494_negative_counts_are_refused(void **state)
{
	static const struct sample samples[] = {
		{ "0", one_count, "00000000", VG_OK },
		{ "most", one_count, "7fffffff", VG_OK },
		{ "least", one_count, "80000000", VG_BAD },
		{ "-1", one_count, "ffffffff", VG_BAD },
	};

	(void)state;
	check_samples(samples, sizeof(samples) / sizeof(samples[0]));
}

static void
test_I19_strings_stay_below_their_limit(void **state)
{
	size_t len = XDR_STRING_MAX + 4;
	uint8_t *body = packets_alloc(4 + len);
	struct xdr_out out;

	(void)state;
	memset(body, 'a', 4 + len);
	xdr_out_init(&out, body, 4);
	xdr_put_u32(&out, XDR_STRING_MAX);
	assert_int_equal(xdr_check(one_string, body, 4 + XDR_STRING_MAX), VG_OK);
	xdr_out_init(&out, body, 4);
	xdr_put_u32(&out, XDR_STRING_MAX + 4);
	assert_int_equal(xdr_check(one_string, body, 4 + len), VG_BAD);
	free(body);
}

/* "web-1", 00112233-…, id -1 or 7. */
#define WEB_1 "00000005 7765622d31 000000 00112233445566778899aabbccddeeff ffffffff"
#define DB_1 "00000004 64622d31 ffeeddccbbaa99887766554433221100 00000007"

static void
test_find(void **state)
{
	static const struct xdr_field snapshot[] = { F(snap, nonnull_domain_snapshot) F(flags, uint32) END_OF_FIELDS };
	struct hex hex = from_hex("00000002 73310000" WEB_1 "0000002a");
	const struct xdr_field *field;
	struct xdr_span span, text;

	(void)state;
	assert_int_equal(xdr_check(snapshot, hex.data, hex.len), VG_OK);
	assert_true(xdr_find(snapshot, hex.data, hex.len, "flags", &span));
	assert_int_equal(xdr_span_u32(span), 42);
	assert_true(xdr_find(snapshot, hex.data, hex.len, "snap.dom.name", &span));
	assert_true(xdr_span_string(span, &text));
	assert_int_equal(text.len, 5);
	assert_memory_equal(text.data, "web-1", 5);
	assert_int_equal(span.len, 12);
	assert_true(xdr_find_field(snapshot, hex.data, hex.len, "snap.dom.id", &span, &field));
	assert_int_equal(xdr_span_i32(span), -1);
	assert_ptr_equal(field->type, &xdr_type_int32);
	assert_true(xdr_find(snapshot, hex.data, hex.len, "snap", &span));
	assert_int_equal(span.len, hex.len - 4);

	assert_false(xdr_find(snapshot, hex.data, hex.len, "snap.dom.nam", &span));
	assert_false(xdr_find(snapshot, hex.data, hex.len, "snap.dom.names", &span));
	assert_false(xdr_find(snapshot, hex.data, hex.len, "", &span));
	assert_false(xdr_find(snapshot, hex.data, hex.len, NULL, &span));
	assert_false(xdr_find(snapshot, hex.data, hex.len, "snap.", &span));
	assert_false(xdr_find(snapshot, hex.data, hex.len, "flags.x", &span));
	assert_false(xdr_find(snapshot, hex.data, hex.len, "snap[x]", &span));
}

static void
test_find_through_optional(void **state)
{
	struct hex absent = from_hex("00000000 00000001"), present = from_hex("00000001" DB_1 "00000001");
	struct xdr_span span, value;

	(void)state;
	assert_true(xdr_find(maybe_domain, absent.data, absent.len, "dom", &span));
	assert_int_equal(span.len, 4);
	assert_false(xdr_span_present(span, &value));
	assert_false(xdr_find(maybe_domain, absent.data, absent.len, "dom.name", &span));
	assert_true(xdr_find(maybe_domain, absent.data, absent.len, "flags", &span));

	assert_true(xdr_find(maybe_domain, present.data, present.len, "dom", &span));
	assert_true(xdr_span_present(span, &value));
	assert_int_equal(value.len, span.len - 4);
	assert_true(xdr_find(maybe_domain, present.data, present.len, "dom.id", &span));
	assert_int_equal(xdr_span_i32(span), 7);
}

static void
test_find_typed_parameter(void **state)
{
	static const struct xdr_field fields[] = { A(params, typed_param, 4) F(flags, uint32) END_OF_FIELDS };
	struct hex hex = from_hex("00000002"
	    "00000003 61626300 00000007 00000002 68690000"
	    "00000001 78000000 00000002 00000009"
	    "00000000");
	struct hex twice = from_hex("00000002"
	    "00000001 78000000 00000007 00000001 61000000"
	    "00000001 78000000 00000007 00000001 62000000"
	    "00000000");
	const struct xdr_field *field;
	struct xdr_span span, text;

	(void)state;
	assert_int_equal(xdr_check(fields, hex.data, hex.len), VG_OK);
	assert_true(xdr_find_field(fields, hex.data, hex.len, "params[abc]", &span, &field));
	assert_ptr_equal(field->type, &xdr_type_nonnull_string);
	assert_true(xdr_span_string(span, &text));
	assert_memory_equal(text.data, "hi", 2);
	assert_false(xdr_find(fields, hex.data, hex.len, "params[x]", &span));		/* no string */
	assert_false(xdr_find(fields, hex.data, hex.len, "params[ab]", &span));
	assert_false(xdr_find(fields, hex.data, hex.len, "params[abc", &span));
	assert_false(xdr_find(fields, hex.data, hex.len, "params[abc]x", &span));
	/* Which one counts would be anybody's guess. */
	assert_int_equal(xdr_check(fields, twice.data, twice.len), VG_OK);
	assert_false(xdr_find(fields, twice.data, twice.len, "params[x]", &span));
}

static void
test_items(void **state)
{
	struct hex hex = from_hex("00000002" WEB_1 DB_1 "00000002");
	struct xdr_object object;
	struct xdr_items items;
	struct xdr_span item, member;

	(void)state;
	assert_true(xdr_items(list_reply, hex.data, hex.len, "domains", &items));
	assert_int_equal(items.count, 2);
	assert_int_equal(items.whole.len, hex.len - 4);
	assert_true(xdr_items_next(&items, &item));
	assert_true(xdr_item_member(&items, item, &member));
	assert_true(xdr_get_object(VG_CLASS_domain, member, &object));
	assert_memory_equal(object.name.data, "web-1", 5);
	assert_int_equal(object.id, -1);
	assert_true(xdr_items_next(&items, &item));
	assert_true(xdr_get_object(VG_CLASS_domain, item, &object));
	assert_memory_equal(object.name.data, "db-1", 4);
	assert_int_equal(object.uuid[0], 0xff);
	assert_false(xdr_items_next(&items, &item));
	assert_false(xdr_items(list_reply, hex.data, hex.len, "ret", &items));
	assert_false(xdr_items(list_reply, hex.data, hex.len, "nothing", &items));
}

static void
test_member_of_items(void **state)
{
	const struct rpc_proc *proc = rpc_proc_by_name("connect_get_all_domain_stats");
	struct hex hex = from_hex("00000002"
	    WEB_1 "00000001 00000001 78000000 00000002 00000009"
	    DB_1 "00000000");
	struct xdr_object object;
	struct xdr_items items;
	struct xdr_span item, member;

	(void)state;
	assert_non_null(proc);
	assert_int_equal(xdr_check(proc->ret, hex.data, hex.len), VG_OK);
	assert_true(xdr_items(proc->ret, hex.data, hex.len, proc->list.items, &items));
	assert_true(xdr_items_next(&items, &item));
	assert_true(xdr_item_member(&items, item, &member));
	assert_true(member.len < item.len);
	assert_true(xdr_get_object(VG_CLASS_domain, member, &object));
	assert_memory_equal(object.name.data, "web-1", 5);
	assert_true(xdr_items_next(&items, &item));
	assert_true(xdr_item_member(&items, item, &member));
	assert_true(xdr_get_object(VG_CLASS_domain, member, &object));
	assert_memory_equal(object.name.data, "db-1", 4);
}

static void
test_objects(void **state)
{
	struct hex port = from_hex("00000003 6e657400 00112233445566778899aabbccddeeff"
	    "ffeeddccbbaa99887766554433221100");
	struct hex vol = from_hex("00000001 70000000 00000001 76000000 00000001 6b000000");
	struct hex secret = from_hex("00112233445566778899aabbccddeeff 00000002 00000001 75000000");
	struct hex pool = from_hex("00000001 70000000 00112233445566778899aabbccddeeff");
	struct hex name = from_hex("00000001 70000000");
	struct hex pair = from_hex("00000001 61000000 00000001 62000000");
	struct xdr_object object;

	(void)state;
#define SPAN(hex) ((struct xdr_span){ (hex).data, (hex).len })
	assert_true(xdr_get_object(VG_CLASS_network_port, SPAN(port), &object));
	assert_memory_equal(object.parent.data, "net", 3);
	assert_int_equal(object.parent_uuid[0], 0x00);
	assert_int_equal(object.uuid[0], 0xff);
	assert_true(xdr_get_object(VG_CLASS_storage_vol, SPAN(vol), &object));
	assert_memory_equal(object.parent.data, "p", 1);
	assert_memory_equal(object.name.data, "v", 1);
	assert_memory_equal(object.extra.data, "k", 1);
	assert_null(object.uuid);
	assert_true(xdr_get_object(VG_CLASS_secret, SPAN(secret), &object));
	assert_int_equal(object.id, 2);
	assert_memory_equal(object.name.data, "u", 1);
	assert_true(xdr_get_object(VG_CLASS_storage_pool, SPAN(pool), &object));
	assert_true(xdr_get_object(VG_CLASS_nwfilter, SPAN(pool), &object));
	assert_true(xdr_get_object(VG_CLASS_network, SPAN(pool), &object));
	assert_true(xdr_get_object(VG_CLASS_node_device, SPAN(name), &object));
	assert_true(xdr_get_object(VG_CLASS_interface, SPAN(pair), &object));
	assert_true(xdr_get_object(VG_CLASS_nwfilter_binding, SPAN(pair), &object));
	assert_memory_equal(object.name.data, "a", 1);
	assert_memory_equal(object.extra.data, "b", 1);

	assert_false(xdr_get_object(VG_CLASS_domain, SPAN(pool), &object));
	assert_false(xdr_get_object(VG_CLASS_node_device, SPAN(pool), &object));
	assert_false(xdr_get_object(VG_CLASS_connect, SPAN(pool), &object));
	assert_false(xdr_get_object(VG_CLASS_none, SPAN(pool), &object));
	pool.len--;
	assert_false(xdr_get_object(VG_CLASS_storage_pool, SPAN(pool), &object));
#undef SPAN
}

static bool
append_leaf(const struct xdr_leaf *leaf, void *arg)
{
	char *text = arg;
	size_t used = strlen(text), i;

	for (i = 0; i < leaf->depth; i++) {
		used += (size_t)snprintf(text + used, 1000 - used, "%s%s", i > 0 ? "." : "", leaf->names[i]);
		if (leaf->indexes[i] != UINT32_MAX)
			used += (size_t)snprintf(text + used, 1000 - used, "[%u]", leaf->indexes[i]);
	}
	if (leaf->absent)
		snprintf(text + used, 1000 - used, "=absent ");
	else if (leaf->field->form == XDR_BYTES)
		snprintf(text + used, 1000 - used, "=%zu bytes ", leaf->bytes.len);
	else if (leaf->kind == XDR_STRING)
		snprintf(text + used, 1000 - used, "='%.*s' ", (int)leaf->bytes.len, (const char *)leaf->bytes.data);
	else if (leaf->kind == XDR_UUID)
		snprintf(text + used, 1000 - used, "=uuid ");
	else if (leaf->kind == XDR_INT32)
		snprintf(text + used, 1000 - used, "=%d%s ", (int)leaf->i, leaf->boolean ? " boolean" : "");
	else if (leaf->kind == XDR_DOUBLE)
		snprintf(text + used, 1000 - used, "=%g ", leaf->d);
	else
		snprintf(text + used, 1000 - used, "=%llu ", (unsigned long long)leaf->u);
	return strstr(text, "stop") == NULL;
}

static void
test_walk(void **state)
{
	static const struct xdr_field fields[] = {
		A(retStats, domain_stats_record, 4) O(dom, nonnull_domain) O(uri, nonnull_string) B(cookie, 8)
		A(ids, int32, 4) F(flags, uint32) END_OF_FIELDS
	};
	struct hex hex = from_hex("00000002"
	    WEB_1 "00000002 00000001 78000000 00000006 00000001 00000001 79000000 00000005 3ff8000000000000"
	    DB_1 "00000000"
	    "00000000 00000001 00000001 75000000 00000002 abcd0000 00000002 00000003 ffffffff 00000009");
	char text[1000] = "";

	(void)state;
	assert_int_equal(xdr_check(fields, hex.data, hex.len), VG_OK);
	xdr_walk(fields, hex.data, hex.len, append_leaf, text);
	assert_string_equal(text,
	    "retStats[0].dom.name='web-1' retStats[0].dom.uuid=uuid retStats[0].dom.id=-1 "
	    "retStats[0].params[0].field='x' retStats[0].params[0].value=1 boolean "
	    "retStats[0].params[1].field='y' retStats[0].params[1].value=1.5 "
	    "retStats[1].dom.name='db-1' retStats[1].dom.uuid=uuid retStats[1].dom.id=7 "
	    "dom=absent uri='u' cookie=2 bytes ids[0]=3 ids[1]=-1 flags=9 ");
}

static void
test_walk_stops_when_told(void **state)
{
	static const struct xdr_field fields[] = { F(a, nonnull_string) F(b, nonnull_string) END_OF_FIELDS };
	struct hex hex = from_hex("00000004 73746f70 00000001 62000000");
	char text[1000] = "";

	(void)state;
	xdr_walk(fields, hex.data, hex.len, append_leaf, text);
	assert_string_equal(text, "a='stop' ");
}

static void
test_writing(void **state)
{
	struct hex expected = from_hex("00000001 fffffffe 0000000100000002 00000003 61626300 00000000"
	    "00000001 00000001 7a000000 abcd");
	uint8_t buf[64];
	struct xdr_out out;

	(void)state;
	xdr_out_init(&out, buf, sizeof(buf));
	xdr_put_u32(&out, 1);
	xdr_put_i32(&out, -2);
	xdr_put_u64(&out, 0x100000002);
	xdr_put_string(&out, "abc");
	xdr_put_optional_string(&out, NULL);
	xdr_put_optional_string(&out, "z");
	xdr_put_raw(&out, "\xab\xcd", 2);
	assert_false(out.failed);
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(buf, expected.data, expected.len);
}

static void
test_writing_says_when_the_room_is_too_small(void **state)
{
	uint8_t buf[8];
	struct xdr_out out;

	(void)state;
	memset(buf, 0x55, sizeof(buf));
	xdr_out_init(&out, buf, 7);
	xdr_put_string(&out, "abc");
	assert_true(out.failed);
	assert_int_equal(buf[7], 0x55);
	xdr_put_raw(&out, "", 0);
	assert_true(out.failed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_I19_lenient_forms_are_refused),
		cmocka_unit_test(test_I19_CVE_2024_2494_negative_counts_are_refused),
		cmocka_unit_test(test_I19_strings_stay_below_their_limit),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_through_optional),
		cmocka_unit_test(test_find_typed_parameter),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_member_of_items),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_stops_when_told),
		cmocka_unit_test(test_writing),
		cmocka_unit_test(test_writing_says_when_the_room_is_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
