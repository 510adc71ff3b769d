/*
 * policy.c: the policy verbs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/policy_args.h"
#include "gateway/core/settings.h"
#include "virtgate/glob.h"

#define MAX_POLICY_BYTES (16u * 1024u * 1024u)

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

/* The whole file in memory; NULL with `error`. */
static char *
read_file(const char *file, size_t *len, struct vg_error *error)
{
	char *text = malloc(MAX_POLICY_BYTES + 2);
	FILE *in = fopen(file, "rbe");

	if (in == NULL || text == NULL) {
		vg_fail(error, "%s: %s", file, strerror(errno));
		vg_hint(error, "--policy FILE names another file");
		goto bad;
	}
	*len = fread(text, 1, MAX_POLICY_BYTES + 1, in);
	if (ferror(in)) {
		vg_fail(error, "%s: %s", file, strerror(errno));
		goto bad;
	}
	fclose(in);
	return text;
bad:
	if (in != NULL)
		fclose(in);
	free(text);
	return NULL;
}

/* Mistakes of a policy, as lines on standard error or as a JSON array. */
struct mistakes {
	json_t *list;		/* NULL: print */
	unsigned num;
};

static void
take_mistake(const struct vg_error *error, void *arg)
{
	struct mistakes *mistakes = arg;

	mistakes->num++;
	if (mistakes->list != NULL) {
		json_array_append_new(mistakes->list, json_pack("{s:s, s:s}", "what", error->what, "hint", error->hint));
		return;
	}
	fprintf(stderr, "%s\n", error->what);
	if (error->hint[0] != '\0')
		fprintf(stderr, "  hint: %s\n", error->hint);
}

/* The file of --policy, else the policy_file of the settings. Caller frees; NULL with `error`. */
static char *
policy_file(const struct cli *cli, struct vg_error *error)
{
	const char *option = cli_option(cli, "policy", 0);
	struct settings *settings;
	char *file;

	if (option != NULL)
		return strdup(option);
	settings = settings_load(cli->config != NULL ? cli->config : CLI_DEFAULT_CONFIG, error);
	if (settings == NULL) {
		if (cli->config == NULL && access(CLI_DEFAULT_CONFIG, R_OK) != 0)
			vg_hint(error, "name the settings with --config FILE, or the policy itself with --policy FILE");
		return NULL;
	}
	file = strdup(settings->policy_file);
	settings_destroy(settings);
	return file;
}

/* NULL: told; *status is the exit code. */
static struct policy *
load_policy(const char *file, struct mistakes *mistakes, int *status)
{
	struct policy *policy;
	struct vg_error error;
	size_t len;
	char *text = read_file(file, &len, &error);

	if (text == NULL) {
		*status = cli_fail(&error, CLI_USAGE);
		return NULL;
	}
	policy = policy_parse(text, len, file, take_mistake, mistakes);
	free(text);
	*status = policy != NULL ? CLI_DONE : CLI_USAGE;
	return policy;
}

static struct policy *
load_configured_policy(const struct cli *cli, int *status)
{
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	struct policy *policy;
	char *file = policy_file(cli, &error);

	if (file == NULL) {
		*status = cli_fail(&error, CLI_USAGE);
		return NULL;
	}
	policy = load_policy(file, &mistakes, status);
	free(file);
	return policy;
}

int
verb_policy_check(const struct cli *cli)
{
	struct mistakes mistakes = { .list = cli->json ? json_array() : NULL };
	struct vg_error error = { 0 };
	struct policy *policy;
	char *file = cli->num_args > 0 ? strdup(cli->args[0]) : policy_file(cli, &error);
	int status;

	if (file == NULL) {
		json_decref(mistakes.list);
		return cli_fail(&error, CLI_USAGE);
	}
	policy = load_policy(file, &mistakes, &status);
	if (policy == NULL && mistakes.num > 0)
		status = CLI_NO;
	if (cli->json && status != CLI_USAGE) {
		status = cli_print_json(json_pack("{s:s, s:b, s:o}", "file", file, "good", policy != NULL, "mistakes",
		    mistakes.list), status);
	} else {
		json_decref(mistakes.list);
		if (policy != NULL)
			printf("%s: good\n", file);
		else if (mistakes.num > 0)
			fprintf(stderr, "%s: %u mistake%s\n", file, mistakes.num, mistakes.num == 1 ? "" : "s");
	}
	policy_destroy(policy);
	free(file);
	return status;
}

