/*
 * policy_args.h: the options by which the policy verbs say when, from where and how proven their question is.
 */
#ifndef CLI_POLICY_ARGS_H
#define CLI_POLICY_ARGS_H

#include "gateway/cli/cli.h"
#include "gateway/policy/question.h"

/* The options --from ADDRESS, --at TIME, --uuid UUID and --proof PROOF; without --at it is asked now. */
struct question_words question_options(const struct cli *cli);

#endif
