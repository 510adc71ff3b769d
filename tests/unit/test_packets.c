/* test_packets.c: captured messages decode, and nothing that is done to them gets through unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/rpc.h"
#include "tests/unit/packets.h"
#include "tests/unit/xdr_reference.h"

#define MUTATIONS_PER_PACKET 300

static struct packets packets;

static int
load(void **state)
{
	(void)state;
	packets = packets_load();
	return 0;
}

static int
unload(void **state)
{
	(void)state;
	packets_free(&packets);
	return 0;
}

static bool
carries_descriptors(const struct packet *packet)
{
	return packet->data[19] == RPC_CALL_WITH_FDS || packet->data[19] == RPC_REPLY_WITH_FDS;
}

/* The body and its description; false: stream data, keepalive or a message with descriptors. */
static bool
body_of(const struct packet *packet, struct xdr_span *body, const struct xdr_field **fields)
{
	struct rpc_header header;
	const struct rpc_proc *proc;

	assert_int_equal(rpc_header_get(packet->data, packet->len, &header), VG_OK);
	if (header.program == RPC_PROGRAM_KEEPALIVE || carries_descriptors(packet))
		return false;
	proc = rpc_header_proc(&header);
	assert_non_null(proc);
	*fields = rpc_body_fields(&header, proc);
	*body = (struct xdr_span){ packet->data + RPC_HEADER_LEN, packet->len - RPC_HEADER_LEN };
	return *fields != NULL;
}

