/*
 * admission.c: the admission verbs: what the gateway would say of a document, before anybody sends it; and what its rules are.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "gateway/admission/admission.h"
#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_load.h"
#include "gateway/gate/own_rules.h"
#include "virtgate/nearest.h"

/* What a check is about, and what came of it. */
struct check {
	const char *file;
	const char *text;			/* of the file */
	size_t len;
	const struct admission_document *document;
	struct policy *policy;			/* NULL: no --user */
	struct admission_rules *rules;		/* the policy's own */
	struct question question;		/* who, on what */
	char *object;				/* owned: what it points into */
	bool freed;				/* by a row of profile privileged */
	const char *row, *mode;			/* at hand; row "": what holds without any */
	unsigned num_refusals;
	bool failed;				/* a rule could not be asked */
	json_t *findings;			/* NULL: print */
};

static void
tell_finding(const struct admission_finding *finding, void *arg)
{
	struct check *check = arg;

	check->num_refusals += strcmp(check->mode, "enforce") == 0;
	if (check->findings != NULL) {
		json_array_append_new(check->findings, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s*, s:s}", "rule", finding->rule, "line",
		    (json_int_t)finding->line, "path", finding->path, "message", finding->message, "hint", finding->hint,
		    "row", check->row[0] == '\0' ? NULL : check->row, "mode", check->mode));
		return;
	}
	printf("%s:%ld: %s: %s: %s%s%s", check->file, finding->line, finding->rule, finding->path, finding->message,
	    finding->hint[0] == '\0' ? "" : "; ", finding->hint);
	if (check->row[0] != '\0')
		printf(" (row '%s', %s)", check->row, check->mode);
	printf("\n");
}

static const char *
claim_kind_name(enum admission_claim_kind kind)
{
	static const char *const names[] = { [CLAIM_DISK] = "image", [CLAIM_VOLUME] = "storage_vol", [CLAIM_NETWORK] = "network",
		[CLAIM_NWFILTER] = "nwfilter", [CLAIM_SECRET] = "secret" };

	return names[kind];
}

/* What the document uses, which the gateway asks the policy about once it knows whose each is. */
static json_t *
list_claims(const struct admission_document *document, const char *file, bool print)
{
	size_t num;
	const struct admission_claim *claims = admission_claims(document, &num);
	json_t *list = json_array();

	for (size_t i = 0; i < num; i++) {
		const char *kind = claim_kind_name(claims[i].kind), *parent = claims[i].parent;

		if (print)
			printf("%s:%ld: uses %s '%s%s%s'%s\n", file, claims[i].line, kind, parent == NULL ? "" : parent,
			    parent == NULL ? "" : "/", claims[i].name, claims[i].writes ? ", to write" : "");
		json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:b, s:I}", "kind", kind, "name", claims[i].name, "parent", parent,
		    "writes", claims[i].writes, "line", (json_int_t)claims[i].line));
	}
	return list;
}

/* By the top element; everything else that is known is a device. */
static enum admission_kind
guess_kind(const char *text)
{
	static const struct { const char *start; enum admission_kind kind; } tops[] = { { "<domainsnapshot", ADMISSION_SNAPSHOT },
		{ "<domaincheckpoint", ADMISSION_CHECKPOINT }, { "<domainbackup", ADMISSION_BACKUP }, { "<domain", ADMISSION_DOMAIN },
		{ "<volume", ADMISSION_VOLUME }, { "<secret", ADMISSION_SECRET } };
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
	if (row->rule != NULL)
		num = admission_judge_own(check->document, check->rules, row->rule, tell_finding, check);
	else if (row->profile != VG_PROFILE_PRIVILEGED)
		num = admission_judge(check->document, row->profile, &row->limits, tell_finding, check);
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
			tell_finding(&finding, check);
	}
	if (check->findings != NULL)
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
			tell_finding(&unreadable, check);
	}
}

static void
judge_for_user(struct check *check)
{
	const struct question *question = &check->question;

	policy_admission(check->policy, &question->identity, &question->object, question->now, note_freed, check);
	policy_admission(check->policy, &question->identity, &question->object, question->now, judge_row, check);
	check->row = "";
	check->mode = policy_only_watches(check->policy) ? "warn" : "enforce";
	if (!check->freed && !holds_everything(check) && admission_judge(check->document, VG_PROFILE_BASELINE, NULL, tell_finding, check) < 0)
		check->failed = true;
	judge_by_quotas(check);
}

