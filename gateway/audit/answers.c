/*
 * answers.c: questions about the trail. Each has a row in verbs[]; the function of a verb is called again and again, a slice at a time, until it says
 * that it is done. In between the index takes in what is new, and the trail is verified when somebody wanted to know.
 */
#include "gateway/audit/answers_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"

#define CATCH_UP_MS	2000	/* a question waits so long at most for the index */
#define RETRY_MS	10000	/* the index could not be written: tried again */

int64_t
answers_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- answering ---- */

enum step
answers_refuse(struct question *question, const char *why)
{
	question->send(question->ticket, false, why, strlen(why), question->arg);
	return STEP_DONE;
}

enum step
answers_reply(struct question *question, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		return answers_refuse(question, "out of memory");
	question->send(question->ticket, true, text, strlen(text), question->arg);
	free(text);
	return STEP_DONE;
}

/* What the answers say of the index. */
json_t *
answers_index_json(struct answers *answers)
{
	struct audit_index_state state;

	if (!answers->serves)
		return json_pack("{s:s}", "trouble", answers->trouble.what[0] == '\0' ? "it is not open yet" : answers->trouble.what);
	audit_index_state(answers->index, &state);
	return json_pack("{s:I, s:I, s:b, s:s*}", "last_seq", (json_int_t)state.last_seq, "lag_bytes", (json_int_t)state.lag_bytes, "rebuilt",
	    (int)state.rebuilt, "why", state.rebuilt ? state.why : NULL);
}

int
answers_number(const json_t *request, const char *key, uint64_t most, uint64_t *value, struct vg_error *error)
{
	const json_t *member = json_object_get(request, key);

	if (member == NULL || json_is_null(member))
		return 0;
	if (!json_is_integer(member) || json_integer_value(member) < 1 || (uint64_t)json_integer_value(member) > most)
		return vg_fail(error, "\"%s\" must be a number from 1 to %llu", key, (unsigned long long)most);
	*value = (uint64_t)json_integer_value(member);
	return 0;
}

/* ---- finding ---- */

/* May the question go on? Otherwise it waits for the index, or was refused. */
bool
answers_index_serves(struct question *question, enum step *step)
{
	struct answers *answers = question->answers;

	*step = STEP_WAIT;
	if (!answers->serves) {
		char why[sizeof(answers->trouble.what) + 40];

		(void)snprintf(why, sizeof(why), "the trail has no index just now: %s", answers->trouble.what);
		*step = answers_refuse(question, why);
		return false;
	}
	return !answers->behind || answers_now_ms() - question->asked > CATCH_UP_MS || question->cursor != NULL;
}

/* The line at a place, or NULL: it is not there any more, or the index is wrong, which is begun anew then. */
const char *
answers_line_at(struct answers *answers, const struct audit_place *place, bool *wrong)
{
	const char *text = NULL;
	int found = answers->lines == NULL ? 0 : audit_lines_get(answers->lines, place, &text);

	*wrong = found < 0;
	if (*wrong) {
		audit_index_spoiled(answers->index, "a record was not where it said");
		answers->behind = true;
	}
	return found == 1 ? text : NULL;
}

/* Goes through what the query finds, for a slice: `take` each record that matches, until it has enough; `end` when there is no more. */
enum step
answers_go_on(struct question *question, answers_take_cb *take, answers_end_cb *end)
{
	struct answers *answers = question->answers;
	int64_t until = answers_now_ms() + ANSWERS_SLICE_MS;
	struct audit_place place;
	struct vg_error error;
	enum step step;

	if (!answers_index_serves(question, &step))
		return step;
	if (question->cursor == NULL && (question->cursor = audit_query_open(answers->index, &question->query, &error)) == NULL)
		return answers_refuse(question, error.what);
	while (answers_now_ms() < until) {
		int result = audit_query_next(question->cursor, &place, &error);
		const char *line;
		bool wrong;

		if (result < 0) {
			audit_index_spoiled(answers->index, error.what);
			answers->behind = true;
			return answers_refuse(question, error.what);
		}
		if (result == 0)
			return end(question, false);
		if (result == 2)
			continue;
		line = answers_line_at(answers, &place, &wrong);
		if (wrong)
			return answers_refuse(question, "the index was wrong and is made anew: ask again");
		if (line == NULL || !audit_fields_read(answers->record, line, place.len) || !audit_match(&question->match, answers->record))
			continue;
		step = take(question, &place, line, answers->record);
		if (step != STEP_AGAIN)
			return step;
	}
	return STEP_AGAIN;
}

/* ---- the questions ---- */

static const struct verb {
	const char *name;
	enum step (*run)(struct question *question);
} verbs[] = {
	{ "audit.search", answers_search },
	{ "audit.show", answers_show },
	{ "audit.export", answers_export },
	{ "audit.state", answers_state },
	{ "policy.check", answers_policy_check },
	{ "policy.diff", answers_policy_diff },
	{ "policy.replay", answers_policy_replay },
	{ "census.load", answers_census_load },
	{ "census.definition", answers_census_definition },
	{ "census.keep", answers_census_keep },
};

static void
forget(struct question *question)
{
	TAILQ_REMOVE(&question->answers->questions, question, entry);
	question->answers->num_questions--;
	audit_query_close(question->cursor);
	if (question->own_free != NULL)
		question->own_free(question->own);
	json_decref(question->request);
	buf_free(&question->out);
	free(question);
}

