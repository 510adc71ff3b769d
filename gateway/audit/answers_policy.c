/*
 * answers_policy.c: drafts of a policy, looked at in this process because it may take long: nobody's calls wait for it. Nothing is kept of them.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/audit/answers_private.h"
#include "gateway/policy/lint.h"
#include "gateway/policy/replay.h"
#include "gateway/policy/report.h"
#include "gateway/policy/rows.h"

#define DRAFT_FILE	"draft"
#define MAX_TOLD	200	/* mistakes, and warnings */
#define MAX_ROWS	1500u	/* of changes */
#define MAX_BYTES	(768u * 1024u)	/* of them in an answer, which the gate takes up to 1 MiB of */
#define MAX_DAYS	3660u
#define MAX_MS		20000	/* then what there is so far is the answer, or that there is none */
#define MAX_UNDER_WAY	4u	/* drafts at a time: each takes memory for two policies */

struct draft {
	struct policy *today, *draft;
	json_t *today_json, *draft_json;
	struct policy_differ *differ;
	bool compared;			/* what people may; then come the rows */
	size_t row;			/* policy_rows_step()'s */
	struct policy_report report;
	struct policy_replay replay;
	char oldest[AUDIT_MATCH_TIME];	/* record that was looked at */
};

static unsigned under_way;

static void
draft_destroy(void *own)
{
	struct draft *draft = own;

	policy_diff_end(draft->differ);
	policy_report_clear(&draft->report);
	policy_replay_clear(&draft->replay);
	policy_destroy(draft->today);
	policy_destroy(draft->draft);
	json_decref(draft->today_json);
	json_decref(draft->draft_json);
	free(draft);
	under_way--;
}

static const char *
text_of(const struct question *question, const char *key, size_t *len)
{
	const json_t *member = json_object_get(question->request, key);

	*len = json_string_length(member);
	return json_string_value(member);
}

/* ---- policy.check ---- */

struct told {
	json_t *list;
	size_t left_out;
};

/* "draft:12: unknown role 'x'" as { "line": 12, "what", "hint" }. */
static void
take_problem(const struct vg_error *error, void *arg)
{
	struct told *told = arg;
	const char *what = error->what;
	unsigned long line = 0;
	char *end;

	if (json_array_size(told->list) == MAX_TOLD) {
		told->left_out++;
		return;
	}
	if (strncmp(what, DRAFT_FILE ":", sizeof(DRAFT_FILE)) == 0) {
		line = strtoul(what + sizeof(DRAFT_FILE), &end, 10);
		if (*end == ':' && line > 0 && line < INT_MAX)
			what = end + 1 + strspn(end + 1, " ");
	}
	(void)json_array_append_new(told->list, json_pack("{s:I, s:s, s:s}", "line", (json_int_t)(line == 0 || line >= INT_MAX ? 1 : line), "what", what, "hint",
	    error->hint));
}

/* What the gate found in it, which knows more of the rules of a policy than we do: "also": { "what", "hint" }. */
static void
take_also(const json_t *also, struct told *told)
{
	struct vg_error error = { .what = "", .hint = "" };
	const char *what = json_string_value(json_object_get(also, "what")), *hint = json_string_value(json_object_get(also, "hint"));

	if (what == NULL)
		return;
	(void)vg_fail(&error, "%s", what);
	(void)vg_hint(&error, "%s", hint == NULL ? "" : hint);
	take_problem(&error, told);
}

/*
 * {"draft": TEXT, "also"?} -> {"good": bool, "mistakes": [{"line", "what", "hint"}], "warnings": [the same], "left_out": how many more}: as
 * `virtgate policy check` tells them.
 */
