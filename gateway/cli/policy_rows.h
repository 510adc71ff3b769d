/*
 * policy_rows.h: rows of a policy about documents ("admission", "rules", "quotas"), for the verbs that tell people what holds for them.
 */
#ifndef CLI_POLICY_ROWS_H
#define CLI_POLICY_ROWS_H

#include <jansson.h>

#include "gateway/policy/question.h"

/* The rows that a document which brings such a change is judged by, as JSON: { "row", "of", "mode", "says" } each; empty for other permissions. */
json_t *policy_rows_of(const struct policy *policy, const struct question *question);

#endif
