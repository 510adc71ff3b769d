/*
 * Checkpoints: what signs the trail, and what that shows. A writer with a real key file; the attacker has root: he may
 * write every file, and can compute hashes as well as we can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/audit/checkpoint.h"
#include "gateway/audit/signer.h"
#include "gateway/core/audit_wire.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_signed.h"

#define SEGMENT	"audit-000001.jsonl"

/* The last checkpoint of the trail. */
static struct checkpoint
last_checkpoint(struct gateway *gateway)
{
	struct checkpoint checkpoint = { 0 };
	char *text = fixture_read(gateway->dir, SEGMENT, NULL), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		if (strstr(line, CHECKPOINT_CODE) != NULL)
			assert_true(checkpoint_in_line(line, strlen(line), &checkpoint));
	free(text);
	assert_true(checkpoint.seq > 0);
	return checkpoint;
}

static unsigned
count_checkpoints(struct gateway *gateway)
{
	json_t *records = fixture_records(gateway->dir), *record;
	unsigned num = 0;
	size_t i;

	json_array_foreach(records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "event")), "audit.checkpoint") == 0)
			num++;
	json_decref(records);
	return num;
}

/* ---- tests ---- */

static void
test_a_trail_is_signed_from_its_first_record(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	json_t *records = fixture_records(gateway->dir), *first = json_array_get(records, 0);
	bool is_new = false;

	assert_string_equal(json_string_value(json_object_get(first, "event")), "audit.key");
	assert_string_equal(json_string_value(json_object_get(json_object_get(first, "args"), "root")),
	    writer_root(gateway->writer, &is_new));
	assert_true(is_new);
	json_decref(records);
	write_records(gateway, 20);
	stop_writer(gateway);
	verdict = verify(gateway, &(struct audit_verify_options){ 0 });
	assert_true(verdict.whole);
	assert_int_equal(verdict.checkpoints, 2);	/* of the start, of the stop */
	assert_int_equal(verdict.signed_seq, verdict.last_seq - 1);
	assert_int_equal(verdict.records, 23);
}

static void
test_no_checkpoint_without_records(void **state)
{
	struct gateway *gateway = *state;

	for (int i = 0; i < 5; i++) {
		stop_writer(gateway);
		start_signed(gateway);
	}
	assert_int_equal(count_checkpoints(gateway), 1);
	(void)whole_trail(gateway->dir);
}

static void
test_a_checkpoint_after_so_many_records(void **state)
{
	struct gateway *gateway = *state;

	write_records(gateway, 2 * CHECKPOINT_RECORDS + 1500);
	assert_int_equal(count_checkpoints(gateway), 3);
	(void)whole_trail(gateway->dir);
}

static void
test_keys_follow_one_another_and_the_old_ones_are_gone(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	char *old = NULL, *now;

	for (unsigned i = 0; i < 6; i++) {
		char seed[65];

		stop_writer(gateway);
		age_key(gateway);
		old = fixture_read(gateway->dir, KEY_FILE, NULL);
		assert_int_equal(sscanf(old, "virtgate-audit-key 1 %*u %*d %*s %64s", seed), 1);
		free(old);
		start_signed(gateway);
		write_records(gateway, 3);
		stop_writer(gateway);
		now = fixture_read(gateway->dir, KEY_FILE, NULL);
		assert_null(memmem(now, 4096 + 512, seed, 64));
		free(now);
		start_signed(gateway);
	}
	assert_int_equal(last_checkpoint(gateway).epoch, 5);
	verdict = verify(gateway, &(struct audit_verify_options){ 0 });
	assert_true(verdict.whole);
}

/* Killed between the checkpoint and the key file: the file is as it was before. */
static void
test_a_stop_between_checkpoint_and_key(void **state)
{
	struct gateway *gateway = *state;
	size_t len;
	char *key;

	stop_writer(gateway);
	age_key(gateway);
	key = fixture_read(gateway->dir, KEY_FILE, &len);
	start_signed(gateway);
	write_records(gateway, 3);
	stop_writer(gateway);
	assert_true(last_checkpoint(gateway).next[0] != '\0');
	fixture_write(gateway->dir, KEY_FILE, key, len);
	free(key);
	start_signed(gateway);
	write_records(gateway, 3);
	stop_writer(gateway);
	assert_int_equal(last_checkpoint(gateway).epoch, 1);
	(void)whole_trail(gateway->dir);
}