enum step
answers_policy_check(struct question *question)
{
	struct told mistakes = { .list = json_array() }, warnings = { .list = json_array() };
	size_t len;
	const char *text = text_of(question, "draft", &len);
	struct policy *policy;
	bool good;

	if (text == NULL) {
		json_decref(mistakes.list);
		json_decref(warnings.list);
		return answers_refuse(question, "policy.check needs \"draft\"");
	}
	policy = policy_parse(text, len, DRAFT_FILE, take_problem, &mistakes);
	take_also(json_object_get(question->request, "also"), &mistakes);
	good = policy != NULL && json_array_size(mistakes.list) == 0;
	if (good)
		policy_lint(policy, text, len, DRAFT_FILE, time(NULL), take_problem, &warnings);
	policy_destroy(policy);
	return answers_reply(question, json_pack("{s:b, s:o, s:o, s:I}", "good", (int)good, "mistakes", mistakes.list, "warnings", warnings.list, "left_out",
	    (json_int_t)(mistakes.left_out + warnings.left_out)));
}

/* ---- the two policies ---- */

/* NULL: it is refused. */
static struct draft *
begin(struct question *question)
{
	size_t len, today_len;
	const char *text = text_of(question, "draft", &len), *today = text_of(question, "policy", &today_len);
	struct draft *draft;

	if (text == NULL || today == NULL) {
		(void)answers_refuse(question, "a draft is compared with the policy in force: \"draft\" and \"policy\"");
		return NULL;
	}
	if (under_way >= MAX_UNDER_WAY) {
		(void)answers_refuse(question, "other drafts are being looked at: ask again");
		return NULL;
	}
	draft = calloc(1, sizeof(*draft));
	if (draft == NULL) {
		(void)answers_refuse(question, "out of memory");
		return NULL;
	}
	under_way++;
	question->own = draft;
	question->own_free = draft_destroy;
	draft->draft = policy_parse(text, len, DRAFT_FILE, NULL, NULL);
	draft->today = policy_parse(today, today_len, "policy", NULL, NULL);
	draft->draft_json = json_loadb(text, len, 0, NULL);
	draft->today_json = json_loadb(today, today_len, 0, NULL);
	if (draft->draft != NULL && draft->today != NULL && draft->draft_json != NULL && draft->today_json != NULL)
		return draft;
	(void)answers_refuse(question, draft->draft == NULL ? "the draft has mistakes: policy.check tells them" : "the policy in force cannot be read");
	return NULL;
}

/* ---- policy.diff ---- */

static const char *
mode_name(const struct policy *policy)
{
	return policy_only_watches(policy) ? "permissive" : "enforce";
}

/* Takes people off the end until the rest fits; returns how many changes went with them. */
static size_t
trim(json_t *people)
{
	size_t gone = 0;

	while (json_dumpb(people, NULL, 0, JSON_COMPACT) > MAX_BYTES) {
		for (size_t keep = json_array_size(people) / 2; json_array_size(people) > keep;) {
			size_t last = json_array_size(people) - 1;

			gone += json_array_size(json_object_get(json_array_get(people, last), "changes"));
			(void)json_array_remove(people, last);
		}
	}
	return gone;
}

static void
take_row(const struct row_change *change, void *arg)
{
	policy_report_take_row(arg, change->who, change->row, change->direction, change->was, change->now);
}

/* A step: first what people may, then the rows. 1: there is more, 0: that was all, -1: out of memory. */
static int
compare(struct draft *draft)
{
	int result;

	if (draft->compared)
		return policy_rows_step(draft->today_json, draft->draft_json, &draft->row, take_row, &draft->report);
	result = policy_diff_step(draft->differ);
	draft->compared = result == 0;
	return result < 0 ? -1 : 1;
}

