/*
 * policy_diff.c: `virtgate policy diff`: what each person gains and loses. People with the very same changes are told
 * together, and as their group where all of its members are among them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_groups.h"
#include "gateway/cli/policy_load.h"
#include "gateway/policy/diff.h"

#define LINE_WIDTH 110

struct report {
	json_t *people;		/* by the text of their changes: { "who": [], "changes": [] } */
	char *who;		/* whose changes come now */
	json_t *changes;	/* his */
	bool out_of_memory;
};

static const char *const directions[] = { [POLICY_GAINS] = "gains", [POLICY_LOSES] = "loses", [POLICY_CHANGES] = "changes" };

static const char *
member(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* ---- collecting ---- */

/* His changes are complete: he joins those who have the same. */
static void
finish_person(struct report *report)
{
	char *key = report->changes != NULL ? json_dumps(report->changes, JSON_COMPACT) : NULL;
	json_t *people;

	if (report->who == NULL)
		return;
	people = key != NULL ? json_object_get(report->people, key) : NULL;
	if (key != NULL && people == NULL) {
		people = json_pack("{s:[], s:O}", "who", "changes", report->changes);
		if (json_object_set_new(report->people, key, people) != 0)
			people = NULL;
	}
	if (people == NULL || json_array_append_new(json_object_get(people, "who"), json_string(report->who)) != 0)
		report->out_of_memory = true;
	free(key);
	json_decref(report->changes);
	free(report->who);
	report->changes = NULL;
	report->who = NULL;
}

static json_t *
find_row(json_t *changes, const struct policy_change *change, const char *object)
{
	json_t *row;
	size_t i;

	json_array_foreach(changes, i, row) {
		if (strcmp(member(row, "change"), directions[change->direction]) == 0 && strcmp(member(row, "object"), object) == 0 &&
		    strcmp(member(row, "except"), change->except) == 0 &&
		    strcmp(member(row, "was"), change->was) == 0 && strcmp(member(row, "now"), change->now) == 0)
			return row;
	}
	return NULL;
}

static void
take_change(const struct policy_change *change, void *arg)
{
	const char *object = change->object != NULL ? change->object : "the host";
	struct report *report = arg;
	json_t *row;

	if (report->who == NULL || strcmp(report->who, change->who) != 0) {
		finish_person(report);
		report->who = strdup(change->who);
		report->changes = json_array();
	}
	row = find_row(report->changes, change, object);
	if (row == NULL) {
		row = json_pack("{s:s, s:[], s:s, s:s, s:s, s:s}", "change", directions[change->direction], "permissions", "object",
		    object, "except", change->except, "was", change->was, "now", change->now);
		if (json_array_append_new(report->changes, row) != 0)
			row = NULL;
	}
	if (report->who == NULL || row == NULL ||
	    json_array_append_new(json_object_get(row, "permissions"), json_string(permission_name(change->permission))) != 0)
		report->out_of_memory = true;
}

/* ---- groups ---- */

static bool
is_among(json_t *who, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(who, i, item) {
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

/* The names of the groups of whose members, old and new, every one is among these people. */
static json_t *
whole_groups(json_t *const groups[2], json_t *who)
{
	json_t *names = json_array(), *members, *list;
	const char *name, *text;

	for (size_t side = 0; side < 2; side++) {
		json_object_foreach(groups[side], name, list) {
			bool whole;

			if (!json_is_array(list) || is_among(names, name))
				continue;
			members = policy_group_members(groups[side], name);
			if (json_object_get(groups[1 - side], name) != NULL) {
				json_t *others = policy_group_members(groups[1 - side], name);

				json_object_update(members, others);
				json_decref(others);
			}
			whole = json_object_size(members) > 0;
			json_object_foreach(members, text, list)
				whole = whole && is_among(who, text);
			if (whole)
				json_array_append_new(names, json_string(name));
			json_decref(members);
		}
	}
	return names;
}

static void
name_groups(struct report *report, json_t *before, json_t *after)
{
	json_t *const groups[2] = { json_object_get(before, "groups"), json_object_get(after, "groups") };
	json_t *people;
	const char *key;

	json_object_foreach(report->people, key, people)
		json_object_set_new(people, "groups", whole_groups(groups, json_object_get(people, "who")));
}

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

/* Does the row have every permission of the class, but for those that must be granted by name? */
static bool
has_whole_class(json_t *permissions, enum vg_class class)
{
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		if (permission_class((enum vg_permission)i) == class && i != VG_PERM_domain_monitor && i != VG_PERM_domain_agent &&
		    !is_among(permissions, permission_name((enum vg_permission)i)))
			return false;
	}
	return true;
}

static void
put_permissions(struct list *list, json_t *permissions)
{
	bool folded[VG_NUM_CLASSES] = { false };
	char text[64];
	json_t *item;
	size_t i;

	json_array_foreach(permissions, i, item) {
		enum vg_permission permission = permission_find(json_string_value(item));
		enum vg_class class = permission_class(permission);
		bool by_name = permission == VG_PERM_domain_monitor || permission == VG_PERM_domain_agent;

		if (!by_name && !folded[class] && has_whole_class(permissions, class)) {
			folded[class] = true;
			snprintf(text, sizeof(text), "%s:*", class_name(class));
			put_item(list, text);
		} else if (by_name || !folded[class]) {
			put_item(list, json_string_value(item));
		}
	}
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
		const char *was = member(row, "was"), *now = member(row, "now");
		bool plain = (strcmp(was, "no") == 0 && strcmp(now, "allow") == 0) ||
		    (strcmp(was, "allow") == 0 && strcmp(now, "no") == 0);

		list = (struct list){ .indent = 10, .column = 10 };
		printf("  %-7s ", member(row, "change"));
		put_permissions(&list, json_object_get(row, "permissions"));
		printf(" on %s", member(row, "object"));
		if (*member(row, "except") != '\0')
			printf("\n          but as before on: %s", member(row, "except"));
		if (!plain)
			printf("\n          was: %s\n          now: %s", was, now);
		printf("\n");
	}
}

static json_t *
values_of(json_t *object)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach(object, key, value)
		json_array_append(list, value);
	return list;
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

int
verb_policy_diff(const struct cli *cli)
{
	const struct question_words words = question_options(cli);
	struct report report = { .people = json_object() };
	struct policy *before = NULL, *after = NULL;
	struct question question = { 0 };	/* for --at */
	struct mistakes mistakes = { 0 };
	struct vg_error error = { 0 };
	json_t *files[2] = { NULL, NULL }, *people;
	const char *key;
	int status = CLI_USAGE;

	if (question_user(&question, &words, NULL, &error) != 0) {
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	before = policy_load(cli->args[0], &files[0], &mistakes, &status);
	after = before != NULL ? policy_load(cli->args[1], &files[1], &mistakes, &status) : NULL;
	if (after == NULL)
		goto out;
	if (policy_diff(before, after, question.now, take_change, &report) != 0)
		report.out_of_memory = true;
	finish_person(&report);
	if (report.out_of_memory) {
		vg_fail(&error, "out of memory");
		status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	name_groups(&report, files[0], files[1]);
	status = json_object_size(report.people) > 0 || policy_only_watches(before) != policy_only_watches(after) ? CLI_NO : CLI_DONE;
	if (cli->json) {
		status = cli_print_json(json_pack("{s:s, s:s, s:b, s:o, s:{s:s, s:s}}", "old", cli->args[0], "new", cli->args[1], "differ",
		    status == CLI_NO, "people", values_of(report.people), "mode", "was", mode_name(before), "now", mode_name(after)), status);
		goto out;
	}
	print_mode(before, after, cli->args);
	if (status == CLI_DONE) {
		printf("nobody gains or loses anything\n");
	} else {
		json_object_foreach(report.people, key, people)
			print_people(people);
	}
out:
	json_decref(report.people);
	json_decref(files[0]);
	json_decref(files[1]);
	policy_destroy(before);
	policy_destroy(after);
	question_clear(&question);
	return status;
}
