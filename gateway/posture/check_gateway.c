/*
 * check_gateway.c: the gateway's own files, certificates and processes. What certificates can suffer from is known to certs/check.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "certs/check.h"
#include "gateway/posture/checks.h"

static char *
name_text(const X509_NAME *name)
{
	char text[512];

	return X509_NAME_oneline(name, text, sizeof(text)) == NULL ? NULL : strdup(text);
}

/* False: it is there, but not for us. */
static bool
place(const struct posture_host *host, struct pki *pki, enum pki_file file, const char *path, struct posture_result *result)
{
	char full[POSTURE_PATH_SIZE];

	if (path == NULL || path[0] == '\0')
		return true;
	if (posture_path(host, path, full) == NULL || strlen(full) >= sizeof(pki->tree.path[file])) {
		posture_say(result, POSTURE_SKIP, "could not see: %s: the path is too long", path);
		return false;
	}
	memcpy(pki->tree.path[file], full, strlen(full) + 1);
	if (access(full, R_OK) == 0 || errno == ENOENT)
		return true;
	posture_say(result, POSTURE_SKIP, "could not see: %s: %s", path, strerror(errno));
	return false;
}

void
check_certificates(const struct posture_host *host, struct posture_result *result)
{
	const struct settings *settings = host->settings;
	struct check_report report = { 0 };
	struct pki *pki;

	if (!settings_use_tls(settings)) {
		posture_say(result, POSTURE_PASS, "no way in needs certificates");
		return;
	}
	pki = calloc(1, sizeof(*pki));
	if (pki == NULL) {
		posture_say(result, POSTURE_SKIP, "could not see: out of memory");
		return;
	}
	pki->dn_text = name_text;
	pki->now = host->now;
	if (place(host, pki, PKI_SERVER_KEY, settings->key_file, result) && place(host, pki, PKI_SERVER_CERT, settings->cert_file, result) &&
	    place(host, pki, PKI_CA_CERT, settings->ca_file, result) && place(host, pki, PKI_CRL, settings->crl_file, result)) {
		check_tree(pki, NULL, 0, false, &report);
		for (size_t i = 0; i < report.num; i++) {
			const struct check_finding *finding = &report.findings[i];
			const char *file = strncmp(finding->file, host->root, strlen(host->root)) == 0 ? finding->file + strlen(host->root) : finding->file;

			if (finding->level == CHECK_PASS)
				continue;
			posture_say(result, finding->level == CHECK_FAIL ? POSTURE_FAIL : POSTURE_WARN, "key, certificates or revocation list are not in order");
			posture_name(result, "%s%s%s", file, file[0] != '\0' ? ": " : "", finding->what);
		}
		if (report.incomplete)
			posture_say(result, POSTURE_SKIP, "could not see: out of memory");
	}
	check_report_clear(&report);
	free(pki);
}

void
check_ca_key(const struct posture_host *host, struct posture_result *result)
{
	static const char key[] = "/etc/pki/CA/private/cakey.pem";
	struct stat st;

	if (posture_stat(host, key, &st) == 0) {
		posture_say(result, POSTURE_WARN, "the key of the CA lies on the host: who breaks in here makes himself any certificate");
		posture_name(result, "%s", key);
	} else if (errno != ENOENT) {
		posture_say(result, POSTURE_SKIP, "could not see: %s: %s", key, strerror(errno));
	}
}

/* ---- files ---- */

struct own_file {
	const char *path;
	mode_t forbidden;	/* bits that must not be set */
	const char *why;
};

static void
judge_file(const struct posture_host *host, uid_t root_user, const struct own_file *file, struct posture_result *result)
{
	struct stat st;

	if (posture_stat(host, file->path, &st) < 0) {
		if (errno != ENOENT)
			posture_say(result, POSTURE_SKIP, "could not see: %s: %s", file->path, strerror(errno));
		return;
	}
	if ((st.st_mode & file->forbidden) != 0) {
		posture_say(result, POSTURE_FAIL, "files of the gateway are open to others: %s", file->why);
		posture_name(result, "%s (mode %04o)", file->path, (unsigned)st.st_mode & 07777u);
		if (posture_quotable(file->path))
			posture_fix(result, "chmod %s '%s'", file->forbidden == S_IRWXO ? "o-rwx" : "go-w", file->path);
	}
	/* The trail belongs to the user who writes it; what decides and steers, to nobody but root. */
	if (file->forbidden == (S_IWGRP | S_IWOTH) && st.st_uid != root_user) {
		posture_say(result, POSTURE_WARN, "files that steer the gateway belong to somebody else than root");
		posture_name(result, "%s (user %u)", file->path, (unsigned)st.st_uid);
		if (posture_quotable(file->path))
			posture_fix(result, "chown root '%s'", file->path);
	}
}

static void
above(char dir[POSTURE_PATH_SIZE], const char *path)
{
	char *slash;

	(void)snprintf(dir, POSTURE_PATH_SIZE, "%s", path);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[slash == dir] = '\0';
}

void
check_gateway_files(const struct posture_host *host, struct posture_result *result)
{
	const struct settings *settings = host->settings;
	const char *config = strncmp(settings->file, host->root, strlen(host->root)) == 0 ? settings->file + strlen(host->root) : settings->file;
	char config_dir[POSTURE_PATH_SIZE], policy_dir[POSTURE_PATH_SIZE];
	const struct own_file files[] = {
		{ config, S_IWGRP | S_IWOTH, "who can change the settings decides who gets in" },
		{ config_dir, S_IWGRP | S_IWOTH, "who can change the settings decides who gets in" },
		{ settings->policy_file, S_IWGRP | S_IWOTH, "who can change the policy may do everything" },
		{ policy_dir, S_IWGRP | S_IWOTH, "who can change the policy may do everything" },
		{ settings->audit_dir, S_IRWXO, "the trail names people and guests" },
		{ settings->state_dir, S_IRWXO, "what is kept there is nobody else's" },
	};
	struct stat top;

	above(config_dir, config);
	above(policy_dir, settings->policy_file);
	/* Who is root there: in an image or a container the number may be another. */
	if (posture_stat(host, "/", &top) < 0)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		judge_file(host, top.st_uid, &files[i], result);
}

/* ---- processes ---- */

void
check_gateway_processes(const struct posture_host *host, struct posture_result *result)
{
	size_t seen = 0;

	for (size_t i = 0; i < host->num_processes; i++) {
		const struct posture_process *process = &host->processes[i];

		/* The parent stays root, and reads nothing from the network. */
		if (strncmp(process->comm, "virtgated-", 10) != 0 || strcmp(process->comm, "virtgated-paren") == 0)
			continue;
		seen++;
		if (process->uid != 0 && process->capabilities == 0 && process->no_new_privileges)
			continue;
		posture_say(result, POSTURE_FAIL, "processes of the gateway kept more than they need");
		posture_name(result, "%s, pid %ld%s%s%s", process->comm, process->pid, process->uid == 0 ? ", root" : "",
		    process->capabilities != 0 ? ", with capabilities" : "", process->no_new_privileges ? "" : ", may gain privileges");
	}
	if (seen == 0)
		posture_say(result, POSTURE_SKIP, "virtgated does not run");
}
