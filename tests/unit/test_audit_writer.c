/*
 * Sender, writer and reader together: what becomes of records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_gateway.h"
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
		restart_writer(gateway);
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
	restart_writer(gateway);
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
	restart_writer(gateway);
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

/* The new gate came first, and had a link to the old writer before that died: what is open is still not its own, but for what it makes itself. */
static void
test_I58_a_new_gate_that_saw_the_old_writer_does_not_know(void **state)
{
	struct gateway *gateway = *state;
	char old[ID_LEN + 1], own[ID_LEN + 1];
	json_t *records;
	int fds[2];

	id_make(old);
	assert_int_not_equal(audit_submit(gateway->client, fixture_record("intent", old), AUDIT_OR_REFUSE, on_done, gateway), 0);
	wait_durable(gateway, 1);
	audit_client_destroy(gateway->client);
	gateway->client = audit_client_create(gateway->base);
	writer_destroy(gateway->writer);
	assert_int_equal(link_pair(fds), 0);
	audit_client_connect(gateway->client, fds[1]);
	close(fds[0]);
	start_writer(gateway);
	connect_client(gateway);
	id_make(own);
	assert_int_not_equal(audit_submit(gateway->client, fixture_record("intent", own), AUDIT_OR_REFUSE, on_done, gateway), 0);
	wait_durable(gateway, 2);
	restart_writer(gateway);
	submit(gateway, "event", 'B', 1);
	wait_durable(gateway, 3);
	records = fixture_records(gateway->dir);
	assert_int_equal(fixture_count(records, old, "outcome"), 1);
	assert_int_equal(fixture_count(records, own, "outcome"), 0);
	json_decref(records);
	assert_whole(gateway->dir, 4);
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
		TEST(test_forgotten_intent_gets_an_outcome),
		TEST(test_I58_I84_intents_of_a_dead_gate_are_unknown),
		TEST(test_I58_a_living_gate_tells_itself),
		TEST(test_I58_a_new_gate_does_not_know),
		TEST(test_I58_a_new_gate_that_saw_the_old_writer_does_not_know),
		TEST(test_I65_malformed_records_are_rejected),
		TEST(test_I64_time_does_not_go_back),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	(void)log_setup(LOG_LEVEL_ERROR, getenv("VERBOSE") != NULL ? NULL : null_log, getenv("VERBOSE") != NULL ? 0 : 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
