/*
 * admission.c: `virtgate admission check`: what the gateway would say of a document, before anybody sends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "gateway/admission/admission.h"
#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_load.h"

struct report {
	const char *file;
	json_t *findings;	/* NULL: print */
};

static void
tell_finding(const struct admission_finding *finding, void *arg)
{
	struct report *report = arg;

	if (report->findings != NULL) {
		json_array_append_new(report->findings, json_pack("{s:s, s:I, s:s, s:s, s:s}", "rule", finding->rule, "line",
		    (json_int_t)finding->line, "path", finding->path, "message", finding->message, "hint", finding->hint));
		return;
	}
	printf("%s:%ld: %s: %s: %s%s%s\n", report->file, finding->line, finding->rule, finding->path, finding->message,
	    finding->hint[0] == '\0' ? "" : "; ", finding->hint);
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

int
verb_admission_check(const struct cli *cli)
{
	struct report report = { .file = cli->args[0], .findings = cli->json ? json_array() : NULL };
	struct admission_document *document = NULL;
	struct vg_error error = { 0 };
	int num = -1, status = CLI_USAGE;
	json_t *claims = NULL;
	size_t len;
	char *text;

	xmlInitParser();
	text = policy_load_text(cli->args[0], &len, &error);
	if (text == NULL || admission_start(&error) < 0)
		goto out;
	document = admission_parse(guess_kind(text), text, len, &error);
	if (document == NULL) {
		struct vg_error told = error;

		(void)vg_fail(&error, "%s: %s", cli->args[0], told.what);
		(void)vg_hint(&error, "%s", told.hint);
		goto out;
	}
	num = admission_judge(document, VG_PROFILE_BASELINE, NULL, tell_finding, &report);
	if (num < 0) {
		(void)vg_fail(&error, "%s: too large to be judged", cli->args[0]);
		goto out;
	}
	claims = list_claims(document, cli->args[0], !cli->json);
	status = num == 0 ? CLI_DONE : CLI_NO;
	if (cli->json)
		status = cli_print_json(json_pack("{s:s, s:b, s:O, s:O}", "file", cli->args[0], "admitted", num == 0, "findings",
		    report.findings, "uses", claims), status);
	else if (num == 0)
		printf("%s: admitted by profile baseline\n", cli->args[0]);
out:
	json_decref(claims);
	json_decref(report.findings);
	admission_destroy(document);
	admission_stop();
	free(text);
	return num < 0 ? cli_fail(&error, CLI_USAGE) : status;
}