static enum step
end_diff(struct question *question, struct draft *draft)
{
	json_t *people;
	size_t trimmed;

	policy_report_take_reads(&draft->report, draft->today, draft->draft);
	if (!policy_report_end(&draft->report, draft->today_json, draft->draft_json))
		return answers_refuse(question, "out of memory");
	people = policy_report_people(&draft->report);
	for (size_t i = 0; i < json_array_size(people); i++) {
		const json_t *changes = json_object_get(json_array_get(people, i), "changes");

		for (size_t j = 0; j < json_array_size(changes); j++) {
			json_t *change = json_array_get(changes, j), *permissions = json_object_get(change, "permissions");

			if (permissions != NULL)
				(void)json_object_set_new(change, "permissions", policy_report_fold(permissions));
		}
	}
	trimmed = trim(people);
	return answers_reply(question, json_pack("{s:o, s:{s:s, s:s}, s:I}", "people", people, "mode", "was", mode_name(draft->today), "now",
	    mode_name(draft->draft), "left_out", (json_int_t)(draft->report.left_out + trimmed)));
}

/*
 * {"draft": TEXT, "policy": TEXT in force} -> {"people": as in policy/report.h, permissions folded, "mode": {"was", "now"}, "left_out": changes beyond what an
 * answer takes}.
 */
enum step
answers_policy_diff(struct question *question)
{
	int64_t until = answers_now_ms() + ANSWERS_SLICE_MS;
	struct draft *draft = question->own;
	int result = 1;

	if (draft == NULL) {
		draft = begin(question);
		if (draft == NULL)
			return STEP_DONE;
		draft->differ = policy_report_init(&draft->report, MAX_ROWS) ?
		    policy_diff_begin(draft->today, draft->draft, time(NULL), policy_report_take, &draft->report) : NULL;
		if (draft->differ == NULL)
			return answers_refuse(question, "out of memory");
	}
	while (result > 0 && answers_now_ms() < until)
		result = compare(draft);
	if (result < 0)
		return answers_refuse(question, "out of memory");
	if (result == 0)
		return end_diff(question, draft);
	return answers_now_ms() - question->asked > MAX_MS ?
	    answers_refuse(question, "the two policies are too large to compare here: `virtgate policy diff` takes the time it needs") : STEP_AGAIN;
}

/* ---- policy.replay ---- */

static enum step
end_replay(struct question *question, bool more)
{
	struct draft *draft = question->own;
	json_t *json = draft->replay.out_of_memory ? NULL : policy_replay_json(&draft->replay);

	(void)json_object_set_new(json, "complete", json_boolean(!more));
	(void)json_object_set_new(json, "since", draft->oldest[0] == '\0' ? json_null() : json_string(draft->oldest));
	return answers_reply(question, json);
}

static enum step
take_record(struct question *question, const struct audit_place *place, const char *line, const struct audit_fields *fields)
{
	json_t *record = json_loadb(line, place->len, JSON_REJECT_DUPLICATES, NULL);
	const char *time = fields->text[FIELD_TIME];
	struct draft *draft = question->own;

	if (record != NULL)
		policy_replay_take(&draft->replay, record);
	json_decref(record);
	if (strlen(time) < sizeof(draft->oldest))
		memcpy(draft->oldest, time, strlen(time) + 1);
	return answers_now_ms() - question->asked > MAX_MS ? end_replay(question, true) : STEP_AGAIN;
}

/*
 * {"draft": TEXT, "policy": TEXT in force, "days": 1 to 3660, else 7} -> what policy/replay.h says, newest first, and "complete": bool, "since": time of the oldest record
 * that was looked at.
 */
enum step
answers_policy_replay(struct question *question)
{
	uint64_t days = 7;
	struct vg_error error;
	struct draft *draft = question->own;
	char ago[24];

	if (draft == NULL) {
		if (answers_number(question->request, "days", MAX_DAYS, &days, &error) < 0)
			return answers_refuse(question, error.what);
		draft = begin(question);
		if (draft == NULL)
			return STEP_DONE;
		if (!policy_replay_init(&draft->replay, draft->today, draft->draft))
			return answers_refuse(question, "out of memory");
		(void)snprintf(ago, sizeof(ago), "%ud", (unsigned)days);
		if (!audit_match_time(ago, question->match.since))
			return answers_refuse(question, "\"days\" is no number of days");
		question->query.match = &question->match;
		question->query.newest_first = true;
	}
	return answers_go_on(question, take_record, end_replay);
}
