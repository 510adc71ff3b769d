/*
 * answers.c: questions about the trail. Each has a row in verbs[]; the function of a verb is called again and again, a slice at a time, until it says
 * that it is done. In between the index takes in what is new, and the trail is verified when somebody wanted to know.
 */
#include "gateway/audit/answers_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/audit/export.h"
#include "gateway/core/log.h"

#define CATCH_UP_MS	2000	/* a question waits so long at most for the index */
#define RETRY_MS	10000	/* the index could not be written: tried again */
#define MAX_SEARCH	500u
#define MAX_BYTES	(512u * 1024u)	/* of records, or of an export as it stands in JSON, in an answer */
#define CHECK_STEP	(512u * 1024u)
#define CHECK_PAUSE_MS	10000	/* the trail is verified again at the earliest after so long, */
#define CHECK_SHARE	20	/* and after so many times what it took */

struct answers {
	char *dir, *index_file;
	struct audit_index *index;	/* NULL: it cannot be opened */
	struct audit_lines *lines;
	bool serves;			/* the last update was one; else `trouble` says why not */
	struct vg_error trouble;
	int64_t retry_at;		/* ms; 0: now */
	bool behind;			/* there may be more of the trail than is in the index */
	TAILQ_HEAD(, question) questions;
	unsigned num_questions;
	/* verifying */
	struct audit_check *check;	/* NULL: not now */
	struct audit_verdict found;	/* of the one that runs */
	struct audit_verdict verdict;	/* of the last that came to an end */
	bool checked;			/* there was one */
	bool check_wanted;
	struct vg_error check_trouble;
	int64_t check_began, check_ended;
	time_t checked_at;
};

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
static json_t *
index_json(struct answers *answers)
{
	struct audit_index_state state;

	if (!answers->serves)
		return json_pack("{s:s}", "trouble", answers->trouble.what[0] == '\0' ? "it is not open yet" : answers->trouble.what);
	audit_index_state(answers->index, &state);
	return json_pack("{s:I, s:I, s:b, s:s*}", "last_seq", (json_int_t)state.last_seq, "lag_bytes", (json_int_t)state.lag_bytes, "rebuilt",
	    (int)state.rebuilt, "why", state.rebuilt ? state.why : NULL);
}

/* ---- reading a request ---- */

static int
read_string(const json_t *request, const char *key, const char **value, struct vg_error *error)
{
	const json_t *member = json_object_get(request, key);

	*value = json_string_value(member);
	return member == NULL || json_is_null(member) || *value != NULL ? 0 : vg_fail(error, "\"%s\" must be a string", key);
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

static int
read_time(const json_t *request, const char *key, char out[AUDIT_MATCH_TIME], struct vg_error *error)
{
	const char *text;

	if (read_string(request, key, &text, error) < 0)
		return -1;
	return text == NULL || text[0] == '\0' || audit_match_time(text, out) ? 0 :
	    vg_fail(error, "\"%s\": '%.60s' is no time: 2026-11-23T19:50 (UTC), or 2h, 7d ago", key, text);
}

static int
one_of(const char *key, const char *value, const char *const *known, struct vg_error *error)
{
	for (size_t i = 0; known[i] != NULL; i++)
		if (value == NULL || strcmp(known[i], value) == 0)
			return 0;
	return vg_fail(error, "\"%s\": '%.60s' is none that there is", key, value);
}

/* The keys that search and export share. */
static int
read_match(struct question *question, struct vg_error *error)
{
	struct audit_match *match = &question->match;
	const json_t *request = question->request;
	const struct { const char *key, **value; } strings[] = { { "user", &match->user }, { "object", &match->object }, { "code", &match->code },
		{ "event", &match->event }, { "call", &match->call }, { "result", &match->result }, { "stage", &match->stage } };

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		if (read_string(request, strings[i].key, strings[i].value, error) < 0)
			return -1;
		if (*strings[i].value != NULL && **strings[i].value == '\0')	/* an empty field of a form */
			*strings[i].value = NULL;
	}
	if (one_of("result", match->result, audit_match_results, error) < 0 || one_of("stage", match->stage, audit_match_stages, error) < 0 ||
	    read_time(request, "since", match->since, error) < 0 || read_time(request, "until", match->until, error) < 0 ||
	    answers_number(request, "before", INT64_MAX, &question->query.before, error) < 0)
		return -1;
	question->query.match = match;
	return answers_number(request, "after", INT64_MAX, &question->query.after, error);
}

