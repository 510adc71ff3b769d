/*
 * pki.c: the pki verbs: options into a request, certs/ does it, the result as text or JSON.
 */
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "certs/check.h"
#include "certs/names.h"
#include "certs/pki.h"
#include "certs/viewers.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/harmless.h"
#include "gateway/cli/password.h"
#include "gateway/cli/pki_print.h"
#include "gateway/core/handover.h"
#include "gateway/auth/dn.h"

#define DEFAULT_ORG "virtgate"

/* ---- options ---- */

static int
client_ok(X509 *cert, struct vg_error *error)
{
	struct vg_identity identity = { .proofs = 0 };
	int result = dn_identity(cert, &identity, error);

	identity_clear(&identity);
	return result;
}

static int
open_pki(const struct cli *cli, struct pki *pki, struct vg_error *error)
{
	pki->dn_text = dn_text;
	pki->client_ok = client_ok;
	pki->now = time(NULL);
	return pki_tree_init(&pki->tree, cli_option(cli, "dir", 0), error);
}

static int
option_days(const struct cli *cli, int *days, struct vg_error *error)
{
	const char *text = cli_option(cli, "days", 0);
	char *end;
	long value;

	*days = 0;
	if (text == NULL)
		return 0;
	value = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || value < 1 || value > PKI_DAYS_MAX)
		return vg_fail(error, "--days %s: a number of days from 1 to %d", text, PKI_DAYS_MAX);
	*days = (int)value;
	return 0;
}

/* The names of this machine: as it calls itself, and in full where that is another. Answers how many. */
static size_t
own_names(char names[2][HOST_MAX_BYTES + 1])
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;
	char *full;
	size_t num = 0;

	if (gethostname(names[0], HOST_MAX_BYTES) < 0)
		return 0;
	names[0][HOST_MAX_BYTES] = '\0';
	if (name_check_host(names[0], NULL) == 0)
		num = 1;
	full = names[num];
	if (num == 1 && getaddrinfo(names[0], NULL, &hints, &found) == 0) {
		if (found->ai_canonname != NULL && name_check_host(found->ai_canonname, NULL) == 0 &&
		    strcasecmp(found->ai_canonname, names[0]) != 0 && strcmp(found->ai_canonname, "localhost") != 0) {
			(void)snprintf(full, HOST_MAX_BYTES + 1, "%s", found->ai_canonname);
			num = 2;
		}
		freeaddrinfo(found);
	}
	return num;
}

/* ---- the verbs ---- */

