/*
 * admission_judge.c: see admission_judge.h.
 */
#include "gateway/cli/admission_judge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_load.h"
#include "gateway/gate/own_rules.h"

static void
take_finding(const struct admission_finding *finding, void *arg)
{
	struct check *check = arg;

	check->take(check, finding);
}

enum admission_kind
check_kind(const char *text)
{
	static const struct { const char *start; enum admission_kind kind; } tops[] = { { "<domainsnapshot", ADMISSION_SNAPSHOT },
		{ "<domaincheckpoint", ADMISSION_CHECKPOINT }, { "<domainbackup", ADMISSION_BACKUP }, { "<domain", ADMISSION_DOMAIN },
		{ "<volume", ADMISSION_VOLUME }, { "<secret", ADMISSION_SECRET }, { "<pool", ADMISSION_POOL } };
	const char *at = text;

	/* Prologue and comments stand before it. */
	while ((at = strchr(at, '<')) != NULL && (at[1] == '?' || at[1] == '!')) {
		const char *end = strstr(at, at[1] == '?' ? "?>" : "-->");

		at = end == NULL ? at + 1 : end;
	}
	for (size_t i = 0; at != NULL && i < sizeof(tops) / sizeof(tops[0]); i++)
		if (strncmp(at, tops[i].start, strlen(tops[i].start)) == 0)
			return tops[i].kind;
	return ADMISSION_DEVICE;
}

static void
note_freed(const struct policy_row *row, void *arg)
{
	struct check *check = arg;

	check->freed = check->freed || row->profile == VG_PROFILE_PRIVILEGED;
}

static const char *
mode_of(const struct check *check, enum admission_mode mode)
{
	static const char *const modes[] = { [ADMISSION_ENFORCE] = "enforce", [ADMISSION_WARN] = "warn", [ADMISSION_AUDIT] = "audit" };

	return policy_only_watches(check->policy) && mode == ADMISSION_ENFORCE ? "warn" : modes[mode];
}

static void
judge_row(const struct policy_row *row, void *arg)
{
	struct check *check = arg;
	int num = 0;

	check->row = row->id;
	check->mode = mode_of(check, row->mode);
	check->limits = &row->limits;
	if (row->rule != NULL)
		num = admission_judge_own(check->document, check->rules, row->rule, take_finding, check);
	else if (row->profile != VG_PROFILE_PRIVILEGED)
		num = admission_judge(check->document, row->profile, &row->limits, take_finding, check);
	check->failed = check->failed || num < 0;
}

/* Does he hold the permission to write all objects of that class? Then only rows are about him. */
static bool
holds_everything(const struct check *check)
{
	const struct vg_object every = { .class = check->question.object.class, .any = true };

	return policy_decide(check->policy, &check->question.identity, check->question.permission, &every, check->question.now).verdict == VERDICT_ALLOW;
}

/* What counts by the quotas of the policy, of this document alone: what is used besides the running gateway knows. */
static void
judge_by_quota(struct check *check, size_t index, const struct policy_quota *quota, const struct vg_amounts *amounts)
{
	const char *separator = "";

	check->row = quota->row.id;
	check->mode = mode_of(check, quota->row.mode);
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++) {
		const struct admission_finding finding = { .rule = policy_amount_rule((enum vg_amount)i), .path = "/", .hint = "",
			.message = "more than the quota allows all that counts by it together" };

		if (quota->max.of[i] != 0 && amounts->of[i] > quota->max.of[i] &&
		    policy_quota_binds(check->policy, index, &check->question.identity, &check->question.object, check->question.now))
			take_finding(&finding, check);
	}
	if (check->quiet)
		return;
	printf("%s: counts by quota '%s': ", check->file, quota->row.id);
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++) {
		if (quota->max.of[i] == 0 || amounts->of[i] == 0)
			continue;
		printf("%s%" PRIu64 " of %" PRIu64 " %s", separator, amounts->of[i], quota->max.of[i], policy_amount_unit((enum vg_amount)i));
		separator = ", ";
	}
	printf("%s\n", separator[0] == '\0' ? "nothing" : "");
}

static void
judge_by_quotas(struct check *check)
{
	const struct admission_finding unreadable = { .rule = "quota", .path = "/", .message = "a quota cannot count it", .hint = "" };
	const struct policy_quota *quota;
	struct vg_amounts amounts;
	struct vg_error error = { 0 };
	bool counted = admission_amounts(check->text, check->len, &amounts, &error) == 0;

	for (size_t i = 0; (quota = policy_quota_at(check->policy, i)) != NULL; i++) {
		if (check->question.object.name == NULL || !policy_quota_covers(check->policy, i, &check->question.object))
			continue;
		check->row = quota->row.id;
		check->mode = mode_of(check, quota->row.mode);
		if (counted)
			judge_by_quota(check, i, quota, &amounts);
		else
			take_finding(&unreadable, check);
	}
}

