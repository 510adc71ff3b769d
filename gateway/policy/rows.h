/*
 * rows.h: what changes for whom in a policy's rows about documents and amounts ("admission", "rules", "quotas"), from one policy to another. Of their
 * JSON, which has passed policy_parse(). Pure.
 */
#ifndef POLICY_ROWS_H
#define POLICY_ROWS_H

#include <jansson.h>

#include "gateway/policy/diff.h"

/*
 * Each row, and each person that it names, in either of the policies; "anyone else" where a row is about all it does not name. Freed of a bound is
 * gaining. Texts are borrowed for the call.
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
/* The same a row at a time; `at` is 0 before the first. 1: there is more, 0: that was all, -1: out of memory. */
int policy_rows_step(json_t *before, json_t *after, size_t *at, row_change_cb *each, void *arg);

#endif
