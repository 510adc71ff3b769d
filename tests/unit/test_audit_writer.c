/*
 * Sender, writer and reader together, over a real link and real files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/ids.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_fixture.h"

/* ---- a disk that fails when told to ---- */

static struct {
	bool write, sync;		/* fails */
	size_t short_write;		/* not 0: writes so much, then fails */
	unsigned syncs;
	long slow_ns;			/* a sync takes so long */
	const char *sync_of;		/* fails for the file of this name alone */
} disk;

static bool
is_file(int fd, const char *name)
{
	char link[64], path[512];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = '\0';
	return strstr(path, name) != NULL;
}

static ssize_t
disk_write(int fd, const void *buf, size_t len)
{
	if (disk.short_write > 0) {
		size_t put = disk.short_write < len ? disk.short_write : len;

		disk.short_write = 0;
		disk.write = true;
		return write(fd, buf, put);
	}
	if (disk.write) {
		errno = ENOSPC;
		return -1;
	}
	return write(fd, buf, len);
}

static int
disk_sync(int fd)
{
	const struct timespec wait = { 0, disk.slow_ns };

	disk.syncs++;
	if (disk.slow_ns > 0)
		(void)nanosleep(&wait, NULL);
	if (disk.sync || (disk.sync_of != NULL && is_file(fd, disk.sync_of))) {
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static const struct store_calls disk_calls = { disk_write, disk_sync };

/* ---- one gateway: a loop with a writer and a sender in it ---- */

struct gateway {
	char *dir;
	struct event_base *base;
	struct writer *writer;
	struct audit_client *client;
	struct writer_options options;
	unsigned durable, refused;
};

static void
start_writer(struct gateway *gateway)
{
	struct vg_error error = { "", "" };

	gateway->writer = writer_create(gateway->base, &gateway->options, &error);
	if (gateway->writer == NULL)
		fail_msg("%s", error.what);
}

static void
connect_client(struct gateway *gateway)
{
	int fds[2];

	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(writer_add(gateway->writer, fds[0], PROCESS_GATE), 0);
	audit_client_connect(gateway->client, fds[1]);
}

static int
setup(void **state)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));

	assert_non_null(gateway);
	memset(&disk, 0, sizeof(disk));
	gateway->dir = fixture_dir();
	gateway->base = fixture_base();
	gateway->options = (struct writer_options)WRITER_DEFAULTS(gateway->dir);
	gateway->options.calls = &disk_calls;
	gateway->options.retry_ms = 5;
	gateway->client = audit_client_create(gateway->base);
	assert_non_null(gateway->client);
	start_writer(gateway);
	connect_client(gateway);
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
	struct gateway *gateway = arg;

	if (durable)
		gateway->durable++;
	else
		gateway->refused++;
}

static uint64_t
submit(struct gateway *gateway, const char *stage, char kind, unsigned number)
{
	char op[27];

	fixture_op(op, kind, number);
	return audit_submit(gateway->client, fixture_record(stage, op),
	    strcmp(stage, "intent") == 0 ? AUDIT_OR_REFUSE : AUDIT_KEEP, on_done, gateway);
}

static void
wait_durable(struct gateway *gateway, unsigned want)
{
	if (!fixture_until(gateway->base, &gateway->durable, want))
		fail_msg("%u of %u records became durable", gateway->durable, want);
}

static bool
nothing_pending(void *arg)
{
	return audit_client_pending(arg) == 0;
}

static bool
no_writer(void *arg)
{
	return !audit_client_healthy(arg);
}

static bool
is_healthy(void *arg)
{
	return audit_client_healthy(arg);
}

static void
wait_sent(struct gateway *gateway)
{
	assert_true(fixture_until_true(gateway->base, nothing_pending, gateway->client));
}

