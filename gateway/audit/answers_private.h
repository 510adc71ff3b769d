/*
 * answers_private.h: what the files of answers.h share: a question under way, and what its verb's function has to go on with. A verb is one row in
 * answers.c; its function is called again and again, a slice at a time, until it says STEP_DONE.
 */
#ifndef AUDIT_ANSWERS_PRIVATE_H
#define AUDIT_ANSWERS_PRIVATE_H

#include <sys/queue.h>

#include <jansson.h>

#include "gateway/audit/answers.h"
#include "gateway/audit/census.h"
#include "gateway/audit/query.h"
#include "gateway/core/buf.h"

#define ANSWERS_SLICE_MS 10

enum step { STEP_AGAIN, STEP_WAIT, STEP_DONE };

struct answers {
	char *dir, *index_file, *census_file;
	struct census *census;		/* NULL: not wanted yet, or it cannot be opened */
	struct audit_index *index;	/* NULL: it cannot be opened */
	struct audit_lines *lines;
	struct audit_fields *record;	/* the one at hand */
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

struct verb;

struct question {
	TAILQ_ENTRY(question) entry;
	struct answers *answers;
	const struct verb *verb;
	uint64_t ticket;
	answers_send_cb *send;
	void *arg;
	int64_t asked;			/* ms, monotonic */
	json_t *request;
	bool begun;			/* the request was read */
	struct audit_match match;
	struct audit_query query;
	struct audit_cursor *cursor;
	const struct audit_format *format;
	struct buf out;
	size_t num, limit;
	size_t weight;			/* bytes of `out` as a JSON string */
	uint64_t last_seq;
	/* of a verb with more to remember */
	void *own;
	void (*own_free)(void *own);
};

int64_t answers_now_ms(void);		/* monotonic */
/* What the answers say of the index. */
json_t *answers_index_json(struct answers *answers);

/* ---- the end of a question: both are STEP_DONE ---- */

/* The question makes no sense, or it did not work out. */
enum step answers_refuse(struct question *question, const char *why);
/* Takes `json`; NULL counts as out of memory. */
enum step answers_reply(struct question *question, json_t *json);

/* ---- going through the trail ---- */

typedef enum step answers_take_cb(struct question *question, const struct audit_place *place, const char *line,
    const struct audit_fields *record);
typedef enum step answers_end_cb(struct question *question, bool more);
/* What question->query finds, for a slice: `take` each record that matches, until it has enough; `end` when there is no more. */
enum step answers_go_on(struct question *question, answers_take_cb *take, answers_end_cb *end);
/* May the question go on? Otherwise it waits for the index, or was refused. */
bool answers_index_serves(struct question *question, enum step *step);
/* The line at a place, or NULL: it is not there any more, or the index is wrong, which is begun anew then. */
const char *answers_line_at(struct answers *answers, const struct audit_place *place, bool *wrong);
/* A number from 1 to `most` under `key`; where there is none *value stays. -1 with `error`. */
int answers_number(const json_t *request, const char *key, uint64_t most, uint64_t *value, struct vg_error *error);

/* ---- answers_search.c: what is in the trail ---- */
enum step answers_search(struct question *question);
enum step answers_show(struct question *question);
enum step answers_export(struct question *question);

/* ---- answers_state.c: is it whole? ---- */
enum step answers_state(struct question *question);
/* One step of verifying. True: it goes on. */
bool answers_check(struct answers *answers);

/* ---- answers_policy.c: drafts of a policy ---- */
enum step answers_policy_check(struct question *question);
enum step answers_policy_diff(struct question *question);
enum step answers_policy_replay(struct question *question);

/* ---- answers_census.c: what the gate wants to know again at its next start ---- */
enum step answers_census_load(struct question *question);
enum step answers_census_definition(struct question *question);
enum step answers_census_keep(struct question *question);
/* The database; NULL with `error`. */
struct census *answers_census(struct answers *answers, struct vg_error *error);

#endif
