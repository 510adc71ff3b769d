/*
 * policy_replay.c: `virtgate policy replay`: which decisions of the audit trail a draft would turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_source.h"
#include "gateway/cli/harmless.h"
#include "gateway/cli/policy_load.h"
#include "gateway/policy/replay.h"
#include "virtgate/member.h"

static int
take_record(const char *line, size_t len, const struct audit_fields *fields, void *arg)
{
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	(void)fields;
	if (record != NULL)
		policy_replay_take(arg, record);
	json_decref(record);
	return 0;
}

static int
read_trail(const struct cli *cli, struct policy_replay *replay, struct vg_error *error)
{
	struct audit_match match = { 0 };
	struct audit_source source = { .dir = NULL };
	int result = -1;

	if (audit_match_read(&match, cli, error) == 0 && audit_source_open(&source, cli, error) == 0)
		result = audit_source_each(&source, &match, take_record, replay, error);
	audit_source_tell(&source);
	audit_source_close(&source);
	return replay->out_of_memory ? vg_fail(error, "out of memory") : result;
}

/* "  sasl:alice, domain:start on domain:web-1: allow -> deny, by binding 'x', 3 times, last 2026-…". */
static void
print_row(const json_t *row)
{
	const char *binding = audit_member(row, "binding", NULL);

	printf("  ");
	harmless_put(stdout, audit_member(row, "who", NULL));
	printf(", %s on ", audit_member(row, "permission", NULL));
	harmless_put(stdout, audit_member(row, "object", NULL));
	printf(": %s -> %s", audit_member(row, "today", NULL), audit_member(row, "draft", NULL));
	if (*binding != '\0')
		printf(" by binding '%s'", binding);
	printf(", %lld times, last ", (long long)json_integer_value(json_object_get(row, "count")));
	harmless_put(stdout, audit_member(row, "last", NULL));
	if (strcmp(audit_member(row, "then", NULL), audit_member(row, "today", NULL)) != 0)
		printf(" (recorded as %s)", audit_member(row, "then", NULL));
	printf("\n");
}

static void
print_turn(const struct policy_replay *replay, enum policy_turn turn, const char *words)
{
	const json_t *row;
	size_t i;

	if (replay->turned[turn] == 0)
		return;
	printf("%lu %s:\n", replay->turned[turn], words);
	json_array_foreach(replay->rows, i, row) {
		if (strcmp(audit_member(row, "change", NULL), policy_turn_name(turn)) == 0)
			print_row(row);
	}
}

static void
print_replay(const struct policy_replay *replay)
{
	unsigned long turned = 0;

	print_turn(replay, POLICY_NOW_DENIED, "would now be denied");
	print_turn(replay, POLICY_NOW_ALLOWED, "would now be allowed");
	print_turn(replay, POLICY_NOW_NOTED, "would be let through as before, but recorded otherwise");
	for (size_t i = 0; i < POLICY_NUM_TURNS; i++)
		turned += replay->turned[i];
	printf("%lu decisions, %lu as today\n", replay->decisions - replay->by_rule - replay->unclear,
	    replay->decisions - replay->by_rule - replay->unclear - turned);
	if (replay->left_out > 0)
		printf("not shown: %lu of them\n", replay->left_out);
	if (replay->by_rule > 0)
		printf("left out: %lu that a rule on the content decided\n", replay->by_rule);
	if (replay->unclear > 0)
		printf("left out: %lu whose record does not say which permission it was about\n", replay->unclear);
}

int
verb_policy_replay(const struct cli *cli)
{
	struct policy_replay replay = { .today = NULL };
	struct policy *today = NULL, *draft = NULL;
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	bool turns;
	int status = CLI_USAGE;

	draft = policy_load(cli->args[0], NULL, &mistakes, &status);
	today = draft != NULL ? policy_load_configured(cli, &status) : NULL;
	if (today == NULL)
		goto out;
	if (!policy_replay_init(&replay, today, draft))
		(void)vg_fail(&error, "out of memory");
	else
		(void)read_trail(cli, &replay, &error);
	if (error.what[0] != '\0') {
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	turns = json_array_size(replay.rows) > 0;
	status = turns ? CLI_NO : CLI_DONE;
	if (cli->json)
		status = cli_print_json(policy_replay_json(&replay), status);
	else
		print_replay(&replay);
out:
	policy_replay_clear(&replay);
	policy_destroy(draft);
	policy_destroy(today);
	return status;
}
