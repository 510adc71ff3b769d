#include "gateway/cli/policy_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/groups.h"

#define EVERYBODY_ELSE "anyone else"
#define NOT_BOUND "not bound"

static const char *const sections[] = { "admission", "rules", "quotas" };

/* ---- two policies ---- */

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

int
policy_rows_diff(json_t *before, json_t *after, row_change_cb *each, void *arg)
{
	json_t *const policies[2] = { before, after };
	json_t *row;
	size_t i;
	int r = 0;

	for (size_t section = 0; section < sizeof(sections) / sizeof(sections[0]); section++) {
		for (size_t side = 0; side < 2; side++) {
			json_array_foreach(json_object_get(policies[side], sections[section]), i, row) {
				const char *id = json_string_value(json_object_get(row, "id"));

				if (id != NULL && r == 0 && (side == 0 || find_row(before, sections[section], id) == NULL))
					r = compare_row(policies, sections[section], id, each, arg);
			}
		}
	}
	return r;
}

/* ---- one question ---- */

/* Does it come with a document, or with an amount? */
static bool
brings_content(enum vg_permission permission)
{
	static const enum vg_permission brings[] = { VG_PERM_domain_write, VG_PERM_domain_save, VG_PERM_domain_snapshot, VG_PERM_domain_block_write,
		VG_PERM_domain_checkpoint, VG_PERM_storage_vol_create, VG_PERM_storage_vol_resize, VG_PERM_secret_write, VG_PERM_storage_pool_write };

	for (size_t i = 0; i < sizeof(brings) / sizeof(brings[0]); i++)
		if (permission == brings[i] || permission_whole(permission) == brings[i])
			return true;
	return false;
}

static const char *
mode_name(const struct policy *policy, enum admission_mode mode)
{
	static const char *const modes[] = { [ADMISSION_ENFORCE] = "enforce", [ADMISSION_WARN] = "warn", [ADMISSION_AUDIT] = "audit" };

	return mode == ADMISSION_ENFORCE && policy_only_watches(policy) ? "warn" : modes[mode];
}

struct listing {
	const struct policy *policy;
	json_t *list;
};

static void
list_row(const struct policy_row *row, void *arg)
{
	static const char *const profiles[] = { "profile privileged", "profile baseline", "profile restricted" };
	struct listing *listing = arg;
	char says[300];

	if (row->rule == NULL)
		(void)snprintf(says, sizeof(says), "%s", profiles[row->profile]);
	else
		(void)snprintf(says, sizeof(says), "%s %.250s", row->rule->must ? "must" : "must not", row->rule->xpath);
	json_array_append_new(listing->list, json_pack("{s:s, s:s, s:s, s:s}", "row", row->id, "of", row->rule == NULL ? "admission" : "rules", "mode",
	    mode_name(listing->policy, row->mode), "says", says));
}

static void
list_quotas(const struct policy *policy, const struct question *question, json_t *list)
{
	const struct policy_quota *quota;

	for (size_t i = 0; (quota = policy_quota_at(policy, i)) != NULL; i++) {
		char says[300] = "";

		if (question->object.any || question->object.name == NULL || !policy_quota_covers(policy, i, &question->object) ||
		    !policy_quota_binds(policy, i, &question->identity, &question->object, question->now))
			continue;
		for (size_t k = 0; k < VG_NUM_AMOUNTS; k++)
			if (quota->max.of[k] != 0)
				(void)snprintf(says + strlen(says), sizeof(says) - strlen(says), "%s%" PRIu64 " %s", says[0] == '\0' ? "at most " : ", ",
				    quota->max.of[k], policy_amount_unit((enum vg_amount)k));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "row", quota->row.id, "of", "quotas", "mode", mode_name(policy, quota->row.mode),
		    "says", says));
	}
}

json_t *
policy_rows_of(const struct policy *policy, const struct question *question)
{
	struct listing listing = { policy, json_array() };

	if (listing.list == NULL || !brings_content(question->permission))
		return listing.list;
	policy_admission(policy, &question->identity, &question->object, question->now, list_row, &listing);
	list_quotas(policy, question, listing.list);
	return listing.list;
}