static void
assert_whole(const char *dir, uint64_t records)
{
	struct audit_verdict verdict = fixture_verify(dir);

	if (!verdict.whole)
		fail_msg("%s line %llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	assert_int_equal(verdict.records, records);
}

/* ---- tests ---- */

static void
test_I55_durable_means_on_disk(void **state)
{
	struct gateway *gateway = *state;
	json_t *records;

	assert_true(submit(gateway, "intent", 'A', 1) != 0);
	assert_int_equal(gateway->durable + gateway->refused, 0);	/* never from within audit_submit */
	wait_durable(gateway, 1);
	assert_true(disk.syncs >= 1);
	records = fixture_records(gateway->dir);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000001", "intent"), 1);
	json_decref(records);
	assert_whole(gateway->dir, 1);
}

static void
test_a_group_takes_one_sync(void **state)
{
	struct gateway *gateway = *state;
	unsigned before;

	submit(gateway, "event", 'A', 0);
	wait_durable(gateway, 1);
	before = disk.syncs;
	for (unsigned i = 0; i < 64; i++)
		assert_true(submit(gateway, "intent", 'B', i) != 0);
	wait_durable(gateway, 65);
	assert_int_equal(disk.syncs - before, 1);
	assert_whole(gateway->dir, 65);
}

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Of 32 changes in flight one at a time goes on: its group waits for the others, and soon no more. */
static void
test_a_group_waits_for_company_but_not_for_ever(void **state)
{
	struct gateway *gateway = *state;
	unsigned done = 0, before;
	double began;

	disk.slow_ns = 100000000;	/* far above the grain of the loop's clock */
	for (unsigned i = 0; i < 32; i++)
		assert_true(submit(gateway, "intent", 'B', i) != 0);
	wait_durable(gateway, done += 32);
	began = now();
	assert_true(submit(gateway, "outcome", 'B', 0) != 0);
	wait_durable(gateway, done += 1);
	assert_true(now() - began >= 0.112);	/* a part of a sync, of which only the last was slow; and the sync */
	disk.slow_ns = 0;
	for (unsigned i = 1; i < 8; i++) {
		assert_true(submit(gateway, "outcome", 'B', i) != 0);
		wait_durable(gateway, done += 1);
	}
	for (unsigned i = 8; i < 11; i++) {
		before = disk.syncs;
		assert_true(submit(gateway, "outcome", 'B', i) != 0);
		(void)event_base_loop(gateway->base, EVLOOP_NONBLOCK);
		(void)event_base_loop(gateway->base, EVLOOP_NONBLOCK);
		assert_int_equal(disk.syncs, before + 1);
		wait_durable(gateway, done += 1);
	}
}

static void
test_I62_chain_over_segments_and_restarts(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;

	gateway->options.segment_bytes = 4000;
	for (unsigned round = 0; round < 5; round++) {
		writer_destroy(gateway->writer);
		start_writer(gateway);
		connect_client(gateway);
		for (unsigned i = 0; i < 20; i++) {
			submit(gateway, "event", 'A', round * 100 + i);
			wait_durable(gateway, round * 20 + i + 1);
		}
	}
	assert_whole(gateway->dir, 100);
	verdict = fixture_verify(gateway->dir);
	assert_true(verdict.segments > 5);
	assert_int_equal(verdict.last_seq, 100);
}

static void
test_two_writers_do_not_share_a_trail(void **state)
{
	struct gateway *gateway = *state;
	struct vg_error error = { "", "" };

	assert_null(writer_create(gateway->base, &gateway->options, &error));
	assert_non_null(strstr(error.what, "another virtgated"));
	assert_true(error.hint[0] != '\0');
}

static void
test_files_are_private(void **state)
{
	struct gateway *gateway = *state;
	struct stat st;

	submit(gateway, "event", 'A', 1);
	wait_durable(gateway, 1);
	assert_int_equal(stat(fixture_path(gateway->dir, "audit-000001.jsonl"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_I58_repeats_are_written_once(void **state)
{
	struct gateway *gateway = *state;
	json_t *records;

	submit(gateway, "event", 'A', 1);
	submit(gateway, "event", 'A', 1);
	wait_durable(gateway, 2);
	submit(gateway, "event", 'A', 1);
	wait_durable(gateway, 3);
	writer_destroy(gateway->writer);
	start_writer(gateway);
	connect_client(gateway);
	submit(gateway, "event", 'A', 1);	/* remembered from the trail */
	submit(gateway, "outcome", 'A', 1);	/* the same op, another stage */
	wait_durable(gateway, 5);
	records = fixture_records(gateway->dir);
	assert_int_equal(fixture_count(records, NULL, "event"), 1);
	assert_int_equal(fixture_count(records, NULL, "outcome"), 1);
	json_decref(records);
}

static void
test_I56_I59_intents_are_refused_without_a_writer(void **state)
{
	struct gateway *gateway = *state;
	json_t *records;

	writer_destroy(gateway->writer);
	assert_true(fixture_until_true(gateway->base, no_writer, gateway->client));
	assert_int_equal(submit(gateway, "intent", 'A', 1), 0);
	assert_true(submit(gateway, "event", 'B', 1) != 0);
	assert_true(submit(gateway, "event", 'B', 2) != 0);
	assert_int_equal(audit_client_pending(gateway->client), 3);	/* the refusal is one (I59) */
	start_writer(gateway);
	connect_client(gateway);
	wait_durable(gateway, 2);
	assert_true(submit(gateway, "intent", 'A', 2) != 0);
	wait_durable(gateway, 3);
	records = fixture_records(gateway->dir);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000001", NULL), 1);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000001", "event"), 1);
	assert_int_equal(fixture_count(records, "01TESTB0000000000000000001", "event"), 1);
	json_decref(records);
	assert_whole(gateway->dir, 4);
}

/* What waits is bounded; what is dropped is counted, and told as soon as it can be. */
static void
test_lost_records_are_told(void **state)
{
	struct gateway *gateway = *state;
	unsigned kept = 0, dropped = 0;
	json_t *records, *record, *last = NULL;
	size_t i;

	writer_destroy(gateway->writer);
	assert_true(fixture_until_true(gateway->base, no_writer, gateway->client));
	while (dropped < 3) {
		char op[27];

		fixture_op(op, 'C', kept + dropped);
		record = fixture_record("event", op);
		(void)json_object_set_new(record, "diff", json_sprintf("%065000d", 1));
		if (audit_submit(gateway->client, record, AUDIT_KEEP, on_done, gateway) != 0)
			kept++;
		else
			dropped++;
	}
	assert_in_range(kept, AUDIT_MAX_KEPT / 66000, AUDIT_MAX_KEPT / 65000);
	start_writer(gateway);
	connect_client(gateway);
	wait_durable(gateway, kept);
	wait_sent(gateway);
	records = fixture_records(gateway->dir);
	json_array_foreach(records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "event")), "audit.lost") == 0)
			last = record;
	assert_non_null(last);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(last, "args"), "records")), 3);
	json_decref(records);
	assert_whole(gateway->dir, kept + 1);
}

