/*
 * policy_suggest.c: `virtgate policy suggest`: from what people lacked, by the audit trail, to the least bindings that
 * give it to them: a binding for each person and set of permissions, on the very objects that were seen. Before it is
 * shown, the suggestion is put into the policy and asked whether it does what it is for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_source.h"
#include "gateway/cli/harmless.h"
#include "gateway/cli/policy_load.h"
#include "gateway/cli/policy_suggestion.h"

/* ---- notes ---- */

static void
add_notes(struct suggestion *suggestion)
{
	const struct wants *wants = &suggestion->wants;
	json_t *notes = suggestion->notes, *num;
	const char *name;

	if (wants->policy == NULL)
		suggestion_tell(notes, "today's policy is not known (--policy FILE): what it allows by now may be among these");
	json_object_foreach(wants->on_purpose, name, num)
		suggestion_tell(notes, "%lld left out: binding '%s' denies it, and an allow does not change that",
		    (long long)json_integer_value(num), name);
	json_object_foreach(wants->rules, name, num)
		suggestion_tell(notes, "%lld left out: rule '%s' refuses what the call says; only a binding on \"*\" would let that through",
		    (long long)json_integer_value(num), name);
	json_object_foreach(wants->no_names, name, num)
		suggestion_tell(notes, "%lld left out: no policy can name '%s' exactly", (long long)json_integer_value(num), name);
	if (wants->allowed_now > 0)
		suggestion_tell(notes, "%lu left out: allowed by now", wants->allowed_now);
	if (wants->lists > 0)
		suggestion_tell(notes, "%lu lists showed objects that would be hidden: what nobody asked for by its name is not among these", wants->lists);
	if (wants->unclear > 0)
		suggestion_tell(notes, "%lu left out: the record does not say which permission was missing", wants->unclear);
	if (wants->no_records > 0)
		suggestion_tell(notes, "%lu lines are no records; `virtgate audit verify` tells where the first bad one is", wants->no_records);
	if (wants->denied > 0 && json_array_size(suggestion->bindings) > 0)
		suggestion_tell(notes, "a refused call was asked for its first missing permission only: it may lack another one then");
}

static void
print_all(const char *kind, json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		fprintf(stderr, "virtgate: %s", kind);
		harmless_put(stderr, json_string_value(item));
		fprintf(stderr, "\n");
	}
}

/* "a, b, c and 4 more"; --json has them all. */
static void
print_some(json_t *list, size_t most, const char *before)
{
	size_t num = json_array_size(list);

	for (size_t i = 0; i < num && i < most; i++) {
		fprintf(stderr, "%s", i > 0 ? ", " : before);
		harmless_put(stderr, json_string_value(json_array_get(list, i)));
	}
	if (num > most)
		fprintf(stderr, " and %zu more", num - most);
}

static void
print_also(json_t *also)
{
	json_t *one;
	size_t i;

	json_array_foreach(also, i, one) {
		json_t *objects = json_object_get(one, "objects"), *calls = json_object_get(one, "calls"), *more = json_object_get(one, "permissions");

		fprintf(stderr, "virtgate: %s ", json_string_value(json_object_get(one, "binding")));
		if (json_array_size(objects) + json_array_size(calls) + json_array_size(more) == 0) {
			fprintf(stderr, "allows nothing but what was asked for\n");
			continue;
		}
		fprintf(stderr, "allows more than was asked for");
		print_some(objects, 4, ": on ");
		print_some(calls, 6, json_array_size(objects) > 0 ? "; the calls " : ": the calls ");
		print_some(more, 6, json_array_size(objects) + json_array_size(calls) > 0 ? "; the permissions " : ": the permissions ");
		fprintf(stderr, "\n");
	}
}

/* ---- the verb ---- */

