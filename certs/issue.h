/*
 * issue.h: keys, certificates and revocation lists as OpenSSL objects, and their PEM and PKCS#12 forms. No file is
 * written and no clock is read here.
 *
 * Keys are EC P-256, signatures SHA-256, serials 128 random bits. keyUsage is critical and has keyEncipherment beside
 * digitalSignature even though an EC key cannot encipher: libvirt's client refuses a certificate without it.
 */
#ifndef CERTS_ISSUE_H
#define CERTS_ISSUE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <time.h>

#include "certs/index.h"
#include "virtgate/result.h"

#define CERT_MAX_SANS 64

struct cert_request {
	enum cert_kind kind;
	const char *cn;			/* NULL: none (a host name too long for a CN) */
	const char *org, *org_unit;	/* NULL: none */
	const char *hosts[CERT_MAX_SANS];	/* DNS names and IP addresses */
	size_t num_hosts;
	const char *emails[CERT_MAX_SANS];
	size_t num_emails;
	time_t not_before, not_after;
};

struct cert_pair {
	EVP_PKEY *key;
	X509 *cert;
};

/* Makes a key and its certificate, signed by `ca`, or by itself when `ca` is NULL. */
int cert_make(const struct cert_request *request, const struct cert_pair *ca, struct cert_pair *made,
    struct vg_error *error);
void cert_pair_clear(struct cert_pair *pair);

/* Fills everything but name, dn and kind. */
int cert_record(X509 *cert, struct index_record *record, struct vg_error *error);

/*
 * A revocation list with all revoked records, and with those entries of `old` (NULL: none) that the index does not
 * know, so that a list that another tool began is continued. Its number is one more than that of `old`.
 */
int crl_make(const struct cert_pair *ca, const struct index *index, X509_CRL *old, time_t now, time_t next,
    X509_CRL **crl, struct vg_error *error);

/* The reason's name in RFC 5280's spelling, or NULL when there is no such reason. */
const char *crl_reason_name(const char *name);

time_t cert_time(const ASN1_TIME *time);

/* What OpenSSL says about its latest error; clears its error queue. */
const char *openssl_reason(void);

/* PEM or DER in fresh memory; free with file_free. */
int pem_cert(X509 *cert, char **bytes, size_t *len, struct vg_error *error);
int pem_key(EVP_PKEY *key, char **bytes, size_t *len, struct vg_error *error);
int pem_crl(X509_CRL *crl, char **bytes, size_t *len, struct vg_error *error);

/* Key, certificate and CA for a browser: AES-256-CBC and SHA-256, which Chromium and Firefox import. */
int pkcs12_make(const struct cert_pair *pair, X509 *ca, const char *name, const char *password, char **bytes,
    size_t *len, struct vg_error *error);

/* All certificates of a PEM file, at least one; free with certs_free. */
int pem_load_certs(const char *path, STACK_OF(X509) **certs, struct vg_error *error);
void certs_free(STACK_OF(X509) *certs);
int pem_load_key(const char *path, EVP_PKEY **key, struct vg_error *error);
/* All lists of a PEM file, at least one. */
int pem_load_crls(const char *path, STACK_OF(X509_CRL) **crls, struct vg_error *error);

#endif
