#include "gateway/cli/policy_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
