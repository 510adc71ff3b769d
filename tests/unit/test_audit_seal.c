/*
 * Checkpoints: what signs the trail, and what that shows. A writer with a real key file; the attacker has root: he may
 * write every file, and can compute hashes as well as we can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include "tests/unit/audit_fixture.h"

#define KEY_FILE "key"		/* in the trail's directory: fixture_remove takes it along */
#define SEGMENT	"audit-000001.jsonl"

struct gateway {
	char *dir;
	struct event_base *base;
	struct writer *writer;
	struct audit_client *client;
	struct writer_options options;
	unsigned done, sent, refused;
};

static int
open_key(const char *dir)
{
	int fd = open(fixture_path(dir, KEY_FILE), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	return fd;
}

static void
start(struct gateway *gateway)
{
	struct vg_error error = { "", "" };
	int fds[2];

	gateway->options.key_fd = open_key(gateway->dir);
	gateway->writer = writer_create(gateway->base, &gateway->options, &error);
	if (gateway->writer == NULL)
		fail_msg("%s", error.what);
	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(writer_add(gateway->writer, fds[0], PROCESS_GATE), 0);
	audit_client_connect(gateway->client, fds[1]);
}

static void
stop(struct gateway *gateway)
{
	writer_destroy(gateway->writer);
	gateway->writer = NULL;
}

static int
setup(void **state)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));

	assert_non_null(gateway);
	gateway->dir = fixture_dir();
	gateway->base = fixture_base();
	gateway->options = (struct writer_options)WRITER_DEFAULTS(gateway->dir);
	gateway->client = audit_client_create(gateway->base);
	start(gateway);
	*state = gateway;
	return 0;
}

static int
teardown(void **state)
{
	struct gateway *gateway = *state;

	audit_client_destroy(gateway->client);
	writer_destroy(gateway->writer);
	event_base_free(gateway->base);
	fixture_remove(gateway->dir);
	free(gateway);
	return 0;
}

static void
on_done(bool durable, void *arg)
{
	assert_true(durable);
	((struct gateway *)arg)->done++;
}

static void
write_records(struct gateway *gateway, unsigned num)
{
	for (unsigned i = 0; i < num; i++) {
		char op[27];

		fixture_op(op, 'S', gateway->sent++);
		assert_true(audit_submit(gateway->client, fixture_record("event", op), AUDIT_KEEP, on_done, gateway) != 0);
		if (gateway->sent - gateway->done > (gateway->options.segment_bytes < STORE_SEGMENT_BYTES ? 4 : 500))
			assert_true(fixture_until(gateway->base, &gateway->done, gateway->sent));
	}
	assert_true(fixture_until(gateway->base, &gateway->done, gateway->sent));
}

static struct audit_verdict
verify(struct gateway *gateway, const struct audit_verify_options *options)
{
	struct audit_verdict verdict;
	struct vg_error error;

	assert_int_equal(audit_verify(gateway->dir, options, &verdict, NULL, NULL, &error), 0);
	return verdict;
}

static void
assert_bad(const struct audit_verdict *verdict, const char *what)
{
	if (verdict->whole)
		fail_msg("whole, expected: %s", what);
	if (strstr(verdict->what, what) == NULL)
		fail_msg("'%s', expected: %s", verdict->what, what);
}

static void
assert_whole(struct gateway *gateway)
{
	struct audit_verdict verdict = fixture_verify(gateway->dir);

	if (!verdict.whole)
		fail_msg("%s:%llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
}

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

/* Makes the key file say that its epoch began long ago: the next checkpoint ends it. */
static void
age_key(struct gateway *gateway)
{
	char line[512] = "", sum[AUDIT_HASH_LEN + 1], root[65], seed[65], next[65];
	unsigned long long epoch;
	char *text = fixture_read(gateway->dir, KEY_FILE, NULL);
	int fd = open_key(gateway->dir), len;

	assert_int_equal(sscanf(text, "virtgate-audit-key 1 %llu %*d %64s %64s %64s", &epoch, root, seed, next), 4);
	len = snprintf(line, sizeof(line), "virtgate-audit-key 1 %llu 1 %s %s %s", epoch, root, seed, next);
	scan_hash(line, (size_t)len, NULL, 0, sum);
	(void)snprintf(line + len, sizeof(line) - (size_t)len, " %s\n", sum);
	assert_int_equal(pwrite(fd, line, sizeof(line), 0), sizeof(line));
	assert_int_equal(pwrite(fd, line, sizeof(line), 4096), sizeof(line));
	close(fd);
	free(text);
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
	stop(gateway);
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
		stop(gateway);
		start(gateway);
	}
	assert_int_equal(count_checkpoints(gateway), 1);
	assert_whole(gateway);
}

static void
test_a_checkpoint_after_so_many_records(void **state)
{
	struct gateway *gateway = *state;

	write_records(gateway, 2 * CHECKPOINT_RECORDS + 1500);
	assert_int_equal(count_checkpoints(gateway), 3);
	assert_whole(gateway);
}

