/*
 * replay.h: the decisions that the audit trail keeps, put to another policy: which of them would come out otherwise. Pure, like policy.h.
 *
 * Each is put to today's policy and to the draft, both as of the time of the record; told is where these two differ, so that what a
 * policy of long ago decided is not held against the draft. Of a refusal only what it lacked first is on record: a call that would
 * not be refused for that may lack something else. What admission refused by an XML document is left out: the document is not in the trail.
 */
#ifndef POLICY_REPLAY_H
#define POLICY_REPLAY_H

#include <jansson.h>

#include "gateway/policy/policy.h"

enum policy_turn {
	POLICY_NOW_DENIED,	/* is let through today, the draft refuses it */
	POLICY_NOW_ALLOWED,	/* the other way round */
	POLICY_NOW_NOTED,	/* let through by both, by one of them as would-deny */
	POLICY_NUM_TURNS
};

struct policy_replay {
	const struct policy *today, *draft;
	unsigned long decisions;			/* looked at */
	unsigned long turned[POLICY_NUM_TURNS];		/* of them */
	unsigned long otherwise;			/* today's policy says otherwise than the record */
	unsigned long by_rule, unclear;			/* no question to bindings; the record does not say what it was about */
	unsigned long left_out;				/* turned, but not among the rows */
	json_t *index, *rows;				/* what is alike is one row */
	bool out_of_memory;
};

/* Rows that are kept. */
#define POLICY_REPLAY_ROWS 200u

/* The policies are borrowed. False: out of memory. */
bool policy_replay_init(struct policy_replay *replay, const struct policy *today, const struct policy *draft);
/* Any record; one without a decision, and the outcome of an intent, count for nothing. Nothing in it is believed but as text. */
void policy_replay_take(struct policy_replay *replay, json_t *record);
/*
 * The caller's: { "decisions", "denied", "allowed", "noted", "otherwise", "by_rule", "unclear", "left_out", "changes": [ { "change": denied, allowed or
 * noted, "who", "permission", "object", "call", "then", "today", "draft": verdicts, "binding": of the draft, that decides, or null, "count", "last": time,
 * "op": of the first } ] }, in the order of the records that came.
 */
json_t *policy_replay_json(const struct policy_replay *replay);
const char *policy_turn_name(enum policy_turn turn);
void policy_replay_clear(struct policy_replay *replay);

#endif