int
answers_ask(struct answers *answers, uint64_t ticket, const char *json, size_t len, answers_send_cb *send, void *arg)
{
	struct question *question = answers->num_questions >= ANSWERS_MAX ? NULL : calloc(1, sizeof(*question));
	const char *verb;

	if (question == NULL)
		return -1;
	question->request = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	verb = json_string_value(json_object_get(question->request, "verb"));
	for (size_t i = 0; verb != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			question->verb = &verbs[i];
	question->answers = answers;
	question->ticket = ticket;
	question->send = send;
	question->arg = arg;
	question->asked = answers_now_ms();
	answers->behind = true;
	answers->num_questions++;
	TAILQ_INSERT_TAIL(&answers->questions, question, entry);
	return 0;
}

void
answers_forget(struct answers *answers, const void *arg)
{
	struct question *question, *next;

	for (question = TAILQ_FIRST(&answers->questions); question != NULL; question = next) {
		next = TAILQ_NEXT(question, entry);
		if (question->arg == arg)
			forget(question);
	}
}

/* ---- the index ---- */

static void
open_index(struct answers *answers)
{
	struct audit_index_state state;

	answers->index = audit_index_open(answers->index_file, answers->dir, true, &answers->trouble);
	if (answers->index != NULL && answers->lines == NULL)
		answers->lines = audit_lines_open(answers->dir, NULL);
	if (answers->index == NULL) {
		log_error("the index of the trail cannot be opened: %s", answers->trouble.what);
		answers->retry_at = answers_now_ms() + RETRY_MS;
		return;
	}
	audit_index_state(answers->index, &state);
	if (state.rebuilt)
		log_info("the index of the trail is made anew: %s", state.why);
}

/* Cursors do not outlive the database that they are in. */
static void
refuse_cursors(struct answers *answers)
{
	struct question *question, *next;

	for (question = TAILQ_FIRST(&answers->questions); question != NULL; question = next) {
		next = TAILQ_NEXT(question, entry);
		if (question->cursor == NULL)
			continue;
		(void)answers_refuse(question, "the index is made anew: ask again");
		forget(question);
	}
}

/* Takes in what is new. */
static void
update(struct answers *answers, unsigned budget_ms)
{
	struct audit_index_state state;
	int result;

	if ((!answers->behind && answers->serves) || answers_now_ms() < answers->retry_at)
		return;
	if (answers->index == NULL)
		open_index(answers);
	if (answers->index == NULL)
		return;
	if (audit_index_is_spoiled(answers->index)) {
		audit_index_state(answers->index, &state);
		log_warn("the index of the trail is made anew: %s", state.why);
		refuse_cursors(answers);
	}
	result = audit_index_update(answers->index, budget_ms, &answers->trouble);
	answers->behind = result == 1;
	answers->serves = result >= 0;
	if (result >= 0)
		return;
	/* Not only an index that is wrong, which is made anew: a disk that is full, too. */
	log_error("the index of the trail cannot be written: %s", answers->trouble.what);
	refuse_cursors(answers);
	answers->retry_at = answers_now_ms() + RETRY_MS;
}

void
answers_look(struct answers *answers)
{
	answers->behind = true;
}

/* ---- all of it ---- */

/* A file of that name in the directory of another. */
static char *
beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');
	char *path;

	return asprintf(&path, "%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - file), file, name) < 0 ? NULL : path;
}

struct census *
answers_census(struct answers *answers, struct vg_error *error)
{
	if (answers->census == NULL)
		answers->census = census_open(answers->census_file, error);
	return answers->census;
}

struct answers *
answers_create(const char *dir, const char *index_file)
{
	struct answers *answers = calloc(1, sizeof(*answers));

	if (answers == NULL)
		return NULL;
	TAILQ_INIT(&answers->questions);
	answers->dir = strdup(dir);
	answers->index_file = strdup(index_file);
	answers->record = malloc(sizeof(*answers->record));
	answers->behind = true;
	answers->census_file = beside(index_file, CENSUS_FILE);
	if (answers->dir != NULL && answers->index_file != NULL && answers->record != NULL && answers->census_file != NULL)
		return answers;
	answers_destroy(answers);
	return NULL;
}

void
answers_destroy(struct answers *answers)
{
	if (answers == NULL)
		return;
	while (!TAILQ_EMPTY(&answers->questions))
		forget(TAILQ_FIRST(&answers->questions));
	audit_check_end(answers->check);
	audit_index_close(answers->index);
	audit_lines_close(answers->lines);
	free(answers->record);
	free(answers->dir);
	free(answers->index_file);
	census_close(answers->census);
	free(answers->census_file);
	free(answers);
}

/* Each question in turn, one slice. True: one of them has more to do. */
static bool
run_questions(struct answers *answers)
{
	struct question *question, *next;
	bool more = false;

	for (question = TAILQ_FIRST(&answers->questions); question != NULL; question = next) {
		enum step step = question->verb == NULL ? answers_refuse(question, "unknown verb") : question->verb->run(question);

		next = TAILQ_NEXT(question, entry);
		more = more || step != STEP_DONE;
		if (step == STEP_DONE)
			forget(question);
	}
	return more;
}

bool
answers_work(struct answers *answers, unsigned budget_ms)
{
	int64_t until = answers_now_ms() + budget_ms;
	bool more;

	do {
		update(answers, ANSWERS_SLICE_MS);
		more = run_questions(answers);
		more = answers_check(answers) || more || (answers->behind && answers_now_ms() >= answers->retry_at);
	} while (more && answers_now_ms() < until);
	return more;
}
