/*
 * Documents that records name: packed, kept beside the trail, found again, missed.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/audit/pack.h"
#include "gateway/core/document.h"
#include "tests/unit/audit_gateway.h"

/* ---- packing ---- */

static void
test_packed_is_what_it_was(void **state)
{
	static const size_t lens[] = { 0, 1, 5000, DOCUMENT_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		char *text = malloc(lens[i] + 1), *again, name[DOCUMENT_NAME_LEN + 1], other[DOCUMENT_NAME_LEN + 1];
		struct buf packed = { 0 };
		size_t len = 0;

		for (size_t j = 0; j < lens[i]; j++)
			text[j] = (char)random();	/* noise: what deflate only makes longer */
		assert_int_equal(document_pack(&packed, text, lens[i], name), 0);
		assert_int_equal(document_packed_len(buf_head(&packed), buf_len(&packed)), buf_len(&packed));
		document_name(document_digest(buf_head(&packed)), other);
		assert_string_equal(name, other);
		again = document_unpack(buf_head(&packed), buf_len(&packed), &len);
		assert_non_null(again);
		assert_int_equal(len, lens[i]);
		assert_memory_equal(again, text, len);
		free(again);
		free(text);
		buf_free(&packed);
	}
}

static void
test_too_long_is_refused(void **state)
{
	char *text = calloc(1, DOCUMENT_MAX + 1), name[DOCUMENT_NAME_LEN + 1];
	struct buf packed = { 0 };

	(void)state;
	assert_int_equal(document_pack(&packed, text, DOCUMENT_MAX + 1, name), -1);
	assert_int_equal(buf_len(&packed), 0);
	free(text);
}

