/*
 * What does the audit reader answer? Questions as the gate sends them, about a trail that was made, added to, broken and taken away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "gateway/audit/answers.h"
#include "gateway/audit/index.h"
#include "gateway/audit/match.h"
#include "tests/bench/trail.h"
#include "tests/unit/audit_fixture.h"

static const struct trail_plan plan = { .records = 3000, .users = 40, .objects = 300, .per_day = 600, .segment_bytes = 300000 };

static char *dir;
static char file[300];
static struct answers *answers;

static int
setup(void **state)
{
	(void)state;
	dir = fixture_dir();
	trail_make(dir, &plan);
	(void)snprintf(file, sizeof(file), "%s/index.db", dir);
	answers = answers_create(dir, file);
	assert_non_null(answers);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	answers_destroy(answers);
	fixture_remove(dir);
	return 0;
}

struct got {
	unsigned num;
	uint64_t ticket;
	bool ok;
	json_t *json;			/* of an answer */
	char text[512];			/* of a refusal */
};

static void
take(uint64_t ticket, bool ok, const char *text, size_t len, void *arg)
{
	struct got *got = arg;

	got->num++;
	got->ticket = ticket;
	got->ok = ok;
	json_decref(got->json);
	got->json = ok ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (ok)
		assert_non_null(got->json);
	(void)snprintf(got->text, sizeof(got->text), "%.*s", (int)len, text);
}

static void
work(void)
{
	for (int turn = 0; turn < 10000 && answers_work(answers, 1); turn++)
		;
}

/* The answer to a question; the caller drops it. */
static json_t *
ask(const char *question)
{
	struct got got = { .num = 0 };

	assert_int_equal(answers_ask(answers, 7, question, strlen(question), take, &got), 0);
	work();
	assert_int_equal(got.num, 1);
	assert_int_equal(got.ticket, 7);
	if (!got.ok)
		fail_msg("%s: refused: %s", question, got.text);
	return got.json;
}

static void
expect_refused(const char *question, const char *why)
{
	struct got got = { .num = 0 };

	assert_int_equal(answers_ask(answers, 8, question, strlen(question), take, &got), 0);
	work();
	assert_int_equal(got.num, 1);
	if (got.ok || strstr(got.text, why) == NULL)
		fail_msg("%s: '%s' where '%s' was expected", question, got.text, why);
	json_decref(got.json);
}

static json_int_t
seq_of(const json_t *answer, size_t at)
{
	return json_integer_value(json_object_get(json_array_get(json_object_get(answer, "records"), at), "seq"));
}

static size_t
num_of(const json_t *answer)
{
	return json_array_size(json_object_get(answer, "records"));
}

static void
test_search_gives_pages_newest_first(void **state)
{
	json_t *answer;
	json_int_t last;
	size_t all = 0, wanted = 0;
	char question[200];
	bool more;

	(void)state;
	work();		/* a question waits for the index only for a while; on a busy machine that may not be enough for all of it */
	answer = ask("{\"verb\":\"audit.search\"}");
	assert_int_equal(num_of(answer), 100);
	assert_int_equal(seq_of(answer, 0), 3000);
	assert_int_equal(seq_of(answer, 99), 2901);
	assert_true(json_is_true(json_object_get(answer, "more")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(answer, "index"), "lag_bytes")), 0);
	json_decref(answer);
	/* all of a user, page by page */
	for (uint64_t seq = 1; seq <= plan.records; seq++)
		wanted += trail_user(&plan, seq) == 7;
	last = INT64_MAX;
	do {
		(void)snprintf(question, sizeof(question), "{\"verb\":\"audit.search\",\"user\":\"user-7\",\"limit\":10,\"before\":%lld}", (long long)last);
		answer = ask(question);
		more = json_is_true(json_object_get(answer, "more"));
		for (size_t i = 0; i < num_of(answer); i++) {
			assert_true(seq_of(answer, i) < last);
			last = seq_of(answer, i);
			assert_int_equal(trail_user(&plan, (uint64_t)last), 7);
			all++;
		}
		assert_true(num_of(answer) == 10 || !more);
		json_decref(answer);
	} while (more);
	assert_int_equal(all, wanted);
}

static void
test_search_by_everything(void **state)
{
	json_t *answer = ask("{\"verb\":\"audit.search\",\"since\":\"2026-01-02\",\"until\":\"2026-01-02T1\",\"user\":\"sasl:user-*\",\"object\":\"domain:*\","
	    "\"code\":\"VG2009I\",\"event\":\"domain.*\",\"call\":\"domain_create\",\"result\":\"ok\",\"stage\":\"outcome\",\"limit\":500}"), *record;
	size_t i;

	(void)state;
	assert_true(num_of(answer) > 50);
	json_array_foreach(json_object_get(answer, "records"), i, record) {
		assert_string_equal(audit_member(record, "stage", NULL), "outcome");
		assert_string_equal(audit_member(record, "result", "status"), "ok");
		assert_memory_equal(audit_member(record, "time", NULL), "2026-01-02", 10);
	}
	json_decref(answer);
	/* empty fields of a form are no filters */
	answer = ask("{\"verb\":\"audit.search\",\"user\":\"\",\"since\":\"\",\"object\":null}");
	assert_int_equal(num_of(answer), 100);
	json_decref(answer);
}

