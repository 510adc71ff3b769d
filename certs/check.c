/* check.c: which files are looked at, and the report; see check.h. */
#include "certs/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/checks.h"

#define CLOCK_PLAUSIBLE 1704067200	/* 2024-01-01: a clock before that was never set */

const char *
check_level_name(enum check_level level)
{
	static const char *const names[CHECK_NUM_LEVELS] = { "PASS", "WARN", "FAIL" };

	return (unsigned)level < CHECK_NUM_LEVELS ? names[level] : "?";
}

void
check_report_clear(struct check_report *report)
{
	free(report->findings);
	memset(report, 0, sizeof(*report));
}

void
check_note(struct check *check, enum check_level level, const char *file, const char *format, ...)
{
	struct check_report *report = check->report;
	struct check_finding *finding;
	va_list args;

	if (report->num == report->size) {
		size_t size = report->size == 0 ? 16 : report->size * 2;

		finding = reallocarray(report->findings, size, sizeof(*finding));
		if (finding == NULL) {
			report->incomplete = true;
			return;
		}
		report->findings = finding;
		report->size = size;
	}
	finding = &report->findings[report->num++];
	report->count[level]++;
	finding->level = level;
	finding->hint[0] = '\0';
	(void)snprintf(finding->file, sizeof(finding->file), "%s", file);
	va_start(args, format);
	(void)vsnprintf(finding->what, sizeof(finding->what), format, args);
	va_end(args);
}

void
check_hint(struct check *check, const char *format, ...)
{
	struct check_report *report = check->report;
	va_list args;

	if (report->num == 0 || report->incomplete)
		return;
	va_start(args, format);
	(void)vsnprintf(report->findings[report->num - 1].hint, sizeof(report->findings[0].hint), format, args);
	va_end(args);
}

/* How many findings there are that are worse than a PASS. */
static size_t
complaints(const struct check *check)
{
	return check->report->count[CHECK_WARN] + check->report->count[CHECK_FAIL];
}

static void
check_mode(struct check *check, const char *path, const struct stat *st, bool key)
{
	unsigned mode = st->st_mode & 07777u;

	if (key && (mode & 0007) != 0) {
		check_note(check, CHECK_FAIL, path, "every user of this machine can read the private key (mode %04o)",
		    mode);
		check_hint(check, "chmod 0600 '%.200s'; if others have accounts here, take a new key: this one is no "
		    "secret any more", path);
	} else if (key && (mode & 0070) != 0) {
		check_note(check, CHECK_WARN, path, "group %u can read or change the private key (mode %04o)",
		    (unsigned)st->st_gid, mode);
		check_hint(check, "chmod 0600 '%.200s', unless that group is the daemon's own", path);
	} else if (!key && (mode & 0022) != 0) {
		check_note(check, CHECK_FAIL, path, "others than its owner can replace what is trusted here (mode "
		    "%04o)", mode);
		check_hint(check, "chmod 0644 '%.200s'", path);
	}
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		check_note(check, CHECK_WARN, path, "belongs to user %u, who can change it", (unsigned)st->st_uid);
		check_hint(check, "chown root '%.200s', unless that user is the daemon's own", path);
	}
}

/* A directory that everybody may write to lets everybody rename the files in it. */
static void
check_dir_of(struct check *check, const char *path)
{
	char dir[PKI_PATH_MAX];
	char *slash;
	struct stat st;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir)
		return;
	*slash = '\0';
	if (stat(dir, &st) == 0 && (st.st_mode & 0002) != 0 && (st.st_mode & S_ISVTX) == 0) {
		check_note(check, CHECK_FAIL, path, "its directory can be written to by everybody (mode %04o)",
		    st.st_mode & 07777u);
		check_hint(check, "chmod o-w '%.200s'", dir);
	}
}