static void
test_no_bit_can_change(void **state)
{
	static const char text[] = "<domain type='test'><name>web-1</name><memory>8192</memory></domain>";
	char name[DOCUMENT_NAME_LEN + 1];
	struct buf packed = { 0 };
	size_t len;

	(void)state;
	assert_int_equal(document_pack(&packed, text, strlen(text), name), 0);
	for (size_t bit = 0; bit < buf_len(&packed) * 8; bit++) {
		buf_head(&packed)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_null(document_unpack(buf_head(&packed), buf_len(&packed), &len));
		buf_head(&packed)[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < buf_len(&packed); cut++)
		assert_null(document_unpack(buf_head(&packed), cut, &len));
	buf_free(&packed);
}

/* ---- a writer and a sender ---- */

/* A record that names this document; it is durable then. */
static void
change(struct gateway *gateway, unsigned number, const char *text, size_t len, char name[DOCUMENT_NAME_LEN + 1])
{
	char op[27];
	struct buf packed = { 0 };
	json_t *record;
	unsigned before = gateway->durable;

	fixture_op(op, 'D', number);
	record = fixture_record("event", op);
	assert_int_equal(document_pack(&packed, text, len, name), 0);
	(void)json_object_set_new(record, "documents", json_pack("{s:s}", "after", name));
	assert_true(audit_submit_with(gateway->client, record, &packed, AUDIT_KEEP, on_done, gateway) != 0);
	assert_int_equal(buf_len(&packed), 0);
	wait_durable(gateway, before + 1);
}

/* Without the zeros behind the documents. */
static size_t
size_of(const struct gateway *gateway, unsigned segment)
{
	char name[AUDIT_NAME_MAX], *content;
	size_t len;

	pack_file_name(name, segment);
	if (access(fixture_path(gateway->dir, name), F_OK) == -1)
		return 0;
	content = fixture_read(gateway->dir, name, &len);
	while (len > 0 && content[len - 1] == '\0')
		len--;
	free(content);
	return len;
}

static size_t
file_size(const struct gateway *gateway, unsigned segment)
{
	char name[AUDIT_NAME_MAX];
	struct stat st;

	pack_file_name(name, segment);
	assert_int_equal(stat(fixture_path(gateway->dir, name), &st), 0);
	return (size_t)st.st_size;
}

static void
test_named_is_kept_once(void **state)
{
	struct gateway *gateway = *state;
	char name[DOCUMENT_NAME_LEN + 1], *text;
	struct vg_error error = { "", "" };
	size_t size, len;

	change(gateway, 1, "<a/>", 4, name);
	size = size_of(gateway, 1);
	assert_true(size > DOCUMENT_HEAD);
	change(gateway, 2, "<a/>", 4, name);
	assert_int_equal(size_of(gateway, 1), size);
	restart_writer(gateway);
	change(gateway, 3, "<a/>", 4, name);	/* what an earlier writer wrote may not be durable: once more */
	assert_int_equal(size_of(gateway, 1), 2 * size);
	change(gateway, 4, "<a/>", 4, name);
	assert_int_equal(size_of(gateway, 1), 2 * size);
	text = pack_read(gateway->dir, 1, name, &len, &error);
	assert_non_null(text);
	assert_string_equal(text, "<a/>");
	free(text);
	(void)whole_trail(gateway->dir);
}

/* Room is there before it is needed; a stop gives it back, a kill leaves it as a gap, which nobody minds. */
static void
test_zeros_ahead_are_no_documents(void **state)
{
	struct gateway *gateway = *state;
	char name[DOCUMENT_NAME_LEN + 1], *killed;
	size_t size, len;

	change(gateway, 1, "<a/>", 4, name);
	size = file_size(gateway, 1);
	assert_true(size > size_of(gateway, 1));
	change(gateway, 2, "<b/>", 4, name);
	assert_int_equal(file_size(gateway, 1), size);
	(void)whole_trail(gateway->dir);
	killed = fixture_read(gateway->dir, "audit-000001.documents", &len);
	stop_writer(gateway);
	assert_int_equal(file_size(gateway, 1), size_of(gateway, 1));
	fixture_write(gateway->dir, "audit-000001.documents", killed, len);
	free(killed);
	restart_writer(gateway);
	change(gateway, 3, "<c/>", 4, name);
	assert_true(size_of(gateway, 1) > size);
	(void)whole_trail(gateway->dir);
}

static void
test_longer_than_a_message(void **state)
{
	struct gateway *gateway = *state;
	size_t len = 1024 * 1024, got;
	char *noise = malloc(len), name[DOCUMENT_NAME_LEN + 1], *text;
	struct vg_error error = { "", "" };

	for (size_t i = 0; i < len; i++)
		noise[i] = (char)random();
	change(gateway, 1, noise, len, name);
	text = pack_read(gateway->dir, 1, name, &got, &error);
	assert_non_null(text);
	assert_int_equal(got, len);
	assert_memory_equal(text, noise, len);
	free(text);
	free(noise);
	(void)whole_trail(gateway->dir);
}

static void
test_each_segment_has_its_own(void **state)
{
	struct gateway *gateway = *state;
	char name[DOCUMENT_NAME_LEN + 1];

	stop_writer(gateway);
	gateway->options.segment_bytes = 4096;
	restart_writer(gateway);
	for (unsigned i = 0; i < 30; i++)
		change(gateway, i, "<same/>", 7, name);
	assert_true(size_of(gateway, 1) > 0 && size_of(gateway, 2) > 0 && size_of(gateway, 3) > 0);
	(void)whole_trail(gateway->dir);
	/* what no longer has its segment goes with it, and counts */
	stop_writer(gateway);
	gateway->options.retention.bytes = 1;
	restart_writer(gateway);
	change(gateway, 100, "<same/>", 7, name);
	change(gateway, 101, "<same/>", 7, name);
	assert_int_equal(size_of(gateway, 1), 0);
	assert_int_equal(size_of(gateway, 2), 0);
	(void)whole_trail(gateway->dir);
}

static void
test_verify_misses_what_is_gone(void **state)
{
	struct gateway *gateway = *state;
	char name[DOCUMENT_NAME_LEN + 1], *packed;
	struct audit_verdict verdict;
	size_t len;

	change(gateway, 1, "<a/>", 4, name);
	change(gateway, 2, "<b/>", 4, name);
	stop_writer(gateway);
	packed = fixture_read(gateway->dir, "audit-000001.documents", &len);
	for (size_t at = 0; at < len; at++) {
		packed[at] ^= 1;
		fixture_write(gateway->dir, "audit-000001.documents", packed, len);
		packed[at] ^= 1;
		verdict = fixture_verify(gateway->dir);
		assert_false(verdict.whole);
		assert_non_null(strstr(verdict.what, "does not hold the document"));
	}
	fixture_write(gateway->dir, "audit-000001.documents", packed, len - 1);
	verdict = fixture_verify(gateway->dir);
	assert_false(verdict.whole);
	assert_non_null(strstr(verdict.what, name));
	assert_int_equal(unlink(fixture_path(gateway->dir, "audit-000001.documents")), 0);
	assert_false(fixture_verify(gateway->dir).whole);
	fixture_write(gateway->dir, "audit-000001.documents", packed, len);
	(void)whole_trail(gateway->dir);
	free(packed);
}

/* What was not synced may be anything after a crash: a part, noise, what looks like a beginning. */
static void
test_torn_end_is_passed_over(void **state)
{
	static const char *const torn[] = { "VGD1", "VGD1\1\2\3\4\60\1\1\1", "noise VGD1 noise VGD" };
	struct gateway *gateway = *state;
	char name[DOCUMENT_NAME_LEN + 1];
	unsigned number = 0;
	int fd;

	change(gateway, number++, "<a/>", 4, name);
	for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++) {
		char text[] = "<b0/>";

		stop_writer(gateway);
		fd = open(fixture_path(gateway->dir, "audit-000001.documents"), O_WRONLY | O_APPEND);
		assert_int_equal(write(fd, torn[i], strlen(torn[i])), strlen(torn[i]));
		close(fd);
		restart_writer(gateway);
		text[2] = (char)('0' + i);
		change(gateway, number++, text, 5, name);
		assert_int_equal(size_of(gateway, 2), 0);
		(void)whole_trail(gateway->dir);
	}
}

/* ---- a sender that breaks the rules ---- */

static void
test_no_documents_are_refused(void **state)
{
	struct gateway *gateway = *state;
	char name[DOCUMENT_NAME_LEN + 1], op[27];
	struct buf noise = { 0 };

	fixture_op(op, 'D', 1);
	assert_int_equal(buf_add(&noise, "this is no packed document, but it is long enough to be looked at", 60), 0);
	assert_true(audit_submit_with(gateway->client, fixture_record("event", op), &noise, AUDIT_KEEP, NULL, NULL) != 0);
	change(gateway, 2, "<a/>", 4, name);
	assert_int_equal(writer_counts(gateway->writer)->rejected, 1);
	(void)whole_trail(gateway->dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed_is_what_it_was),
		cmocka_unit_test(test_too_long_is_refused),
		cmocka_unit_test(test_no_bit_can_change),
		cmocka_unit_test_setup_teardown(test_named_is_kept_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeros_ahead_are_no_documents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longer_than_a_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_segment_has_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verify_misses_what_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_end_is_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_documents_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
