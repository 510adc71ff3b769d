/* test_console_clipboard.c: what of a viewer's extended clipboard goes on to the guest, and in which form? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "gateway/gate/console_clipboard.h"
#include "proto/rfb.h"

enum { CAPS = 1, REQUEST = 2, PEEK = 4, NOTIFY = 8, PROVIDE = 16 };	/* of the first byte of the flags */
enum { HEAD = 12 };

static uint8_t message[8 + RFB_MAX_TEXT];
static const uint8_t *made;
static const time_t now = 1000;

/* A message with these flags and `len` bytes behind them, of which `body` may be NULL: they are there already. */
static size_t
make(uint8_t actions, uint16_t formats, const void *body, size_t len)
{
	const uint8_t head[HEAD] = { 6, 0, 0, 0, 0, 0, 0, 0, actions, 0, (uint8_t)(formats >> 8), (uint8_t)formats };

	memcpy(message, head, HEAD);
	rfb_store_u32(message + 4, 0u - (uint32_t)(4 + len));
	if (body != NULL)
		memcpy(message + HEAD, body, len);
	return HEAD + len;
}

/* `plain` as a viewer sends it; `end`: how its stream ends. */
static size_t
make_provide(uint16_t formats, const uint8_t *plain, size_t len, int end)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)plain, .avail_in = (uInt)len, .next_out = message + HEAD, .avail_out = sizeof(message) - HEAD };

	assert_int_equal(deflateInit(&stream, 9), Z_OK);
	assert_int_equal(deflate(&stream, end), end == Z_FINISH ? Z_STREAM_END : Z_OK);
	assert_int_equal(stream.avail_in, 0);
	(void)deflateEnd(&stream);
	return make(PROVIDE, formats, NULL, sizeof(message) - HEAD - stream.avail_out);
}

static size_t
take(size_t len, bool copies, bool pastes)
{
	struct console_clipboard clipboard = { .on = true };

	return console_clipboard_take(&clipboard, message, len, copies, pastes, now, &made);
}

static void
expect_made(size_t len, const void *bytes, size_t expected)
{
	assert_int_equal(len, expected);
	assert_memory_equal(made, bytes, expected);
}