bool
check_file(struct check *check, const char *path, bool key, const char *what, const char *consequence,
    const char *if_missing)
{
	struct stat st;

	if (stat(path, &st) < 0 || access(path, R_OK) < 0) {
		int why = errno;

		if (why == EACCES) {
			check_note(check, CHECK_WARN, path, "this user may not read the %s: not checked", what);
			check_hint(check, "run the check as root");
		} else {
			check_note(check, CHECK_FAIL, path, "no %s: %s; %s", what, strerror(why), consequence);
			check_hint(check, "%s", if_missing);
		}
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		check_note(check, CHECK_FAIL, path, "not a regular file");
		return false;
	}
	check_mode(check, path, &st, key);
	check_dir_of(check, path);
	return true;
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

static void
note_error(struct check *check, const char *path, const struct vg_error *error)
{
	/* The text begins with the path; the report has it already. */
	size_t skip = strncmp(error->what, path, strlen(path)) == 0 ? strlen(path) : 0;

	if (skip != 0 && strncmp(error->what + skip, ": ", 2) == 0)
		skip += 2;
	check_note(check, CHECK_FAIL, path, "%s", error->what + skip);
	check_hint(check, "%s", error->hint);
}

static STACK_OF(X509) *
load_certs(struct check *check, const char *path)
{
	STACK_OF(X509) *certs;
	struct vg_error error;

	if (pem_load_certs(path, &certs, &error) == 0)
		return certs;
	note_error(check, path, &error);
	return NULL;
}

static void
pass_cert(struct check *check, const char *path, X509 *cert, const char *what, size_t before)
{
	char *dn, until[21];

	if (complaints(check) > before)
		return;
	dn = check->pki->dn_text(X509_get_subject_name(cert));
	time_text(cert_time(X509_get0_notAfter(cert)), until);
	check_note(check, CHECK_PASS, path, "%s '%s', valid until %.10s", what, dn != NULL ? dn : "?", until);
	free(dn);
}

/* ---- the files ---- */

static void
check_clock(struct check *check)
{
	char now[21];

	time_text(check->pki->now, now);
	if (check->pki->now >= CLOCK_PLAUSIBLE) {
		check_note(check, CHECK_PASS, "", "the clock says %s", now);
		return;
	}
	check_note(check, CHECK_FAIL, "", "the clock says %s: every certificate will look not yet valid", now);
	check_hint(check, "set it: timedatectl set-ntp true");
}

static void
load_trust(struct check *check, struct check_trust *trust, const char *if_missing)
{
	size_t before = complaints(check);
	char consequence[PKI_PATH_MAX + 80];
	struct vg_error error;
	int i;

	(void)snprintf(consequence, sizeof(consequence), "virsh and libvirtd say: Cannot read CA certificate '%s'",
	    trust->ca_path);
	if (check_file(check, trust->ca_path, false, "CA certificate", consequence, if_missing))
		trust->cas = load_certs(check, trust->ca_path);
	for (i = 0; i < sk_X509_num(trust->cas); i++) {
		check_cert(check, trust->ca_path, sk_X509_value(trust->cas, i), CERT_CA);
		pass_cert(check, trust->ca_path, sk_X509_value(trust->cas, i), "CA", before);
	}
	if (!exists(trust->crl_path) ||
	    !check_file(check, trust->crl_path, false, "revocation list", "", ""))
		return;
	if (pem_load_crls(trust->crl_path, &trust->crls, &error) < 0)
		note_error(check, trust->crl_path, &error);
	else
		check_crls(check, trust);
}

static void
trust_clear(struct check_trust *trust)
{
	certs_free(trust->cas);
	sk_X509_CRL_pop_free(trust->crls, X509_CRL_free);
}

/* One certificate with its key. */
static void
check_pair(struct check *check, const char *cert_path, const char *key_path, enum cert_kind kind,
    const struct check_trust *trust, const char *const *hosts, size_t num_hosts, bool guessed)
{
	const char *what = kind == CERT_SERVER ? "server certificate" : "client certificate";
	const char *make = kind == CERT_SERVER ? "make one with: virtgate pki server HOST" :
	    "make one with: virtgate pki client NAME";
	const char *consequence = kind == CERT_SERVER ? "without it neither libvirtd nor virtgated listens for TLS" :
	    "virsh does not complain but connects without, and the server turns it away";
	size_t before = complaints(check);
	STACK_OF(X509) *certs = NULL;
	X509 *cert = NULL;

	if (check_file(check, cert_path, false, what, consequence, make))
		certs = load_certs(check, cert_path);
	if (certs != NULL) {
		cert = sk_X509_shift(certs);
		check_cert(check, cert_path, cert, kind);
		check_chain(check, cert_path, cert, certs, trust);
		if (num_hosts > 0)
			check_hosts(check, cert_path, cert, hosts, num_hosts, guessed);
		pass_cert(check, cert_path, cert, what, before);
	}
	before = complaints(check);
	if (check_file(check, key_path, true, "private key", consequence, make) && cert != NULL) {
		check_key(check, key_path, cert_path, cert);
		if (complaints(check) == before)
			check_note(check, CHECK_PASS, key_path, "private key, fits the certificate, readable by its "
			    "owner only");
	}
	certs_free(certs);
	X509_free(cert);
}

static void
check_ca_key(struct check *check, const struct check_trust *trust)
{
	const char *path = check->pki->tree.path[PKI_CA_KEY];
	size_t before = complaints(check);
	struct vg_error error;
	EVP_PKEY *key;
	bool fits = false;
	int i;

	/* Not having it here is the better practice, not a fault. */
	if (!exists(path) || !check_file(check, path, true, "private key", "", ""))
		return;
	if (pem_load_key(path, &key, &error) < 0) {
		note_error(check, path, &error);
		return;
	}
	for (i = 0; i < sk_X509_num(trust->cas); i++)
		fits = fits || X509_check_private_key(sk_X509_value(trust->cas, i), key) == 1;
	(void)openssl_reason();
	EVP_PKEY_free(key);
	if (!fits && trust->cas != NULL) {
		check_note(check, CHECK_FAIL, path, "not the key of a certificate in %.200s", trust->ca_path);
		check_hint(check, "restore the two files from the same backup; what this key signs, nobody trusts");
	} else if (complaints(check) == before) {
		check_note(check, CHECK_PASS, path, "private key of the CA, readable by its owner only");
	}
}

static void
check_pkipath_dir(struct check *check, const char *dir, const struct check_trust *server)
{
	char ca[PKI_PATH_MAX], crl[PKI_PATH_MAX], cert[PKI_PATH_MAX], key[PKI_PATH_MAX];
	struct check_trust trust = { .ca_path = ca, .crl_path = crl };
	struct vg_error error;

	if (path_join(ca, dir, "cacert.pem", &error) < 0 || path_join(crl, dir, "cacrl.pem", &error) < 0 ||
	    path_join(cert, dir, "clientcert.pem", &error) < 0 || path_join(key, dir, "clientkey.pem", &error) < 0) {
		check_note(check, CHECK_FAIL, dir, "%s", error.what);
		return;
	}
	load_trust(check, &trust, "copy it from the CA's machine: a client needs it to know the server");
	check_pair(check, cert, key, CERT_CLIENT, server != NULL && server->cas != NULL ? server : &trust, NULL, 0,
	    false);
	if (trust.cas != NULL && server != NULL && server->cas != NULL &&
	    X509_cmp(sk_X509_value(trust.cas, 0), sk_X509_value(server->cas, 0)) != 0) {
		check_note(check, CHECK_WARN, ca, "not the CA certificate of this host (%.200s)", server->ca_path);
		check_hint(check, "with it virsh refuses this host: The certificate hasn't got a known issuer");
	}
	trust_clear(&trust);
}

static void
check_clients(struct check *check, const struct check_trust *trust)
{
	const char *path = check->pki->tree.path[PKI_CLIENTS];
	struct dirent **names;
	struct vg_error error;
	int num = scandir(path, &names, NULL, alphasort), i;

	if (num < 0) {
		if (errno != ENOENT) {
			check_note(check, CHECK_WARN, path, "cannot read the directory: %s: not checked",
			    strerror(errno));
			check_hint(check, "run the check as root");
		}
		return;
	}
	/* A client whose certificate has ended is that client's business: it does not make the host unfit. */
	check->worst_of_old = CHECK_WARN;
	for (i = 0; i < num; i++) {
		char dir[PKI_PATH_MAX];
		struct stat st;

		if (names[i]->d_name[0] != '.' && path_join(dir, path, names[i]->d_name, &error) == 0 &&
		    stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
			check_pkipath_dir(check, dir, trust);
		free(names[i]);
	}
	check->worst_of_old = CHECK_FAIL;
	free(names);
}

void
check_tree(const struct pki *pki, const char *const *hosts, size_t num_hosts, bool guessed, struct check_report *report)
{
	struct check check = { .pki = pki, .report = report, .worst_of_old = CHECK_FAIL };
	const struct pki_tree *tree = &pki->tree;
	struct check_trust trust = { .ca_path = tree->path[PKI_CA_CERT], .crl_path = tree->path[PKI_CRL] };

	check_clock(&check);
	load_trust(&check, &trust, "make a CA with: virtgate pki init, or copy the certificate of the one you have");
	if (!exists(trust.crl_path)) {
		check_note(&check, CHECK_WARN, trust.crl_path, "no revocation list: a stolen key stays good until its "
		    "certificate ends");
		check_hint(&check, "virtgate pki crl, then crl_file = \"%.200s\" in virtgated.conf", trust.crl_path);
	}
	check_ca_key(&check, &trust);
	check_index(&check, &trust);
	check_pair(&check, tree->path[PKI_SERVER_CERT], tree->path[PKI_SERVER_KEY], CERT_SERVER, &trust, hosts,
	    num_hosts, guessed);
	if (exists(tree->path[PKI_CLIENT_CERT]) || exists(tree->path[PKI_CLIENT_KEY]))
		check_pair(&check, tree->path[PKI_CLIENT_CERT], tree->path[PKI_CLIENT_KEY], CERT_CLIENT, &trust, NULL,
		    0, false);
	check_clients(&check, &trust);
	trust_clear(&trust);
}

void
check_pkipath(const struct pki *pki, const char *dir, struct check_report *report)
{
	struct check check = { .pki = pki, .report = report, .worst_of_old = CHECK_FAIL };

	check_clock(&check);
	check_pkipath_dir(&check, dir, NULL);
}
