/*
 * The writer on a disk that fails, is full, or was torn by a crash.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/log.h"
#include "tests/unit/audit_gateway.h"

static bool
failed_often(void *arg)
{
	return writer_counts(arg)->failures >= 4;
}

/* The segment that it goes on from is told, with what it holds, however often the next one could not be begun. */
static void
assert_retired(json_t *records, off_t size, int error)
{
	json_t *record, *args = NULL;
	size_t i;

	json_array_foreach(records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "event")), "audit.retired") == 0) {
			assert_null(args);
			args = json_object_get(record, "args");
		}
	assert_string_equal(json_string_value(json_object_get(args, "segment")), "audit-000001.jsonl");
	assert_int_equal(json_integer_value(json_object_get(args, "durable_bytes")), size);
	assert_string_equal(json_string_value(json_object_get(args, "error")), strerror(error));
}

/* I57: after an error the file is not touched again; the group is refused, kept records come again in a new segment. */
static void
fail_and_recover(struct gateway *gateway)
{
	json_t *records;
	struct stat before, after;
	int error = disk.write != 0 ? disk.write : disk.sync;

	gateway->durable = 0;
	assert_true(submit(gateway, "intent", 'A', 2) != 0);
	assert_true(submit(gateway, "event", 'B', 2) != 0);
	assert_true(fixture_until(gateway->base, &gateway->refused, 1));
	assert_int_equal(gateway->durable, 0);
	assert_false(audit_client_healthy(gateway->client));
	assert_int_equal(submit(gateway, "intent", 'A', 3), 0);
	assert_int_equal(stat(fixture_path(gateway->dir, "audit-000001.jsonl"), &before), 0);
	assert_true(fixture_until_true(gateway->base, failed_often, gateway->writer));

	memset(&disk, 0, sizeof(disk));
	wait_durable(gateway, 1);
	assert_true(fixture_until_true(gateway->base, is_healthy, gateway->client));
	assert_true(submit(gateway, "intent", 'A', 4) != 0);
	wait_durable(gateway, 2);
	wait_sent(gateway);
	assert_int_equal(stat(fixture_path(gateway->dir, "audit-000001.jsonl"), &after), 0);
	assert_int_equal(before.st_size, after.st_size);

	records = fixture_records(gateway->dir);
	assert_int_equal(fixture_count(records, "01TESTB0000000000000000002", "event"), 1);
	/* The intent that was told "refused" is not in the trail as if it went ahead: it has an outcome that says so. */
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000002", "outcome"), 1);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000003", NULL), 1);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000003", "event"), 1);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000004", "intent"), 1);
	assert_retired(records, before.st_size, error);
	json_decref(records);
	assert_true(fixture_verify(gateway->dir).whole);
}

static const struct fault {
	const char *name;
	struct failing_disk disk;
} faults[] = {
	{ "I56 no room", { .write = ENOSPC } },
	{ "I56 a quota is used up", { .write = EDQUOT } },
	{ "I56 a quota is used up in the middle of a record", { .write = EDQUOT, .short_write = 100 } },
	{ "I56 half a write leaves no half record", { .write = ENOSPC, .short_write = 100 } },
	{ "I57 a failed write", { .write = EIO } },
	{ "I57 half a write, and then none", { .write = EIO, .short_write = 1 } },
	{ "I57 read-only from one moment on", { .write = EROFS, .sync = EROFS } },
	{ "I57 a failed sync", { .sync = EIO } },
	{ "I57 no room shows only in the sync", { .sync = ENOSPC } },
	{ "I57 a used up quota shows only in the sync", { .sync = EDQUOT } },
};

static void
test_I56_I57_fault(void **state)
{
	struct gateway *gateway = *state;
	const struct fault *fault = gateway->row;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk = fault->disk;
	fail_and_recover(gateway);
}

/* What was cut from the end of a failed segment must be gone for good before there is another: nobody would look for it any more. */
static void
test_I57_no_segment_before_the_cut_is_durable(void **state)
{
	struct gateway *gateway = *state;
	struct stat st;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk.sync_of = "audit-000001.jsonl";
	assert_true(submit(gateway, "intent", 'C', 1) != 0);
	assert_true(fixture_until(gateway->base, &gateway->refused, 1));
	assert_true(fixture_until_true(gateway->base, failed_often, gateway->writer));
	assert_int_equal(stat(fixture_path(gateway->dir, "audit-000002.jsonl"), &st), -1);
	disk.sync_of = NULL;
	assert_true(fixture_until_true(gateway->base, is_healthy, gateway->client));
	wait_sent(gateway);
	assert_int_equal(stat(fixture_path(gateway->dir, "audit-000002.jsonl"), &st), 0);
	assert_true(fixture_verify(gateway->dir).whole);
}

