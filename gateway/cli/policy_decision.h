/*
 * policy_decision.h: `virtgate policy explain --decision ID`.
 */
#ifndef CLI_POLICY_DECISION_H
#define CLI_POLICY_DECISION_H

#include "gateway/cli/cli.h"

/* Explains the decision that the record with this operation id or number tells of; returns the exit code. */
int policy_explain_decision(const struct cli *cli, const char *id);

#endif
