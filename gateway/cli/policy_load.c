/*
 * policy_load.c: policies from files, with their mistakes told.
 */
#include "gateway/cli/policy_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "gateway/core/settings.h"
#include "gateway/gate/own_rules.h"

char *
policy_load_text(const char *file, size_t *len, struct vg_error *error)
{
	char *text = malloc(POLICY_LOAD_MAX + 2);
	FILE *in = fopen(file, "rbe");

	if (in == NULL || text == NULL) {
		vg_fail(error, "%s: %s", file, strerror(errno));
		goto bad;
	}
	*len = fread(text, 1, POLICY_LOAD_MAX + 1, in);
	if (ferror(in)) {
		vg_fail(error, "%s: %s", file, strerror(errno));
		goto bad;
	}
	text[*len] = '\0';
	fclose(in);
	return text;
bad:
	if (in != NULL)
		fclose(in);
	free(text);
	return NULL;
}

/* As a line on standard error or as one more of the array. */
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

char *
policy_load_name(const struct cli *cli, struct vg_error *error)
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

/* The XPath of own rules, which the policy's own reader does not read. */
static bool
has_good_rules(const struct policy *policy, const char *file, struct mistakes *mistakes)
{
	struct admission_rules *rules = NULL;
	struct vg_error error;

	if (policy_rule_at(policy, 0) == NULL)
		return true;
	xmlInitParser();
	rules = own_rules_compile(policy, file, &error);
	if (rules == NULL)
		take_mistake(&error, mistakes);
	admission_rules_destroy(rules);
	return rules != NULL;
}

struct policy *
policy_load(const char *file, json_t **json, struct mistakes *mistakes, int *status)
{
	struct policy *policy;
	struct vg_error error;
	size_t len;
	char *text = policy_load_text(file, &len, &error);

	if (text == NULL) {
		*status = cli_fail(&error, CLI_USAGE);
		return NULL;
	}
	policy = policy_parse(text, len, file, take_mistake, mistakes);
	if (policy != NULL && !has_good_rules(policy, file, mistakes)) {
		policy_destroy(policy);
		policy = NULL;
	}
	if (policy != NULL && json != NULL && (*json = json_loadb(text, len, 0, NULL)) == NULL) {
		vg_fail(&error, "out of memory");
		cli_fail(&error, CLI_USAGE);
		policy_destroy(policy);
		policy = NULL;
	}
	free(text);
	*status = policy != NULL ? CLI_DONE : CLI_USAGE;
	return policy;
}

struct policy *
policy_load_enforcing(struct policy *policy, json_t *json, int *status)
{
	struct vg_error error;
	char *text;

	policy_destroy(policy);
	json_object_del(json, "mode");
	text = json_dumps(json, 0);
	policy = text != NULL ? policy_parse(text, strlen(text), "the policy", NULL, NULL) : NULL;
	free(text);
	if (policy == NULL) {
		vg_fail(&error, "out of memory");
		*status = cli_fail(&error, CLI_USAGE);
	}
	return policy;
}

struct policy *
policy_load_configured(const struct cli *cli, int *status)
{
	json_t *json = NULL;
	struct policy *policy = policy_load_with_json(cli, &json, status);

	json_decref(json);
	return policy;
}

struct policy *
policy_load_with_json(const struct cli *cli, json_t **json, int *status)
{
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	struct policy *policy;
	char *file = policy_load_name(cli, &error);

	if (file == NULL) {
		*status = cli_fail(&error, CLI_USAGE);
		return NULL;
	}
	if (access(file, R_OK) != 0) {
		vg_fail(&error, "%s: %s", file, strerror(errno));
		vg_hint(&error, "--policy FILE names another file");
		*status = cli_fail(&error, CLI_USAGE);
		free(file);
		return NULL;
	}
	policy = policy_load(file, json, &mistakes, status);
	free(file);
	if (policy != NULL && cli_option(cli, "enforce", 0) != NULL && policy_only_watches(policy))
		policy = policy_load_enforcing(policy, *json, status);
	return policy;
}