static void
test_rights(void **state)
{
	static const struct { uint8_t actions; bool copies, pastes, passes; } rows[] = {
		{ REQUEST, true, false, true }, { REQUEST, false, true, false }, { PEEK, true, false, true }, { PEEK, false, true, false },
		{ NOTIFY, true, true, true }, { NOTIFY, true, false, false }, { NOTIFY, false, true, false },
		/* several actions at once, or none, mean nothing */
		{ REQUEST | NOTIFY, true, true, false }, { PROVIDE | REQUEST, true, true, false }, { 0, true, true, false }, { 32, true, true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(take(make(rows[i].actions, 1, NULL, 0), rows[i].copies, rows[i].pastes) != 0, rows[i].passes);
	assert_int_not_equal(take(make_provide(1, (const uint8_t *)"\0\0\0\1x", 5, Z_FINISH), true, true), 0);
	assert_int_equal(take(make_provide(1, (const uint8_t *)"\0\0\0\1x", 5, Z_FINISH), true, false), 0);
	assert_int_equal(take(make_provide(1, (const uint8_t *)"\0\0\0\1x", 5, Z_FINISH), false, true), 0);
}

static void
test_only_text_goes_on(void **state)
{
	(void)state;
	expect_made(take(make(REQUEST, 0xffff, NULL, 0), true, false), "\6\0\0\0\377\377\377\374\2\0\0\1", 12);
	expect_made(take(make(NOTIFY, 0xfffe, NULL, 0), true, true), "\6\0\0\0\377\377\377\374\10\0\0\0", 12);
	assert_int_equal(take(make(REQUEST, 0xfffe, NULL, 0), true, false), 0);
	/* sizes of text and HTML; of all actions, and one that nobody knows */
	expect_made(take(make(0xff, 5, "\0\1\0\0\0\0\2\0", 8), true, false), "\6\0\0\0\377\377\377\370\37\0\0\1\0\1\0\0", 16);
	assert_int_equal(take(make(CAPS, 4, "\0\1\0\0", 4), true, true), 0);
}

static void
test_lengths_that_do_not_add_up(void **state)
{
	(void)state;
	assert_int_equal(take(make(REQUEST, 1, "x", 1), true, true), 0);
	assert_int_equal(take(make(NOTIFY, 1, "\0\0\0\0", 4), true, true), 0);
	assert_int_equal(take(make(PEEK, 0, "x", 1), true, true), 0);
	assert_int_equal(take(make(CAPS | REQUEST, 1, NULL, 0), true, true), 0);
	assert_int_equal(take(make(CAPS | REQUEST, 5, "\0\1\0\0", 4), true, true), 0);
	assert_int_equal(take(make(CAPS | REQUEST, 1, "\0\1\0\0x", 5), true, true), 0);
	assert_int_equal(take(8, true, true), 0);
}

/* What goes on is a whole stream with the text and nothing else. */
static void
expect_text(size_t len, const void *text, size_t text_len)
{
	static uint8_t plain[4 + RFB_MAX_TEXT + 1];
	uLongf plain_len = sizeof(plain);

	assert_memory_equal(made, "\6\0\0\0", 4);
	assert_int_equal(0u - rfb_load_u32(made + 4), len - 8);
	assert_memory_equal(made + 8, "\20\0\0\1", 4);
	assert_int_equal(uncompress(plain, &plain_len, made + HEAD, len - HEAD), Z_OK);
	assert_int_equal(plain_len, 4 + text_len);
	assert_int_equal(rfb_load_u32(plain), text_len);
	assert_memory_equal(plain + 4, text, text_len);
}

static void
test_text_is_made_anew(void **state)
{
	static const uint8_t text[] = "\0\0\0\5hello", html[] = "\0\0\0\5hello\0\0\0\3<p>", none[] = "\0\0\0\0";

	(void)state;
	expect_text(take(make_provide(1, text, 9, Z_FINISH), true, true), "hello", 5);
	/* noVNC and TigerVNC flush theirs and never end it (CVE-2023-3255 was QEMU's trouble with that). */
	expect_text(take(make_provide(1, text, 9, Z_SYNC_FLUSH), true, true), "hello", 5);
	expect_text(take(make_provide(1, text, 9, Z_FULL_FLUSH), true, true), "hello", 5);
	expect_text(take(make_provide(5, html, 16, Z_FINISH), true, true), "hello", 5);
	expect_text(take(make_provide(1, none, 4, Z_FINISH), true, true), "", 0);
	assert_int_equal(take(make_provide(4, html, 16, Z_FINISH), true, true), 0);
}

static void
test_text_that_is_none(void **state)
{
	static const uint8_t longer[] = "\0\0\0\6hello", huge[] = "\377\377\377\377hello", cut[] = "\0\0\0";
	size_t len;

	(void)state;
	assert_int_equal(take(make_provide(1, longer, 9, Z_FINISH), true, true), 0);
	assert_int_equal(take(make_provide(1, huge, 9, Z_FINISH), true, true), 0);
	assert_int_equal(take(make_provide(1, cut, 3, Z_FINISH), true, true), 0);
	assert_int_equal(take(make(PROVIDE, 1, NULL, 0), true, true), 0);
	assert_int_equal(take(make(PROVIDE, 1, "no stream at all", 16), true, true), 0);
	/* something behind the end of the stream */
	len = make_provide(1, (const uint8_t *)"\0\0\0\1x", 5, Z_FINISH);
	message[len] = 0;
	assert_int_equal(take(make(PROVIDE, 1, NULL, len + 1 - HEAD), true, true), 0);
}

static void
test_text_is_bounded_where_it_is_inflated(void **state)
{
	uint8_t *plain = calloc(1, 4 + 16 * RFB_MAX_TEXT);
	size_t len;

	(void)state;
	assert_non_null(plain);
	rfb_store_u32(plain, RFB_MAX_TEXT);
	expect_text(take(make_provide(1, plain, 4 + RFB_MAX_TEXT, Z_FINISH), true, true), plain + 4, RFB_MAX_TEXT);
	rfb_store_u32(plain, RFB_MAX_TEXT + 1);
	assert_int_equal(take(make_provide(1, plain, 4 + RFB_MAX_TEXT + 1, Z_FINISH), true, true), 0);
	rfb_store_u32(plain, 16 * RFB_MAX_TEXT);
	len = make_provide(1, plain, 4 + 16 * RFB_MAX_TEXT, Z_FINISH);
	assert_in_range(len, HEAD, 8192);	/* a few kilobytes that would be four megabytes */
	assert_int_equal(take(len, true, true), 0);
	/* that the text is short does not help it */
	rfb_store_u32(plain, 1);
	assert_int_equal(take(make_provide(1, plain, 4 + 16 * RFB_MAX_TEXT, Z_FINISH), true, true), 0);
	free(plain);
}

static void
test_before_the_encoding_and_too_often(void **state)
{
	struct console_clipboard clipboard = { .on = false };
	size_t len = make_provide(1, (const uint8_t *)"\0\0\0\1x", 5, Z_FINISH);

	(void)state;
	assert_int_equal(console_clipboard_take(&clipboard, message, len, true, true, now, &made), 0);
	clipboard.on = true;
	for (unsigned i = 0; i < 2 * CONSOLE_CLIPBOARD_TEXTS; i++)
		assert_int_equal(console_clipboard_take(&clipboard, message, len, true, true, now, &made) != 0, i < CONSOLE_CLIPBOARD_TEXTS);
	assert_int_not_equal(console_clipboard_take(&clipboard, message, len, true, true, now + 1, &made), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_only_text_goes_on),
		cmocka_unit_test(test_lengths_that_do_not_add_up),
		cmocka_unit_test(test_text_is_made_anew),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_text_is_bounded_where_it_is_inflated),
		cmocka_unit_test(test_before_the_encoding_and_too_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
