/* test_web_wire.c: what web/wire.c lets pass and what it ends, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "web/wire.h"

static const char request[] = "GET /console HTTP/1.1\r\nHost: h\r\n\r\n";
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static const char *
take(struct wire *wire, const void *bytes, size_t len, size_t step)
{
	const char *wrong = NULL;

	for (size_t at = 0; at < len && wrong == NULL; at += step)
		wrong = wire_take(wire, (const uint8_t *)bytes + at, len - at < step ? len - at : step, 1000);
	return wrong;
}

/* ---- HTTP/1 and WebSocket ---- */

static void
test_a_socket_is_the_first_request_and_nothing_is_behind_it(void **state)
{
	static const struct { const char *text; bool may; } rows[] = {
		{ request, true }, { "GET / HTTP/1.1\r\n\r\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: h\r\n", false }, { "GET / HTTP/1.1\n\n", false }, { "", false },
		{ "GET / HTTP/1.1\r\n\r\nx", false }, { "GET / HTTP/1.1\r\n\r\nGET /console HTTP/1.1\r\n\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 100; step += 24) {
			struct wire wire;

			wire_init(&wire, false);
			assert_null(take(&wire, rows[i].text, strlen(rows[i].text), step));
			assert_int_equal(wire_upgrade(&wire), rows[i].may);
			assert_false(wire_upgrade(&wire));
		}
}

static void
test_frames_are_masked(void **state)
{
	static const struct { size_t num; uint8_t head[14]; size_t payload; bool good; } rows[] = {
		{ 6, { 0x82, 0x80, 1, 2, 3, 4 }, 0, true },
		{ 6, { 0x82, 0xfd, 1, 2, 3, 4 }, 125, true },
		{ 8, { 0x82, 0xfe, 0, 126, 1, 2, 3, 4 }, 126, true },
		{ 8, { 0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4 }, 65535, true },
		{ 14, { 0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4 }, 65536, true },
		{ 8, { 0x82, 0xfe, 0, 0, 1, 2, 3, 4 }, 0, true },
		{ 6, { 0x89, 0x80, 0, 0, 0, 0 }, 0, true },
		{ 2, { 0x82, 0x00 }, 0, false },
		{ 2, { 0x82, 0x05 }, 5, false },
		{ 2, { 0x8a, 0x00 }, 0, false },
		{ 10, { 0x82, 0x7f, 0xff }, 0, false },
	};
	static uint8_t bytes[2 * (14 + 65536)];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < 70000; step = step * 7 + 1) {
			struct wire wire;
			size_t len = 0;

			wire_init(&wire, false);
			assert_null(take(&wire, request, sizeof(request) - 1, step));
			assert_true(wire_upgrade(&wire));
			/* A good one before it: where it begins is known by that one's length. */
			for (size_t j = i % 7; ; j = i) {
				memcpy(bytes + len, rows[j].head, rows[j].num);
				len += rows[j].num;
				memset(bytes + len, 0, rows[j].payload);
				len += rows[j].payload;
				if (j == i)
					break;
			}
			assert_int_equal(take(&wire, bytes, len, step) == NULL, rows[i].good);
		}
}

/* ---- HTTP/2 ---- */

static size_t
frame(uint8_t *at, size_t len, uint8_t type, uint8_t flags)
{
	memset(at, 0, 9);
	memset(at + 9, 0x82, len);		/* of headers: a field by its index */
	at[0] = (uint8_t)(len >> 16);
	at[1] = (uint8_t)(len >> 8);
	at[2] = (uint8_t)len;
	at[3] = type;
	at[4] = flags;
	at[8] = 1;
	return 9 + len;
}

/* How many of a frame pass before the connection is ended; `limit`: all. */
static unsigned
passes(size_t len, uint8_t type, uint8_t flags, unsigned limit, unsigned per_second)
{
	static uint8_t bytes[9 + 16384];
	size_t size = frame(bytes, len, type, flags);
	struct wire wire;

	wire_init(&wire, true);
	assert_null(wire_take(&wire, (const uint8_t *)preface, sizeof(preface) - 1, 1000));
	for (unsigned i = 0; i < limit; i++)
		if (wire_take(&wire, bytes, size, 1000 + (per_second == 0 ? 0 : i / per_second)) != NULL)
			return i;
	return limit;
}