/* ---- finding ---- */

/* May the question go on? Otherwise it waits for the index, or was refused. */
static bool
index_serves(struct question *question, enum step *step)
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
static const char *
line_at(struct answers *answers, const struct audit_place *place, bool *wrong)
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

	if (!index_serves(question, &step))
		return step;
	if (question->cursor == NULL && (question->cursor = audit_query_open(answers->index, &question->query, &error)) == NULL)
		return answers_refuse(question, error.what);
	while (answers_now_ms() < until) {
		int result = audit_query_next(question->cursor, &place, &error);
		const char *line;
		json_t *record;
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
		line = line_at(answers, &place, &wrong);
		if (wrong)
			return answers_refuse(question, "the index was wrong and is made anew: ask again");
		record = line == NULL ? NULL : json_loadb(line, place.len, JSON_REJECT_DUPLICATES, NULL);
		step = record != NULL && audit_match(&question->match, record) ? take(question, &place, line, record) : STEP_AGAIN;
		json_decref(record);
		if (step != STEP_AGAIN)
			return step;
	}
	return STEP_AGAIN;
}

/* ---- audit.search ---- */

static enum step
end_search(struct question *question, bool more)
{
	static const char head[] = "{\"records\":[";
	struct buf out = { .data = NULL };
	json_t *index = index_json(question->answers);
	char *tail = json_dumps(index, JSON_COMPACT);
	bool made = tail != NULL && buf_add(&out, head, sizeof(head) - 1) == 0 &&
	    (buf_len(&question->out) == 0 || buf_add(&out, buf_head(&question->out), buf_len(&question->out)) == 0) &&
	    export_plain(&out, more ? "],\"more\":true,\"index\":" : "],\"more\":false,\"index\":") == 0 && export_plain(&out, tail) == 0 &&
	    export_plain(&out, "}") == 0;

	if (made)
		question->send(question->ticket, true, (const char *)buf_head(&out), buf_len(&out), question->arg);
	buf_free(&out);
	free(tail);
	json_decref(index);
	return made ? STEP_DONE : answers_refuse(question, "out of memory");
}

/* Records are put in as they stand in the trail: canonical JSON. */
static enum step
take_record(struct question *question, const struct audit_place *place, const char *line, json_t *record)
{
	(void)record;
	if (question->num == question->limit || (question->num > 0 && buf_len(&question->out) + place->len > MAX_BYTES))
		return end_search(question, true);
	if ((question->num > 0 && buf_add(&question->out, ",", 1) < 0) || buf_add(&question->out, line, place->len) < 0)
		return answers_refuse(question, "out of memory");
	question->num++;
	return STEP_AGAIN;
}

/*
 * {"since", "until", "user", "object", "code", "event", "call", "result", "stage": as of `virtgate audit search`, "limit": 1 to 500, else 100,
 * "before": seq, "after": seq} -> {"records": [newest first], "more": bool, "index": {"last_seq", "lag_bytes", "rebuilt", "why"?}}. The next page
 * is asked for with the last seq as "before".
 */
static enum step
search(struct question *question)
{
	struct vg_error error;
	uint64_t limit = 100;

	if (!question->begun && (read_match(question, &error) < 0 || answers_number(question->request, "limit", MAX_SEARCH, &limit, &error) < 0))
		return answers_refuse(question, error.what);
	if (!question->begun)
		question->limit = limit;
	question->begun = true;
	question->query.newest_first = true;
	return answers_go_on(question, take_record, end_search);
}

/* ---- audit.show ---- */

