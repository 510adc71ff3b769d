/*
 * admission.c: the admission verbs: what the gateway would say of a document, before anybody sends it; and what its rules are.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "gateway/cli/admission_judge.h"
#include "gateway/cli/harmless.h"
#include "gateway/cli/libvirt.h"
#include "gateway/cli/policy_load.h"
#include "gateway/core/settings.h"
#include "virtgate/nearest.h"

static void
tell_finding(struct check *check, const struct admission_finding *finding)
{
	char row[192] = "";

	check->num_refusals += strcmp(check->mode, "enforce") == 0;
	if (check->findings != NULL) {
		json_array_append_new(check->findings, json_pack("{s:s, s:I, s:s, s:s, s:s, s:s*, s:s}", "rule", finding->rule, "line",
		    (json_int_t)finding->line, "path", finding->path, "message", finding->message, "hint", finding->hint,
		    "row", check->row[0] == '\0' ? NULL : check->row, "mode", check->mode));
		return;
	}
	if (check->row[0] != '\0')
		(void)snprintf(row, sizeof(row), " (row '%.128s', %s)", check->row, check->mode);
	harmless_line(stdout, "%s:%ld: %s: %s: %s%s%s%s", check->file, finding->line, finding->rule, finding->path, finding->message,
	    finding->hint[0] == '\0' ? "" : "; ", finding->hint, row);
}

static const char *
claim_kind_name(enum admission_claim_kind kind)
{
	static const char *const names[] = { [CLAIM_DISK] = "image", [CLAIM_VOLUME] = "storage_vol", [CLAIM_NETWORK] = "network",
		[CLAIM_NWFILTER] = "nwfilter", [CLAIM_SECRET] = "secret", [CLAIM_DIRECTORY] = "directory" };

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
			harmless_line(stdout, "%s:%ld: uses %s '%s%s%s'%s", file, claims[i].line, kind, parent == NULL ? "" : parent,
			    parent == NULL ? "" : "/", claims[i].name, claims[i].writes ? ", to write" : "");
		json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:b, s:I}", "kind", kind, "name", claims[i].name, "parent", parent,
		    "writes", claims[i].writes, "line", (json_int_t)claims[i].line));
	}
	return list;
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
	struct check check = { .file = cli->args[0], .take = tell_finding, .quiet = cli->json, .findings = cli->json ? json_array() : NULL };
	struct vg_error error = { 0 };
	int status = CLI_USAGE;
	json_t *claims = NULL;

	xmlInitParser();
	if (check_read(&check, &error) < 0) {
		status = cli_fail(&error, CLI_USAGE);
	} else if (check_judge(cli, &check, &status) == 0) {
		claims = list_claims(check.document, check.file, !cli->json);
		status = tell_check(cli, &check, claims);
	}
	json_decref(claims);
	check_clear(&check);
	return status;
}

/* ---- all guests ---- */

static int
is_definition(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".xml") == 0;
}

/* What came of all of them. */
struct scan {
	const struct cli *cli;
	json_t *guests;		/* NULL: print */
	unsigned num, refused;
};

/* One definition; `where`: its file, or the guest's name at libvirtd. `text` NULL: nobody can read it, for that reason. */
static void
scan_text(struct scan *scan, const char *where, bool is_file, const char *text, size_t len, const char *why)
{
	struct check check = { .file = where, .take = tell_finding, .findings = scan->guests != NULL ? json_array() : NULL };
	struct vg_error error = { 0 };
	char *name = NULL;
	bool admitted;

	if (text == NULL)
		(void)vg_fail(&error, "%s", why);
	else
		check.document = admission_parse(ADMISSION_DOMAIN, text, len, &error);
	if (check.document != NULL) {
		(void)check_for_all(&check, cli_option(scan->cli, "profile", 0), &error);
		name = admission_name(check.document);
	}
	if (check.failed)
		(void)vg_fail(&error, "too large to be judged");
	admitted = check.num_refusals == 0 && error.what[0] == '\0';
	if (scan->guests != NULL)
		json_array_append_new(scan->guests, json_pack("{s:s*, s:s*, s:b, s:O, s:s*}", "file", is_file ? where : NULL, "name", is_file ? name : where,
		    "admitted", admitted, "findings", check.findings, "error", error.what[0] == '\0' ? NULL : error.what));
	else if (error.what[0] != '\0')
		harmless_line(stdout, "%s: document: %s", where, error.what);
	scan->num++;
	scan->refused += !admitted;
	json_decref(check.findings);
	admission_destroy(check.document);
	free(name);
}