static void
test_frames_that_only_keep_busy_are_counted(void **state)
{
	(void)state;
	assert_int_equal(passes(8, 6, 0, 100000, 0), 100);	/* PING */
	assert_int_equal(passes(8, 6, 1, 100000, 0), 100);	/* an answer that was not asked for */
	assert_int_equal(passes(6, 4, 0, 100000, 0), 100);	/* SETTINGS */
	assert_int_equal(passes(4, 3, 0, 100000, 0), 500);	/* RST_STREAM */
	assert_int_equal(passes(4, 8, 0, 100000, 0), 20000);	/* WINDOW_UPDATE */
	assert_int_equal(passes(5, 2, 0, 100000, 0), 20000);	/* PRIORITY */
	assert_int_equal(passes(0, 0, 0, 100000, 0), 20000);	/* DATA */
	assert_int_equal(passes(9, 77, 0, 100000, 0), 20000);
	assert_int_equal(passes(50, 1, 5, 100000, 0), 20000);	/* HEADERS */
	/* What browsers and clients that read a large answer do goes on for ever. */
	assert_int_equal(passes(8, 6, 0, 1000, 1), 1000);
	assert_int_equal(passes(4, 8, 0, 100000, 1000), 100000);
	assert_int_equal(passes(50, 1, 5, 100000, 1000), 100000);
}

static void
test_header_blocks_end(void **state)
{
	static uint8_t bytes[9 + 16384];
	struct wire wire;
	unsigned num;

	(void)state;
	assert_int_equal(passes(1, 9, 0, 1000, 0), 8);		/* CONTINUATION without an end */
	assert_int_equal(passes(0, 9, 0, 1000, 0), 8);
	assert_int_equal(passes(16384, 9, 0, 1000, 0), 2);
	wire_init(&wire, true);
	assert_null(wire_take(&wire, (const uint8_t *)preface, sizeof(preface) - 1, 1000));
	for (num = 0; num < 1000; num++) {	/* each request has its own */
		size_t len = frame(bytes, 100, num % 2 == 0 ? 1 : 9, num % 2 == 0 ? 0 : 4);

		assert_null(wire_take(&wire, bytes, len, 1000));
	}
	assert_false(wire_upgrade(&wire));
}

/* What is said of a header block that comes in pieces of `step`; NULL: nothing. */
static const char *
said_of_block(const char *block, size_t len, uint8_t flags, size_t step)
{
	uint8_t bytes[9 + 512];
	const char *wrong = NULL;
	struct wire wire;
	size_t size = frame(bytes, len, 1, flags);

	memcpy(bytes + 9, block, len);
	wire_init(&wire, true);
	assert_null(wire_take(&wire, (const uint8_t *)preface, sizeof(preface) - 1, 1000));
	for (size_t at = 0; at < size && wrong == NULL; at += step)
		wrong = wire_take(&wire, bytes + at, size - at < step ? size - at : step, 1000);
	return wrong;
}

static void
test_the_header_table_keeps_its_size(void **state)
{
	/* Each field of RFC 7541, 6, with and without long numbers; a text that holds what would be another size. */
	static const char good[] = "\x3f\xe1\x1f\x82\xff\x80\x01" "\x40\3key\x22\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20"
	    "\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20\x20" "\x7f\0\1x" "\x0f\1\0" "\x1f\x80\1\2ab" "\0\0\0" "\x10\1a\x82\x3f\x3f" "\x41\x81\x20\x82";
	static const char *const sizes[] = { "\x20", "\x3f\xe0\x1f", "\x3f\xe1\x9f", "\x82\x20", "\x41\1a\x22", "\0\1a\1b\x3f\x00" };
	uint8_t long_text[9 + 512];
	struct wire wire;

	(void)state;
	for (size_t step = 1; step < sizeof(good) + 9; step++)
		assert_null(said_of_block(good, sizeof(good) - 1, 4, step));
	assert_null(said_of_block("\x20\x20\x20\x20\x20\x82", 6, 4 | 32, 1));	/* behind five bytes of priority */
	assert_non_null(said_of_block("\x20\x20\x20\x20\x82\x20", 6, 4 | 32, 1));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_non_null(said_of_block(sizes[i], strlen(sizes[i]) == 0 ? 6 : strlen(sizes[i]), 4, 1));
	assert_non_null(said_of_block("\x41\3ab", 4, 4, 4));		/* ends amid a text, which the next block would go on with */
	assert_non_null(said_of_block("\x41\x7f\xff\xff\xff\xff", 6, 4, 6));
	/* A text of 300 bytes, in two frames. */
	wire_init(&wire, true);
	assert_null(wire_take(&wire, (const uint8_t *)preface, sizeof(preface) - 1, 1000));
	(void)frame(long_text, 200, 1, 0);
	memcpy(long_text + 9, "\x41\x7f\xad\x01", 4);	/* 127 + 45 + 128 */
	memset(long_text + 13, ' ', 196);
	assert_null(wire_take(&wire, long_text, 209, 1000));
	(void)frame(long_text, 105, 9, 4);
	memset(long_text + 9, ' ', 104);
	long_text[9 + 104] = 0x82;
	assert_null(wire_take(&wire, long_text, 114, 1000));
}

