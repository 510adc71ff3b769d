/* test_rfb.c: the messages of viewers and VNC servers: lengths, bounds, and what each is good for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/rfb.h"

#define BYTES(text) text, sizeof(text) - 1

/* Pads with zeroes to `len`. */
struct row {
	const char *bytes;
	size_t given, len;
	enum vg_parse expected;
	enum rfb_use use;
};

static const struct row rows[] = {
	/* SetPixelFormat: bits, depth, big endian, true colour, three maxima, three shifts, padding */
	{ BYTES("\0\0\0\0\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0"), 20, VG_OK, RFB_USE_VIEW },
	{ BYTES("\0\0\0\0\20\20\0\1\0\37\0\77\0\37\13\5\0\0\0\0"), 20, VG_OK, RFB_USE_VIEW },
	{ BYTES("\0\0\0\0\10\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 20, VG_OK, RFB_USE_VIEW },
	{ BYTES("\0\0\0\0\30\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0"), 20, VG_BAD, 0 },	/* 24 bits */
	{ BYTES("\0\0\0\0\0\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0"), 20, VG_BAD, 0 },
	{ BYTES("\0\0\0\0\40\41\0\1\0\377\0\377\0\377\20\10\0\0\0\0"), 20, VG_BAD, 0 },	/* deeper than its bits */
	{ BYTES("\0\0\0\0\40\30\0\1\0\377\0\0\0\377\20\10\0\0\0\0"), 20, VG_BAD, 0 },	/* a maximum of 0 */
	{ BYTES("\0\0\0\0\40\30\0\1\0\377\0\377\0\377\40\10\0\0\0\0"), 20, VG_BAD, 0 },	/* a shift by all bits */
	{ BYTES("\0\0\0\0\40\30\0\2\0\377\0\377\0\377\20\10\0\0\0\0"), 20, VG_BAD, 0 },
	{ BYTES("\1"), 1, VG_BAD, 0 },
	{ BYTES("\2\0\0\0"), 4, VG_OK, RFB_USE_ENCODINGS },
	{ BYTES("\2\0\0\2"), 12, VG_OK, RFB_USE_ENCODINGS },
	{ BYTES("\2\0\1\0"), 1028, VG_OK, RFB_USE_ENCODINGS },
	{ BYTES("\2\0\1\1"), 1032, VG_BAD, 0 },
	{ BYTES("\3\1\0\0\0\0\1\100\0\310"), 10, VG_OK, RFB_USE_VIEW },
	{ BYTES("\4\1\0\0\0\0\0a"), 8, VG_OK, RFB_USE_INPUT },
	{ BYTES("\5\1\0\3\0\3"), 6, VG_OK, RFB_USE_INPUT },
	{ BYTES("\6\0\0\0\0\0\0\0"), 8, VG_OK, RFB_USE_CLIPBOARD },
	{ BYTES("\6\0\0\0\0\4\0\0"), 8 + RFB_MAX_TEXT, VG_OK, RFB_USE_CLIPBOARD },
	{ BYTES("\6\0\0\0\0\4\0\1"), 9 + RFB_MAX_TEXT, VG_BAD, 0 },
	{ BYTES("\6\0\0\0\177\377\377\377"), 8, VG_BAD, 0 },
	{ BYTES("\6\0\0\0\377\377\377\374\2\0\0\1"), 12, VG_OK, RFB_USE_EXTENDED },	/* -4 */
	{ BYTES("\6\0\0\0\377\377\377\375\2\0\0"), 11, VG_BAD, 0 },	/* its flags do not fit (CVE-2022-3165) */
	{ BYTES("\6\0\0\0\200\0\0\0"), 8, VG_BAD, 0 },	/* has no absolute value */
	{ BYTES("\7"), 1, VG_BAD, 0 },
	{ BYTES("\226\1\0\0\0\0\1\100\0\310"), 10, VG_OK, RFB_USE_VIEW },
	{ BYTES("\370\0\0\0\0\0\0\1\0"), 9, VG_OK, RFB_USE_VIEW },
	{ BYTES("\370\0\0\0\0\0\0\1\100"), 73, VG_OK, RFB_USE_VIEW },
	{ BYTES("\370\0\0\0\0\0\0\1\101"), 74, VG_BAD, 0 },
	{ BYTES("\372\0\1\4"), 4, VG_OK, RFB_USE_NOTHING },
	{ BYTES("\373\0\2\200\1\340\1\0"), 24, VG_OK, RFB_USE_RESIZE },
	{ BYTES("\373\0\2\200\1\340\20\0"), 264, VG_OK, RFB_USE_RESIZE },
	{ BYTES("\373\0\2\200\1\340\21\0"), 280, VG_BAD, 0 },
	{ BYTES("\377\0\0\1\0\0\0a\0\0\0\36"), 12, VG_OK, RFB_USE_INPUT },
	{ BYTES("\377\1\0\0"), 4, VG_OK, RFB_USE_SOUND },
	{ BYTES("\377\1\0\1"), 4, VG_OK, RFB_USE_SOUND },
	{ BYTES("\377\1\0\2\3\2\0\0\254\104"), 10, VG_OK, RFB_USE_SOUND },
	{ BYTES("\377\1\0\3"), 4, VG_BAD, 0 },
	{ BYTES("\377\2\0\0"), 4, VG_BAD, 0 },
};

/* Each whole, and split at every byte: more is asked for until all is there, or it is refused, and never otherwise. */
static void
test_I71_client_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		uint8_t *bytes = calloc(1, row->len);
		struct rfb_message message;

		assert_non_null(bytes);
		memcpy(bytes, row->bytes, row->given);
		assert_int_equal(rfb_client_get(bytes, row->len, &message), row->expected);
		if (row->expected == VG_OK) {
			assert_int_equal(message.len, row->len);
			assert_int_equal(message.use, row->use);
		}
		for (size_t cut = 0; cut < row->len && cut < 300; cut++) {
			uint8_t *piece = malloc(cut + 1);

			assert_non_null(piece);
			memcpy(piece, bytes, cut);
			if (row->expected == VG_OK)
				assert_int_equal(rfb_client_get(piece, cut, &message), VG_MORE);
			else
				assert_int_not_equal(rfb_client_get(piece, cut, &message), VG_OK);
			free(piece);
		}
		free(bytes);
	}
}