/* Cutting back may fail like everything else: the bytes left behind are told by verify, and are no damage. */
static void
test_I57_bytes_behind_a_failed_write(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	char *text;
	size_t len;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk.sync = EIO;
	fail_and_recover(gateway);
	text = fixture_read(gateway->dir, "audit-000001.jsonl", &len);
	text = realloc(text, 2 * len);
	assert_non_null(text);
	memcpy(text + len, text, len);
	fixture_write(gateway->dir, "audit-000001.jsonl", text, len + len / 2);
	free(text);
	verdict = fixture_verify(gateway->dir);
	assert_true(verdict.whole);
	assert_int_equal(verdict.num_notes, 1);
	assert_non_null(strstr(verdict.note, "behind a failed write"));
}

/* The first record of all fails: no empty file stays, and the chain begins at 1. */
static void
test_I56_nothing_works_from_the_start(void **state)
{
	struct gateway *gateway = *state;
	unsigned first, last;

	disk.write = ENOSPC;
	submit(gateway, "event", 'B', 1);
	assert_true(fixture_until_true(gateway->base, no_writer, gateway->client));
	assert_int_equal(audit_reader_range(gateway->dir, &first, &last, NULL, NULL), 0);
	assert_int_equal(last, 0);
	disk.write = 0;
	wait_durable(gateway, 1);
	assert_whole(gateway->dir, 2);
}

/* Cut the file in the middle of its last record, at every byte. */
static void
test_I58_a_torn_end_is_put_aside(void **state)
{
	struct gateway *gateway = *state;
	char *text, *torn;
	size_t len, last = 0, got, step;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	writer_destroy(gateway->writer);
	gateway->writer = NULL;
	text = fixture_read(gateway->dir, "audit-000001.jsonl", &len);
	for (last = len - 1; last > 0 && text[last - 1] != '\n'; last--)
		;
	assert_int_equal(last, 0);
	step = 13;
	for (size_t cut = len + 1; cut < 2 * len; cut += step) {
		char name[64];
		char *twice = malloc(2 * len);

		assert_non_null(twice);
		memcpy(twice, text, len);
		memcpy(twice + len, text, len);
		fixture_write(gateway->dir, "audit-000001.jsonl", twice, cut);
		free(twice);
		start_writer(gateway);
		writer_destroy(gateway->writer);
		gateway->writer = NULL;
		assert_whole(gateway->dir, 2);
		(void)snprintf(name, sizeof(name), "audit-000001.torn-%zu", len);
		torn = fixture_read(gateway->dir, name, &got);
		assert_int_equal(got, cut - len);
		assert_memory_equal(torn, text, got);
		free(torn);
		assert_int_equal(unlink(fixture_path(gateway->dir, "audit-head")), 0);
		fixture_write(gateway->dir, "audit-000001.jsonl", text, len);
	}
	free(text);
	start_writer(gateway);
}

/* I62: a trail that was tampered with while nobody looked stays tampered with, whatever is written afterwards. */
static void
test_I62_damage_is_not_papered_over(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	json_t *records;
	char *text, *second;
	size_t len;

	for (unsigned i = 1; i <= 3; i++) {
		submit(gateway, "event", 'B', i);
		wait_durable(gateway, i);
	}
	writer_destroy(gateway->writer);
	text = fixture_read(gateway->dir, "audit-000001.jsonl", &len);
	second = strchr(text, '\n') + 1;
	memcpy(strstr(second, "web-1"), "web-2", 5);
	fixture_write(gateway->dir, "audit-000001.jsonl", text, len);
	start_writer(gateway);
	connect_client(gateway);
	submit(gateway, "event", 'B', 4);
	wait_durable(gateway, 4);
	verdict = fixture_verify(gateway->dir);
	assert_false(verdict.whole);
	assert_int_equal(verdict.line, 2);
	records = fixture_records(gateway->dir);
	assert_int_equal(json_array_size(records), 5);
	assert_string_equal(json_string_value(json_object_get(json_array_get(records, 3), "event")), "audit.damaged");
	json_decref(records);

	/* The same with records cut from the end. */
	writer_destroy(gateway->writer);
	second = strchr(text, '\n') + 1;
	fixture_write(gateway->dir, "audit-000001.jsonl", text, (size_t)(second - text));
	free(text);
	start_writer(gateway);
	connect_client(gateway);
	submit(gateway, "event", 'B', 5);
	wait_durable(gateway, 5);
	verdict = fixture_verify(gateway->dir);
	assert_false(verdict.whole);
	assert_int_equal(verdict.line, 2);
	assert_int_equal(verdict.seq, 6);
}