static void
test_bad_questions(void **state)
{
	(void)state;
	expect_refused("", "unknown verb");
	expect_refused("{}", "unknown verb");
	expect_refused("{\"verb\":\"audit.delete\"}", "unknown verb");
	expect_refused("{\"verb\":\"audit.search\",\"user\":7}", "\"user\" must be a string");
	expect_refused("{\"verb\":\"audit.search\",\"limit\":501}", "\"limit\" must be a number from 1 to 500");
	expect_refused("{\"verb\":\"audit.search\",\"limit\":\"5\"}", "\"limit\"");
	expect_refused("{\"verb\":\"audit.search\",\"before\":-1}", "\"before\"");
	expect_refused("{\"verb\":\"audit.search\",\"since\":\"yesterday\"}", "is no time");
	expect_refused("{\"verb\":\"audit.search\",\"result\":\"fine\"}", "\"result\"");
	expect_refused("{\"verb\":\"audit.search\",\"stage\":\"x\"}", "\"stage\"");
	expect_refused("{\"verb\":\"audit.show\"}", "needs \"id\"");
	expect_refused("{\"verb\":\"audit.export\"}", "\"format\" must be one of");
	expect_refused("{\"verb\":\"audit.export\",\"format\":\"csv\"}", "\"format\" must be one of");
}

static void
test_show(void **state)
{
	char op[ID_LEN + 1], question[100];
	json_t *answer;

	(void)state;
	trail_op(301, op);
	(void)snprintf(question, sizeof(question), "{\"verb\":\"audit.show\",\"id\":\"%s\"}", op);
	answer = ask(question);
	assert_int_equal(num_of(answer), 2);
	assert_int_equal(seq_of(answer, 0), 301);
	assert_int_equal(seq_of(answer, 1), 302);
	json_decref(answer);
	answer = ask("{\"verb\":\"audit.show\",\"id\":\"42\"}");
	assert_int_equal(num_of(answer), 1);
	assert_int_equal(seq_of(answer, 0), 42);
	json_decref(answer);
	answer = ask("{\"verb\":\"audit.show\",\"id\":\"9999999\"}");
	assert_int_equal(num_of(answer), 0);
	json_decref(answer);
	answer = ask("{\"verb\":\"audit.show\",\"id\":\"01ZZZZZZZZZZZZZZZZZZZZZZZZ\"}");
	assert_int_equal(num_of(answer), 0);
	json_decref(answer);
}

static void
test_export_is_the_trail(void **state)
{
	json_int_t after = 0;
	size_t pages = 0, at = 0, len;
	char question[200];
	char *whole = NULL;

	(void)state;
	whole = calloc(1, 8u << 20);
	do {
		json_t *answer, *next;

		if (after == 0)
			(void)snprintf(question, sizeof(question), "{\"verb\":\"audit.export\",\"format\":\"jsonl\"}");
		else
			(void)snprintf(question, sizeof(question), "{\"verb\":\"audit.export\",\"format\":\"jsonl\",\"after\":%lld}", (long long)after);
		answer = ask(question);
		len = json_string_length(json_object_get(answer, "text"));
		assert_true(len < 700000 && at + len < 8u << 20);
		memcpy(whole + at, json_string_value(json_object_get(answer, "text")), len);
		at += len;
		next = json_object_get(answer, "next");
		after = json_integer_value(next);
		assert_true(json_is_null(next) || after > 0);
		json_decref(answer);
		pages++;
	} while (after != 0);
	assert_true(pages > 2);
	/* byte for byte, over all segments */
	len = 0;
	for (unsigned segment = 1; len < at; segment++) {
		char name[AUDIT_NAME_MAX], *text;
		size_t size;

		audit_segment_name(name, segment);
		text = fixture_read(dir, name, &size);
		assert_true(len + size <= at);
		assert_memory_equal(whole + len, text, size);
		len += size;
		free(text);
	}
	free(whole);
}

