/*
 * policy.c: the policy verbs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_decision.h"
#include "gateway/cli/policy_load.h"
#include "gateway/cli/policy_say.h"
#include "virtgate/glob.h"

int
verb_policy_permissions(const struct cli *cli)
{
	const char *pattern = cli->num_args > 0 ? cli->args[0] : "*";
	json_t *list = json_array();
	unsigned num = 0;

	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_permission permission = (enum vg_permission)i;

		if (!glob_match(pattern, permission_name(permission)))
			continue;
		num++;
		if (!cli->json)
			printf("%-34s %s\n", permission_name(permission), permission_meaning(permission));
		else
			json_array_append_new(list, json_pack("{s:s, s:s}", "permission", permission_name(permission),
			    "meaning", permission_meaning(permission)));
	}
	if (cli->json)
		return cli_print_json(list, num > 0 ? CLI_DONE : CLI_NO);
	json_decref(list);
	return num > 0 ? CLI_DONE : CLI_NO;
}

int
verb_policy_check(const struct cli *cli)
{
	struct mistakes mistakes = { .list = cli->json ? json_array() : NULL };
	struct vg_error error = { 0 };
	struct policy *policy;
	char *file = cli->num_args > 0 ? strdup(cli->args[0]) : policy_load_name(cli, &error);
	int status;

	if (file == NULL) {
		json_decref(mistakes.list);
		return cli_fail(&error, CLI_USAGE);
	}
	policy = policy_load(file, NULL, &mistakes, &status);
	if (policy == NULL && mistakes.num > 0)
		status = CLI_NO;
	if (cli->json && status != CLI_USAGE) {
		status = cli_print_json(json_pack("{s:s, s:b, s:o}", "file", file, "good", policy != NULL, "mistakes",
		    mistakes.list), status);
	} else {
		json_decref(mistakes.list);
		if (policy != NULL)
			printf("%s: good\n", file);
		if (policy != NULL && policy_only_watches(policy))
			fprintf(stderr, "virtgate: WARNING: %s: \"mode\" is permissive: THE GATEWAY ONLY WATCHES: what this policy denies is let "
			    "through and recorded\n", file);
		else if (mistakes.num > 0)
			fprintf(stderr, "%s: %u mistake%s\n", file, mistakes.num, mistakes.num == 1 ? "" : "s");
	}
	policy_destroy(policy);
	free(file);
	return status;
}

/* The arguments USER PERMISSION OBJECT, and the policy to ask. -1: told, exit with *status. */
static int
read_question(const struct cli *cli, struct question *question, struct policy **policy, int *status)
{
	const struct question_words words = question_options(cli);
	struct vg_error error = { 0 };

	if (question_user(question, &words, cli->args[0], &error) != 0 ||
	    question_object(question, &words, cli->args[1], cli->args[2], &error) != 0) {
		*status = cli_fail(&error, CLI_USAGE);
		return -1;
	}
	*policy = policy_load_configured(cli, status);
	return *policy != NULL ? 0 : -1;
}

int
verb_policy_can(const struct cli *cli)
{
	struct question question = { 0 };
	struct policy *policy = NULL;
	struct decision decision;
	int status;

	if (read_question(cli, &question, &policy, &status) == 0) {
		decision = policy_decide(policy, &question.identity, question.permission, &question.object, question.now);
		status = decision.verdict != VERDICT_DENY ? CLI_DONE : CLI_NO;
		if (cli->json)
			status = cli_print_json(policy_decision_json(decision), status);
		else
			policy_say_decision(decision);
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}

int
verb_policy_explain(const struct cli *cli)
{
	struct question question = { 0 };
	struct policy *policy = NULL;
	const char *id = cli_option(cli, "decision", 0);
	struct decision decision;
	json_t *list = NULL, *result;
	struct vg_error error;
	int status;

	if (id != NULL ? cli->num_args != 0 : cli->num_args != 3) {
		vg_fail(&error, "policy explain: expected USER PERMISSION OBJECT, or --decision ID alone");
		vg_hint(&error, "ID is in the refusal, (decision 01…), and in `virtgate audit search --json`");
		return cli_fail(&error, CLI_USAGE);
	}
	if (id != NULL)
		return policy_explain_decision(cli, id);
	if (read_question(cli, &question, &policy, &status) == 0) {
		list = cli->json ? json_array() : NULL;
		decision = policy_explain(policy, &question.identity, question.permission, &question.object, question.now,
		    policy_say_binding, list);
		status = decision.verdict != VERDICT_DENY ? CLI_DONE : CLI_NO;
		if (cli->json) {
			result = policy_decision_json(decision);
			json_object_set_new(result, "bindings", list);
			status = cli_print_json(result, status);
		} else {
			policy_say_decision(decision);
		}
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}

struct people {
	json_t *list;		/* NULL: print */
	unsigned num_allowed;
};

static void
print_person(const char *who, const char *binding, enum verdict verdict, const char *condition, void *arg)
{
	struct people *people = arg;

	if (verdict != VERDICT_DENY)
		people->num_allowed++;
	if (people->list != NULL)
		json_array_append_new(people->list, json_pack("{s:s, s:s, s:s, s:s}", "who", who, "verdict",
		    policy_verdict_name(verdict), "binding", binding, "when", condition));
	else
		printf("%-10s  %s: binding '%s'%s%s\n", policy_verdict_name(verdict), who, binding,
		    condition[0] != '\0' ? ", " : "", condition);
}

int
verb_policy_who_can(const struct cli *cli)
{
	const struct question_words words = question_options(cli);
	struct question question = { 0 };
	struct vg_error error = { 0 };
	struct people people = { 0 };
	struct policy *policy = NULL;
	int status;

	if (question_user(&question, &words, NULL, &error) != 0 ||
	    question_object(&question, &words, cli->args[0], cli->args[1], &error) != 0) {
		status = cli_fail(&error, CLI_USAGE);
	} else if ((policy = policy_load_configured(cli, &status)) != NULL) {
		people.list = cli->json ? json_array() : NULL;
		policy_who_can(policy, question.permission, &question.object, question.now, print_person, &people);
		status = people.num_allowed > 0 ? CLI_DONE : CLI_NO;
		if (cli->json)
			status = cli_print_json(people.list, status);
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}
