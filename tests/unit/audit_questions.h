/*
 * audit_questions.h: an audit reader that answers questions about a trail that was made for it.
 */
#ifndef TESTS_UNIT_AUDIT_QUESTIONS_H
#define TESTS_UNIT_AUDIT_QUESTIONS_H

#include <jansson.h>

#include "gateway/audit/answers.h"
#include "tests/bench/trail.h"
#include "tests/unit/audit_fixture.h"

extern const struct trail_plan plan;	/* of the trail */
extern char *dir, file[300];		/* its directory, and of the index */
extern struct answers *answers;

/* Of every test. */
int setup(void **state);
int teardown(void **state);

struct got {
	unsigned num;
	uint64_t ticket;
	bool ok;
	json_t *json;			/* of an answer */
	char text[512];			/* of a refusal */
};

/* Takes an answer for answers_ask(); `arg` is a struct got. */
void take(uint64_t ticket, bool ok, const char *text, size_t len, void *arg);
/* Until there is nothing more to do. */
void work(void);
/* The answer to a question; the caller drops it. */
json_t *ask(const char *question);
void expect_refused(const char *question, const char *why);

#endif