/* Today's policy: of --policy or the settings; unknown when there are neither. -1: told, exit with *status. */
static int
load_today(const struct cli *cli, struct suggestion *suggestion, struct policy **policy, int *status)
{
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	char *file;

	suggestion->policy = json_pack("{s:i, s:[]}", "version", 1, "bindings");
	if (cli_option(cli, "policy", 0) == NULL && cli->config == NULL && access(CLI_DEFAULT_CONFIG, F_OK) != 0)
		return 0;
	file = policy_load_name(cli, &error);
	if (file == NULL) {
		*status = cli_fail(&error, CLI_USAGE);
		return -1;
	}
	json_decref(suggestion->policy);
	suggestion->policy = NULL;
	*policy = policy_load(file, &suggestion->policy, &mistakes, status);
	free(file);
	if (*policy != NULL && policy_only_watches(*policy)) {
		/* What it would deny once it counts is what is asked for. */
		suggestion_tell(suggestion->notes, "today's policy only watches; it was asked as if it counted");
		*policy = policy_load_enforcing(*policy, suggestion->policy, status);
	}
	return *policy != NULL ? 0 : -1;
}

static int
take_want(const char *line, size_t len, const struct audit_fields *fields, void *arg)
{
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	(void)fields;
	if (record != NULL)
		wants_add(arg, record);
	json_decref(record);
	return 0;
}

static int
read_trail(const struct cli *cli, struct suggestion *suggestion, struct vg_error *error)
{
	struct audit_match match = { 0 };
	struct audit_source source = { .dir = NULL };
	int result = -1;

	if (audit_match_read(&match, cli, error) == 0 && audit_source_open(&source, cli, error) == 0)
		result = audit_source_each(&source, &match, take_want, &suggestion->wants, error);
	suggestion->wants.no_records = source.no_records;
	audit_source_close(&source);
	return result;
}

static int
print_suggestion(const struct cli *cli, struct suggestion *suggestion)
{
	int status = json_array_size(suggestion->bindings) > 0 ? CLI_DONE : CLI_NO;
	json_t *fragment = json_pack("{s:i, s:O, s:O}", "version", 1, "roles", suggestion->roles, "bindings",
	    suggestion->bindings);

	if (cli->json)
		return cli_print_json(json_pack("{s:o?, s:I, s:I, s:O, s:O, s:O}", "suggestion", fragment, "denied",
		    (json_int_t)suggestion->wants.denied, "would_deny", (json_int_t)suggestion->wants.would_deny, "warnings",
		    suggestion->warnings, "notes", suggestion->notes, "also", suggestion->also), status);
	if (status == CLI_DONE) {
		json_dumpf(fragment, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		fprintf(stderr, "virtgate: nothing to suggest: %lu refusals, %lu would-be refusals\n", suggestion->wants.denied,
		    suggestion->wants.would_deny);
	}
	json_decref(fragment);
	print_also(suggestion->also);
	print_all("WARNING: ", suggestion->warnings);
	print_all("note: ", suggestion->notes);
	return status;
}

int
verb_policy_suggest(const struct cli *cli)
{
	struct suggestion suggestion = { .exact = cli_option(cli, "exact", 0) != NULL, .roles = json_object(), .bindings = json_array(),
		.role_names = json_object(), .warnings = json_array(), .notes = json_array(), .also = json_array(),
		.groups = json_object() };
	struct policy *policy = NULL;
	struct vg_error error = { 0 };
	int status = CLI_USAGE;

	if (wants_init(&suggestion.wants) != 0)
		goto out;
	if (load_today(cli, &suggestion, &policy, &status) != 0)
		goto out;
	suggestion.wants.policy = policy;
	if (read_trail(cli, &suggestion, &error) != 0)
		goto out;
	suggestion_make(&suggestion);
	if (suggestion.wants.out_of_memory)
		vg_fail(&error, "out of memory");
	else if (suggestion_check(&suggestion, &error) == 0) {
		add_notes(&suggestion);
		error.what[0] = '\0';
		status = print_suggestion(cli, &suggestion);
	}
out:
	if (error.what[0] != '\0')
		status = cli_fail(&error, CLI_USAGE);
	wants_clear(&suggestion.wants);
	json_decref(suggestion.policy);
	json_decref(suggestion.roles);
	json_decref(suggestion.bindings);
	json_decref(suggestion.role_names);
	json_decref(suggestion.also);
	json_decref(suggestion.groups);
	json_decref(suggestion.warnings);
	json_decref(suggestion.notes);
	policy_destroy(policy);
	return status;
}