/* I57: after an error the file is not touched again; the group is refused, kept records come again in a new segment. */
static void
fail_and_recover(struct gateway *gateway)
{
	json_t *records;
	struct stat before, after;

	gateway->durable = 0;
	assert_true(submit(gateway, "intent", 'A', 2) != 0);
	assert_true(submit(gateway, "event", 'B', 2) != 0);
	assert_true(fixture_until(gateway->base, &gateway->refused, 1));
	assert_int_equal(gateway->durable, 0);
	assert_false(audit_client_healthy(gateway->client));
	assert_int_equal(submit(gateway, "intent", 'A', 3), 0);
	assert_int_equal(stat(fixture_path(gateway->dir, "audit-000001.jsonl"), &before), 0);

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
	json_decref(records);
	assert_true(fixture_verify(gateway->dir).whole);
}

static void
test_I57_failed_sync_retires_the_file(void **state)
{
	struct gateway *gateway = *state;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk.sync = true;
	fail_and_recover(gateway);
}

static void
test_I57_failed_write_retires_the_file(void **state)
{
	struct gateway *gateway = *state;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk.write = true;
	fail_and_recover(gateway);
}

static void
test_I56_half_a_write_leaves_no_half_record(void **state)
{
	struct gateway *gateway = *state;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk.short_write = 100;
	fail_and_recover(gateway);
}