/* The profile itself, with the bounds of a row that sets none. -1 with error text. */
static int
judge_for_all(struct check *check, const char *profile, struct vg_error *error)
{
	static const char *const macs[] = { "52:54:00:*" }, *const filters[] = { "clean-traffic" };
	static const struct vg_limits limits = { .macs = { macs, 1 }, .filters = { filters, 1 } };
	bool restricted = profile != NULL && strcmp(profile, "restricted") == 0;

	if (profile != NULL && !restricted && strcmp(profile, "baseline") != 0) {
		(void)vg_fail(error, "unknown profile '%.60s'", profile);
		return vg_hint(error, "known profiles: baseline, restricted");
	}
	check->row = "";
	check->mode = "enforce";
	check->failed = admission_judge(check->document, restricted ? VG_PROFILE_RESTRICTED : VG_PROFILE_BASELINE, &limits, tell_finding, check) < 0;
	return 0;
}

/* Whose document it is, and about which object: --object, else what the document names itself. -1: told, with *status. */
static int
read_user(const struct cli *cli, struct check *check, enum admission_kind kind, int *status)
{
	static const struct { enum admission_kind kind; const char *permission, *class; } asked[] = {
		{ ADMISSION_VOLUME, "storage_vol:create", "storage_vol" }, { ADMISSION_SECRET, "secret:write", "secret" } };
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
	if (object == NULL && name != NULL && kind == ADMISSION_DOMAIN && asprintf(&check->object, "%s:%s", class, name) < 0)
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

static int
tell_check(const struct cli *cli, const struct check *check, json_t *claims)
{
	int status = check->num_refusals == 0 ? CLI_DONE : CLI_NO;
	const char *profile = cli_option(cli, "profile", 0), *user = cli_option(cli, "user", 0);

	if (cli->json) {
		char *name = admission_name(check->document);
		json_t *json = json_pack("{s:s, s:s*, s:b, s:O, s:O}", "file", check->file, "name", name, "admitted", status == CLI_DONE, "findings", check->findings, "uses", claims);

		free(name);
		return cli_print_json(json, status);
	}
	if (status == CLI_DONE && user != NULL)
		printf("%s: admitted for %s, should he be granted what it uses\n", check->file, user);
	else if (status == CLI_DONE)
		printf("%s: admitted by profile %s\n", check->file, profile == NULL ? "baseline" : profile);
	return status;
}

int
verb_admission_check(const struct cli *cli)
{
	struct check check = { .file = cli->args[0], .findings = cli->json ? json_array() : NULL };
	struct admission_document *document = NULL;
	struct vg_error error = { 0 };
	int status = CLI_USAGE;
	json_t *claims = NULL;
	char *text;
	size_t len;

	xmlInitParser();
	text = policy_load_text(check.file, &len, &error);
	check.text = text;
	check.len = len;
	if (text == NULL || admission_start(&error) < 0)
		goto out;
	check.document = document = admission_parse(guess_kind(text), text, len, &error);
	if (document == NULL) {
		struct vg_error told = error;

		(void)vg_fail(&error, "%s: %s", check.file, told.what);
		(void)vg_hint(&error, "%s", told.hint);
		goto out;
	}
	if (cli_option(cli, "user", 0) != NULL && cli_option(cli, "profile", 0) != NULL)
		(void)vg_fail(&error, "--user is judged by the policy's rows, --profile by one profile: not both");
	else if (cli_option(cli, "user", 0) == NULL)
		(void)judge_for_all(&check, cli_option(cli, "profile", 0), &error);
	else if (read_user(cli, &check, guess_kind(text), &status) == 0)
		judge_for_user(&check);
	else
		goto told;
	if (check.failed)
		(void)vg_fail(&error, "%s: too large to be judged", check.file);
	if (error.what[0] != '\0')
		goto out;
	claims = list_claims(document, check.file, !cli->json);
	status = tell_check(cli, &check, claims);
out:
	if (error.what[0] != '\0')
		status = cli_fail(&error, CLI_USAGE);
told:
	json_decref(claims);
	json_decref(check.findings);
	question_clear(&check.question);
	free(check.object);
	admission_rules_destroy(check.rules);
	policy_destroy(check.policy);
	admission_destroy(document);
	admission_stop();
	free(text);
	return status;
}

/* ---- all guests ---- */

static int
is_definition(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".xml") == 0;
}