/* A body on heap memory of exactly its length, so that reading behind it is noticed. */
static uint8_t *
copy_of(const uint8_t *data, size_t len)
{
	uint8_t *copy = packets_alloc(len);

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

static void
test_captured_packets_pass(void **state)
{
	const struct xdr_field *fields;
	struct rpc_header header;
	struct xdr_span body;
	size_t i, bodies = 0, refused = 0;

	(void)state;
	for (i = 0; i < packets.count; i++) {
		const struct packet *packet = &packets.list[i];
		enum vg_parse verdict;

		assert_int_equal(rpc_header_get(packet->data, packet->len, &header), VG_OK);
		assert_int_equal(header.length, packet->len);
		verdict = packet->from_client ? rpc_check_client(&header) : rpc_check_backend(&header);
		if (verdict != (carries_descriptors(packet) ? VG_BAD : VG_OK))
			fail_msg("packet %zu: header of procedure %d judged %d", i, header.procedure, verdict);
		refused += verdict == VG_BAD;
		if (!body_of(packet, &body, &fields))
			continue;
		bodies++;
		if (xdr_check(fields, body.data, body.len) != VG_OK)
			fail_msg("packet %zu: body of procedure %d refused", i, header.procedure);
	}
	assert_int_equal(refused, 2);		/* domain_create_with_files and domain_create_xml_with_files */
	assert_true(bodies > 400);
}

static void
test_I13_headers_split_at_every_byte(void **state)
{
	struct rpc_header whole, header;
	size_t i, len;

	(void)state;
	for (i = 0; i < packets.count; i++) {
		for (len = 0; len < RPC_HEADER_LEN; len++) {
			uint8_t *part = copy_of(packets.list[i].data, len);

			assert_int_equal(rpc_header_get(part, len, &header), VG_MORE);
			free(part);
		}
		assert_int_equal(rpc_header_get(packets.list[i].data, RPC_HEADER_LEN, &whole), VG_OK);
		for (len = RPC_HEADER_LEN; len <= packets.list[i].len; len++) {
			assert_int_equal(rpc_header_get(packets.list[i].data, len, &header), VG_OK);
			assert_memory_equal(&header, &whole, sizeof(header));
		}
	}
}

static void
test_I19_I20_cut_or_longer_bodies_are_refused(void **state)
{
	const struct xdr_field *fields;
	struct xdr_span body;
	size_t i, len;

	(void)state;
	for (i = 0; i < packets.count; i++) {
		uint8_t *longer;

		if (!body_of(&packets.list[i], &body, &fields))
			continue;
		for (len = 0; len < body.len; len++) {
			uint8_t *cut = copy_of(body.data, len);

			if (xdr_check(fields, cut, len) != VG_BAD)
				fail_msg("packet %zu cut to %zu of %zu bytes passes", i, len, body.len);
			free(cut);
		}
		longer = packets_alloc(body.len + 4);
		memcpy(longer, body.data, body.len);
		memset(longer + body.len, 0, 4);
		assert_int_equal(xdr_check(fields, longer, body.len + 1), VG_BAD);
		assert_int_equal(xdr_check(fields, longer, body.len + 4), VG_BAD);
		free(longer);
	}
}

static void
set_word(uint8_t *at, uint32_t value)
{
	struct xdr_out out;

	xdr_out_init(&out, at, 4);
	xdr_put_u32(&out, value);
}

/* Makes a piece of a valid body wrong in its `variant`th way; false when there is no such way. */
static bool
spoil(uint8_t *body, const struct piece *piece, unsigned variant)
{
	uint8_t *at = body + piece->offset;

	switch (piece->kind) {
	case PIECE_PADDING:
		*at = variant == 0 ? 1 : 0x80;
		return variant < 2;
	case PIECE_OPTIONAL:
		set_word(at, variant == 0 ? 2 : UINT32_MAX);
		return variant < 2;
	case PIECE_COUNT:
	case PIECE_LENGTH:
		set_word(at, variant == 0 ? piece->max + 1 : UINT32_MAX - 3 * (variant - 1));
		return variant < 3;
	case PIECE_TEXT:
		at[variant == 0 ? 0 : piece->len - 1] = 0;
		return variant < 2;
	case PIECE_NARROW:
		set_word(at, variant == 0 ? 65536 : 0x80000000);
		return variant < 2;
	case PIECE_NATURAL:
		set_word(at, variant == 0 ? UINT32_MAX : 0x80000000);
		return variant < 2;
	}
	return false;
}

static void
test_I19_every_piece_made_wrong_is_refused(void **state)
{
	/* Of each kind of piece, so that none is missed. */
	static const size_t at_least[] = { 500, 50, 50, 300, 300, 10, 10 };
	size_t tried[7] = { 0 }, i, j;

	(void)state;
	for (i = 0; i < packets.count; i++) {
		struct pieces pieces = { NULL, 0, 0 };
		const struct xdr_field *fields;
		struct xdr_span body;
		unsigned variant;
		uint8_t *copy;

		if (!body_of(&packets.list[i], &body, &fields))
			continue;
		assert_true(reference_check(fields, body.data, body.len, &pieces));
		for (j = 0; j < pieces.count; j++) {
			for (variant = 0; variant < 3; variant++) {
				copy = copy_of(body.data, body.len);
				if (spoil(copy, &pieces.list[j], variant)) {
					tried[pieces.list[j].kind]++;
					if (xdr_check(fields, copy, body.len) != VG_BAD)
						fail_msg("packet %zu: piece of kind %d at %zu, variant %u", i,
						    (int)pieces.list[j].kind, pieces.list[j].offset, variant);
				}
				free(copy);
			}
		}
		pieces_free(&pieces);
	}
	for (i = 0; i < 7; i++)
		if (tried[i] < at_least[i])
			fail_msg("only %zu pieces of kind %zu", tried[i], i);
}

static void
must_reencode(const struct xdr_field *fields, const uint8_t *body, size_t len)
{
	size_t again_len = 0;
	uint8_t *again = reference_reencode(fields, body, len, &again_len);

	assert_non_null(again);
	assert_int_equal(again_len, len);
	assert_memory_equal(again, body, len);
	free(again);
}

static void
test_leaves_give_the_same_bytes_again(void **state)
{
	const struct xdr_field *fields;
	struct xdr_span body;
	size_t i;

	(void)state;
	for (i = 0; i < packets.count; i++)
		if (body_of(&packets.list[i], &body, &fields))
			must_reencode(fields, body.data, body.len);
}

/* xorshift64*: the same numbers in every run. */
static uint64_t
random_next(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1dULL;
}

static void
mutate(uint8_t *body, size_t len, uint64_t *seed)
{
	static const uint8_t edges[] = { 0x00, 0x01, 0x02, 0x03, 0x7f, 0x80, 0xff };
	size_t changes = 1 + random_next(seed) % 3, at;
	uint8_t anything;

	for (; changes > 0 && len > 0; changes--) {
		at = random_next(seed) % len;
		if (random_next(seed) % 2 == 0)
			at |= 3;		/* the low byte of a word: lengths and counts */
		anything = (uint8_t)random_next(seed);
		if (at < len)
			body[at] = random_next(seed) % 2 == 0 ? anything : edges[anything % 7];
	}
}

/*
 * Whatever random changes make of a body: xdr_check() agrees with the plain reading, never reads outside (the copy is
 * exactly as long as the body), and what passes means exactly its bytes.
 */
static void
test_I19_random_changes_agree_with_the_reference(void **state)
{
	uint64_t seed = 20240321;
	size_t i, round, accepted = 0, refused = 0;

	(void)state;
	for (i = 0; i < packets.count; i++) {
		const struct xdr_field *fields;
		struct xdr_span body;

		if (!body_of(&packets.list[i], &body, &fields))
			continue;
		for (round = 0; round < MUTATIONS_PER_PACKET; round++) {
			size_t len = body.len - (round % 8 == 7 ? random_next(&seed) % (body.len + 1) : 0);
			uint8_t *copy = copy_of(body.data, len);
			bool expected;

			mutate(copy, len, &seed);
			expected = reference_check(fields, copy, len, NULL);
			if ((xdr_check(fields, copy, len) == VG_OK) != expected)
				fail_msg("packet %zu, round %zu: should be %d", i, round, expected);
			if (expected)
				must_reencode(fields, copy, len);
			accepted += expected;
			refused += !expected;
			free(copy);
		}
	}
	assert_true(accepted > 1000 && refused > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captured_packets_pass),
		cmocka_unit_test(test_I13_headers_split_at_every_byte),
		cmocka_unit_test(test_I19_I20_cut_or_longer_bodies_are_refused),
		cmocka_unit_test(test_I19_every_piece_made_wrong_is_refused),
		cmocka_unit_test(test_leaves_give_the_same_bytes_again),
		cmocka_unit_test(test_I19_random_changes_agree_with_the_reference),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