/* {"id": an op, or a seq} -> {"records": [oldest first]}; none where there is none. */
static enum step
show(struct question *question)
{
	struct answers *answers = question->answers;
	const char *id = json_string_value(json_object_get(question->request, "id"));
	struct audit_place places[32];
	struct vg_error error;
	json_t *records;
	enum step step;
	char *end = NULL;
	int num;

	if (id == NULL || id[0] == '\0')
		return answers_refuse(question, "audit.show needs \"id\"");
	if (!index_serves(question, &step))
		return step;
	if (strlen(id) < 20 && strspn(id, "0123456789") == strlen(id))
		num = audit_query_seq(answers->index, strtoull(id, &end, 10), places, &error);
	else
		num = audit_query_op(answers->index, id, places, sizeof(places) / sizeof(places[0]), &error);
	if (num < 0)
		return answers_refuse(question, error.what);
	records = json_array();
	for (int i = 0; i < num; i++) {
		bool wrong;
		const char *line = line_at(answers, &places[i], &wrong);
		json_t *record = line == NULL ? NULL : json_loadb(line, places[i].len, JSON_REJECT_DUPLICATES, NULL);

		if (record != NULL && audit_has_id(record, id))
			(void)json_array_append(records, record);
		json_decref(record);
		if (wrong) {
			json_decref(records);
			return answers_refuse(question, "the index was wrong and is made anew: ask again");
		}
	}
	return answers_reply(question, json_pack("{s:o}", "records", records));
}

/* ---- audit.export ---- */

static enum step
end_export(struct question *question, bool more)
{
	const char *text = buf_len(&question->out) == 0 ? "" : (const char *)buf_head(&question->out);

	return answers_reply(question, json_pack("{s:s%, s:o}", "text", text, buf_len(&question->out), "next",
	    more ? json_integer((json_int_t)question->last_seq) : json_null()));
}

/* How long bytes become as a JSON string: '"' and '\' take two, controls six. */
static size_t
weight_of(const uint8_t *text, size_t len)
{
	size_t weight = len;

	for (size_t i = 0; i < len; i++)
		weight += text[i] == '"' || text[i] == '\\' || text[i] == '\n' ? 1 : text[i] < 0x20 ? 5 : 0;
	return weight;
}

static enum step
take_export(struct question *question, const struct audit_place *place, const char *line, json_t *record)
{
	size_t before = buf_len(&question->out);

	if (question->format->put(&question->out, record, line, place->len) < 0)
		return answers_refuse(question, "out of memory");
	question->weight += weight_of(buf_head(&question->out) + before, buf_len(&question->out) - before);
	question->last_seq = place->seq;
	return question->weight >= MAX_BYTES ? end_export(question, true) : STEP_AGAIN;
}

/*
 * The keys of audit.search but limit, and {"format": jsonl, cef, ocsf or rfc5424} -> {"text", "next": seq or null}: oldest first, a page at a time; the
 * next page is asked for with "next" as "after".
 */
static enum step
export(struct question *question)
{
	struct vg_error error;
	const char *format = NULL;

	if (!question->begun) {
		if (read_match(question, &error) < 0 || read_string(question->request, "format", &format, &error) < 0)
			return answers_refuse(question, error.what);
		question->format = format == NULL ? NULL : audit_format_find(format);
		if (question->format == NULL)
			return answers_refuse(question, "\"format\" must be one of jsonl, cef, ocsf, rfc5424");
	}
	question->begun = true;
	return answers_go_on(question, take_export, end_export);
}

/* ---- audit.state ---- */

static void
want_check(struct answers *answers)
{
	int64_t took = answers->check_ended - answers->check_began, pause = took * CHECK_SHARE;

	if (answers->check == NULL && (!answers->checked || answers_now_ms() - answers->check_ended > (pause > CHECK_PAUSE_MS ? pause : CHECK_PAUSE_MS)))
		answers->check_wanted = true;
}

static json_t *
time_json(time_t when)
{
	char text[32];
	struct tm tm;

	return gmtime_r(&when, &tm) != NULL && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0 ? json_string(text) : json_null();
}

/*
 * {} -> {"state": "whole", "broken" or "checking" (for the first time), "checking": bool, "progress": percent, "records", "first_bad": seq or null,
 * "file", "line", "why", "note", "signed_seq": the last that a signed checkpoint vouches for, or null, "last_hash", "checked_at", "trouble"?,
 * "index"}: what the last verification found. Asking begins another one, when the last is some time ago.
 */