/* Cutting back may fail like everything else: the bytes left behind are told by verify, and are no damage. */
static bool
failed_often(void *arg)
{
	return writer_counts(arg)->failures >= 4;
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

static void
test_I57_bytes_behind_a_failed_write(void **state)
{
	struct gateway *gateway = *state;
	struct audit_verdict verdict;
	char *text;
	size_t len;

	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	disk.sync = true;
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

	disk.write = true;
	submit(gateway, "event", 'B', 1);
	assert_true(fixture_until_true(gateway->base, no_writer, gateway->client));
	assert_int_equal(audit_reader_range(gateway->dir, &first, &last, NULL, NULL), 0);
	assert_int_equal(last, 0);
	disk.write = false;
	wait_durable(gateway, 1);
	assert_whole(gateway->dir, 2);
}

static void
test_forgotten_intent_gets_an_outcome(void **state)
{
	struct gateway *gateway = *state;
	uint64_t ticket = submit(gateway, "intent", 'A', 1);
	json_t *records;

	audit_forget(gateway->client, ticket);
	wait_sent(gateway);
	assert_int_equal(gateway->durable + gateway->refused, 0);
	records = fixture_records(gateway->dir);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000001", "intent"), 1);
	assert_int_equal(fixture_count(records, "01TESTA0000000000000000001", "outcome"), 1);
	json_decref(records);
}

/* The status of the one outcome of this op, or "none". */
static char *
outcome_of(const char *dir, const char *op)
{
	json_t *records = fixture_records(dir), *record;
	const char *status = "none";
	char *copy;
	size_t i;

	assert_in_range(fixture_count(records, op, "outcome"), 0, 1);
	json_array_foreach(records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "op")), op) == 0 &&
		    strcmp(json_string_value(json_object_get(record, "stage")), "outcome") == 0)
			status = json_string_value(json_object_get(json_object_get(record, "result"), "status"));
	copy = strdup(status);
	json_decref(records);
	return copy;
}

static void
assert_outcome(const char *dir, char kind, unsigned number, const char *expected)
{
	char op[27], *status;

	fixture_op(op, kind, number);
	status = outcome_of(dir, op);
	assert_string_equal(status, expected);
	free(status);
}

static uint64_t
submit_outcome(struct gateway *gateway, char kind, unsigned number)
{
	char op[27];
	json_t *record;

	fixture_op(op, kind, number);
	record = fixture_record("outcome", op);
	audit_add_result(record, "ok", 0, "");
	return audit_submit(gateway->client, record, AUDIT_KEEP, on_done, gateway);
}

/* A gate that dies takes the outcomes of its calls with it. */
static void
test_I58_I84_intents_of_a_dead_gate_are_unknown(void **state)
{
	struct gateway *gateway = *state;
	struct audit_client *other;
	int fds[2];

	submit(gateway, "intent", 'A', 1);
	submit(gateway, "intent", 'A', 2);
	wait_durable(gateway, 2);
	submit_outcome(gateway, 'A', 1);
	wait_durable(gateway, 3);
	audit_client_destroy(gateway->client);
	gateway->client = audit_client_create(gateway->base);
	connect_client(gateway);
	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 4);
	assert_outcome(gateway->dir, 'A', 1, "ok");
	assert_outcome(gateway->dir, 'A', 2, "unknown");

	/* Another room that ends changes nothing. */
	submit(gateway, "intent", 'A', 3);
	wait_durable(gateway, 5);
	other = audit_client_create(gateway->base);
	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(writer_add(gateway->writer, fds[0], PROCESS_FRONT), 0);
	audit_client_connect(other, fds[1]);
	audit_client_destroy(other);
	submit(gateway, "event", 'B', 2);
	wait_durable(gateway, 6);
	assert_outcome(gateway->dir, 'A', 3, "none");
	assert_whole(gateway->dir, 7);
}

/* Only the audit process was replaced: the gate still knows, however long its call takes. */
static void
test_I58_a_living_gate_tells_itself(void **state)
{
	struct gateway *gateway = *state;

	submit(gateway, "intent", 'A', 1);
	wait_durable(gateway, 1);
	writer_destroy(gateway->writer);
	start_writer(gateway);
	connect_client(gateway);
	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 2);
	assert_outcome(gateway->dir, 'A', 1, "none");
	submit_outcome(gateway, 'A', 1);
	wait_durable(gateway, 3);
	assert_outcome(gateway->dir, 'A', 1, "ok");
	assert_whole(gateway->dir, 3);
}

/* Both were replaced, one after the other or at once: nobody knows any more. */
static void
test_I58_a_new_gate_does_not_know(void **state)
{
	struct gateway *gateway = *state;
	json_t *records;

	submit(gateway, "intent", 'A', 1);
	wait_durable(gateway, 1);
	writer_destroy(gateway->writer);
	audit_client_destroy(gateway->client);
	gateway->client = audit_client_create(gateway->base);
	start_writer(gateway);
	connect_client(gateway);
	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 2);
	assert_outcome(gateway->dir, 'A', 1, "unknown");
	records = fixture_records(gateway->dir);
	for (size_t i = 0; i < json_array_size(records); i++) {
		json_t *record = json_array_get(records, i);

		if (strcmp(json_string_value(json_object_get(record, "stage")), "outcome") != 0)
			continue;
		assert_string_equal(json_string_value(json_object_get(record, "code")), "VG2350E");
		assert_string_equal(json_string_value(json_object_get(json_object_get(record, "object"), "name")), "web-1");
		assert_null(json_object_get(record, "args"));
	}
	json_decref(records);
	assert_whole(gateway->dir, 3);
}