/* One copy half written: the other is taken. */
static void
test_a_torn_key_file(void **state)
{
	struct gateway *gateway = *state;

	for (int copy = 0; copy < 2; copy++) {
		int fd;

		stop_writer(gateway);
		fd = open_key(gateway->dir);
		assert_int_equal(pwrite(fd, "xxxxxxxxxxxxxxxx", 16, copy * 4096 + 200), 16);
		close(fd);
		start_signed(gateway);
		write_records(gateway, 1);
	}
	stop_writer(gateway);
	(void)whole_trail(gateway->dir);
	assert_int_equal(last_checkpoint(gateway).epoch, 0);
}

static void
test_a_lost_key_is_told_and_shows(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	const char *roots[2];
	char first[65], second[65];
	bool is_new;

	(void)snprintf(first, sizeof(first), "%s", writer_root(gateway->writer, &is_new));
	write_records(gateway, 5);
	stop_writer(gateway);
	assert_int_equal(unlink(fixture_path(gateway->dir, KEY_FILE)), 0);
	start_signed(gateway);
	(void)snprintf(second, sizeof(second), "%s", writer_root(gateway->writer, &is_new));
	assert_string_not_equal(first, second);
	write_records(gateway, 5);
	stop_writer(gateway);
	verdict = fixture_verify(gateway->dir);
	assert_bad(&verdict, "begins anew");
	roots[0] = first;
	roots[1] = second;
	verdict = verify(gateway, &(struct audit_verify_options){ .roots = roots, .num_roots = 2 });
	assert_true(verdict.whole);
	verdict = verify(gateway, &(struct audit_verify_options){ .roots = &roots[1], .num_roots = 1 });
	assert_bad(&verdict, "not the root that is known");
}

/* Cuts the trail behind line `number`, and makes the note of its end fit. */
static void
cut_as_root(struct gateway *gateway, unsigned number)
{
	char *text = fixture_read(gateway->dir, SEGMENT, NULL), *at = text, *last = text, head[128];
	struct scan_line facts;

	for (unsigned i = 0; i < number; i++) {
		last = at;
		at = strchr(at, '\n') + 1;
	}
	assert_true(scan_line(last, (size_t)(at - last) - 1, &facts));
	fixture_write(gateway->dir, SEGMENT, text, (size_t)(at - text));
	(void)snprintf(head, sizeof(head), "%020llu %s\n", (unsigned long long)facts.seq, facts.hash);
	fixture_write(gateway->dir, AUDIT_HEAD_FILE, head, strlen(head));
	free(text);
}

/* Changes the name in line `number` and makes every hash from there on right again. */
static void
rewrite_as_root(struct gateway *gateway, unsigned number)
{
	char *text = fixture_read(gateway->dir, SEGMENT, NULL), *line = text, *end, hash[AUDIT_HASH_LEN + 1] = "";
	unsigned at = 0;
	char head[128];
	struct scan_line facts;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (++at < number)
			continue;
		if (at == number)
			memcpy(strstr(line, "web-1"), "web-9", 5);
		else
			memcpy(strstr(line, "\"prev\":\"") + 8, hash, AUDIT_HASH_LEN);
		assert_true(scan_line(line, (size_t)(end - line), &facts));
		scan_hash(line, facts.hash_at, line + facts.hash_end, (size_t)(end - line) - facts.hash_end, hash);
		memcpy(line + facts.hash_at + 8, hash, AUDIT_HASH_LEN);
	}
	fixture_write(gateway->dir, SEGMENT, text, strlen(text));
	(void)snprintf(head, sizeof(head), "%020llu %s\n", (unsigned long long)facts.seq, hash);
	fixture_write(gateway->dir, AUDIT_HEAD_FILE, head, strlen(head));
	free(text);
}

static void
test_I62_root_rewrites_a_signed_record(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;

	write_records(gateway, 10);
	stop_writer(gateway);
	rewrite_as_root(gateway, 5);
	verdict = fixture_verify(gateway->dir);
	assert_bad(&verdict, "checkpoint is about another record");
	assert_int_equal(verdict.signed_seq, 1);
}

