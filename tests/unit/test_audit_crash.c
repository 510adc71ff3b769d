/*
 * I58, I76: the audit process is killed with SIGKILL at random moments under load, started again, and reconnected, as the
 * parent does it. Afterwards nothing that was called durable is missing, nothing is there twice, every intent has its
 * one outcome, and the chain is whole.
 *
 * test_audit_crash [KILLS]: 300 unless told otherwise; `make crash-audit` does thousands.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/core/ids.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"
#include "tests/unit/audit_fixture.h"

#define CHANGES_AT_A_TIME 24

static unsigned num_kills = 300;

/* ---- the process that is killed ---- */

__attribute__((noreturn))
static void
be_writer(const char *dir, int fd)
{
	struct writer_options options = { dir, &store_real_calls, 200000, { 0, 0 }, -1, 5 };
	struct vg_error error = { "", "" };
	struct event_base *base = fixture_base();
	struct writer *writer;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	writer = writer_create(base, &options, &error);
	if (writer == NULL || writer_add(writer, fd, PROCESS_GATE) == -1) {
		fprintf(stderr, "writer: %s\n", error.what);
		_exit(9);
	}
	(void)event_base_dispatch(base);
	writer_destroy(writer);
	_exit(0);
}

/* ---- the gate's side ---- */

struct crash {
	char *dir;
	struct event_base *base;
	struct audit_client *client;
	struct event *kill_timer;
	pid_t pid;
	unsigned kills;
	bool stopping, kill_after_outcome;
	json_t *durable_intents;	/* op: true */
	json_t *durable_outcomes;
	unsigned running;
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
		be_writer(crash->dir, fds[0]);
	}
	close(fds[0]);
	audit_client_connect(crash->client, fds[1]);
}

static void
end_writer(struct crash *crash, int number, int expected_signal)
{
	int status;

	assert_int_equal(kill(crash->pid, number), 0);
	assert_int_equal(waitpid(crash->pid, &status, 0), crash->pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != expected_signal)
		fail_msg("the writer ended by itself: status %d", status);
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

static void
on_outcome(bool durable, void *arg)
{
	struct change *change = arg;

	assert_true(durable);
	(void)json_object_set_new(change->crash->durable_outcomes, change->op, json_true());
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
	json_t *record;

	if (!durable) {
		try_again(change);
		return;
	}
	(void)json_object_set_new(change->crash->durable_intents, change->op, json_true());
	record = fixture_record("outcome", change->op);
	audit_add_result(record, "ok", 0, "");
	assert_true(audit_submit(change->crash->client, record, AUDIT_KEEP, on_outcome, change) != 0);
}

static void
begin_change(struct change *change)
{
	if (change->crash->stopping) {
		change->crash->running--;
		return;
	}
	id_make(change->op);
	if (audit_submit(change->crash->client, fixture_record("intent", change->op), AUDIT_OR_REFUSE, on_intent, change) == 0)
		try_again(change);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_change(arg);
}

static bool
all_done(void *arg)
{
	const struct crash *crash = arg;

	return crash->running == 0 && audit_client_pending(crash->client) == 0;
}

static bool
enough_kills(void *arg)
{
	return ((const struct crash *)arg)->stopping;
}

/* ---- what must hold ---- */

static void
check_trail(struct crash *crash)
{
	struct audit_verdict verdict = fixture_verify(crash->dir);
	json_t *records = fixture_records(crash->dir), *record, *intents = json_object(), *outcomes = json_object();
	const char *op;
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
	json_object_foreach_safe(crash->durable_intents, next, op, record)
		if (json_object_get(intents, op) == NULL)
			fail_msg("intent %s was durable and is missing", op);
	json_object_foreach_safe(crash->durable_outcomes, next, op, record)
		if (json_object_get(outcomes, op) == NULL)
			fail_msg("outcome %s was durable and is missing", op);
	json_object_foreach_safe(intents, next, op, record)
		if (json_object_get(outcomes, op) == NULL)
			fail_msg("intent %s has no outcome", op);
	print_message("%u kills: %llu records in %llu segments, %zu changes went through\n", crash->kills,
	    (unsigned long long)verdict.records, (unsigned long long)verdict.segments, json_object_size(crash->durable_outcomes));
	assert_true(json_object_size(crash->durable_outcomes) >= crash->kills / 2);
	json_decref(records);
	json_decref(intents);
	json_decref(outcomes);
}

static void
test_I58_I76_kills_lose_and_repeat_nothing(void **state)
{
	struct crash crash = { .dir = fixture_dir(), .base = fixture_base() };
	struct change changes[CHANGES_AT_A_TIME];
	unsigned last = 0;

	(void)state;
	crash.client = audit_client_create(crash.base);
	crash.kill_timer = event_new(crash.base, -1, 0, on_kill, &crash);
	crash.durable_intents = json_object();
	crash.durable_outcomes = json_object();
	assert_non_null(crash.kill_timer);
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
	audit_client_destroy(crash.client);
	for (int i = 0; i < CHANGES_AT_A_TIME; i++)
		event_free(changes[i].again);
	event_free(crash.kill_timer);
	event_base_free(crash.base);
	json_decref(crash.durable_intents);
	json_decref(crash.durable_outcomes);
	fixture_remove(crash.dir);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I58_I76_kills_lose_and_repeat_nothing),
	};
	static const char *const null_log[] = { "1:file:/dev/null" };

	if (argc > 1)
		num_kills = (unsigned)atoi(argv[1]);
	srandom((unsigned)getpid());
	(void)signal(SIGPIPE, SIG_IGN);
	(void)log_setup(LOG_LEVEL_ERROR, null_log, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
