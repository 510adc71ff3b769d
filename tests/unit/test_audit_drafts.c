/*
 * What does the audit reader say of a draft of a policy: whether it is one, what it changes, and what it would have decided?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/audit_questions.h"

#define HEAD "{\\\"version\\\":1,\\\"bindings\\\":["
#define BINDING(id, who, on) "{\\\"id\\\":\\\"" id "\\\",\\\"who\\\":[\\\"" who "\\\"],\\\"role\\\":\\\"operator\\\",\\\"on\\\":[\\\"" on "\\\"]}"
#define TODAY HEAD BINDING("team", "sasl:user-*", "domain:*") "]}"
#define QUESTION(verb, draft) "{\"verb\":\"" verb "\",\"draft\":\"" draft "\",\"policy\":\"" TODAY "\""

static json_int_t
number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static const char *
text_of(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text == NULL ? "(none)" : text;
}

static void
test_a_draft_is_checked(void **state)
{
	json_t *answer = ask(QUESTION("policy.check", TODAY) "}"), *first;

	(void)state;
	assert_true(json_is_true(json_object_get(answer, "good")));
	assert_int_equal(json_array_size(json_object_get(answer, "mistakes")), 0);
	json_decref(answer);
	answer = ask(QUESTION("policy.check", HEAD "\\n" BINDING("a", "sals:a", "*") ",\\n" BINDING("b", "sasl:b", "gues:x") "]}") "}");
	assert_false(json_is_true(json_object_get(answer, "good")));
	assert_int_equal(json_array_size(json_object_get(answer, "mistakes")), 2);
	first = json_array_get(json_object_get(answer, "mistakes"), 0);
	assert_int_equal(number(first, "line"), 2);
	assert_non_null(strstr(text_of(first, "what"), "sals:a"));
	assert_null(strstr(text_of(first, "what"), "draft:"));
	assert_non_null(strstr(text_of(first, "hint"), "did you mean 'sasl:'"));
	assert_int_equal(number(json_array_get(json_object_get(answer, "mistakes"), 1), "line"), 3);
	json_decref(answer);
	/* what is no mistake but hardly meant */
	answer = ask(QUESTION("policy.check", HEAD BINDING("a", "sasl:a", "domain:x") "],\\\"groups\\\":{\\\"nobody\\\":[\\\"sasl:x\\\"]}}") "}");
	assert_true(json_is_true(json_object_get(answer, "good")));
	assert_true(json_array_size(json_object_get(answer, "warnings")) > 0);
	json_decref(answer);
	/* what the gate found in its rules */
	answer = ask(QUESTION("policy.check", TODAY) ",\"also\":{\"what\":\"draft:7: no XPath\",\"hint\":\"h\"}}");
	assert_false(json_is_true(json_object_get(answer, "good")));
	assert_int_equal(number(json_array_get(json_object_get(answer, "mistakes"), 0), "line"), 7);
	json_decref(answer);
	expect_refused("{\"verb\":\"policy.check\"}", "needs \"draft\"");
}

static void
test_a_draft_is_compared(void **state)
{
	json_t *answer = ask(QUESTION("policy.diff", HEAD BINDING("team", "sasl:user-*", "domain:web-*") "]}") "}"), *people, *change;

	(void)state;
	people = json_object_get(answer, "people");
	assert_int_equal(json_array_size(people), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_array_get(people, 0), "who"), 0)), "sasl:user-*");
	change = json_array_get(json_object_get(json_array_get(people, 0), "changes"), 0);
	assert_string_equal(text_of(change, "change"), "loses");
	assert_string_equal(text_of(change, "object"), "*");
	assert_string_equal(text_of(change, "except"), "domain:web-*");
	assert_string_equal(text_of(json_object_get(answer, "mode"), "now"), "enforce");
	json_decref(answer);
	answer = ask(QUESTION("policy.diff", TODAY) "}");
	assert_int_equal(json_array_size(json_object_get(answer, "people")), 0);
	json_decref(answer);
	/* rows about documents, and what is recorded of reads, which are nobody's right */
	answer = ask(QUESTION("policy.diff", HEAD BINDING("team", "sasl:user-*", "domain:*") "],\\\"admission\\\":[{\\\"id\\\":\\\"a\\\",\\\"profile\\\":\\\"restricted\\\"}],"
	    "\\\"audit\\\":{\\\"reads\\\":{\\\"secret\\\":\\\"full\\\"}}}") "}");
	people = json_object_get(answer, "people");
	assert_int_equal(json_array_size(people), 2);
	change = json_array_get(json_object_get(json_array_get(people, 0), "changes"), 0);
	assert_string_equal(text_of(change, "change"), "loses");
	assert_string_equal(text_of(change, "row"), "row 'a' of admission");
	assert_string_equal(text_of(change, "now"), "profile restricted");
	assert_null(json_object_get(change, "permissions"));
	change = json_array_get(json_object_get(json_array_get(people, 1), "changes"), 0);
	assert_string_equal(text_of(change, "row"), "what the trail is told of reads of class secret");
	assert_string_equal(text_of(change, "now"), "full");
	json_decref(answer);
	expect_refused(QUESTION("policy.diff", "{") "}", "the draft has mistakes");
	expect_refused("{\"verb\":\"policy.diff\",\"draft\":\"" TODAY "\"}", "\"policy\"");
}

