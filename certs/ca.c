/* ca.c: see ca.h. */
#include "certs/ca.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *
ca_org(X509 *ca)
{
	const X509_NAME *name = X509_get_subject_name(ca);
	int at = X509_NAME_get_index_by_NID(name, NID_organizationName, -1);
	unsigned char *utf8;
	char *text;
	int len;

	if (at < 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0)
		return NULL;
	text = memchr(utf8, '\0', (size_t)len) == NULL ? strndup((char *)utf8, (size_t)len) : NULL;
	OPENSSL_free(utf8);
	return text;
}

int
ca_load(const struct pki *pki, struct cert_pair *ca, struct vg_error *error)
{
	const char *path = pki->tree.path[PKI_CA_CERT];
	STACK_OF(X509) *certs;

	memset(ca, 0, sizeof(*ca));
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		vg_fail(error, "%s: there is no CA", path);
		return vg_hint(error, "make one with: virtgate pki init");
	}
	if (pem_load_certs(path, &certs, error) < 0)
		return -1;
	/* With several certificates in the file, the key tells which of them issues. */
	if (pem_load_key(pki->tree.path[PKI_CA_KEY], &ca->key, error) == 0)
		while (ca->cert == NULL && sk_X509_num(certs) > 0) {
			ca->cert = sk_X509_shift(certs);
			if (X509_check_private_key(ca->cert, ca->key) != 1) {
				X509_free(ca->cert);
				ca->cert = NULL;
			}
		}
	certs_free(certs);
	if (ca->key == NULL)
		return -1;
	(void)openssl_reason();
	if (ca->cert == NULL)
		vg_fail(error, "%s is not the key of a certificate in %s", pki->tree.path[PKI_CA_KEY], path);
	else if (X509_check_ca(ca->cert) != 1)
		vg_fail(error, "%s is not a CA certificate (basicConstraints, keyUsage)", path);
	else if (pki->now > cert_time(X509_get0_notAfter(ca->cert)))
		vg_fail(error, "%s has expired: what it signs is worth nothing", path);
	else if (pki->now < cert_time(X509_get0_notBefore(ca->cert)))
		vg_fail(error, "%s is not yet valid: is this machine's clock right?", path);
	else
		return 0;
	cert_pair_clear(ca);
	return -1;
}

/* The list that is there, which must be this CA's; NULL when there is none. */
static int
load_old_crl(const struct pki *pki, const struct cert_pair *ca, X509_CRL **old, struct vg_error *error)
{
	const char *path = pki->tree.path[PKI_CRL];
	STACK_OF(X509_CRL) *crls;
	X509_CRL *crl;

	*old = NULL;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (pem_load_crls(path, &crls, error) < 0)
		return -1;
	crl = sk_X509_CRL_value(crls, 0);
	if (sk_X509_CRL_num(crls) != 1) {
		vg_fail(error, "%s has %d revocation lists: virtgate keeps that of one CA", path,
		    sk_X509_CRL_num(crls));
	} else if (X509_CRL_verify(crl, ca->key) != 1) {
		(void)openssl_reason();
		vg_fail(error, "%s was not signed by this CA", path);
		vg_hint(error, "it would be lost by writing a new one: move it away first");
	} else {
		*old = crl;
		X509_CRL_up_ref(crl);
	}
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	return *old != NULL ? 0 : -1;
}

int
ca_stage_crl(const struct pki *pki, struct file_set *set, const struct cert_pair *ca, const struct index *index,
    int days, time_t *next, struct vg_error *error)
{
	X509_CRL *old = NULL, *crl = NULL;
	time_t ca_end = cert_time(X509_get0_notAfter(ca->cert));
	char *bytes = NULL;
	size_t len = 0;
	int result = -1;

	*next = pki->now + (time_t)(days != 0 ? days : PKI_DAYS_CRL) * DAY_SECONDS;
	if (*next > ca_end)
		*next = ca_end;
	if (load_old_crl(pki, ca, &old, error) == 0 && crl_make(ca, index, old, pki->now, *next, &crl, error) == 0 &&
	    pem_crl(crl, &bytes, &len, error) == 0)
		result = file_set_add(set, pki->tree.path[PKI_CRL], bytes, len, 0644, true, error);
	file_free(bytes, len);
	X509_CRL_free(crl);
	X509_CRL_free(old);
	return result;
}

int
ca_describe(const struct pki *pki, X509 *cert, enum cert_kind kind, const char *name, struct index_record *record,
    struct vg_error *error)
{
	if (cert_record(cert, record, error) < 0)
		return -1;
	record->kind = kind;
	record->name = strdup(name);
	/* A server whose names are too long for a CN may have none but its SANs. */
	if (X509_NAME_entry_count(X509_get_subject_name(cert)) == 0)
		record->dn = strdup("");
	else
		record->dn = pki->dn_text(X509_get_subject_name(cert));
	if (record->name == NULL || record->dn == NULL) {
		index_record_clear(record);
		return vg_fail(error, "cannot write down the name of the certificate for '%s'", name);
	}
	return 0;
}
