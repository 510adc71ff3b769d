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

#include "gateway/audit/index.h"
#include "gateway/audit/match.h"
#include "tests/unit/audit_questions.h"
#include "virtgate/member.h"

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

/* What became of an operation after a crash is a record of its own, which names it. */
static void
test_show_tells_what_became_of_an_operation(void **state)
{
	char op[ID_LEN + 1], later[512], name[AUDIT_NAME_MAX], question[100], *text;
	unsigned first, last;
	json_t *answer;
	size_t len;
	int later_len;

	(void)state;
	trail_op(1000, op);
	later_len = snprintf(later, sizeof(later), "{\"code\":\"VG1304I\",\"event\":\"change.settled\",\"hash\":\"%s\",\"of\":\"%s\",\"op\":\"01JD0000000000000000000009\","
	    "\"prev\":\"%s\",\"seq\":3001,\"stage\":\"event\",\"time\":\"2026-01-06T00:00:00.000000Z\"}\n", AUDIT_HASH_ZERO, op, AUDIT_HASH_ZERO);
	(void)snprintf(question, sizeof(question), "{\"verb\":\"audit.show\",\"id\":\"%s\"}", op);
	json_decref(ask(question));
	assert_int_equal(audit_reader_range(dir, &first, &last, NULL, NULL), 0);
	audit_segment_name(name, last);
	text = fixture_read(dir, name, &len);
	text = realloc(text, len + (size_t)later_len);
	assert_non_null(text);
	memcpy(text + len, later, (size_t)later_len);
	fixture_write(dir, name, text, len + (size_t)later_len);
	free(text);
	answers_look(answers);
	answer = ask(question);
	assert_int_equal(num_of(answer), 3);
	assert_int_equal(seq_of(answer, 0), 1000);
	assert_int_equal(seq_of(answer, 1), 1001);
	assert_int_equal(seq_of(answer, 2), 3001);
	json_decref(answer);
	answer = ask("{\"verb\":\"audit.show\",\"id\":\"01JD0000000000000000000009\"}");
	assert_int_equal(num_of(answer), 1);
	json_decref(answer);
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

/* ---- what the gate keeps for its next start ---- */

static void
keep_things(unsigned from, unsigned to, bool anew)
{
	json_t *put = json_array(), *question;
	char uuid[40], *text;

	for (unsigned i = from; i < to; i++) {
		(void)snprintf(uuid, sizeof(uuid), "%08u", i);
		json_array_append_new(put, json_pack("[s, s, s, i, s, i, s]", "domain", uuid, "a name", 3, "d", 7, "<domain/>\n"));
	}
	question = json_pack("{s:s, s:s, s:i, s:i, s:b, s:o}", "verb", "census.keep", "uri", "test:///default", "alive", 5, "compared", 4, "anew", anew, "put", put);
	text = json_dumps(question, JSON_COMPACT);
	json_decref(ask(text));
	free(text);
	json_decref(question);
}

static size_t
num_things(const json_t *answer)
{
	return json_array_size(json_object_get(answer, "things"));
}

static void
test_census_is_kept_and_comes_back(void **state)
{
	static const char load[] = "{\"verb\":\"census.load\",\"uri\":\"test:///default\",\"class\":\"\",\"uuid\":\"\"}";
	json_t *answer, *first;

	(void)state;
	answer = ask(load);
	assert_true(json_is_false(json_object_get(answer, "known")));
	assert_null(json_object_get(answer, "lost"));
	json_decref(answer);
	expect_refused("{\"verb\":\"census.keep\",\"uri\":\"test:///default\",\"put\":[]}", "not there any more");
	keep_things(0, 1001, true);
	answer = ask(load);
	assert_true(json_is_true(json_object_get(answer, "known")) && json_is_true(json_object_get(answer, "more")));
	assert_int_equal(num_things(answer), 1000);
	assert_int_equal(json_integer_value(json_object_get(answer, "alive")), 5);
	assert_int_equal(json_integer_value(json_object_get(answer, "compared")), 4);
	first = json_pack("[s, s, s, i, s, i]", "domain", "00000000", "a name", 3, "d", 7);
	assert_true(json_equal(json_array_get(json_object_get(answer, "things"), 0), first));
	json_decref(first);
	json_decref(answer);
	answer = ask("{\"verb\":\"census.load\",\"uri\":\"test:///default\",\"class\":\"domain\",\"uuid\":\"00000999\"}");
	assert_int_equal(num_things(answer), 1);
	assert_true(json_is_false(json_object_get(answer, "more")));
	json_decref(answer);
	answer = ask("{\"verb\":\"census.load\",\"uri\":\"qemu:///system\"}");	/* another world */
	assert_true(json_is_false(json_object_get(answer, "known")) && num_things(answer) == 0);
	json_decref(answer);
	/* what has the same digest keeps its definition, what has another does not */
	json_decref(ask("{\"verb\":\"census.keep\",\"uri\":\"test:///default\",\"put\":[[\"domain\",\"00000001\",\"n\",0,\"d\",9],"
	    "[\"domain\",\"00000002\",\"n\",0,\"e\",9]],\"gone\":[[\"domain\",\"00000000\"]]}"));
	answer = ask("{\"verb\":\"census.definition\",\"uri\":\"test:///default\",\"class\":\"domain\",\"uuid\":\"00000001\"}");
	assert_string_equal(json_string_value(json_object_get(answer, "definition")), "<domain/>\n");
	json_decref(answer);
	answer = ask("{\"verb\":\"census.definition\",\"uri\":\"test:///default\",\"class\":\"domain\",\"uuid\":\"00000002\"}");
	assert_true(json_is_null(json_object_get(answer, "definition")));
	json_decref(answer);
	answer = ask(load);
	assert_int_equal(num_things(answer), 1000);
	json_decref(answer);
	/* all or nothing */
	expect_refused("{\"verb\":\"census.keep\",\"uri\":\"test:///default\",\"put\":[[\"domain\",\"x\",\"n\",0,\"d\",9],[\"domain\"]]}", "not a thing");
	answer = ask("{\"verb\":\"census.load\",\"uri\":\"test:///default\",\"class\":\"domain\",\"uuid\":\"00000999\"}");
	assert_int_equal(num_things(answer), 1);
	json_decref(answer);
	/* nothing of before */
	keep_things(0, 2, true);
	answer = ask(load);
	assert_int_equal(num_things(answer), 2);
	json_decref(answer);
}

static void
test_broken_census_says_so(void **state)
{
	static const char load[] = "{\"verb\":\"census.load\",\"uri\":\"test:///default\"}";
	char path[320];
	json_t *answer;
	FILE *out;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/census.db", dir);
	for (int how = 0; how < 3; how++) {
		keep_things(0, 900, true);
		answers_destroy(answers);
		out = fopen(path, "r+");
		assert_non_null(out);
		if (how == 0)
			assert_int_equal(ftruncate(fileno(out), 10000), 0);
		else
			(void)fseek(out, how == 1 ? 0 : 9000, SEEK_SET);
		for (int i = 0; how != 0 && i < 1000; i++)
			(void)fputs("garbage", out);
		(void)fclose(out);
		answers = answers_create(dir, file);
		assert_non_null(answers);
		answer = ask(load);
		assert_true(json_is_false(json_object_get(answer, "known")));
		assert_non_null(strstr(json_string_value(json_object_get(answer, "lost")), "census.db"));
		json_decref(answer);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_search_gives_pages_newest_first), TEST(test_search_by_everything), TEST(test_bad_questions), TEST(test_show), TEST(test_show_tells_what_became_of_an_operation),
		TEST(test_export_is_the_trail), TEST(test_state_whole_then_broken), TEST(test_search_goes_on_while_it_is_verified),
		TEST(test_new_records_are_found), TEST(test_who_asked_is_gone), TEST(test_a_trail_that_was_replaced),
		TEST(test_no_place_for_an_index), TEST(test_census_is_kept_and_comes_back), TEST(test_broken_census_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