/* A large one, and all of it different: an answer that the gate takes, which says that it is not all. */
static void
test_a_large_draft_is_compared(void **state)
{
	json_t *question = json_pack("{s:s}", "verb", "policy.diff"), *answer;
	char *text;

	(void)state;
	for (size_t side = 0; side < 2; side++) {
		json_t *bindings = json_array();

		for (int i = 0; i < 800; i++)
			json_array_append_new(bindings, json_pack("{s:o, s:[o], s:s, s:[o]}", "id", json_sprintf("b%d", i), "who", json_sprintf("sasl:user-%d", i),
			    "role", "nearly", "on", json_sprintf("domain:team-%d-*", side == 0 ? i : (i + 1) % 800)));
		/* a role that is no whole class, so that each of its permissions is told */
		answer = json_pack("{s:i, s:{s:{s:[s], s:[s]}}, s:o}", "version", 1, "roles", "nearly", "include", "vm-admin", "deny", "domain:write", "bindings",
		    bindings);
		text = json_dumps(answer, JSON_COMPACT);
		json_object_set_new(question, side == 0 ? "policy" : "draft", json_string(text));
		json_decref(answer);
		free(text);
	}
	text = json_dumps(question, JSON_COMPACT);
	json_decref(question);
	answer = ask(text);
	free(text);
	text = json_dumps(answer, JSON_COMPACT);
	assert_true(strlen(text) < 1024u * 1024u);
	free(text);
	assert_true(json_array_size(json_object_get(answer, "people")) > 50);
	assert_true(number(answer, "left_out") > 0);
	json_decref(answer);
}

static void
test_a_draft_is_replayed(void **state)
{
	json_t *answer = ask(QUESTION("policy.replay", HEAD BINDING("team", "sasl:user-*", "domain:guest-1*") "]}") ",\"days\":3660}"), *row;
	json_int_t denied = 0, decisions = 0;

	(void)state;
	/* records come in threes, of which an outcome is no decision of its own; allowed is all to everybody: see trail_make() */
	for (uint64_t seq = 1; seq <= plan.records; seq++) {
		char name[24];

		if (seq % 3 == 2)
			continue;
		(void)snprintf(name, sizeof(name), "guest-%u", trail_object(&plan, seq));
		decisions++;
		denied += strncmp(name, "guest-1", 7) != 0;
	}
	assert_int_equal(number(answer, "decisions"), decisions);
	assert_int_equal(number(answer, "denied"), denied);
	assert_int_equal(number(answer, "allowed") + number(answer, "noted") + number(answer, "unclear"), 0);
	assert_int_equal(json_array_size(json_object_get(answer, "changes")), 200);
	assert_true(number(answer, "left_out") > 0);
	assert_true(json_is_true(json_object_get(answer, "complete")));
	row = json_array_get(json_object_get(answer, "changes"), 0);
	assert_string_equal(text_of(row, "change"), "denied");
	assert_string_equal(text_of(row, "permission"), "domain:start");
	assert_string_equal(text_of(row, "draft"), "deny");
	json_decref(answer);
	/* the trail is of January; nothing is of the last day */
	answer = ask(QUESTION("policy.replay", TODAY) ",\"days\":1}");
	assert_int_equal(number(answer, "decisions"), 0);
	assert_true(json_is_null(json_object_get(answer, "since")));
	json_decref(answer);
	expect_refused(QUESTION("policy.replay", TODAY) ",\"days\":0}", "\"days\" must be a number");
	expect_refused(QUESTION("policy.replay", "[]") "}", "the draft has mistakes");
}

static void
test_drafts_have_little_room(void **state)
{
	static const char question[] = QUESTION("policy.replay", TODAY) "}";
	struct got got[6] = { { .num = 0 } };
	unsigned busy = 0;

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(answers_ask(answers, i, question, strlen(question), take, &got[i]), 0);
	work();
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(got[i].num, 1);
		busy += !got[i].ok && strstr(got[i].text, "other drafts are being looked at") != NULL;
		json_decref(got[i].json);
	}
	assert_int_equal(busy, 2);
	json_decref(ask(question));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_draft_is_checked),
		TEST(test_a_draft_is_compared),
		TEST(test_a_large_draft_is_compared),
		TEST(test_a_draft_is_replayed),
		TEST(test_drafts_have_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