/* By the policy's rows, quotas and what holds without them. */
static void
check_for_user(struct check *check)
{
	const struct question *question = &check->question;

	check->failed = own_rules_request(check->document, &question->identity, &question->object) < 0;
	policy_admission(check->policy, &question->identity, &question->object, question->now, note_freed, check);
	policy_admission(check->policy, &question->identity, &question->object, question->now, judge_row, check);
	check->row = "";
	check->limits = NULL;
	check->mode = policy_only_watches(check->policy) ? "warn" : "enforce";
	if (!check->freed && !holds_everything(check) && admission_judge(check->document, VG_PROFILE_BASELINE, NULL, take_finding, check) < 0)
		check->failed = true;
	judge_by_quotas(check);
}

int
check_for_all(struct check *check, const char *profile, struct vg_error *error)
{
	static const char *const macs[] = { "52:54:00:*" }, *const filters[] = { "clean-traffic" };
	static const struct vg_limits limits = { .macs = { macs, 1 }, .filters = { filters, 1 } };
	bool restricted = profile != NULL && strcmp(profile, "restricted") == 0;

	if (profile != NULL && !restricted && strcmp(profile, "baseline") != 0) {
		(void)vg_fail(error, "unknown profile '%.60s'", profile);
		return vg_hint(error, "known profiles: baseline, restricted");
	}
	check->row = "";
	check->limits = &limits;
	check->mode = "enforce";
	check->failed = admission_judge(check->document, restricted ? VG_PROFILE_RESTRICTED : VG_PROFILE_BASELINE, &limits, take_finding, check) < 0;
	return 0;
}

/* Whose document it is, and about which object: --object, else what the document names itself. -1: told, with *status. */
static int
check_read_user(const struct cli *cli, struct check *check, enum admission_kind kind, int *status)
{
	static const struct { enum admission_kind kind; const char *permission, *class; } asked[] = {
		{ ADMISSION_VOLUME, "storage_vol:create", "storage_vol" }, { ADMISSION_SECRET, "secret:write", "secret" },
		{ ADMISSION_POOL, "storage_pool:write", "storage_pool" } };
	const struct question_words words = question_options(cli);
	const char *object = cli_option(cli, "object", 0), *permission = "domain:write", *class = "domain";
	char *name = admission_name(check->document);
	struct vg_error error = { 0 };
	int r = -1;

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		if (asked[i].kind == kind) {
			permission = asked[i].permission;
			class = asked[i].class;
		}
	}
	if (object == NULL && name != NULL && (kind == ADMISSION_DOMAIN || kind == ADMISSION_POOL) && asprintf(&check->object, "%s:%s", class, name) < 0)
		check->object = NULL;
	object = object != NULL ? object : check->object;
	if (question_user(&check->question, &words, cli_option(cli, "user", 0), &error) != 0 ||
	    (object != NULL && question_object(&check->question, &words, permission, object, &error) != 0)) {
		*status = cli_fail(&error, CLI_USAGE);
		goto out;
	}
	if (object == NULL) {
		check->question.permission = permission_find(permission);
		check->question.object = (struct vg_object){ .class = class_find(class) };
	}
	check->policy = policy_load_configured(cli, status);
	if (check->policy == NULL)
		goto out;
	check->rules = own_rules_compile(check->policy, "the policy", &error);
	if (check->rules == NULL)
		*status = cli_fail(&error, CLI_USAGE);
	else
		r = 0;
out:
	free(name);
	return r;
}

int
check_read(struct check *check, struct vg_error *error)
{
	struct vg_error told = { 0 };

	check->text = policy_load_text(check->file, &check->len, error);
	if (check->text == NULL || admission_start(error) < 0)
		return -1;
	check->document = admission_parse(check_kind(check->text), check->text, check->len, &told);
	if (check->document != NULL)
		return 0;
	(void)vg_fail(error, "%s: %s", check->file, told.what);
	return vg_hint(error, "%s", told.hint);
}

int
check_judge(const struct cli *cli, struct check *check, int *status)
{
	struct vg_error error = { 0 };
	bool user = cli_option(cli, "user", 0) != NULL;

	if (user && cli_option(cli, "profile", 0) != NULL)
		(void)vg_fail(&error, "--user is judged by the policy's rows, --profile by one profile: not both");
	else if (!user)
		(void)check_for_all(check, cli_option(cli, "profile", 0), &error);
	else if (check->policy == NULL && check_read_user(cli, check, check_kind(check->text), status) < 0)
		return -1;
	else
		check_for_user(check);
	if (check->failed)
		(void)vg_fail(&error, "%s: too large to be judged", check->file);
	if (error.what[0] == '\0')
		return 0;
	*status = cli_fail(&error, CLI_USAGE);
	return -1;
}

void
check_clear(struct check *check)
{
	json_decref(check->findings);
	question_clear(&check->question);
	free(check->object);
	admission_rules_destroy(check->rules);
	policy_destroy(check->policy);
	admission_destroy(check->document);
	admission_stop();
	free(check->text);
}
