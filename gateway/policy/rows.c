#include "gateway/policy/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/groups.h"

#define EVERYBODY_ELSE "anyone else"
#define NOT_BOUND "not bound"

static const char *const sections[] = { "admission", "rules", "quotas" };

/* A row as one of the policies has it. */
struct version {
	json_t *row;			/* borrowed; NULL: it is not there */
	json_t *who, *except;		/* groups replaced by their members; who NULL: everybody */
};

static json_t *
find_row(json_t *policy, const char *section, const char *id)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(policy, section), i, row)
		if (json_is_string(json_object_get(row, "id")) && strcmp(json_string_value(json_object_get(row, "id")), id) == 0)
			return row;
	return NULL;
}

/* People as keys of an object. NULL: the row says none. */
static json_t *
people_of(json_t *policy, json_t *row, const char *key)
{
	json_t *list = json_object_get(row, key), *people, *item;
	size_t i;

	if (!json_is_array(list))
		return NULL;
	people = json_object();
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (text != NULL && strncmp(text, "group:", 6) == 0) {
			json_t *members = policy_group_members(json_object_get(policy, "groups"), text + 6);

			json_object_update(people, members);
			json_decref(members);
		} else if (text != NULL) {
			json_object_set_new(people, text, json_true());
		}
	}
	return people;
}

static bool
is_in(json_t *people, const char *who)
{
	return people != NULL && (json_object_get(people, who) != NULL || json_object_get(people, "anyone") != NULL);
}

static bool
binds(const struct version *version, const char *who)
{
	return version->row != NULL && (version->who == NULL || is_in(version->who, who)) && !is_in(version->except, who);
}

/* What the row says beside whom it is about, in whatever order it says so. */
static char *
row_text(json_t *row)
{
	static const char *const keys[] = { "profile", "class", "must", "must_not", "on", "max_guests", "max_vcpus", "max_memory_mib", "max_disk_mib", "macs",
		"filters", "vlans", "message", "hint", "mode" };
	const char *separator = "";
	char *text = NULL, *value;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *member = json_object_get(row, keys[i]);

		if (member == NULL || (strcmp(keys[i], "mode") == 0 && strcmp(json_string_value(member), "enforce") == 0))
			continue;
		value = json_is_string(member) ? NULL : json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY);
		fprintf(out, "%s%s %s", separator, keys[i], json_is_string(member) ? json_string_value(member) : value == NULL ? "" : value);
		free(value);
		separator = ", ";
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* A row of profile privileged frees whom it is about. */
static enum policy_direction
direction_of(const struct version versions[2], bool before, bool after)
{
	json_t *row = versions[after ? 1 : 0].row;
	const char *profile = json_string_value(json_object_get(row, "profile"));
	bool frees = profile != NULL && strcmp(profile, "privileged") == 0;

	if (before == after)
		return POLICY_CHANGES;
	return after == frees ? POLICY_GAINS : POLICY_LOSES;
}

static int
compare_for(const struct version versions[2], const char *who, const char *label, row_change_cb *each, void *arg)
{
	bool before = binds(&versions[0], who), after = binds(&versions[1], who);
	char *was = before ? row_text(versions[0].row) : strdup(NOT_BOUND), *now = after ? row_text(versions[1].row) : strdup(NOT_BOUND);
	int r = was == NULL || now == NULL ? -1 : 0;

	if (r == 0 && strcmp(was, now) != 0)
		each(&(struct row_change){ who, label, direction_of(versions, before, after), was, now }, arg);
	free(was);
	free(now);
	return r;
}

static int
compare_row(json_t *const policies[2], const char *section, const char *id, row_change_cb *each, void *arg)
{
	struct version versions[2];
	json_t *people = json_object(), *value;
	const char *who;
	char label[256];
	int r = 0;

	(void)snprintf(label, sizeof(label), "row '%.128s' of %s", id, section);
	for (size_t i = 0; i < 2; i++) {
		json_t *row = find_row(policies[i], section, id);

		versions[i] = (struct version){ row, people_of(policies[i], row, "who"), people_of(policies[i], row, "except") };
		json_object_update(people, versions[i].who);
		json_object_update(people, versions[i].except);
		if (row != NULL && versions[i].who == NULL)
			json_object_set_new(people, EVERYBODY_ELSE, json_true());
	}
	json_object_foreach(people, who, value)
		if (r == 0)
			r = compare_for(versions, who, label, each, arg);
	for (size_t i = 0; i < 2; i++) {
		json_decref(versions[i].who);
		json_decref(versions[i].except);
	}
	json_decref(people);
	return r;
}

/* The row at this place of both policies, section by section. NULL: there are no more. */
static json_t *
row_at(json_t *const policies[2], size_t at, const char **section, size_t *side)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		for (*side = 0; *side < 2; (*side)++) {
			json_t *list = json_object_get(policies[*side], sections[i]);

			*section = sections[i];
			if (at < json_array_size(list))
				return json_array_get(list, at);
			at -= json_array_size(list);
		}
	return NULL;
}

int
policy_rows_step(json_t *before, json_t *after, size_t *at, row_change_cb *each, void *arg)
{
	json_t *const policies[2] = { before, after };
	const char *section, *id;
	size_t side;
	json_t *row = row_at(policies, (*at)++, &section, &side);

	if (row == NULL)
		return 0;
	id = json_string_value(json_object_get(row, "id"));
	if (id == NULL || (side == 1 && find_row(before, section, id) != NULL))
		return 1;
	return compare_row(policies, section, id, each, arg) < 0 ? -1 : 1;
}

int
policy_rows_diff(json_t *before, json_t *after, row_change_cb *each, void *arg)
{
	size_t at = 0;
	int r;

	while ((r = policy_rows_step(before, after, &at, each, arg)) > 0)
		;
	return r;
}