static void
test_keys_follow_one_another_and_the_old_ones_are_gone(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	char *old = NULL, *now;

	for (unsigned i = 0; i < 6; i++) {
		char seed[65];

		stop(gateway);
		age_key(gateway);
		old = fixture_read(gateway->dir, KEY_FILE, NULL);
		assert_int_equal(sscanf(old, "virtgate-audit-key 1 %*u %*d %*s %64s", seed), 1);
		free(old);
		start(gateway);
		write_records(gateway, 3);
		stop(gateway);
		now = fixture_read(gateway->dir, KEY_FILE, NULL);
		assert_null(memmem(now, 4096 + 512, seed, 64));
		free(now);
		start(gateway);
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

	stop(gateway);
	age_key(gateway);
	key = fixture_read(gateway->dir, KEY_FILE, &len);
	start(gateway);
	write_records(gateway, 3);
	stop(gateway);
	assert_true(last_checkpoint(gateway).next[0] != '\0');
	fixture_write(gateway->dir, KEY_FILE, key, len);
	free(key);
	start(gateway);
	write_records(gateway, 3);
	stop(gateway);
	assert_int_equal(last_checkpoint(gateway).epoch, 1);
	assert_whole(gateway);
}

/* One copy half written: the other is taken. */
static void
test_a_torn_key_file(void **state)
{
	struct gateway *gateway = *state;

	for (int copy = 0; copy < 2; copy++) {
		int fd;

		stop(gateway);
		fd = open_key(gateway->dir);
		assert_int_equal(pwrite(fd, "xxxxxxxxxxxxxxxx", 16, copy * 4096 + 200), 16);
		close(fd);
		start(gateway);
		write_records(gateway, 1);
	}
	stop(gateway);
	assert_whole(gateway);
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
	stop(gateway);
	assert_int_equal(unlink(fixture_path(gateway->dir, KEY_FILE)), 0);
	start(gateway);
	(void)snprintf(second, sizeof(second), "%s", writer_root(gateway->writer, &is_new));
	assert_string_not_equal(first, second);
	write_records(gateway, 5);
	stop(gateway);
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
	stop(gateway);
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
	stop(gateway);
	checkpoint = last_checkpoint(gateway);
	(void)checkpoint_print(&checkpoint, text);
	cut_as_root(gateway, 6);
	assert_whole(gateway);		/* nothing here tells */
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
	start(gateway);
	write_records(gateway, 20);
	stop(gateway);
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
		stop(gateway);
		age_key(gateway);
		start(gateway);
		write_records(gateway, 3);
	}
	stop(gateway);
	cut_as_root(gateway, 3);
	start(gateway);
	write_records(gateway, 3);
	stop(gateway);
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
	stop(gateway);
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

/* ---- retention ---- */

static uint64_t
trail_bytes(struct gateway *gateway, unsigned *first, unsigned *last)
{
	uint64_t bytes;

	assert_int_equal(audit_reader_range(gateway->dir, first, last, &bytes, NULL), 0);
	return bytes;
}

static bool
below_the_limit(void *arg)
{
	struct gateway *gateway = arg;
	unsigned first, last;

	return trail_bytes(gateway, &first, &last) <= gateway->options.retention.bytes + 2 * gateway->options.segment_bytes;
}

static void
keep_little(struct gateway *gateway)
{
	stop(gateway);
	gateway->options.segment_bytes = 4000;
	gateway->options.retention.bytes = 20000;
	start(gateway);
}

/* Epochs change meanwhile; what is left is whole, and begins with what a record tells. */
static void
test_old_segments_go_and_the_rest_stays_whole(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	const char *root;
	unsigned first, last;
	char text[65];
	bool is_new;

	keep_little(gateway);
	(void)snprintf(text, sizeof(text), "%s", writer_root(gateway->writer, &is_new));
	root = text;
	for (int i = 0; i < 4; i++) {
		write_records(gateway, 100);
		stop(gateway);
		age_key(gateway);
		start(gateway);
	}
	assert_true(fixture_until_true(gateway->base, below_the_limit, gateway));
	stop(gateway);
	(void)trail_bytes(gateway, &first, &last);
	assert_true(first > 20);
	verdict = verify(gateway, &(struct audit_verify_options){ .roots = &root, .num_roots = 1 });
	if (!verdict.whole)
		fail_msg("%s:%llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	assert_int_equal(verdict.removed + verdict.records, verdict.last_seq);
	assert_true(verdict.removed > 300);

	/* Without the list of keys nobody vouches for the first one that is left; a list that was changed shows. */
	assert_int_equal(rename(fixture_path(gateway->dir, AUDIT_KEYS_FILE), "/tmp/virtgate-audit-keys-aside"), 0);
	verdict = verify(gateway, NULL);
	assert_bad(&verdict, "none before it vouches");
	assert_int_equal(rename("/tmp/virtgate-audit-keys-aside", fixture_path(gateway->dir, AUDIT_KEYS_FILE)), 0);
}

static bool list_fails;

static ssize_t
write_but_list(int fd, const void *data, size_t len)
{
	if (!list_fails || !fixture_fd_is(fd, AUDIT_KEYS_FILE))
		return write(fd, data, len);
	errno = ENOSPC;
	return -1;
}

static const struct store_calls list_calls = { write_but_list, fdatasync };

static void
on_answer(bool durable, void *arg)
{
	struct gateway *gateway = arg;

	gateway->done++;
	gateway->refused += !durable;
}

/* Records until one is refused, or the trail has `segments` more. */
static void
write_until_refused(struct gateway *gateway, unsigned segments)
{
	unsigned first, last, end;

	(void)trail_bytes(gateway, &first, &end);
	end += segments;
	gateway->refused = 0;
	do {
		char op[27];

		fixture_op(op, 'R', gateway->sent++);
		assert_true(audit_submit(gateway->client, fixture_record("event", op), AUDIT_OR_REFUSE, on_answer, gateway) != 0);
		assert_true(fixture_until(gateway->base, &gateway->done, gateway->sent));
		(void)trail_bytes(gateway, &first, &last);
	} while (gateway->refused == 0 && last < end);
}

/*
 * A key ends its time, and the list of keys cannot be written from then to the end of the process, nor in the life of the next one. No segment is
 * begun, so that the checkpoint stays where a start finds it, and changes are refused; a third process lists it, and the keys still lead to the
 * root when the segments are removed that had it.
 */
static void
test_a_list_of_keys_that_cannot_be_written_gets_no_hole(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	unsigned first, last;

	stop(gateway);
	gateway->options.calls = &list_calls;
	gateway->options.epoch_seconds = 0;
	gateway->options.segment_bytes = 4000;
	gateway->options.retry_ms = 5;
	start(gateway);
	write_records(gateway, 20);
	list_fails = true;		/* from the last moments of this one */
	for (int life = 0; life < 2; life++) {
		stop(gateway);		/* with a checkpoint */
		start(gateway);
		write_until_refused(gateway, 8);
		assert_int_equal(gateway->refused, 1);
	}
	list_fails = false;
	stop(gateway);
	gateway->options.retention.bytes = 20000;
	start(gateway);
	write_records(gateway, 200);
	assert_true(fixture_until_true(gateway->base, below_the_limit, gateway));
	stop(gateway);
	(void)trail_bytes(gateway, &first, &last);
	assert_true(first > 10);
	verdict = fixture_verify(gateway->dir);
	if (!verdict.whole)
		fail_msg("%s:%llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
}

/* By hand, one more than the records say. */
static void
test_I62_a_removal_that_is_not_told_shows(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	unsigned first, last;
	char name[AUDIT_NAME_MAX];

	keep_little(gateway);
	write_records(gateway, 200);
	assert_true(fixture_until_true(gateway->base, below_the_limit, gateway));
	stop(gateway);
	assert_whole(gateway);
	(void)trail_bytes(gateway, &first, &last);
	audit_segment_name(name, first);
	assert_int_equal(unlink(fixture_path(gateway->dir, name)), 0);
	verdict = verify(gateway, NULL);
	assert_bad(&verdict, "no record tells");
}

/* Between the record and the removal: the segments are still there; the next start tells again, and removes them. */
static void
test_a_stop_before_the_removal(void **state)
{
	struct gateway *gateway = *state;
	struct vg_error error;
	struct removal removal;
	unsigned first, last;

	stop(gateway);
	gateway->options.segment_bytes = 4000;
	start(gateway);
	write_records(gateway, 100);
	stop(gateway);
	gateway->options.retention.bytes = 20000;
	assert_int_equal(retention_plan(gateway->dir, &gateway->options.retention, &removal, &error), 1);
	start(gateway);
	stop(gateway);
	(void)trail_bytes(gateway, &first, &last);
	assert_int_equal(first, removal.last + 1);
	assert_whole(gateway);
}

/* Three segments of another century: the third is kept, because its last record is only older than what the fourth begins with. */
static void
test_retention_by_age(void **state)
{
	struct gateway *gateway = *state;
	struct retention retention = { 0, 0 };
	struct removal removal;
	struct vg_error error;

	stop(gateway);
	gateway->options.segment_bytes = 4000;
	start(gateway);
	write_records(gateway, 100);
	stop(gateway);
	for (unsigned segment = 1; segment <= 3; segment++) {
		char name[AUDIT_NAME_MAX], *text;
		size_t len;

		audit_segment_name(name, segment);
		text = fixture_read(gateway->dir, name, &len);
		memcpy(strstr(text, "\"time\":\"") + 8, "1999", 4);
		fixture_write(gateway->dir, name, text, len);
		free(text);
	}
	assert_int_equal(retention_plan(gateway->dir, &retention, &removal, &error), 0);
	retention.days = 1;
	assert_int_equal(retention_plan(gateway->dir, &retention, &removal, &error), 1);
	assert_int_equal(removal.first, 1);
	assert_int_equal(removal.last, 2);
	retention.days = 36500;
	assert_int_equal(retention_plan(gateway->dir, &retention, &removal, &error), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

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
		TEST(test_old_segments_go_and_the_rest_stays_whole),
		TEST(test_a_list_of_keys_that_cannot_be_written_gets_no_hole),
		TEST(test_I62_a_removal_that_is_not_told_shows),
		TEST(test_a_stop_before_the_removal),
		TEST(test_retention_by_age),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