static const char *
verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_DENY] = "deny", [VERDICT_ALLOW] = "allow", [VERDICT_WOULD_DENY] = "would-deny",
	};

	return names[verdict];
}

/* "yes, by webops-on-web". */
static void
print_decision(struct decision decision)
{
	static const char *const answers[] = {
		[VERDICT_DENY] = "no", [VERDICT_ALLOW] = "yes", [VERDICT_WOULD_DENY] = "yes, would be denied",
	};

	if (decision.binding != NULL)
		printf("%s: binding '%s'\n", answers[decision.verdict], decision.binding);
	else
		printf("%s: no binding allows it\n", answers[decision.verdict]);
}

static json_t *
decision_json(struct decision decision)
{
	return json_pack("{s:b, s:s, s:s?}", "allowed", decision.verdict != VERDICT_DENY, "verdict",
	    verdict_name(decision.verdict), "binding", decision.binding);
}

/* The arguments USER PERMISSION OBJECT, and the policy to ask. -1: told, exit with *status. */
static int
read_question(const struct cli *cli, struct question *question, struct policy **policy, int *status)
{
	struct vg_error error = { 0 };

	if (question_user(question, cli, cli->args[0], &error) != 0 ||
	    question_object(question, cli, cli->args[1], cli->args[2], &error) != 0) {
		*status = cli_fail(&error, CLI_USAGE);
		return -1;
	}
	*policy = load_configured_policy(cli, status);
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
			status = cli_print_json(decision_json(decision), status);
		else
			print_decision(decision);
	}
	policy_destroy(policy);
	question_clear(&question);
	return status;
}

static void
print_binding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	json_t *list = arg;

	if (list != NULL)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s?, s:s}", "binding", binding, "applies", applies,
		    "verdict", applies ? verdict_name(verdict) : NULL, "why", why));
	else
		printf("  %-10s  %s: %s\n", applies ? verdict_name(verdict) : "-", binding, why);
}

int
verb_policy_explain(const struct cli *cli)
{
	struct question question = { 0 };
	struct policy *policy = NULL;
	struct decision decision;
	json_t *list = NULL, *result;
	int status;

	if (read_question(cli, &question, &policy, &status) == 0) {
		list = cli->json ? json_array() : NULL;
		decision = policy_explain(policy, &question.identity, question.permission, &question.object, question.now,
		    print_binding, list);
		status = decision.verdict != VERDICT_DENY ? CLI_DONE : CLI_NO;
		if (cli->json) {
			result = decision_json(decision);
			json_object_set_new(result, "bindings", list);
			status = cli_print_json(result, status);
		} else {
			print_decision(decision);
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
		    verdict_name(verdict), "binding", binding, "when", condition));
	else
		printf("%-10s  %s: binding '%s'%s%s\n", verdict_name(verdict), who, binding,
		    condition[0] != '\0' ? ", " : "", condition);
}

int
verb_policy_who_can(const struct cli *cli)
{
	struct question question = { 0 };
	struct vg_error error = { 0 };
	struct people people = { 0 };
	struct policy *policy = NULL;
	int status;

	if (question_user(&question, cli, NULL, &error) != 0 ||
	    question_object(&question, cli, cli->args[0], cli->args[1], &error) != 0) {
		status = cli_fail(&error, CLI_USAGE);
	} else if ((policy = load_configured_policy(cli, &status)) != NULL) {
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
