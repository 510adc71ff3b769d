/*
 * report.c: changes of rights, person by person, as JSON.
 */
#include "gateway/policy/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/groups.h"
#include "virtgate/member.h"

static const char *const directions[] = { [POLICY_GAINS] = "gains", [POLICY_LOSES] = "loses", [POLICY_CHANGES] = "changes" };

/* ---- collecting ---- */

/* His changes are complete: he joins those who have the same. */
static void
finish_person(struct policy_report *report)
{
	char *key = report->changes != NULL ? json_dumps(report->changes, JSON_COMPACT) : NULL;
	json_t *people;

	if (report->who == NULL || json_array_size(report->changes) == 0)
		goto out;
	people = key != NULL ? json_object_get(report->people, key) : NULL;
	if (key != NULL && people == NULL) {
		people = json_pack("{s:[], s:O}", "who", "changes", report->changes);
		if (json_object_set_new(report->people, key, people) != 0)
			people = NULL;
	}
	if (people == NULL || json_array_append_new(json_object_get(people, "who"), json_string(report->who)) != 0)
		report->out_of_memory = true;
out:
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
		if (strcmp(audit_member(row, "change", NULL), directions[change->direction]) == 0 && strcmp(audit_member(row, "object", NULL), object) == 0 &&
		    strcmp(audit_member(row, "except", NULL), change->except) == 0 &&
		    strcmp(audit_member(row, "was", NULL), change->was) == 0 && strcmp(audit_member(row, "now", NULL), change->now) == 0)
			return row;
	}
	return NULL;
}

void
policy_report_take(const struct policy_change *change, void *arg)
{
	const char *object = change->object != NULL ? change->object : "the host";
	struct policy_report *report = arg;
	json_t *row;

	if (report->who == NULL || strcmp(report->who, change->who) != 0) {
		finish_person(report);
		report->who = strdup(change->who);
		report->changes = json_array();
	}
	row = find_row(report->changes, change, object);
	if (row == NULL && report->most > 0 && report->num == report->most) {
		report->left_out++;
		return;
	}
	if (row == NULL) {
		report->num++;
		row = json_pack("{s:s, s:[], s:s, s:s, s:s, s:s}", "change", directions[change->direction], "permissions", "object",
		    object, "except", change->except, "was", change->was, "now", change->now);
		if (json_array_append_new(report->changes, row) != 0)
			row = NULL;
	}
	if (report->who == NULL || row == NULL ||
	    json_array_append_new(json_object_get(row, "permissions"), json_string(permission_name(change->permission))) != 0)
		report->out_of_memory = true;
}

void
policy_report_take_row(struct policy_report *report, const char *who, const char *row, enum policy_direction direction, const char *was,
    const char *now)
{
	if (report->most > 0 && report->num == report->most) {
		report->left_out++;
		return;
	}
	report->num++;
	finish_person(report);
	report->who = strdup(who);
	report->changes = json_pack("[{s:s, s:s, s:s, s:s}]", "change", directions[direction], "row", row, "was", was, "now", now);
	report->out_of_memory = report->out_of_memory || report->who == NULL || report->changes == NULL;
}

void
policy_report_take_reads(struct policy_report *report, const struct policy *before, const struct policy *after)
{
	json_t *changes = json_array(), *row;

	finish_person(report);
	for (unsigned i = VG_CLASS_none + 1; i < VG_NUM_CLASSES; i++) {
		enum policy_reads was = policy_reads(before, (enum vg_class)i), now = policy_reads(after, (enum vg_class)i);

		if (was == now)
			continue;
		row = json_pack("{s:s, s:o, s:s, s:s}", "change", directions[POLICY_CHANGES], "row", json_sprintf("what the trail is told of reads of class %s",
		    class_name((enum vg_class)i)), "was", policy_reads_name(was), "now", policy_reads_name(now));
		if (json_array_append_new(changes, row) != 0)
			report->out_of_memory = true;
	}
	if (json_array_size(changes) == 0) {
		json_decref(changes);
		return;
	}
	report->who = strdup("anyone");
	report->changes = changes;
	report->out_of_memory = report->out_of_memory || report->who == NULL;
}

/* ---- groups ---- */

static bool
is_among(const json_t *who, const char *text)
{
	for (size_t i = 0; i < json_array_size(who); i++) {
		if (strcmp(json_string_value(json_array_get(who, i)), text) == 0)
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

bool
policy_report_end(struct policy_report *report, const json_t *before, const json_t *after)
{
	json_t *const groups[2] = { json_object_get(before, "groups"), json_object_get(after, "groups") };
	json_t *people;
	const char *key;

	finish_person(report);
	json_object_foreach(report->people, key, people)
		json_object_set_new(people, "groups", whole_groups(groups, json_object_get(people, "who")));
	return !report->out_of_memory;
}


/* ---- what comes of it ---- */

bool
policy_report_init(struct policy_report *report, size_t most)
{
	*report = (struct policy_report){ .most = most, .people = json_object() };
	return report->people != NULL;
}

json_t *
policy_report_people(const struct policy_report *report)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach(report->people, key, value)
		json_array_append(list, value);
	return list;
}

static bool
has_whole_class(const json_t *permissions, enum vg_class class)
{
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		if (permission_class((enum vg_permission)i) == class && i != VG_PERM_domain_monitor && i != VG_PERM_domain_agent &&
		    !is_among(permissions, permission_name((enum vg_permission)i)))
			return false;
	}
	return true;
}

json_t *
policy_report_fold(const json_t *permissions)
{
	bool folded[VG_NUM_CLASSES] = { false };
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(permissions); i++) {
		const char *name = json_string_value(json_array_get(permissions, i));
		enum vg_permission permission = permission_find(name);
		enum vg_class class = permission_class(permission);
		bool by_name = permission == VG_PERM_domain_monitor || permission == VG_PERM_domain_agent;

		if (!by_name && !folded[class] && has_whole_class(permissions, class)) {
			folded[class] = true;
			json_array_append_new(list, json_sprintf("%s:*", class_name(class)));
		} else if (by_name || !folded[class]) {
			json_array_append_new(list, json_string(name));
		}
	}
	return list;
}

void
policy_report_clear(struct policy_report *report)
{
	json_decref(report->people);
	json_decref(report->changes);
	free(report->who);
	*report = (struct policy_report){ .people = NULL };
}