/* Behind the last checkpoint only a copy from outside helps, and it does. */
static void
test_I62_root_cuts_the_end(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verify_options options = { 0 };
	struct checkpoints outside = { NULL, 0 };
	struct audit_verdict verdict;
	struct checkpoint checkpoint;
	struct vg_error error;
	char text[CHECKPOINT_TEXT_MAX];
	FILE *file;

	write_records(gateway, 10);
	stop_writer(gateway);
	checkpoint = last_checkpoint(gateway);
	(void)checkpoint_print(&checkpoint, text);
	cut_as_root(gateway, 6);
	(void)whole_trail(gateway->dir);		/* nothing here tells */
	file = fopen(fixture_path(gateway->dir, "syslog"), "w");
	assert_non_null(file);
	fprintf(file, "Nov 27 15:00:00 kvm1 virtgate: something else\nNov 27 15:00:01 kvm1 virtgate: {\"checkpoint\":\"%s\"}\n",
	    text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(checkpoints_read(&outside, fixture_path(gateway->dir, "syslog"), &error), 0);
	assert_int_equal(outside.num, 1);
	options.outside = &outside;
	verdict = verify(gateway, &options);
	assert_bad(&verdict, "cut from the end: the checkpoint from outside signs record 12");
	assert_int_equal(verdict.confirmed_seq, 0);

	/* Cut, and other records in the place. */
	start_signed(gateway);
	write_records(gateway, 20);
	stop_writer(gateway);
	verdict = verify(gateway, &options);
	assert_bad(&verdict, "written anew");
	checkpoints_free(&outside);
}

/* The key has moved on by more than what is left of the trail can explain. */
static void
test_I62_a_cut_shows_at_the_next_start(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	json_t *records;

	for (int i = 0; i < 3; i++) {
		stop_writer(gateway);
		age_key(gateway);
		start_signed(gateway);
		write_records(gateway, 3);
	}
	stop_writer(gateway);
	cut_as_root(gateway, 3);
	start_signed(gateway);
	write_records(gateway, 3);
	stop_writer(gateway);
	records = fixture_records(gateway->dir);
	assert_string_equal(json_string_value(json_object_get(json_array_get(records, 3), "event")), "audit.damaged");
	json_decref(records);
	verdict = fixture_verify(gateway->dir);
	assert_bad(&verdict, "no checkpoint before it vouches for");
}

static void
test_texts_of_checkpoints(void **state)
{
	struct gateway *gateway = *state;
	struct checkpoint checkpoint, parsed;
	struct checkpoints read = { NULL, 0 };
	struct vg_error error;
	char text[CHECKPOINT_TEXT_MAX];
	size_t len;

	write_records(gateway, 3);
	stop_writer(gateway);
	checkpoint = last_checkpoint(gateway);
	len = checkpoint_print(&checkpoint, text);
	assert_true(checkpoint_parse(text, len, &parsed));
	assert_memory_equal(&parsed, &checkpoint, sizeof(parsed));
	assert_true(checkpoint_right(&checkpoint));
	assert_int_equal(checkpoints_read(&read, text, &error), 0);
	for (size_t at = 0; at < len; at++) {
		for (int bit = 0; bit < 8; bit++) {
			text[at] = (char)(text[at] ^ 1 << bit);
			if (checkpoint_parse(text, len, &parsed) && checkpoint_right(&parsed))
				fail_msg("bit %d of byte %zu", bit, at);
			text[at] = (char)(text[at] ^ 1 << bit);
		}
		assert_false(checkpoint_parse(text, at, &parsed) && checkpoint_right(&parsed));
	}
	text[len - 1] = text[len - 1] == '0' ? '1' : '0';
	assert_int_equal(checkpoints_read(&read, text, &error), -1);
	assert_int_equal(checkpoints_read(&read, "/does/not/exist", &error), -1);
	checkpoints_free(&read);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_signed, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_trail_is_signed_from_its_first_record),
		TEST(test_no_checkpoint_without_records),
		TEST(test_a_checkpoint_after_so_many_records),
		TEST(test_keys_follow_one_another_and_the_old_ones_are_gone),
		TEST(test_a_stop_between_checkpoint_and_key),
		TEST(test_a_torn_key_file),
		TEST(test_a_lost_key_is_told_and_shows),
		TEST(test_I62_root_rewrites_a_signed_record),
		TEST(test_I62_root_cuts_the_end),
		TEST(test_I62_a_cut_shows_at_the_next_start),
		TEST(test_texts_of_checkpoints),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
