/*
 * replay.c: recorded decisions, decided again.
 */
#include "gateway/policy/replay.h"

#include <stdio.h>
#include <string.h>

#include "gateway/policy/record.h"
#include "gateway/policy/words.h"
#include "virtgate/member.h"

#define KEY_SIZE 4096

const char *
policy_turn_name(enum policy_turn turn)
{
	static const char *const names[] = { [POLICY_NOW_DENIED] = "denied", [POLICY_NOW_ALLOWED] = "allowed", [POLICY_NOW_NOTED] = "noted" };

	return names[turn];
}

bool
policy_replay_init(struct policy_replay *replay, const struct policy *today, const struct policy *draft)
{
	*replay = (struct policy_replay){ .today = today, .draft = draft, .index = json_object(), .rows = json_array() };
	return replay->index != NULL && replay->rows != NULL;
}

void
policy_replay_clear(struct policy_replay *replay)
{
	json_decref(replay->index);
	json_decref(replay->rows);
	*replay = (struct policy_replay){ .today = NULL };
}

/* ---- what was asked ---- */

static bool
is_decision(const json_t *record)
{
	const char *verdict = audit_member(record, "decision", "verdict");

	for (enum verdict known = VERDICT_DENY; known <= VERDICT_WOULD_DENY; known++)
		if (strcmp(verdict, policy_verdict_name(known)) == 0)
			return strcmp(audit_member(record, "stage", NULL), "outcome") != 0 &&
			    strcmp(audit_member(record, "event", NULL), "session.identity_conflict") != 0;
	return false;
}

/* What was missing, and what was there. */
static size_t
asked(json_t *record, struct record_lack lacks[2 * RECORD_MAX_LACKS])
{
	bool passed = strcmp(audit_member(record, "decision", "verdict"), policy_verdict_name(VERDICT_ALLOW)) == 0;
	size_t num = passed ? 0 : record_lacks(record, lacks), missing = num;
	struct record_lack others[RECORD_MAX_LACKS];
	size_t num_others = record_permissions(record, others);

	for (size_t i = 0; i < num_others; i++) {
		bool is_missing = false;

		for (size_t j = 0; j < missing; j++)
			is_missing = is_missing || lacks[j].permission == others[i].permission;
		if (!is_missing)
			lacks[num++] = others[i];
	}
	return num;
}

/* ---- the answers of the two ---- */

/* How much a verdict stands in the way. */
static int
weight(enum verdict verdict)
{
	return verdict == VERDICT_DENY ? 2 : verdict == VERDICT_WOULD_DENY ? 1 : 0;
}

/* The decision of a call is the hardest of those about its permissions. */
struct outcome {
	struct decision decision;
	const struct record_lack *about;	/* NULL: nothing stands in the way */
};

static void
weigh_in(struct outcome *outcome, struct decision decision, const struct record_lack *about)
{
	if (outcome->about != NULL && weight(decision.verdict) <= weight(outcome->decision.verdict))
		return;
	outcome->decision = decision;
	outcome->about = about;
}

static json_t *
row_of(json_t *record, const struct record_lack *about, const char *change, struct decision today, struct decision draft)
{
	struct record_question question;
	char object[POLICY_OBJECT_SIZE];

	record_question(record, about, &question);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:i, s:s, s:s}", "change", change, "who", audit_member(record, "user", "name"),
	    "permission", permission_name(about->permission), "object", policy_object_text(&question.object, object), "call",
	    audit_member(record, "call", NULL), "then", audit_member(record, "decision", "verdict"), "today", policy_verdict_name(today.verdict), "draft",
	    policy_verdict_name(draft.verdict), "binding", draft.binding, "count", 0, "last", "", "op", audit_member(record, "op", NULL));
}

/* Two rows with this key are alike. */
static void
make_key(const json_t *row, char key[KEY_SIZE])
{
	static const char *const members[] = { "change", "who", "permission", "object", "then", "binding" };
	size_t len = 0;

	key[0] = '\0';
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && len < KEY_SIZE; i++)
		len += (size_t)snprintf(key + len, KEY_SIZE - len, "%s\n", audit_member(row, members[i], NULL));
}

/* Takes `row`. */
static void
keep(struct policy_replay *replay, json_t *row, const char *time)
{
	char key[KEY_SIZE];
	json_t *kept;

	if (row == NULL) {
		replay->unclear++;	/* a text that is none */
		return;
	}
	make_key(row, key);
	kept = json_object_get(replay->index, key);
	if (kept == NULL && json_array_size(replay->rows) == POLICY_REPLAY_ROWS) {
		replay->left_out++;
		json_decref(row);
		return;
	}
	if (kept == NULL) {
		kept = row;
		replay->out_of_memory = json_object_set(replay->index, key, row) != 0 || json_array_append(replay->rows, row) != 0 ||
		    replay->out_of_memory;
	}
	json_object_set_new(kept, "count", json_integer(json_integer_value(json_object_get(kept, "count")) + 1));
	if (strcmp(audit_member(kept, "last", NULL), time) < 0)
		json_object_set_new(kept, "last", json_string(time));
	json_decref(row);
}

void
policy_replay_take(struct policy_replay *replay, json_t *record)
{
	const char *then = audit_member(record, "decision", "verdict");
	struct record_lack lacks[2 * RECORD_MAX_LACKS];
	struct outcome today = { .about = NULL }, draft = { .about = NULL };
	enum policy_turn turn;
	size_t num;

	if (!is_decision(record))
		return;
	replay->decisions++;
	if (*audit_member(record, "decision", "rule") != '\0' && strcmp(then, policy_verdict_name(VERDICT_ALLOW)) != 0) {
		replay->by_rule++;
		return;
	}
	num = asked(record, lacks);
	if (num == 0) {
		replay->unclear++;
		return;
	}
	for (size_t i = 0; i < num; i++) {
		struct record_question question;

		record_question(record, &lacks[i], &question);
		weigh_in(&today, record_decide(replay->today, &question), &lacks[i]);
		weigh_in(&draft, record_decide(replay->draft, &question), &lacks[i]);
	}
	if (strcmp(then, policy_verdict_name(today.decision.verdict)) != 0)
		replay->otherwise++;
	if (today.decision.verdict == draft.decision.verdict)
		return;
	turn = draft.decision.verdict == VERDICT_DENY ? POLICY_NOW_DENIED : today.decision.verdict == VERDICT_DENY ? POLICY_NOW_ALLOWED : POLICY_NOW_NOTED;
	replay->turned[turn]++;
	/* The permission that makes the difference: the one that stands in the way of the harder of the two. */
	keep(replay, row_of(record, weight(draft.decision.verdict) > weight(today.decision.verdict) ? draft.about : today.about,
	    policy_turn_name(turn), today.decision, draft.decision), audit_member(record, "time", NULL));
}

json_t *
policy_replay_json(const struct policy_replay *replay)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "decisions", (json_int_t)replay->decisions, "denied",
	    (json_int_t)replay->turned[POLICY_NOW_DENIED], "allowed", (json_int_t)replay->turned[POLICY_NOW_ALLOWED], "noted",
	    (json_int_t)replay->turned[POLICY_NOW_NOTED], "otherwise", (json_int_t)replay->otherwise, "by_rule", (json_int_t)replay->by_rule, "unclear",
	    (json_int_t)replay->unclear, "left_out", (json_int_t)replay->left_out, "changes", replay->rows);
}
