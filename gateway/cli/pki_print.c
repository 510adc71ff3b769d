/*
 * pki_print.c: what the pki verbs say, to a person and as JSON.
 */
#include "gateway/cli/pki_print.h"

#include <stdio.h>
#include <string.h>

#include "gateway/cli/harmless.h"

json_t *
pki_record_json(const struct index_record *record, time_t now)
{
	char not_before[21], not_after[21], revoked[21];
	json_t *object;

	time_text(record->not_before, not_before);
	time_text(record->not_after, not_after);
	time_text(record->revoked, revoked);
	object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", record->name, "kind",
	    cert_kind_name(record->kind), "state", cert_state_name(index_state(record, now)), "serial", record->serial,
	    "dn", record->dn, "sha256", record->sha256, "not_before", not_before, "not_after", not_after);
	if (object != NULL && record->revoked != 0) {
		json_object_set_new(object, "revoked", json_string(revoked));
		json_object_set_new(object, "reason", json_string(record->reason));
	}
	return object;
}

int
pki_print_issued(const struct cli *cli, const struct pki *pki, const struct pki_result *result, const char *password)
{
	char until[21];
	size_t i;

	if (cli->json) {
		json_t *object = pki_record_json(&result->record, pki->now), *files = json_array();

		for (i = 0; i < result->num_files; i++)
			json_array_append_new(files, json_string(result->files[i]));
		json_object_set_new(object, "files", files);
		if (password != NULL)
			json_object_set_new(object, "password", json_string(password));
		return cli_print_json(object, CLI_DONE);
	}
	time_text(result->record.not_after, until);
	printf("%s certificate for ", cert_kind_name(result->record.kind));
	harmless_put(stdout, result->record.name);
	printf(", valid until %.10s%s\n  DN      ", until, result->shortened ? " (with its CA, earlier than asked)" :
	    "");
	harmless_put(stdout, result->record.dn);
	printf("\n  SHA-256 %s\n  serial  %s\n", result->record.sha256, result->record.serial);
	for (i = 0; i < result->num_files; i++)
		printf("  file    %s\n", result->files[i]);
	if (password != NULL)
		printf("  password of the .p12 file, shown only now: %s\n", password);
	return CLI_DONE;
}

void
pki_print_client_hint(const struct pki_result *result)
{
	const char *slash = strrchr(result->files[0], '/');

	printf("give its directory to the client, over a safe way, and connect with:\n"
	    "  virsh -c 'qemu+tls://HOST/system?pkipath=%.*s' list\n"
	    "virt-manager, virt-viewer and other VNC viewers take no path; there, that person runs:\n"
	    "  virtgate pki viewers DIRECTORY\n", (int)(slash - result->files[0]), result->files[0]);
}

void
pki_print_row(const struct index_record *record, time_t now)
{
	char until[21];
	int soon = index_state(record, now) == CERT_VALID && record->not_after - now < CHECK_SOON_DAYS * 86400;

	time_text(record->not_after, until);
	printf("%-13s %.10s  %-6s  %-40s  ", soon ? "expires soon" : cert_state_name(index_state(record, now)), until,
	    cert_kind_name(record->kind), record->serial);
	harmless_put(stdout, record->dn);
	putchar('\n');
}

json_t *
pki_report_json(const struct check_report *report)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < report->num; i++) {
		const struct check_finding *finding = &report->findings[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "level", check_level_name(finding->level),
		    "file", finding->file, "what", finding->what, "hint", finding->hint));
	}
	return json_pack("{s:o, s:i, s:i, s:i}", "findings", list, "pass", (int)report->count[CHECK_PASS], "warn",
	    (int)report->count[CHECK_WARN], "fail", (int)report->count[CHECK_FAIL]);
}

void
pki_print_report(const struct check_report *report)
{
	size_t i;

	for (i = 0; i < report->num; i++) {
		const struct check_finding *finding = &report->findings[i];

		printf("%s  ", check_level_name(finding->level));
		if (finding->file[0] != '\0') {
			harmless_put(stdout, finding->file);
			printf(": ");
		}
		harmless_put(stdout, finding->what);
		if (finding->hint[0] != '\0') {
			printf("\n      hint: ");
			harmless_put(stdout, finding->hint);
		}
		putchar('\n');
	}
}
