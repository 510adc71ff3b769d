/* revoke.c: revocation and the renewal of its list; see pki.h. */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/ca.h"
#include "certs/pki.h"

static int
mark(const struct pki *pki, struct index_record *record, const char *reason, struct index *revoked,
    struct vg_error *error)
{
	record->revoked = pki->now;
	(void)snprintf(record->reason, sizeof(record->reason), "%s", reason);
	return index_add(revoked, record, error);
}

static char *
cert_cn(X509 *cert)
{
	char cn[256];

	if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, (int)sizeof(cn)) <= 0)
		return strdup("-");
	return strdup(cn);
}

/* Finds the record of a certificate, or adds it: another tool may have issued it with the same CA. */
static int
find_cert(const struct pki *pki, X509 *cert, struct index *index, struct index_record **found, struct vg_error *error)
{
	struct index_record record = { .name = NULL };
	char *name = cert_cn(cert);
	enum cert_kind kind = (X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT) != 0 ? CERT_CLIENT : CERT_SERVER;
	int result = -1;

	if (name == NULL || ca_describe(pki, cert, kind, name, &record, error) < 0)
		goto out;
	*found = index_find_serial(index, record.serial);
	if (*found == NULL && index_add(index, &record, error) < 0)
		goto out;
	if (*found == NULL)
		*found = &index->records[index->num - 1];
	result = 0;
out:
	index_record_clear(&record);
	free(name);
	return result;
}

static int
find_file(const struct pki *pki, const struct cert_pair *ca, const char *path, struct index *index,
    struct index_record **found, struct vg_error *error)
{
	STACK_OF(X509) *certs;
	X509 *cert;
	int result = -1;

	if (pem_load_certs(path, &certs, error) < 0)
		return -1;
	cert = sk_X509_value(certs, 0);
	if (X509_verify(cert, ca->key) != 1) {
		(void)openssl_reason();
		vg_fail(error, "%s was not issued by this CA: its own CA must revoke it", path);
	} else if (X509_cmp(cert, ca->cert) == 0) {
		vg_fail(error, "%s is the CA itself", path);
		vg_hint(error, "a CA is not revoked but taken out of use: make another one and replace cacert.pem "
		    "everywhere");
	} else {
		result = find_cert(pki, cert, index, found, error);
	}
	certs_free(certs);
	return result;
}

static int
nothing_to_revoke(const struct pki *pki, const char *what, size_t done, struct vg_error *error)
{
	if (done > 0) {
		vg_fail(error, "'%s' is revoked already", what);
	} else {
		vg_fail(error, "%s: no certificate of '%s'", pki->tree.path[PKI_INDEX], what);
		vg_hint(error, "virtgate pki show lists names and serials; one that another tool issued is revoked by "
		    "--cert FILE");
	}
	return 1;
}

/* Marks what is asked for. 0, or 1 when there was nothing to revoke. */
static int
select_and_mark(const struct pki *pki, const struct cert_pair *ca, struct index *index, enum pki_selector by,
    const char *what, const char *reason, struct index *revoked, struct vg_error *error)
{
	struct index_record *record = NULL;
	size_t i, before = 0;

	if (by == PKI_BY_FILE && find_file(pki, ca, what, index, &record, error) < 0)
		return -1;
	if (by == PKI_BY_SERIAL)
		record = index_find_serial(index, what);
	if (record != NULL && record->kind == CERT_CA)
		return vg_fail(error, "serial %s is the CA itself", record->serial);
	for (i = 0; i < index->num; i++) {
		struct index_record *candidate = &index->records[i];

		if (by == PKI_BY_NAME ? candidate->kind == CERT_CA || strcmp(candidate->name, what) != 0 : candidate !=
		    record)
			continue;
		if (candidate->revoked != 0)
			before++;
		else if (mark(pki, candidate, reason, revoked, error) < 0)
			return -1;
	}
	return revoked->num > 0 ? 0 : nothing_to_revoke(pki, what, before, error);
}

int
pki_revoke(const struct pki *pki, enum pki_selector by, const char *what, const char *reason, struct index *revoked,
    struct vg_error *error)
{
	const char *known = crl_reason_name(reason != NULL ? reason : "unspecified");
	struct cert_pair ca = { NULL, NULL };
	struct index index = { NULL, 0, 0 };
	struct file_set set = { .num = 0 };
	time_t next;
	int lock, result = -1;

	memset(revoked, 0, sizeof(*revoked));
	if (known == NULL) {
		vg_fail(error, "unknown reason '%s'", reason);
		return vg_hint(error, "keyCompromise, affiliationChanged, superseded, cessationOfOperation, "
		    "privilegeWithdrawn, unspecified");
	}
	lock = pki_lock(&pki->tree, error);
	if (lock < 0)
		return -1;
	if (ca_load(pki, &ca, error) < 0 || index_load(&index, pki->tree.path[PKI_INDEX], error) < 0)
		goto out;
	result = select_and_mark(pki, &ca, &index, by, what, known, revoked, error);
	if (result != 0)
		goto out;
	result = -1;
	/* The index first: what it says is carried into every later list, even when this one cannot be written. */
	if (index_stage(&index, pki->tree.path[PKI_INDEX], &set, error) == 0 &&
	    ca_stage_crl(pki, &set, &ca, &index, 0, &next, error) == 0)
		result = file_set_publish(&set, error);
out:
	file_set_clear(&set);
	index_clear(&index);
	cert_pair_clear(&ca);
	(void)close(lock);
	if (result != 0)
		index_clear(revoked);
	return result;
}

int
pki_crl(const struct pki *pki, int days, time_t *next, struct vg_error *error)
{
	struct cert_pair ca = { NULL, NULL };
	struct index index = { NULL, 0, 0 };
	struct file_set set = { .num = 0 };
	int lock, result = -1;

	if (days < 0 || days > PKI_DAYS_MAX)
		return vg_fail(error, "%d days: 1 to %d are possible", days, PKI_DAYS_MAX);
	lock = pki_lock(&pki->tree, error);
	if (lock < 0)
		return -1;
	if (ca_load(pki, &ca, error) == 0 && index_load(&index, pki->tree.path[PKI_INDEX], error) == 0 &&
	    ca_stage_crl(pki, &set, &ca, &index, days, next, error) == 0)
		result = file_set_publish(&set, error);
	file_set_clear(&set);
	index_clear(&index);
	cert_pair_clear(&ca);
	(void)close(lock);
	return result;
}