/* A real full disk. */
static void
test_I56_full_disk(void **state)
{
	struct gateway *gateway = *state;
	char *dir = fixture_dir(), *filler;
	unsigned num = 0;
	json_t *records;

	if (mount("tmpfs", dir, "tmpfs", 0, "size=64k") == -1) {
		print_message("SKIP: mounting a tmpfs: %s\n", strerror(errno));
		fixture_remove(dir);
		skip();
	}
	writer_destroy(gateway->writer);
	gateway->options.dir = dir;
	gateway->options.calls = &store_real_calls;
	start_writer(gateway);
	connect_client(gateway);
	filler = calloc(1, 24576);
	assert_non_null(filler);
	fixture_write(dir, "filler", filler, 24576);
	free(filler);
	while (audit_client_healthy(gateway->client) && num < 1000) {
		unsigned before = gateway->durable + gateway->refused;

		if (submit(gateway, "intent", 'A', num++) != 0)
			assert_true(fixture_until(gateway->base, &gateway->durable, before - gateway->refused + 1) ||
			    gateway->refused > 0);
		if (gateway->refused > 0)
			break;
	}
	assert_int_equal(gateway->refused, 1);
	assert_in_range(num, 10, 999);
	assert_true(submit(gateway, "event", 'K', 1) != 0);
	assert_int_equal(submit(gateway, "intent", 'A', num), 0);
	assert_true(fixture_verify(dir).whole);

	assert_int_equal(unlink(fixture_path(dir, "filler")), 0);
	assert_true(fixture_until_true(gateway->base, is_healthy, gateway->client));
	wait_sent(gateway);
	assert_true(submit(gateway, "intent", 'A', num + 1) != 0);
	wait_durable(gateway, gateway->durable + 1);
	records = fixture_records(dir);
	assert_int_equal(fixture_count(records, "01TESTK0000000000000000001", "event"), 1);
	assert_int_equal(fixture_count(records, NULL, "intent"), num);	/* less the refused one, more the last */
	json_decref(records);
	assert_true(fixture_verify(dir).whole);
	writer_destroy(gateway->writer);
	gateway->writer = NULL;
	assert_int_equal(umount(dir), 0);
	fixture_remove(dir);
}

/* A torn end, and no room to put it aside: the writer starts all the same, refuses, and goes on when there is room. */
static void
test_I56_torn_end_on_a_full_disk(void **state)
{
	struct gateway *gateway = *state;
	char *dir = fixture_dir(), block[4096], *text;
	size_t len;
	FILE *file;

	if (mount("tmpfs", dir, "tmpfs", 0, "size=64k") == -1) {
		print_message("SKIP: mounting a tmpfs: %s\n", strerror(errno));
		fixture_remove(dir);
		skip();
	}
	writer_destroy(gateway->writer);
	gateway->options.dir = dir;
	gateway->options.calls = &store_real_calls;
	start_writer(gateway);
	connect_client(gateway);
	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	writer_destroy(gateway->writer);
	text = fixture_read(dir, "audit-000001.jsonl", &len);
	file = fopen(fixture_path(dir, "audit-000001.jsonl"), "a");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len - 10, file), len - 10);
	assert_int_equal(fclose(file), 0);
	free(text);
	memset(block, 0, sizeof(block));
	file = fopen(fixture_path(dir, "filler"), "w");
	assert_non_null(file);
	while (fwrite(block, 1, sizeof(block), file) == sizeof(block) && fflush(file) == 0)
		;
	(void)fclose(file);

	start_writer(gateway);
	connect_client(gateway);
	assert_false(writer_healthy(gateway->writer));
	assert_true(submit(gateway, "event", 'B', 2) != 0);
	assert_int_equal(unlink(fixture_path(dir, "filler")), 0);
	wait_durable(gateway, 2);
	assert_whole(dir, 3);
	writer_destroy(gateway->writer);
	gateway->writer = NULL;
	assert_int_equal(umount(dir), 0);
	fixture_remove(dir);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	enum { NUM_FAULTS = sizeof(faults) / sizeof(faults[0]) };
	const struct CMUnitTest others[] = {
		TEST(test_I57_no_segment_before_the_cut_is_durable),
		TEST(test_I57_bytes_behind_a_failed_write),
		TEST(test_I56_nothing_works_from_the_start),
		TEST(test_I58_a_torn_end_is_put_aside),
		TEST(test_I62_damage_is_not_papered_over),
		TEST(test_I56_full_disk),
		TEST(test_I56_torn_end_on_a_full_disk),
	};
	struct CMUnitTest tests[NUM_FAULTS + sizeof(others) / sizeof(others[0])];
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	for (size_t i = 0; i < NUM_FAULTS; i++)
		tests[i] = (struct CMUnitTest){ faults[i].name, test_I56_I57_fault, setup, teardown, (void *)(uintptr_t)&faults[i] };
	memcpy(tests + NUM_FAULTS, others, sizeof(others));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