/* What is stored in a directory. -1 with error text. */
static int
scan_files(struct scan *scan, const char *dir, struct vg_error *error)
{
	struct dirent **entries = NULL;
	int num = scandir(dir, &entries, is_definition, alphasort);

	if (num < 0) {
		(void)vg_fail(error, "%s: %s", dir, strerror(errno));
		return vg_hint(error, "libvirt's directory of definitions is for root");
	}
	for (int i = 0; i < num; i++) {
		char path[PATH_MAX], *text;
		struct vg_error why = { 0 };
		size_t len;

		if (snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name) < (int)sizeof(path)) {
			text = policy_load_text(path, &len, &why);
			scan_text(scan, path, true, text, len, why.what);
			free(text);
		}
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static void
scan_guest(const char *name, const char *xml, size_t len, void *arg)
{
	scan_text(arg, name, false, xml, len, "libvirtd does not tell its definition");
}

/* Every guest that libvirtd has, running or not. -1 with error text. */
static int
scan_libvirtd(struct scan *scan, struct vg_error *error)
{
	static char usual[] = "qemu:///system";
	const char *config = scan->cli->config != NULL ? scan->cli->config : CLI_DEFAULT_CONFIG;
	struct settings *settings = scan->cli->config != NULL || access(config, F_OK) == 0 ? settings_load(config, error) : NULL;
	char *const *uris = settings != NULL && settings->allowed_uris.num > 0 ? settings->allowed_uris.items : (char *[]){ usual };
	size_t num = settings != NULL && settings->allowed_uris.num > 0 ? settings->allowed_uris.num : 1;
	int r = error->what[0] != '\0' ? -1 : 0;

	for (size_t i = 0; i < num && r == 0; i++)
		r = libvirt_guests(settings != NULL ? settings->backend_socket_ro : "/run/libvirt/libvirt-sock-ro", uris[i], scan_guest, scan, error);
	settings_destroy(settings);
	return r == 0 ? 0 : vg_hint(error, "`virtgate admission scan /etc/libvirt/qemu` reads libvirt's files instead, which do not have guests that only run");
}

int
verb_admission_scan(const struct cli *cli)
{
	const char *profile = cli_option(cli, "profile", 0);
	struct scan scan = { .cli = cli, .guests = cli->json ? json_array() : NULL };
	struct vg_error error = { 0 };
	int status;

	xmlInitParser();
	if (profile != NULL && strcmp(profile, "baseline") != 0 && strcmp(profile, "restricted") != 0) {
		(void)vg_fail(&error, "unknown profile '%.60s'", profile);
		(void)vg_hint(&error, "known profiles: baseline, restricted");
	} else if (admission_start(&error) == 0) {
		(void)(cli->num_args > 0 ? scan_files(&scan, cli->args[0], &error) : scan_libvirtd(&scan, &error));
	}
	admission_stop();
	status = scan.refused == 0 ? CLI_DONE : CLI_NO;
	if (error.what[0] != '\0') {
		json_decref(scan.guests);
		return cli_fail(&error, CLI_USAGE);
	}
	if (scan.guests != NULL)
		return cli_print_json(scan.guests, status);
	printf("%u guest%s, %u would be refused by profile %s\n", scan.num, scan.num == 1 ? "" : "s", scan.refused, profile == NULL ? "baseline" : profile);
	return status;
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
