/*
 * policy_rows.h: rows of a policy about documents ("admission", "rules", "quotas"), for the verbs that tell people what holds for them.
 */
#ifndef CLI_POLICY_ROWS_H
#define CLI_POLICY_ROWS_H

#include <jansson.h>

#include "gateway/policy/diff.h"
#include "gateway/policy/question.h"

/*
 * What changes for whom from one policy file to another: each row, and each person that it names, in either of them; "anyone else" where a row is about
 * all it does not name. Freed of a bound is gaining. Texts are borrowed for the call.
 */
struct row_change {
	const char *who;		/* "sasl:alice", "role:admin", "anyone else" */
	const char *row;		/* "row 'tenants' of admission" */
	enum policy_direction direction;
	const char *was, *now;		/* "not bound", "profile restricted, max_vcpus 2" */
};
typedef void row_change_cb(const struct row_change *change, void *arg);
/* -1: out of memory. */
int policy_rows_diff(json_t *before, json_t *after, row_change_cb *each, void *arg);

/* The rows that a document which brings such a change is judged by, as JSON: { "row", "of", "mode", "says" } each; empty for other permissions. */
json_t *policy_rows_of(const struct policy *policy, const struct question *question);

#endif
