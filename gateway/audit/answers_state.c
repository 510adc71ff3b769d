/*
 * answers_state.c: audit.state: the trail is verified, a step at a time, when somebody wants to know.
 */
#include "gateway/audit/answers_private.h"

#include <string.h>
#include <time.h>

#include "gateway/core/log.h"

#define CHECK_STEP	(512u * 1024u)
#define CHECK_PAUSE_MS	10000	/* the trail is verified again at the earliest after so long, */
#define CHECK_SHARE	20	/* and after so many times what it took */

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
enum step
answers_state(struct question *question)
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
	(void)json_object_set_new(json, "index", answers_index_json(answers));
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
bool
answers_check(struct answers *answers)
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