int
verb_pki_init(const struct cli *cli)
{
	char names[2][HOST_MAX_BYTES + 1], default_name[NAME_MAX_BYTES + 1];
	struct pki_request request = {
		.name = cli_option(cli, "name", 0), .org = cli_option(cli, "org", 0), .org_unit = cli_option(cli, "ou",
		    0),
	};
	struct pki_result result;
	struct vg_error error;
	struct pki pki;
	int status;

	if (open_pki(cli, &pki, &error) < 0 || option_days(cli, &request.days, &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	if (request.name == NULL) {
		size_t num = own_names(names);

		(void)snprintf(default_name, sizeof(default_name), "virtgate CA%s%.48s", num > 0 ? " of " : "",
		    num > 0 ? names[num - 1] : "");
		request.name = default_name;
	}
	if (request.org == NULL)
		request.org = DEFAULT_ORG;
	if (name_check_text("CA name", request.name, &error) < 0 || name_check_text("organisation", request.org,
	    &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	if (pki_init(&pki, &request, &result, &error) < 0)
		return cli_fail(&error, CLI_NO);
	status = pki_print_issued(cli, &pki, &result, NULL);
	pki_result_clear(&result);
	return status;
}

/* Collects arguments, with the short form of the first name behind it; or the names of this machine. */
static size_t
server_hosts(const struct cli *cli, char own[2][HOST_MAX_BYTES + 1], char *short_name, const char *hosts[CERT_MAX_SANS])
{
	size_t num = 0, i, label;

	if (cli->num_args == 0) {
		size_t num_own = own_names(own);

		/* The full name first: it becomes the CN. */
		for (i = num_own; i > 0; i--)
			hosts[num++] = own[i - 1];
	}
	for (i = 0; i < cli->num_args && num < CERT_MAX_SANS - 1; i++)
		hosts[num++] = cli->args[i];
	if (num == 0 || name_is_ip(hosts[0], NULL, NULL) || hosts[0][0] == '*')
		return num;
	label = strcspn(hosts[0], ".");
	if (hosts[0][label] == '\0' || label > HOST_MAX_BYTES)
		return num;
	memcpy(short_name, hosts[0], label);
	short_name[label] = '\0';
	for (i = 0; i < num; i++)
		if (strcasecmp(hosts[i], short_name) == 0)
			return num;
	hosts[num++] = short_name;
	return num;
}

int
verb_pki_server(const struct cli *cli)
{
	char own[2][HOST_MAX_BYTES + 1], short_name[HOST_MAX_BYTES + 1];
	const char *hosts[CERT_MAX_SANS];
	struct pki_request request = {
		.org = cli_option(cli, "org", 0), .org_unit = cli_option(cli, "ou", 0), .out = cli_option(cli, "out",
		    0),
		.hosts = hosts,
	};
	struct pki_result result;
	struct vg_error error;
	struct pki pki;
	size_t i;
	int status;

	if (open_pki(cli, &pki, &error) < 0 || option_days(cli, &request.days, &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	for (i = 0; i < cli->num_args; i++)
		if (name_check_host(cli->args[i], &error) < 0)
			return cli_fail(&error, CLI_USAGE);
	request.num_hosts = server_hosts(cli, own, short_name, hosts);
	if (request.num_hosts == 0 || cli->num_args > CERT_MAX_SANS - 2) {
		vg_fail(&error, request.num_hosts == 0 ? "this machine has no name that could stand in a certificate" :
		    "too many host names for one certificate");
		vg_hint(&error, "say which names and addresses clients will use: virtgate pki server HOST...");
		return cli_fail(&error, CLI_USAGE);
	}
	if (pki_server(&pki, &request, &result, &error) < 0)
		return cli_fail(&error, CLI_NO);
	status = pki_print_issued(cli, &pki, &result, NULL);
	if (!cli->json) {
		printf("  for    ");
		for (i = 0; i < request.num_hosts; i++)
			printf(" %s", hosts[i]);
		putchar('\n');
	}
	pki_result_clear(&result);
	return status;
}

/* The password of the .p12 file: from a file, from a person, or made up. */
static int
p12_password(const struct cli *cli, char *password, size_t size, bool *generated, struct vg_error *error)
{
	const char *file = cli_option(cli, "password-file", 0);

	*generated = false;
	if (file != NULL)
		return password_from_file(file, password, size, error);
	if (password_can_ask()) {
		if (password_ask("Password for the .p12 file (empty: make one up)", password, size, error) < 0)
			return -1;
		if (password[0] != '\0')
			return 0;
	}
	*generated = true;
	return pki_make_password(password, error);
}

/* Not $HOME: gtk-vnc asks the user database too. */
static const char *
own_home(struct vg_error *error)
{
	const struct passwd *entry = getpwuid(geteuid());

	if (entry != NULL && entry->pw_dir != NULL && entry->pw_dir[0] == '/')
		return entry->pw_dir;
	vg_fail(error, "user %u has no home directory", (unsigned)geteuid());
	vg_hint(error, "name one with --home");
	return NULL;
}

int
verb_pki_viewers(const struct cli *cli)
{
	const char *home = cli_option(cli, "home", 0);
	struct pki_result result;
	struct vg_error error;

	if (home == NULL && (home = own_home(&error)) == NULL)
		return cli_fail(&error, CLI_NO);
	if (pki_viewers(cli->args[0], home, &result, &error) < 0)
		return cli_fail(&error, CLI_NO);
	if (cli->json) {
		json_t *files = json_array();

		for (size_t i = 0; i < result.num_files; i++)
			json_array_append_new(files, json_string(result.files[i]));
		return cli_print_json(json_pack("{s:o}", "files", files), CLI_DONE);
	}
	for (size_t i = 0; i < result.num_files; i++)
		printf("  file    %s\n", result.files[i]);
	printf(result.num_files == 0 ? "everything is in place already\n" : "virt-manager, virt-viewer, remote-viewer, gvncviewer and virsh find them there\n");
	return CLI_DONE;
}

int
verb_pki_client(const struct cli *cli)
{
	char password[PASSWORD_MAX];
	const char *emails[CERT_MAX_SANS];
	struct pki_request request = {
		.name = cli->args[0], .org = cli_option(cli, "org", 0), .org_unit = cli_option(cli, "ou", 0),
		.out = cli_option(cli, "out", 0), .emails = emails, .force_new = cli_option(cli, "force-new", 0) !=
		    NULL,
	};
	bool p12 = cli_option(cli, "p12", 0) != NULL, generated = false;
	struct pki_result result;
	struct vg_error error;
	struct pki pki;
	int status;

	if (open_pki(cli, &pki, &error) < 0 || option_days(cli, &request.days, &error) < 0 ||
	    name_check_client(request.name, &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	for (; request.num_emails < CERT_MAX_SANS; request.num_emails++) {
		emails[request.num_emails] = cli_option(cli, "email", request.num_emails);
		if (emails[request.num_emails] == NULL)
			break;
		if (name_check_email(emails[request.num_emails], &error) < 0)
			return cli_fail(&error, CLI_USAGE);
	}
	if (!p12 && cli_option(cli, "password-file", 0) != NULL) {
		vg_fail(&error, "--password-file is for the file that --p12 makes");
		return cli_fail(&error, CLI_USAGE);
	}
	if (p12 && p12_password(cli, password, sizeof(password), &generated, &error) < 0) {
		OPENSSL_cleanse(password, sizeof(password));
		return cli_fail(&error, CLI_USAGE);
	}
	request.password = p12 ? password : NULL;
	if (pki_client(&pki, &request, &result, &error) < 0) {
		status = cli_fail(&error, CLI_NO);
	} else {
		status = pki_print_issued(cli, &pki, &result, generated ? password : NULL);
		if (!cli->json)
			pki_print_client_hint(&result);
		pki_result_clear(&result);
	}
	OPENSSL_cleanse(password, sizeof(password));
	return status;
}

int
verb_pki_revoke(const struct cli *cli)
{
	const char *serial = cli_option(cli, "serial", 0), *file = cli_option(cli, "cert", 0);
	const char *name = cli->num_args > 0 ? cli->args[0] : NULL, *reason = cli_option(cli, "reason", 0);
	enum pki_selector by = serial != NULL ? PKI_BY_SERIAL : file != NULL ? PKI_BY_FILE : PKI_BY_NAME;
	struct index revoked;
	struct vg_error error;
	struct pki pki;
	json_t *list;
	size_t i;
	int done;

	if (open_pki(cli, &pki, &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	if ((name != NULL) + (serial != NULL) + (file != NULL) != 1) {
		vg_fail(&error, "what is to be revoked? exactly one of NAME, --serial HEX, --cert FILE");
		return cli_fail(&error, CLI_USAGE);
	}
	if (reason != NULL && crl_reason_name(reason) == NULL) {
		vg_fail(&error, "--reason %s: unknown", reason);
		vg_hint(&error, "keyCompromise, affiliationChanged, superseded, cessationOfOperation, "
		    "privilegeWithdrawn or " "unspecified");
		return cli_fail(&error, CLI_USAGE);
	}
	done = pki_revoke(&pki, by, name != NULL ? name : serial != NULL ? serial : file, reason, &revoked, &error);
	if (done != 0)
		return cli_fail(&error, CLI_NO);
	list = json_array();
	for (i = 0; i < revoked.num; i++) {
		json_array_append_new(list, pki_record_json(&revoked.records[i], pki.now));
		if (cli->json)
			continue;
		printf("revoked %s ", revoked.records[i].serial);
		harmless_put(stdout, revoked.records[i].dn);
		putchar('\n');
	}
	index_clear(&revoked);
	if (cli->json)
		return cli_print_json(json_pack("{s:o, s:s}", "revoked", list, "crl", pki.tree.path[PKI_CRL]),
		    CLI_DONE);
	json_decref(list);
	printf("the list is in %s; tell a running gateway with: virtgate reload\n", pki.tree.path[PKI_CRL]);
	return CLI_DONE;
}

int
verb_pki_crl(const struct cli *cli)
{
	struct vg_error error;
	struct pki pki;
	char until[21];
	time_t next;
	int days;

	if (open_pki(cli, &pki, &error) < 0 || option_days(cli, &days, &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	if (pki_crl(&pki, days, &next, &error) < 0)
		return cli_fail(&error, CLI_NO);
	time_text(next, until);
	if (cli->json)
		return cli_print_json(json_pack("{s:s, s:s}", "crl", pki.tree.path[PKI_CRL], "next_update", until),
		    CLI_DONE);
	printf("%s counts until %s; tell a running gateway with: virtgate reload\n", pki.tree.path[PKI_CRL], until);
	return CLI_DONE;
}

int
verb_pki_show(const struct cli *cli)
{
	const char *name = cli->num_args > 0 ? cli->args[0] : NULL;
	struct vg_error error;
	struct index index;
	struct pki pki;
	json_t *list;
	size_t i, shown = 0;

	if (open_pki(cli, &pki, &error) < 0 || index_load(&index, pki.tree.path[PKI_INDEX], &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	list = json_array();
	for (i = 0; i < index.num; i++) {
		if (name != NULL && strcmp(index.records[i].name, name) != 0)
			continue;
		if (shown++ == 0 && !cli->json)
			printf("%-13s %-10s  %-6s  %-40s  %s\n", "state", "until", "kind", "serial", "DN");
		if (!cli->json)
			pki_print_row(&index.records[i], pki.now);
		json_array_append_new(list, pki_record_json(&index.records[i], pki.now));
	}
	index_clear(&index);
	if (shown == 0) {
		vg_fail(&error, "%s: no certificate%s%s", pki.tree.path[PKI_INDEX], name != NULL ? " of " : "", name !=
		    NULL ? name : "");
		vg_hint(&error, "the index knows what virtgate pki issued; make a CA with: virtgate pki init");
		(void)cli_fail(&error, CLI_NO);
	}
	if (cli->json)
		return cli_print_json(list, shown > 0 ? CLI_DONE : CLI_NO);
	json_decref(list);
	return shown > 0 ? CLI_DONE : CLI_NO;
}

int
verb_pki_check(const struct cli *cli)
{
	char own[2][HOST_MAX_BYTES + 1];
	const char *hosts[CERT_MAX_SANS];
	struct check_report report = { .num = 0 };
	struct vg_error error;
	struct pki pki;
	size_t num_hosts = 0, i;
	bool guessed;
	int status;

	if (open_pki(cli, &pki, &error) < 0)
		return cli_fail(&error, CLI_USAGE);
	while (num_hosts < CERT_MAX_SANS && (hosts[num_hosts] = cli_option(cli, "host", num_hosts)) != NULL)
		if (name_check_host(hosts[num_hosts++], &error) < 0)
			return cli_fail(&error, CLI_USAGE);
	guessed = num_hosts == 0;
	if (guessed)
		for (num_hosts = own_names(own), i = 0; i < num_hosts; i++)
			hosts[i] = own[i];
	if (cli->num_args == 0)
		check_tree(&pki, hosts, num_hosts, guessed, &report);
	for (i = 0; i < cli->num_args; i++)
		check_pkipath(&pki, cli->args[i], &report);
	status = report.count[CHECK_FAIL] > 0 ? CLI_NO : CLI_DONE;
	if (report.incomplete) {
		vg_fail(&error, "not enough memory to check everything");
		status = cli_fail(&error, CLI_USAGE);
	}
	if (cli->json)
		status = cli_print_json(pki_report_json(&report), status);
	else
		pki_print_report(&report);
	check_report_clear(&report);
	return status;
}
