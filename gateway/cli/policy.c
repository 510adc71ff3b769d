/*
 * policy.c: the policy verbs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_decision.h"
#include "gateway/policy/groups.h"
#include "gateway/cli/policy_load.h"
#include "gateway/cli/policy_rows.h"
#include "gateway/cli/policy_say.h"
#include "gateway/policy/lint.h"
#include "virtgate/glob.h"
#include "virtgate/nearest.h"

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

/* A warning as a line on standard error, or as one more of the array. */
struct warnings {
	json_t *list;
	unsigned num;
};

static void
take_warning(const struct vg_error *error, void *arg)
{
	struct warnings *warnings = arg;

	warnings->num++;
	if (warnings->list != NULL)
		json_array_append_new(warnings->list, json_pack("{s:s, s:s}", "what", error->what, "hint", error->hint));
	else
		fprintf(stderr, "WARNING: %s\n  hint: %s\n", error->what, error->hint);
}

static void
lint(const struct policy *policy, const char *file, struct warnings *warnings)
{
	struct vg_error error;
	size_t len;
	char *text = policy_load_text(file, &len, &error);

	if (text != NULL)
		policy_lint(policy, text, len, file, time(NULL), take_warning, warnings);
	free(text);
}

int
verb_policy_check(const struct cli *cli)
{
	struct mistakes mistakes = { .list = cli->json ? json_array() : NULL };
	struct warnings warnings = { .list = cli->json ? json_array() : NULL };
	struct vg_error error = { 0 };
	struct policy *policy = NULL;
	char *file = cli->num_args > 0 ? strdup(cli->args[0]) : policy_load_name(cli, &error);
	int status;

	if (file == NULL) {
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	policy = policy_load(file, NULL, &mistakes, &status);
	if (policy == NULL && mistakes.num > 0)
		status = CLI_NO;
	if (policy != NULL)
		lint(policy, file, &warnings);
	if (cli->json && status != CLI_USAGE)
		status = cli_print_json(json_pack("{s:s, s:b, s:O, s:O}", "file", file, "good", policy != NULL, "mistakes", mistakes.list,
		    "warnings", warnings.list), status);
	else if (!cli->json && policy != NULL && warnings.num == 0)
		printf("%s: good\n", file);
	else if (!cli->json && policy != NULL)
		printf("%s: good, but %u warning%s\n", file, warnings.num, warnings.num == 1 ? "" : "s");
	else if (!cli->json && mistakes.num > 0)
		fprintf(stderr, "%s: %u mistake%s\n", file, mistakes.num, mistakes.num == 1 ? "" : "s");
out:
	json_decref(mistakes.list);
	json_decref(warnings.list);
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

/* Of a permission that is granted and still of no use; NULL otherwise. */
static const char *
obstacle(const struct policy *policy, const struct question *question, struct decision decision, char buf[POLICY_OBSTACLE_SIZE])
{
	return decision.verdict == VERDICT_DENY ? NULL :
	    policy_obstacle(policy, &question->identity, &question->object, question->now, buf);
}

static void
say_obstacle(const struct policy *policy, const struct question *question, struct decision decision)
{
	char buf[POLICY_OBSTACLE_SIZE];
	const char *text = obstacle(policy, question, decision, buf);

	if (text != NULL)
		printf("but %s\n", text);
}

static json_t *
with_obstacle(json_t *json, const struct policy *policy, const struct question *question, struct decision decision)
{
	char buf[POLICY_OBSTACLE_SIZE];
	const char *text = obstacle(policy, question, decision, buf);

	if (text != NULL)
		json_object_set_new(json, "but", json_string(text));
	return json;
}

/* One member of a group; 1 when he may, 0 when not or when he is no one person, -1: told. */
static int
ask_member(const struct cli *cli, const struct policy *policy, const char *who, json_t *list)
{
	const struct question_words words = question_options(cli);
	struct question question = { 0 };
	struct vg_error error = { 0 };
	struct decision decision;
	json_t *json;
	int result = -1;

	if (strcmp(who, "anyone") == 0 || (strncmp(who, "x509-sha256:", 12) != 0 && strpbrk(who, "*?") != NULL)) {
		if (list != NULL)
			json_array_append_new(list, json_pack("{s:s, s:n, s:n, s:n}", "who", who, "allowed", "verdict", "binding"));
		else
			printf("?           %s: stands for several, ask for one of them\n", who);
		return 0;
	}
	if (question_user(&question, &words, who, &error) != 0 ||
	    question_object(&question, &words, cli->args[1], cli->args[2], &error) != 0) {
		(void)cli_fail(&error, CLI_USAGE);
		goto out;
	}
	decision = policy_decide(policy, &question.identity, question.permission, &question.object, question.now);
	result = decision.verdict != VERDICT_DENY;
	if (list != NULL) {
		json = policy_decision_json(decision);
		json_object_set_new(json, "who", json_string(who));
		json_array_append_new(list, json);
	} else {
		printf("%-10s  %s: %s%s%s\n", policy_verdict_name(decision.verdict), who, decision.binding != NULL ? "binding '" : "",
		    decision.binding != NULL ? decision.binding : "no binding allows it", decision.binding != NULL ? "'" : "");
	}
out:
	question_clear(&question);
	return result;
}

/* Every member of a group by himself: yes when all of them may. */
static int
can_group(const struct cli *cli, const char *group)
{
	json_t *file = NULL, *groups, *members, *value, *list = cli->json ? json_array() : NULL;
	struct policy *policy;
	struct vg_error error;
	bool all = true;
	const char *who;
	int status, one;

	policy = policy_load_with_json(cli, &file, &status);
	if (policy == NULL)
		goto out;
	groups = json_object_get(file, "groups");
	if (json_object_get(groups, group) == NULL) {
		struct nearest nearest = { .word = group };

		json_object_foreach(groups, who, value)
			nearest_offer(&nearest, who);
		vg_fail(&error, "the policy has no group '%s'", group);
		if (nearest.best != NULL)
			vg_hint(&error, "did you mean '%s'?", nearest.best);
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	members = policy_group_members(groups, group);
	status = CLI_DONE;
	json_object_foreach(members, who, value) {
		one = ask_member(cli, policy, who, list);
		all = all && one == 1;
		if (one < 0) {
			status = CLI_USAGE;
			break;
		}
	}
	json_decref(members);
	if (status == CLI_DONE)
		status = all ? CLI_DONE : CLI_NO;
	if (status != CLI_USAGE && cli->json)
		status = cli_print_json(json_pack("{s:s, s:b, s:O}", "group", group, "allowed", all, "members", list), status);
out:
	json_decref(list);
	json_decref(file);
	policy_destroy(policy);
	return status;
}

int
verb_policy_can(const struct cli *cli)
{
	struct question question = { 0 };
	struct policy *policy = NULL;
	struct decision decision;
	int status;

	if (strncmp(cli->args[0], "group:", 6) == 0)
		return can_group(cli, cli->args[0] + 6);
	if (read_question(cli, &question, &policy, &status) == 0) {
		decision = policy_decide(policy, &question.identity, question.permission, &question.object, question.now);
		status = decision.verdict != VERDICT_DENY ? CLI_DONE : CLI_NO;
		if (cli->json) {
			status = cli_print_json(with_obstacle(policy_decision_json(decision), policy, &question, decision), status);
		} else {
			policy_say_decision(decision);
			say_obstacle(policy, &question, decision);
		}
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}

/* What else there is to say of a document that he would send. */
static void
say_rows(const struct policy *policy, const struct question *question)
{
	json_t *rows = policy_rows_of(policy, question), *row;
	size_t i;

	json_array_foreach(rows, i, row)
		printf("content: row '%s' of %s, mode %s: %s\n", json_string_value(json_object_get(row, "row")), json_string_value(json_object_get(row, "of")),
		    json_string_value(json_object_get(row, "mode")), json_string_value(json_object_get(row, "says")));
	json_decref(rows);
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
			result = with_obstacle(policy_decision_json(decision), policy, &question, decision);
			json_object_set_new(result, "bindings", list);
			json_object_set_new(result, "rows", policy_rows_of(policy, &question));
			status = cli_print_json(result, status);
		} else {
			policy_say_decision(decision);
			say_obstacle(policy, &question, decision);
			say_rows(policy, &question);
		}
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}

struct people {
	json_t *list;		/* NULL: print */
	unsigned num, num_allowed;
};

static void
print_person(const char *who, const char *binding, enum verdict verdict, const char *condition, void *arg)
{
	struct people *people = arg;

	people->num++;
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
		if (policy_only_watches(policy))
			fprintf(stderr, "virtgate: note: the policy only watches: whoever is authenticated is let through and recorded\n");
		if (cli->json)
			status = cli_print_json(people.list, status);
		else if (people.num == 0)
			fprintf(stderr, "virtgate: no binding says anything about it\n");
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}
