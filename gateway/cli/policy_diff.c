/*
 * policy_diff.c: `virtgate policy diff`: what each person gains and loses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_load.h"
#include "gateway/policy/report.h"
#include "gateway/policy/rows.h"
#include "virtgate/member.h"

#define LINE_WIDTH 110

/* ---- printing ---- */

/* Items with commas between, on lines of a readable length. */
struct list {
	size_t indent, column;
	bool some;
};

static void
put_item(struct list *list, const char *text)
{
	size_t len = strlen(text);

	if (list->some)
		list->column += (size_t)printf(",");
	if (list->some && list->column + len > LINE_WIDTH) {
		printf("\n%*s", (int)list->indent, "");
		list->column = list->indent;
	} else if (list->some) {
		list->column += (size_t)printf(" ");
	}
	list->column += (size_t)printf("%s", text);
	list->some = true;
}

static void
put_permissions(struct list *list, const json_t *permissions)
{
	json_t *folded = policy_report_fold(permissions), *item;
	size_t i;

	json_array_foreach(folded, i, item)
		put_item(list, json_string_value(item));
	json_decref(folded);
}

static void
print_people(json_t *people)
{
	struct list list = { .indent = 2 };
	json_t *groups = json_object_get(people, "groups"), *who = json_object_get(people, "who"), *row, *item;
	size_t i;
	char text[160];

	json_array_foreach(groups, i, item) {
		snprintf(text, sizeof(text), "group:%s", json_string_value(item));
		put_item(&list, text);
	}
	if (json_array_size(groups) > 0)
		list.column += (size_t)printf(":");
	for (i = 0; i < json_array_size(who); i++) {
		if (i == 0 && json_array_size(groups) > 0) {
			list.some = false;
			list.column += (size_t)printf(" ");
		}
		put_item(&list, json_string_value(json_array_get(who, i)));
	}
	printf("\n");
	json_array_foreach(json_object_get(people, "changes"), i, row) {
		const char *was = audit_member(row, "was", NULL), *now = audit_member(row, "now", NULL);
		bool plain = (strcmp(was, "no") == 0 && strcmp(now, "allow") == 0) ||
		    (strcmp(was, "allow") == 0 && strcmp(now, "no") == 0);

		list = (struct list){ .indent = 10, .column = 10 };
		printf("  %-7s ", audit_member(row, "change", NULL));
		if (*audit_member(row, "row", NULL) != '\0') {
			printf("%s\n          was: %s\n          now: %s\n", audit_member(row, "row", NULL), was, now);
			continue;
		}
		put_permissions(&list, json_object_get(row, "permissions"));
		printf(" on %s", audit_member(row, "object", NULL));
		if (*audit_member(row, "except", NULL) != '\0')
			printf("\n          but as before on: %s", audit_member(row, "except", NULL));
		if (!plain)
			printf("\n          was: %s\n          now: %s", was, now);
		printf("\n");
	}
}

static const char *
mode_name(const struct policy *policy)
{
	return policy_only_watches(policy) ? "permissive" : "enforce";
}

/* What people gain and lose is told as if both counted. */
static void
print_mode(const struct policy *before, const struct policy *after, const char *const names[2])
{
	if (policy_only_watches(before) != policy_only_watches(after))
		printf("the whole policy: mode was %s, now %s: %s\n", mode_name(before), mode_name(after), policy_only_watches(after) ?
		    "THE GATEWAY ONLY WATCHES, what is denied is let through and recorded" : "what is denied is refused from now on");
	else if (policy_only_watches(after))
		printf("both policies only watch (mode permissive); this is what changes once %s counts\n", names[1]);
}

static void
take_row(const struct row_change *change, void *arg)
{
	policy_report_take_row(arg, change->who, change->row, change->direction, change->was, change->now);
}

int
verb_policy_diff(const struct cli *cli)
{
	const struct question_words words = question_options(cli);
	struct policy_report report = { .people = NULL };
	struct policy *before = NULL, *after = NULL;
	struct question question = { 0 };	/* for --at */
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	json_t *files[2] = { NULL, NULL }, *people = NULL, *one;
	size_t i;
	int status = CLI_USAGE;

	if (question_user(&question, &words, NULL, &error) != 0) {
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	before = policy_load(cli->args[0], &files[0], &mistakes, &status);
	after = before != NULL ? policy_load(cli->args[1], &files[1], &mistakes, &status) : NULL;
	if (after == NULL)
		goto out;
	if (!policy_report_init(&report, 0) || policy_diff(before, after, question.now, policy_report_take, &report) != 0 ||
	    policy_rows_diff(files[0], files[1], take_row, &report) != 0) {
		vg_fail(&error, "out of memory");
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	policy_report_take_reads(&report, before, after);
	if (!policy_report_end(&report, files[0], files[1])) {
		vg_fail(&error, "out of memory");
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	people = policy_report_people(&report);
	status = json_array_size(people) > 0 || policy_only_watches(before) != policy_only_watches(after) ? CLI_NO : CLI_DONE;
	if (cli->json) {
		status = cli_print_json(json_pack("{s:s, s:s, s:b, s:O, s:{s:s, s:s}}", "old", cli->args[0], "new", cli->args[1], "differ",
		    status == CLI_NO, "people", people, "mode", "was", mode_name(before), "now", mode_name(after)), status);
		goto out;
	}
	print_mode(before, after, cli->args);
	if (status == CLI_DONE) {
		printf("nobody gains or loses anything\n");
	} else {
		json_array_foreach(people, i, one)
			print_people(one);
	}
out:
	json_decref(people);
	policy_report_clear(&report);
	json_decref(files[0]);
	json_decref(files[1]);
	policy_destroy(before);
	policy_destroy(after);
	question_clear(&question);
	return status;
}