/* A record that a fallen room made up is refused; others before and after it are not touched. */
static void
test_I65_malformed_records_are_rejected(void **state)
{
	struct gateway *gateway = *state;
	char text[] = "R\003" "01ABCDEFGHJKMNPQRSTVWXYZ01" "\003seq\001\000\000\000" "5";
	int fds[2];
	uint8_t packet[4 + sizeof(text) - 1];
	uint32_t type = LINK_RECORD;

	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(writer_add(gateway->writer, fds[0], PROCESS_FRONT), 0);
	memcpy(packet, &type, 4);
	memcpy(packet + 4, text, sizeof(text) - 1);
	assert_int_equal(write(fds[1], packet, sizeof(packet)), sizeof(packet));
	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 1);
	submit(gateway, "event", 'B', 2);
	wait_durable(gateway, 2);
	assert_int_equal(writer_counts(gateway->writer)->rejected, 1);
	assert_true(writer_healthy(gateway->writer));
	close(fds[1]);
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

static void
test_I64_time_does_not_go_back(void **state)
{
	struct gateway *gateway = *state;
	json_t *records;
	const char *last = "";
	size_t i;
	json_t *record;
	struct chain chain;
	struct record parsed;
	struct buf body = { 0 }, line = { 0 };

	for (unsigned n = 0; n < 50; n++)
		submit(gateway, "event", 'B', n);
	wait_durable(gateway, 50);
	records = fixture_records(gateway->dir);
	json_array_foreach(records, i, record) {
		const char *time = json_string_value(json_object_get(record, "time"));

		assert_int_equal(strlen(time), AUDIT_TIME_LEN);
		assert_true(strcmp(time, last) >= 0);
		last = time;
	}
	json_decref(records);

	/* A clock that was set back: the last record is from the future. */
	chain_init(&chain);
	memcpy(chain.time, "2999-01-01T00:00:00.000000Z", sizeof(chain.time));
	record = fixture_record("event", "01TESTA0000000000000000001");
	assert_int_equal(audit_wire_record(&body, record), 0);
	assert_true(record_get(&parsed, buf_head(&body), buf_len(&body)));
	assert_int_equal(chain_add(&chain, &parsed, &line), 0);
	assert_string_equal(chain.time, "2999-01-01T00:00:00.000000Z");
	json_decref(record);
	buf_free(&body);
	buf_free(&line);
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
	const struct CMUnitTest tests[] = {
		TEST(test_I55_durable_means_on_disk),
		TEST(test_a_group_takes_one_sync),
		TEST(test_a_group_waits_for_company_but_not_for_ever),
		TEST(test_I62_chain_over_segments_and_restarts),
		TEST(test_two_writers_do_not_share_a_trail),
		TEST(test_files_are_private),
		TEST(test_I58_repeats_are_written_once),
		TEST(test_I56_I59_intents_are_refused_without_a_writer),
		TEST(test_lost_records_are_told),
		TEST(test_I57_failed_sync_retires_the_file),
		TEST(test_I57_failed_write_retires_the_file),
		TEST(test_I56_half_a_write_leaves_no_half_record),
		TEST(test_I57_no_segment_before_the_cut_is_durable),
		TEST(test_I57_bytes_behind_a_failed_write),
		TEST(test_I56_nothing_works_from_the_start),
		TEST(test_forgotten_intent_gets_an_outcome),
		TEST(test_I58_I84_intents_of_a_dead_gate_are_unknown),
		TEST(test_I58_a_living_gate_tells_itself),
		TEST(test_I58_a_new_gate_does_not_know),
		TEST(test_I65_malformed_records_are_rejected),
		TEST(test_I58_a_torn_end_is_put_aside),
		TEST(test_I62_damage_is_not_papered_over),
		TEST(test_I64_time_does_not_go_back),
		TEST(test_I56_full_disk),
		TEST(test_I56_torn_end_on_a_full_disk),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