static void
test_state_whole_then_broken(void **state)
{
	json_t *answer = ask("{\"verb\":\"audit.state\"}");
	char name[AUDIT_NAME_MAX], *text;
	size_t len;

	(void)state;
	/* the first time nobody has looked yet; ask() worked until it was done */
	assert_string_equal(json_string_value(json_object_get(answer, "state")), "checking");
	assert_true(json_is_true(json_object_get(answer, "checking")));
	json_decref(answer);
	answer = ask("{\"verb\":\"audit.state\"}");
	assert_string_equal(json_string_value(json_object_get(answer, "state")), "whole");
	assert_int_equal(json_integer_value(json_object_get(answer, "records")), 3000);
	assert_true(json_is_null(json_object_get(answer, "first_bad")));
	assert_int_equal(json_string_length(json_object_get(answer, "checked_at")), 20);
	json_decref(answer);

	audit_segment_name(name, 3);
	text = fixture_read(dir, name, &len);
	memcpy(strstr(text, "guest-"), "ghost-", 6);
	fixture_write(dir, name, text, len);
	free(text);
	answers_destroy(answers);
	answers = answers_create(dir, file);
	json_decref(ask("{\"verb\":\"audit.state\"}"));
	answer = ask("{\"verb\":\"audit.state\"}");
	assert_string_equal(json_string_value(json_object_get(answer, "state")), "broken");
	assert_string_equal(json_string_value(json_object_get(answer, "file")), name);
	assert_int_equal(json_integer_value(json_object_get(answer, "line")), 1);
	assert_non_null(strstr(json_string_value(json_object_get(answer, "why")), "changed"));
	assert_true(json_integer_value(json_object_get(answer, "first_bad")) > 600);
	json_decref(answer);
	/* and can still be searched */
	answer = ask("{\"verb\":\"audit.search\",\"object\":\"ghost-*\"}");
	json_decref(answer);
}

static void
test_search_goes_on_while_it_is_verified(void **state)
{
	struct got check = { .num = 0 }, search = { .num = 0 };
	static const char state_of[] = "{\"verb\":\"audit.state\"}", find[] = "{\"verb\":\"audit.search\",\"limit\":1}";

	(void)state;
	json_decref(ask("{\"verb\":\"audit.search\"}"));	/* the index is there */
	assert_int_equal(answers_ask(answers, 1, state_of, strlen(state_of), take, &check), 0);
	assert_true(answers_work(answers, 0));
	assert_int_equal(check.num, 1);
	assert_int_equal(answers_ask(answers, 2, find, strlen(find), take, &search), 0);
	for (int turn = 0; turn < 3 && search.num == 0; turn++)
		assert_true(answers_work(answers, 0));
	assert_int_equal(search.num, 1);	/* answered, and the verification is not over */
	work();
	json_decref(check.json);
	json_decref(search.json);
}

static void
test_new_records_are_found(void **state)
{
	struct trail_plan more = plan;
	json_t *answer = ask("{\"verb\":\"audit.search\",\"limit\":1}");

	(void)state;
	assert_int_equal(seq_of(answer, 0), 3000);
	json_decref(answer);
	more.records = 3001;
	trail_make(dir, &more);
	answer = ask("{\"verb\":\"audit.search\",\"limit\":1}");
	assert_int_equal(seq_of(answer, 0), 3001);
	json_decref(answer);
}

static void
test_who_asked_is_gone(void **state)
{
	struct got got = { .num = 0 }, other = { .num = 0 };
	static const char question[] = "{\"verb\":\"audit.search\",\"user\":\"*\"}";

	(void)state;
	assert_int_equal(answers_ask(answers, 1, question, strlen(question), take, &got), 0);
	assert_int_equal(answers_ask(answers, 2, question, strlen(question), take, &other), 0);
	(void)answers_work(answers, 0);
	answers_forget(answers, &got);
	work();
	assert_int_equal(got.num, 0);
	assert_int_equal(other.num, 1);
	json_decref(other.json);
	/* no more than so many wait */
	for (unsigned i = 0; i < ANSWERS_MAX; i++)
		assert_int_equal(answers_ask(answers, i, question, strlen(question), take, &got), 0);
	assert_int_equal(answers_ask(answers, 99, question, strlen(question), take, &got), -1);
	work();
	assert_int_equal(got.num, ANSWERS_MAX);
	json_decref(got.json);
}

static void
test_a_trail_that_was_replaced(void **state)
{
	struct trail_plan other = plan;
	json_t *answer = ask("{\"verb\":\"audit.search\",\"user\":\"user-7\"}");

	(void)state;
	json_decref(answer);
	/* under the reader's feet: each record is somewhere else now */
	other.users = 1000000;
	trail_make(dir, &other);
	expect_refused("{\"verb\":\"audit.search\",\"user\":\"user-7\"}", "made anew: ask again");
	answer = ask("{\"verb\":\"audit.search\",\"user\":\"user-*\",\"limit\":500}");
	assert_int_equal(num_of(answer), 500);
	assert_true(json_is_true(json_object_get(json_object_get(answer, "index"), "rebuilt")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "index"), "why")), "a record was not where it said");
	json_decref(answer);
}

static void
test_no_place_for_an_index(void **state)
{
	(void)state;
	answers_destroy(answers);
	answers = answers_create(dir, "/nonexistent/index.db");
	expect_refused("{\"verb\":\"audit.search\"}", "the trail has no index just now: /nonexistent/index.db: No such file or directory");
	/* verifying needs none */
	json_decref(ask("{\"verb\":\"audit.state\"}"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_search_gives_pages_newest_first), TEST(test_search_by_everything), TEST(test_bad_questions), TEST(test_show),
		TEST(test_export_is_the_trail), TEST(test_state_whole_then_broken), TEST(test_search_goes_on_while_it_is_verified),
		TEST(test_new_records_are_found), TEST(test_who_asked_is_gone), TEST(test_a_trail_that_was_replaced), TEST(test_no_place_for_an_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
