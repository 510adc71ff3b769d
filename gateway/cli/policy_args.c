/*
 * policy_args.c: the options of a question to the policy.
 */
#include "gateway/cli/policy_args.h"

struct question_words
question_options(const struct cli *cli)
{
	return (struct question_words){ "--", cli_option(cli, "from", 0), cli_option(cli, "at", 0), cli_option(cli, "uuid", 0),
		cli_option(cli, "proof", 0), time(NULL) };
}