static void
test_I71_every_other_type_is_refused(void **state)
{
	static const uint8_t known[] = { 0, 2, 3, 4, 5, 6, 150, 248, 250, 251, 255 };
	struct rfb_message message;

	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		uint8_t byte = (uint8_t)type;

		assert_int_equal(rfb_client_get(&byte, 1, &message), memchr(known, (int)type, sizeof(known)) != NULL ? VG_MORE : VG_BAD);
	}
}

static void
test_encodings_are_filtered(void **state)
{
	static const int32_t asked[] = { 0, 3, 7, -223, -258, -259, -305, -309, -316, -1063131698, 0x574d5669, INT32_MIN, INT32_MAX, 16 };
	static const int32_t kept[] = { 0, 7, -223, -258, -259, 0x574d5669, 16 };
	uint8_t message[4 + 4 * 14] = { 2, 0, 0, 14 };
	bool clipboard = true;

	(void)state;
	for (size_t i = 0; i < 14; i++)
		rfb_store_u32(message + 4 + 4 * i, (uint32_t)asked[i]);
	/* The extended clipboard stays where it may. */
	assert_int_equal(rfb_filter_encodings(message, sizeof(message), &clipboard), 4 + sizeof(kept) + 4);
	assert_true(clipboard);
	for (size_t i = 0; i < 14; i++)
		rfb_store_u32(message + 4 + 4 * i, (uint32_t)asked[i]);
	clipboard = false;
	assert_int_equal(rfb_filter_encodings(message, sizeof(message), &clipboard), 4 + sizeof(kept));
	assert_false(clipboard);
	assert_int_equal(rfb_load_u16(message + 2), sizeof(kept) / 4);
	for (size_t i = 0; i < sizeof(kept) / 4; i++)
		assert_int_equal((int32_t)rfb_load_u32(message + 4 + 4 * i), kept[i]);
}

static void
test_versions(void **state)
{
	static const struct { const char *text; enum vg_parse expected; unsigned minor; } versions[] = {
		{ "RFB 003.008\n", VG_OK, 8 }, { "RFB 003.003\n", VG_OK, 3 }, { "RFB 003.889\n", VG_OK, 889 },
		{ "RFB 004.000\n", VG_BAD, 0 }, { "RFB 003.00a\n", VG_BAD, 0 }, { "rfb 003.008\n", VG_BAD, 0 },
		{ "RFB 003.008\r", VG_BAD, 0 }, { "GET / HTTP/1", VG_BAD, 0 },
	};
	unsigned minor = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		const uint8_t *text = (const uint8_t *)versions[i].text;

		assert_int_equal(rfb_version_get(text, 12, &minor), versions[i].expected);
		if (versions[i].expected == VG_OK)
			assert_int_equal(minor, versions[i].minor);
		for (size_t cut = 0; cut < 12; cut++)
			assert_int_not_equal(rfb_version_get(text, cut, &minor), VG_OK);
	}
}

static void
test_names_and_passwords(void **state)
{
	static const uint8_t sound[] = "\0\0\0\5\0\0\0\4aliceword", longest[] = "\0\0\4\0\0\0\4\0", too_long[] = "\0\0\4\1\0\0\0\0",
		word_too_long[] = "\0\0\0\0\0\0\4\1";
	struct rfb_span user, password;
	size_t used;

	(void)state;
	assert_int_equal(rfb_plain_get(sound, 17, &user, &password, &used), VG_OK);
	assert_int_equal(used, 17);
	assert_int_equal(user.len, 5);
	assert_memory_equal(user.data, "alice", 5);
	assert_memory_equal(password.data, "word", 4);
	for (size_t cut = 0; cut < 17; cut++)
		assert_int_equal(rfb_plain_get(sound, cut, &user, &password, &used), VG_MORE);
	assert_int_equal(rfb_plain_get(longest, 8, &user, &password, &used), VG_MORE);
	assert_int_equal(rfb_plain_get(too_long, 4, &user, &password, &used), VG_BAD);
	assert_int_equal(rfb_plain_get(word_too_long, 8, &user, &password, &used), VG_BAD);
}