static enum step
state(struct question *question)
{
	struct answers *answers = question->answers;
	const struct audit_verdict *verdict = &answers->verdict;
	uint64_t done = 0, all = 0;
	json_t *json = json_object();
	bool bad = answers->checked && !verdict->whole;

	want_check(answers);
	if (answers->check != NULL)
		audit_check_progress(answers->check, &done, &all);
	(void)json_object_set_new(json, "state", json_string(!answers->checked ? "checking" : verdict->whole ? "whole" : "broken"));
	(void)json_object_set_new(json, "checking", json_boolean(answers->check != NULL || answers->check_wanted));
	(void)json_object_set_new(json, "progress", json_integer(all == 0 ? 0 : done >= all ? 100 : (json_int_t)(done * 100 / all)));
	(void)json_object_set_new(json, "records", json_integer((json_int_t)verdict->records));
	(void)json_object_set_new(json, "first_bad", bad ? json_integer((json_int_t)verdict->seq) : json_null());
	(void)json_object_set_new(json, "file", bad ? json_string(verdict->file) : json_null());
	(void)json_object_set_new(json, "line", bad ? json_integer((json_int_t)verdict->line) : json_null());
	(void)json_object_set_new(json, "why", bad ? json_string(verdict->what) : json_null());
	(void)json_object_set_new(json, "note", verdict->num_notes > 0 ? json_string(verdict->note) : json_null());
	(void)json_object_set_new(json, "signed_seq", verdict->checkpoints > 0 ? json_integer((json_int_t)verdict->signed_seq) : json_null());
	(void)json_object_set_new(json, "last_hash", answers->checked ? json_string(verdict->last_hash) : json_null());
	(void)json_object_set_new(json, "checked_at", answers->checked ? time_json(answers->checked_at) : json_null());
	if (answers->check_trouble.what[0] != '\0')
		(void)json_object_set_new(json, "trouble", json_string(answers->check_trouble.what));
	(void)json_object_set_new(json, "index", index_json(answers));
	return answers_reply(question, json);
}

static void
end_check(struct answers *answers, int result)
{
	audit_check_end(answers->check);
	answers->check = NULL;
	answers->check_ended = answers_now_ms();
	if (result < 0) {
		log_error("the trail cannot be verified: %s", answers->check_trouble.what);
		return;
	}
	if (!answers->found.whole)
		log_error("the trail is broken at record %llu (%s:%llu): %s", (unsigned long long)answers->found.seq, answers->found.file,
		    (unsigned long long)answers->found.line, answers->found.what);
	answers->check_trouble.what[0] = '\0';
	answers->verdict = answers->found;
	answers->checked = true;
	answers->checked_at = time(NULL);
}

/* One step of verifying. True: it goes on. */
static bool
check(struct answers *answers)
{
	int result;

	if (answers->check_wanted) {
		answers->check_wanted = false;
		answers->check_began = answers_now_ms();
		answers->check = audit_check_begin(answers->dir, &answers->found, &answers->check_trouble);
		if (answers->check == NULL)
			end_check(answers, -1);
	}
	if (answers->check == NULL)
		return false;
	result = audit_check_step(answers->check, CHECK_STEP, &answers->check_trouble);
	if (result <= 0)
		end_check(answers, result);
	return result > 0;
}

/* ---- the questions ---- */

static const struct verb {
	const char *name;
	enum step (*run)(struct question *question);
} verbs[] = {
	{ "audit.search", search },
	{ "audit.show", show },
	{ "audit.export", export },
	{ "audit.state", state },
	{ "policy.check", answers_policy_check },
	{ "policy.diff", answers_policy_diff },
	{ "policy.replay", answers_policy_replay },
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

struct answers *
answers_create(const char *dir, const char *index_file)
{
	struct answers *answers = calloc(1, sizeof(*answers));

	if (answers == NULL)
		return NULL;
	TAILQ_INIT(&answers->questions);
	answers->dir = strdup(dir);
	answers->index_file = strdup(index_file);
	answers->behind = true;
	if (answers->dir != NULL && answers->index_file != NULL)
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
	free(answers->dir);
	free(answers->index_file);
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
		more = check(answers) || more || (answers->behind && answers_now_ms() >= answers->retry_at);
	} while (more && answers_now_ms() < until);
	return more;
}