/* RFC 9113, 6.2; and what libwebsockets would end in another place, or read of other bytes. */
static void
test_what_stands_around_a_block(void **state)
{
	static const struct { const char *what; uint8_t type, flags; size_t len; const char *bytes; bool good; } rows[] = {
		{ "padding", 1, 4 | 8, 6, "\3\x82\x84\0\0\0", true },
		{ "none of it", 1, 4 | 8, 2, "\0\x82", true },
		{ "nothing else", 1, 8, 3, "\2\0\0", true },
		{ "behind five bytes", 1, 4 | 8 | 32, 9, "\2\x20\x20\x20\x20\x20\x82\0\0", true },
		{ "a size in the padding", 1, 4 | 8, 4, "\2\x82\x20\0", false },
		{ "a size before it", 1, 4 | 8, 4, "\2\x20\0\0", false },
		{ "a size in the place of priority", 1, 4 | 8 | 32, 9, "\0\x20\x20\x20\x20\x20\x82\x20\x82", false },
		{ "padding that says something", 1, 4 | 8, 4, "\2\x82\0\1", false },
		{ "more than there is", 1, 4 | 8, 3, "\3\x82\0", false },
		{ "more than is left by priority", 1, 4 | 8 | 32, 8, "\3\x20\x20\x20\x20\x20\x82\0", false },
		{ "amid a field", 1, 4 | 8, 5, "\2\x41\1\0\0", false },
		{ "only its length", 1, 8, 1, "\0", false },
		{ "only priority", 1, 32, 5, "\0\0\0\0\0", false },
		{ "only both", 1, 8 | 32, 6, "\0\0\0\0\0\0", false },
		{ "an empty one", 1, 8, 0, "", false },
		{ "content", 0, 8, 3, "\1x\0", false },
		{ "content with priority", 0, 32, 5, "\0\0\0\0\0", false },
		{ "the rest of a block", 9, 4 | 8, 2, "\0\x82", false },
		{ "priority in the rest of a block", 9, 4 | 32, 6, "\0\0\0\0\0\x82", false },
		{ "PING", 6, 8, 8, "\0\0\0\0\0\0\0\0", false },
		{ "SETTINGS", 4, 32, 6, "\0\0\0\0\0\0", false },
		{ "a type that nobody knows", 77, 8 | 32, 2, "\0\0", true },
	};
	uint8_t bytes[9 + 32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step < sizeof(bytes); step++) {
			size_t size = frame(bytes, rows[i].len, rows[i].type, rows[i].flags);
			struct wire wire;

			memcpy(bytes + 9, rows[i].bytes, rows[i].len);
			wire_init(&wire, true);
			assert_null(wire_take(&wire, (const uint8_t *)preface, sizeof(preface) - 1, 1000));
			if ((take(&wire, bytes, size, step) == NULL) != rows[i].good)
				fail_msg("%s, %zu bytes at a time", rows[i].what, step);
		}
}

static void
test_http2_in_any_pieces(void **state)
{
	static uint8_t bytes[24 + 200 * 20];

	(void)state;
	for (size_t step = 1; step < 3000; step = step * 3 + 1) {
		size_t len = sizeof(preface) - 1;
		struct wire wire;

		memcpy(bytes, preface, len);
		for (int i = 0; i < 200; i++)
			len += frame(bytes + len, (size_t)(i % 11), i % 2 == 0 ? 6 : 0, 0);
		wire_init(&wire, true);
		assert_null(take(&wire, bytes, len, step));
		len = frame(bytes, 8, 6, 0);
		assert_string_equal(take(&wire, bytes, len, step), "more PING and SETTINGS than any browser sends");
	}
}

static void
test_no_sockets_are_offered_over_http2(void **state)
{
	uint8_t bytes[64], before[64];
	size_t len = frame(bytes, 18, 4, 0);

	(void)state;
	memcpy(bytes + 9, "\0\3\0\0\0\30" "\0\10\0\0\0\1" "\0\6\0\0\20\0", 18);
	memcpy(before, bytes, sizeof(bytes));
	wire_offer_no_connect(bytes, len);
	assert_int_equal(bytes[20], 0);
	before[20] = 0;
	assert_memory_equal(bytes, before, len);
	for (size_t cut = 0; cut < len; cut++) {
		before[20] = bytes[20] = 1;
		wire_offer_no_connect(bytes, cut);
		assert_memory_equal(bytes, before, cut < 21 ? len : 20);
	}
	bytes[3] = 6;
	bytes[20] = 1;
	wire_offer_no_connect(bytes, len);
	assert_int_equal(bytes[20], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_socket_is_the_first_request_and_nothing_is_behind_it),
		cmocka_unit_test(test_frames_are_masked),
		cmocka_unit_test(test_frames_that_only_keep_busy_are_counted),
		cmocka_unit_test(test_header_blocks_end), cmocka_unit_test(test_the_header_table_keeps_its_size),
		cmocka_unit_test(test_what_stands_around_a_block),
		cmocka_unit_test(test_http2_in_any_pieces),
		cmocka_unit_test(test_no_sockets_are_offered_over_http2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