/* One stored definition. False: a profile would refuse it, or nobody could read it. */
static bool
scan_file(const struct cli *cli, const char *path, json_t *guests)
{
	struct check check = { .file = path, .findings = cli->json ? json_array() : NULL };
	struct admission_document *document = NULL;
	struct vg_error error = { 0 };
	size_t len;
	char *text = policy_load_text(path, &len, &error), *name = NULL;

	check.document = document = text == NULL ? NULL : admission_parse(ADMISSION_DOMAIN, text, len, &error);
	if (document != NULL)
		(void)judge_for_all(&check, cli_option(cli, "profile", 0), &error);
	if (check.failed)
		(void)vg_fail(&error, "too large to be judged");
	name = document == NULL ? NULL : admission_name(document);
	if (guests != NULL)
		json_array_append_new(guests, json_pack("{s:s, s:s*, s:b, s:O, s:s*}", "file", path, "name", name, "admitted",
		    check.num_refusals == 0 && error.what[0] == '\0', "findings", check.findings, "error", error.what[0] == '\0' ? NULL : error.what));
	else if (error.what[0] != '\0')
		printf("%s: document: %s\n", path, error.what);
	json_decref(check.findings);
	admission_destroy(document);
	free(name);
	free(text);
	return check.num_refusals == 0 && error.what[0] == '\0';
}

int
verb_admission_scan(const struct cli *cli)
{
	const char *dir = cli->num_args > 0 ? cli->args[0] : "/etc/libvirt/qemu", *profile = cli_option(cli, "profile", 0);
	json_t *guests = cli->json ? json_array() : NULL;
	struct dirent **entries = NULL;
	struct vg_error error = { 0 };
	int num = 0, refused = 0;

	xmlInitParser();
	if (profile != NULL && strcmp(profile, "baseline") != 0 && strcmp(profile, "restricted") != 0) {
		(void)vg_fail(&error, "unknown profile '%.60s'", profile);
		(void)vg_hint(&error, "known profiles: baseline, restricted");
	} else if (admission_start(&error) == 0 && (num = scandir(dir, &entries, is_definition, alphasort)) < 0) {
		(void)vg_fail(&error, "%s: %s", dir, strerror(errno));
		(void)vg_hint(&error, "libvirt's directory of definitions is for root");
	}
	for (int i = 0; i < num; i++) {
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name) < (int)sizeof(path))
			refused += !scan_file(cli, path, guests);
		free(entries[i]);
	}
	free(entries);
	admission_stop();
	if (error.what[0] != '\0') {
		json_decref(guests);
		return cli_fail(&error, CLI_USAGE);
	}
	if (guests != NULL)
		return cli_print_json(guests, refused == 0 ? CLI_DONE : CLI_NO);
	printf("%d guest%s, %d would be refused by profile %s\n", num, num == 1 ? "" : "s", refused, profile == NULL ? "baseline" : profile);
	return refused == 0 ? CLI_DONE : CLI_NO;
}

int
verb_admission_explain(const struct cli *cli)
{
	static const char *const profiles[] = { "privileged", "baseline", "restricted" };
	const char *wanted = cli->num_args > 0 ? cli->args[0] : NULL;
	json_t *list = json_array();
	struct nearest nearest = { .word = wanted };
	struct admission_rule rule;
	struct vg_error error;
	unsigned num = 0;

	for (size_t i = 0; admission_rule_at(i, &rule); i++) {
		if (wanted != NULL)
			nearest_offer(&nearest, rule.id);
		if (wanted != NULL && strcmp(wanted, rule.id) != 0)
			continue;
		num++;
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "rule", rule.id, "profile", profiles[rule.profile], "message",
		    rule.message, "hint", rule.hint, "must_not", rule.xpath));
		if (cli->json)
			continue;
		if (wanted == NULL)
			printf("%-20s %-10s %s\n", rule.id, profiles[rule.profile], rule.message);
		else
			printf("%s, of profile %s: %s\n%s%s%smust not be there: %s\n", rule.id, profiles[rule.profile], rule.message,
			    rule.hint[0] == '\0' ? "" : "instead: ", rule.hint, rule.hint[0] == '\0' ? "" : "\n", rule.xpath);
	}
	if (num == 0 && wanted != NULL) {
		json_decref(list);
		(void)vg_fail(&error, "there is no rule '%.60s'", wanted);
		if (nearest.best != NULL)
			(void)vg_hint(&error, "did you mean '%s'?", nearest.best);
		else
			(void)vg_hint(&error, "virtgate admission explain, without a name, lists them");
		return cli_fail(&error, CLI_NO);
	}
	if (cli->json)
		return cli_print_json(list, CLI_DONE);
	json_decref(list);
	return CLI_DONE;
}