static void
test_sasl_messages(void **state)
{
	static const uint8_t mech[] = "\0\0\0\5PLAIN", no_mech[] = "\0\0\0\0", long_mech[] = "\0\0\0\145", data[] = "\0\0\0\4n,,\0",
		absent[] = "\0\0\0\0", empty[] = "\0\0\0\1\0", open_ended[] = "\0\0\0\3n,,", long_data[] = "\0\1\0\1";
	struct rfb_span span;
	size_t used;

	(void)state;
	assert_int_equal(rfb_sasl_mech_get(mech, 9, &span, &used), VG_OK);
	assert_int_equal(used, 9);
	assert_int_equal(span.len, 5);
	assert_int_equal(rfb_sasl_mech_get(mech, 8, &span, &used), VG_MORE);
	assert_int_equal(rfb_sasl_mech_get(no_mech, 4, &span, &used), VG_BAD);
	assert_int_equal(rfb_sasl_mech_get(long_mech, 4, &span, &used), VG_BAD);
	assert_int_equal(rfb_sasl_data_get(data, 8, &span, &used), VG_OK);
	assert_int_equal(span.len, 3);
	assert_int_equal(used, 8);
	assert_int_equal(rfb_sasl_data_get(absent, 4, &span, &used), VG_OK);
	assert_null(span.data);
	assert_int_equal(rfb_sasl_data_get(empty, 5, &span, &used), VG_OK);
	assert_non_null(span.data);
	assert_int_equal(span.len, 0);
	/* gtk-vnc sends whatever stands behind its data. */
	assert_int_equal(rfb_sasl_data_get(open_ended, 7, &span, &used), VG_OK);
	assert_int_equal(span.len, 2);
	assert_int_equal(rfb_sasl_data_get(long_data, 4, &span, &used), VG_BAD);
}

static void
test_I73_server_messages(void **state)
{
	static const uint8_t list[] = { 3, 2, 19, 1 }, without[] = { 2, 2, 19 }, none[] = { 0 };
	uint8_t init[RFB_SERVER_INIT_LEN + 3] = { 0 };
	size_t used;

	(void)state;
	assert_int_equal(rfb_security_list_get(list, 4, RFB_SECURITY_NONE, &used), VG_OK);
	assert_int_equal(used, 4);
	for (size_t cut = 0; cut < 4; cut++)
		assert_int_equal(rfb_security_list_get(list, cut, RFB_SECURITY_NONE, &used), VG_MORE);
	assert_int_equal(rfb_security_list_get(without, 3, RFB_SECURITY_NONE, &used), VG_BAD);
	assert_int_equal(rfb_security_list_get(none, 1, RFB_SECURITY_NONE, &used), VG_BAD);
	rfb_store_u32(init + 20, 3);
	for (size_t cut = 0; cut < sizeof(init); cut++)
		assert_int_equal(rfb_server_init_get(init, cut, &used), VG_MORE);
	assert_int_equal(rfb_server_init_get(init, sizeof(init), &used), VG_OK);
	assert_int_equal(used, sizeof(init));
	rfb_store_u32(init + 20, RFB_MAX_NAME + 1);
	assert_int_equal(rfb_server_init_get(init, RFB_SERVER_INIT_LEN, &used), VG_BAD);
}

static void
test_refusals(void **state)
{
	uint8_t buf[RFB_MAX_REASON_LEN];
	char longer[2 * RFB_MAX_REASON_LEN];

	(void)state;
	assert_int_equal(rfb_put_failed(buf, "no"), 10);
	assert_memory_equal(buf, "\0\0\0\1\0\0\0\2no", 10);
	assert_int_equal(rfb_put_no_security(buf, 7, "old"), 8);
	assert_memory_equal(buf, "\0\0\0\0\3old", 8);
	assert_int_equal(rfb_put_no_security(buf, 3, "old"), 11);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\3old", 11);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(rfb_put_failed(buf, longer), RFB_MAX_REASON_LEN);
	assert_int_equal(rfb_put_no_security(buf, 3, longer), RFB_MAX_REASON_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I71_client_messages), cmocka_unit_test(test_I71_every_other_type_is_refused),
		cmocka_unit_test(test_encodings_are_filtered), cmocka_unit_test(test_versions), cmocka_unit_test(test_names_and_passwords),
		cmocka_unit_test(test_sasl_messages), cmocka_unit_test(test_I73_server_messages), cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
