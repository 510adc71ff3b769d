#include "tests/unit/audit_questions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct trail_plan plan = { .records = 3000, .users = 40, .objects = 300, .per_day = 600, .segment_bytes = 300000 };

char *dir, file[300];
struct answers *answers;

int
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

int
teardown(void **state)
{
	(void)state;
	answers_destroy(answers);
	fixture_remove(dir);
	return 0;
}

void
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

void
work(void)
{
	for (int turn = 0; turn < 10000 && answers_work(answers, 1); turn++)
		;
}

json_t *
ask(const char *question)
{
	struct got got = { .num = 0 };

	/* A question waits for the index only for a while, which on a busy machine is not enough for all of it. */
	work();
	assert_int_equal(answers_ask(answers, 7, question, strlen(question), take, &got), 0);
	work();
	assert_int_equal(got.num, 1);
	assert_int_equal(got.ticket, 7);
	if (!got.ok)
		fail_msg("%s: refused: %s", question, got.text);
	return got.json;
}

void
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
