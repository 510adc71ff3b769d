/*
 * I58, I76: the audit process is killed with SIGKILL at random moments under load, and at every system call of a start, a
 * change and a stop; started again, and reconnected, as the parent does it. Afterwards nothing that was called durable is
 * missing, nothing is there twice, every intent has its one outcome, and the trail is whole, with keys that change at
 * each checkpoint, segments that are removed, and signatures. The same on a disk that loses what was not synced, and on one
 * whose calls fail now and then besides.
 *
 * test_audit_crash [KILLS [STEP]]: 80 kills each and every 24th system call unless told otherwise; `make crash` does thousands.
 */
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/ids.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"
#include "gateway/core/document.h"
#include "tests/unit/audit_fixture.h"
#include "tests/unit/lost_disk.h"

#define CHANGES_AT_A_TIME 24

#define EXIT_CANNOT_START 9
#define FAULTS 150		/* one call of so many fails, where calls fail */

static unsigned num_kills = 80, step = 24;

enum disk { DISK_SOUND, DISK_LOSES, DISK_LOSES_AND_FAILS };

/* ---- the process that is killed ---- */

__attribute__((noreturn))
static void
be_writer(const char *dir, const char *shadow, enum disk disk, bool traced, int fd)
{
	struct writer_options options = WRITER_DEFAULTS(dir);
	struct vg_error error = { "", "" };
	struct event_base *base = fixture_base();
	struct writer *writer;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom((unsigned)getpid());
	if (disk != DISK_SOUND)
		lost_disk_begin(dir, shadow, disk == DISK_LOSES_AND_FAILS ? FAULTS : 0);
	if (traced && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 || raise(SIGSTOP) != 0))
		_exit(EXIT_CANNOT_START);
	options.segment_bytes = 200000;
	options.retention.bytes = 2000000;
	options.retry_ms = 5;
	options.epoch_seconds = 0;
	options.key_fd = open(fixture_path(dir, "key"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	writer = writer_create(base, &options, &error);
	if (writer == NULL || writer_add(writer, fd, PROCESS_GATE) == -1) {
		if (disk != DISK_LOSES_AND_FAILS)
			fprintf(stderr, "writer: %s\n", error.what);
		_exit(EXIT_CANNOT_START);
	}
	(void)event_base_dispatch(base);
	writer_destroy(writer);
	_exit(0);
}

/* ---- the gate's side ---- */

struct crash {
	char *dir, *shadow;
	enum disk disk;
	bool traced;			/* the next writer */
	bool single;			/* one change is enough */
	struct event_base *base;
	struct audit_client *client;
	struct event *kill_timer;
	pid_t pid;
	unsigned kills;
	bool stopping, kill_after_outcome;
	json_t *durable_intents;	/* op: true */
	json_t *durable_outcomes;
	unsigned running;
	double slowest_start;		/* from the kill to the first record that was answered */
	double killed_at;		/* 0: it was answered since */
};

struct change {
	struct crash *crash;
	char op[ID_LEN + 1];
	struct event *again;
};

static void
start_writer(struct crash *crash)
{
	int fds[2];

	assert_int_equal(link_pair(fds), 0);
	crash->pid = fork();
	assert_true(crash->pid != -1);
	if (crash->pid == 0) {
		close(fds[1]);
		be_writer(crash->dir, crash->shadow, crash->disk, crash->traced, fds[0]);
	}
	close(fds[0]);
	audit_client_connect(crash->client, fds[1]);
}

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A record was answered: how long after the kill? */
static void
note_answer(struct crash *crash)
{
	double took = now() - crash->killed_at;

	if (crash->killed_at > 0 && took > crash->slowest_start)
		crash->slowest_start = took;
	crash->killed_at = 0;
}

static void
end_writer(struct crash *crash, int number, int expected_signal)
{
	bool may_not_start = crash->disk == DISK_LOSES_AND_FAILS;
	int status;

	assert_int_equal(kill(crash->pid, number), 0);
	assert_int_equal(waitpid(crash->pid, &status, 0), crash->pid);
	crash->killed_at = now();
	if (!(WIFSIGNALED(status) && WTERMSIG(status) == expected_signal) &&
	    !(may_not_start && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CANNOT_START))
		fail_msg("the writer ended by itself: status %d", status);
	if (crash->disk != DISK_SOUND)
		lost_disk_crash(crash->dir, crash->shadow);
}

static void
kill_soon(struct crash *crash)
{
	struct timeval wait = { 0, random() % 8000 };

	crash->kill_after_outcome = false;
	(void)event_add(crash->kill_timer, &wait);
}

/* Every other time it may be killed while it still starts; else only when it has done something. */
static void
arm_kill(struct crash *crash)
{
	if (crash->kills % 2 == 0)
		kill_soon(crash);
	else
		crash->kill_after_outcome = true;
}

static void
on_kill(evutil_socket_t fd, short what, void *arg)
{
	struct crash *crash = arg;

	(void)fd;
	(void)what;
	end_writer(crash, SIGKILL, SIGKILL);
	start_writer(crash);
	if (++crash->kills < num_kills)
		arm_kill(crash);
	else
		crash->stopping = true;
}

static void begin_change(struct change *change);

/* With a document: one that is there already, or one of this change alone. */
static uint64_t
submit(struct change *change, const char *stage, enum audit_need need, audit_done_cb *done)
{
	json_t *record = fixture_record(stage, change->op);
	char text[64], name[DOCUMENT_NAME_LEN + 1];
	struct buf packed = { 0 };

	(void)snprintf(text, sizeof(text), "<domain><name>%s</name></domain>", random() % 4 == 0 ? "web-1" : change->op);
	assert_int_equal(document_pack(&packed, text, strlen(text), name), 0);
	(void)json_object_set_new(record, "documents", json_pack("{s:s}", need == AUDIT_KEEP ? "after" : "asked", name));
	if (need == AUDIT_KEEP)
		audit_add_result(record, "ok", 0, "");
	return audit_submit_with(change->crash->client, record, &packed, need, done, change);
}

static void
on_outcome(bool durable, void *arg)
{
	struct change *change = arg;

	assert_true(durable);
	note_answer(change->crash);
	(void)json_object_set_new(change->crash->durable_outcomes, change->op, json_true());
	if (change->crash->single)
		change->crash->stopping = true;
	if (change->crash->kill_after_outcome)
		kill_soon(change->crash);
	begin_change(change);
}

static void
try_again(struct change *change)
{
	struct timeval soon = { 0, 500 };

	(void)event_add(change->again, &soon);
}

static void
on_intent(bool durable, void *arg)
{
	struct change *change = arg;

	if (!durable) {
		try_again(change);
		return;
	}
	note_answer(change->crash);
	(void)json_object_set_new(change->crash->durable_intents, change->op, json_true());
	assert_true(submit(change, "outcome", AUDIT_KEEP, on_outcome) != 0);
}

static void
begin_change(struct change *change)
{
	if (change->crash->stopping) {
		change->crash->running--;
		return;
	}
	id_make(change->op);
	if (submit(change, "intent", AUDIT_OR_REFUSE, on_intent) == 0)
		try_again(change);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_change(arg);
}

/* Where calls fail, a writer may not have started, or ended: the parent would start another. */
static void
revive(struct crash *crash)
{
	siginfo_t info = { .si_pid = 0 };

	if (crash->disk != DISK_LOSES_AND_FAILS || waitid(P_PID, (id_t)crash->pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1 ||
	    info.si_pid == 0)
		return;
	end_writer(crash, SIGKILL, SIGKILL);
	start_writer(crash);
}

static bool
all_done(void *arg)
{
	struct crash *crash = arg;

	revive(crash);
	return crash->running == 0 && audit_client_pending(crash->client) == 0;
}

static bool
enough_kills(void *arg)
{
	struct crash *crash = arg;

	revive(crash);
	return crash->stopping;
}

/* ---- what must hold ---- */

/* The youngest id among the records up to the first intents: an outcome there may be of an intent that was removed. */
static const char *
first_op(json_t *records)
{
	const char *youngest = "";

	for (size_t i = 0; i < json_array_size(records) && i < 4 * CHANGES_AT_A_TIME; i++) {
		const char *op = json_string_value(json_object_get(json_array_get(records, i), "op"));

		if (strcmp(op, youngest) > 0)
			youngest = op;
	}
	return youngest;
}

static void
check_trail(struct crash *crash)
{
	struct audit_verdict verdict = fixture_verify(crash->dir);
	json_t *records = fixture_records(crash->dir), *record, *intents = json_object(), *outcomes = json_object();
	const char *op, *first;
	void *next;
	size_t i;

	if (!verdict.whole)
		fail_msg("%s:%llu: %s", verdict.file, (unsigned long long)verdict.line, verdict.what);
	assert_int_equal(verdict.records, json_array_size(records));
	json_array_foreach(records, i, record) {
		const char *stage = json_string_value(json_object_get(record, "stage"));
		json_t *seen = strcmp(stage, "intent") == 0 ? intents : strcmp(stage, "outcome") == 0 ? outcomes : NULL;

		op = json_string_value(json_object_get(record, "op"));
		if (seen == NULL)
			continue;
		if (json_object_get(seen, op) != NULL)
			fail_msg("%s %s is there twice", stage, op);
		(void)json_object_set_new(seen, op, json_true());
	}
	/* Ids rise: what is below the first that is left was removed, as the settings ask for. */
	first = verdict.removed > 0 ? first_op(records) : "";
	json_object_foreach_safe(crash->durable_intents, next, op, record)
		if (strcmp(op, first) > 0 && json_object_get(intents, op) == NULL)
			fail_msg("intent %s was durable and is missing", op);
	json_object_foreach_safe(crash->durable_outcomes, next, op, record)
		if (strcmp(op, first) > 0 && json_object_get(outcomes, op) == NULL)
			fail_msg("outcome %s was durable and is missing", op);
	json_object_foreach_safe(intents, next, op, record)
		if (json_object_get(outcomes, op) == NULL)
			fail_msg("intent %s has no outcome", op);
	assert_int_equal(verdict.open_intents, 0);
	assert_true(verdict.signed_seq > 0);
	json_decref(records);
	json_decref(intents);
	json_decref(outcomes);
}

static void
crash_begin(struct crash *crash, enum disk disk)
{
	*crash = (struct crash){ .disk = disk, .dir = fixture_dir(), .shadow = fixture_dir(), .base = fixture_base() };
	crash->client = audit_client_create(crash->base);
	crash->kill_timer = event_new(crash->base, -1, 0, on_kill, crash);
	crash->durable_intents = json_object();
	crash->durable_outcomes = json_object();
	assert_non_null(crash->kill_timer);
}

static void
crash_end(struct crash *crash)
{
	audit_client_destroy(crash->client);
	event_free(crash->kill_timer);
	event_base_free(crash->base);
	json_decref(crash->durable_intents);
	json_decref(crash->durable_outcomes);
	fixture_remove(crash->dir);
	fixture_remove(crash->shadow);
}

static void
kill_under_load(enum disk disk, const char *what)
{
	struct crash crash;
	struct change changes[CHANGES_AT_A_TIME];
	unsigned last = 0;

	crash_begin(&crash, disk);
	start_writer(&crash);
	for (int i = 0; i < CHANGES_AT_A_TIME; i++) {
		changes[i].crash = &crash;
		changes[i].again = event_new(crash.base, -1, 0, on_again, &changes[i]);
		crash.running++;
		begin_change(&changes[i]);
	}
	arm_kill(&crash);
	while (!fixture_until_true(crash.base, enough_kills, &crash)) {	/* it gives up after 20 s without an end */
		assert_true(crash.kills > last);
		last = crash.kills;
	}
	assert_true(fixture_until_true(crash.base, all_done, &crash));
	end_writer(&crash, SIGKILL, SIGKILL);
	check_trail(&crash);
	print_message("%u kills, %s: %zu changes went through, the slowest first answer after %.0f ms\n", crash.kills, what,
	    json_object_size(crash.durable_outcomes), crash.slowest_start * 1000);
	for (int i = 0; i < CHANGES_AT_A_TIME; i++)
		event_free(changes[i].again);
	crash_end(&crash);
}

static void
test_I58_I76_kills_lose_and_repeat_nothing(void **state)
{
	(void)state;
	kill_under_load(DISK_SOUND, "the disk keeps all");
}

static void
test_I55_I58_kills_on_a_disk_that_loses_what_was_not_synced(void **state)
{
	(void)state;
	kill_under_load(DISK_LOSES, "what was not synced is lost");
}

static void
test_I56_I57_kills_on_a_disk_that_fails_besides(void **state)
{
	(void)state;
	kill_under_load(DISK_LOSES_AND_FAILS, "and calls fail with ENOSPC, EIO or half done");
}

/* ---- what a start cuts off ---- */

static void
count_answer(bool durable, void *arg)
{
	*(unsigned *)arg += durable;
}

/* A segment that is full, with half a record behind: the next one begins at once, and what was cut must be gone from the disk by then. */
static void
test_I55_what_a_start_cut_off_does_not_come_back(void **state)
{
	char *dir = fixture_dir(), *shadow = fixture_dir(), *text, *synced;
	struct event_base *base = fixture_base();
	struct writer_options options = WRITER_DEFAULTS(dir);
	struct audit_client *client = audit_client_create(base);
	struct writer *writer = writer_create(base, &options, NULL);
	unsigned answers = 0;
	size_t len, synced_len;
	char op[27];
	int fds[2];

	(void)state;
	assert_non_null(writer);
	assert_int_equal(link_pair(fds), 0);
	assert_int_equal(writer_add(writer, fds[0], PROCESS_GATE), 0);
	audit_client_connect(client, fds[1]);
	fixture_op(op, 'C', 1);
	assert_true(audit_submit(client, fixture_record("event", op), AUDIT_KEEP, count_answer, &answers) != 0);
	assert_true(fixture_until(base, &answers, 1));
	audit_client_destroy(client);
	writer_destroy(writer);

	text = fixture_read(dir, "audit-000001.jsonl", &len);
	text = realloc(text, 2 * len);
	assert_non_null(text);
	memcpy(text + len, text, len);
	fixture_write(dir, "audit-000001.jsonl", text, len + len / 2);
	options.segment_bytes = len;
	lost_disk_begin(dir, shadow, 0);
	writer = writer_create(base, &options, NULL);
	lost_disk_end();
	assert_non_null(writer);
	writer_destroy(writer);
	assert_int_equal(access(fixture_path(dir, "audit-000002.jsonl"), F_OK), 0);
	synced = fixture_read(shadow, "c.audit-000001.jsonl", &synced_len);
	assert_int_equal(synced_len, len);
	assert_memory_equal(synced, text, len);
	free(synced);
	free(text);
	event_base_free(base);
	fixture_remove(dir);
	fixture_remove(shadow);
}

/* ---- what is removed ---- */

/* The removal of the documents fails: that of the segments is on the disk by then, so that no crash brings one back without its documents. */
static void
test_segments_go_before_their_documents(void **state)
{
	char *dir = fixture_dir(), *shadow = fixture_dir();
	const struct removal removal = { .first = 1, .last = 1 };
	struct vg_error error = { "", "" };
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	fixture_write(dir, "audit-000001.jsonl", "", 0);
	assert_int_equal(mkdir(fixture_path(dir, "audit-000001.documents"), 0700), 0);
	lost_disk_begin(dir, shadow, 0);
	assert_int_equal(fsync(dir_fd), 0);
	assert_int_equal(access(fixture_path(shadow, "n.audit-000001.jsonl"), F_OK), 0);
	assert_int_equal(retention_remove(dir, &removal, &error), -1);
	lost_disk_end();
	assert_int_equal(access(fixture_path(shadow, "n.audit-000001.jsonl"), F_OK), -1);
	assert_int_equal(rmdir(fixture_path(dir, "audit-000001.documents")), 0);
	close(dir_fd);
	fixture_remove(dir);
	fixture_remove(shadow);
}

/* ---- every system call ---- */

/*
 * Lets the writer run, and kills it at the stop `at`: each system call stops twice, before and behind it. True when it was
 * killed; false when the change was over before.
 */
static bool
run_until_stop(struct crash *crash, unsigned at)
{
	unsigned stops = 0;
	int status;

	while (!all_done(crash)) {
		(void)event_base_loop(crash->base, EVLOOP_NONBLOCK);
		if (waitpid(crash->pid, &status, WNOHANG) != crash->pid)
			continue;
		if (!WIFSTOPPED(status))
			fail_msg("the writer ended by itself: status %d", status);
		if (++stops == at)
			return true;
		if (ptrace(PTRACE_SYSCALL, crash->pid, NULL, NULL) == -1)
			fail_msg("ptrace: %s", strerror(errno));
	}
	return false;
}

/* One change, killed at the stop `at`; the next writer has to bring it to its end. False: there are not so many stops. */
static bool
kill_at_stop(enum disk disk, unsigned at)
{
	struct crash crash;
	struct change change = { .crash = &crash };
	bool killed;

	crash_begin(&crash, disk);
	change.again = event_new(crash.base, -1, 0, on_again, &change);
	crash.running = 1;
	crash.single = crash.traced = true;
	start_writer(&crash);
	begin_change(&change);
	killed = run_until_stop(&crash, at);
	crash.traced = false;
	end_writer(&crash, SIGKILL, SIGKILL);
	start_writer(&crash);
	assert_true(fixture_until_true(crash.base, all_done, &crash));
	end_writer(&crash, SIGKILL, SIGKILL);
	check_trail(&crash);
	event_free(change.again);
	crash_end(&crash);
	return killed;
}

static void
kill_at_every_stop(enum disk disk, const char *what)
{
	unsigned points = 0;

	for (unsigned at = 2; kill_at_stop(disk, at); at += step)	/* the first stop is our own */
		points++;
	assert_true(points * step > 100);
	print_message("%u points in the system calls of a start and a change, %s\n", points, what);
}

static void
test_I76_every_system_call(void **state)
{
	(void)state;
	kill_at_every_stop(DISK_SOUND, "the disk keeps all");
}

static void
test_I55_I76_every_system_call_on_a_disk_that_loses(void **state)
{
	(void)state;
	kill_at_every_stop(DISK_LOSES, "what was not synced is lost");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I58_I76_kills_lose_and_repeat_nothing),
		cmocka_unit_test(test_I55_I58_kills_on_a_disk_that_loses_what_was_not_synced),
		cmocka_unit_test(test_I56_I57_kills_on_a_disk_that_fails_besides),
		cmocka_unit_test(test_I55_what_a_start_cut_off_does_not_come_back),
		cmocka_unit_test(test_segments_go_before_their_documents),
		cmocka_unit_test(test_I76_every_system_call),
		cmocka_unit_test(test_I55_I76_every_system_call_on_a_disk_that_loses),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	if (argc > 1)
		num_kills = (unsigned)atoi(argv[1]);
	if (argc > 2)
		step = (unsigned)atoi(argv[2]);
	srandom((unsigned)getpid());
	(void)signal(SIGPIPE, SIG_IGN);
	(void)log_setup(LOG_LEVEL_ERROR, null_log, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
