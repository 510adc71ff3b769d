/* issue.c: makes keys, certificates and revocation lists; see issue.h. */
#include "certs/issue.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>

#include "certs/names.h"

#define SERIAL_BITS 128

const char *
openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason != NULL ? reason : "unknown reason";
}

time_t
cert_time(const ASN1_TIME *time)
{
	struct tm tm;

	if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1)
		return 0;
	return timegm(&tm);
}

void
cert_pair_clear(struct cert_pair *pair)
{
	EVP_PKEY_free(pair->key);
	X509_free(pair->cert);
	pair->key = NULL;
	pair->cert = NULL;
}

static bool
set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	bool ok = number != NULL && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
	    !BN_is_zero(number) && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;

	BN_free(number);
	return ok;
}

/* The DN in the order CN, OU, O: the order in which libvirt's tools print it and in which policies match it. */
static bool
set_subject(X509 *cert, const struct cert_request *request)
{
	const struct {
		int nid;
		const char *text;
	} parts[] = {
		{ NID_commonName, request->cn },
		{ NID_organizationalUnitName, request->org_unit },
		{ NID_organizationName, request->org },
	};
	X509_NAME *name = X509_get_subject_name(cert);
	size_t i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].text != NULL && X509_NAME_add_entry_by_NID(name, parts[i].nid, MBSTRING_UTF8,
		    (const unsigned char *)parts[i].text, -1, -1, 0) != 1)
			return false;
	return true;
}

static bool
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool ok;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &context, nid, value);
	ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static bool
add_san(GENERAL_NAMES *sans, int type, const void *bytes, size_t len)
{
	GENERAL_NAME *san = GENERAL_NAME_new();
	ASN1_STRING *value = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	if (san == NULL || value == NULL || ASN1_STRING_set(value, bytes, (int)len) != 1) {
		GENERAL_NAME_free(san);
		ASN1_STRING_free(value);
		return false;
	}
	GENERAL_NAME_set0_value(san, type, value);
	if (sk_GENERAL_NAME_push(sans, san) == 0) {
		GENERAL_NAME_free(san);
		return false;
	}
	return true;
}

static bool
add_sans(X509 *cert, const struct cert_request *request)
{
	GENERAL_NAMES *sans = sk_GENERAL_NAME_new_null();
	bool ok = sans != NULL;
	size_t i;

	for (i = 0; ok && i < request->num_hosts; i++) {
		unsigned char address[16];
		size_t len;

		if (name_is_ip(request->hosts[i], address, &len))
			ok = add_san(sans, GEN_IPADD, address, len);
		else
			ok = add_san(sans, GEN_DNS, request->hosts[i], strlen(request->hosts[i]));
	}
	for (i = 0; ok && i < request->num_emails; i++)
		ok = add_san(sans, GEN_EMAIL, request->emails[i], strlen(request->emails[i]));
	/* A certificate with an empty DN is named by its SANs alone, then critical (RFC 5280, 4.2.1.6). */
	if (ok && sk_GENERAL_NAME_num(sans) > 0)
		ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, sans,
		    X509_NAME_entry_count(X509_get_subject_name(cert)) == 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(sans);
	return ok;
}

static bool
add_extensions(X509 *cert, X509 *issuer, const struct cert_request *request)
{
	bool is_ca = request->kind == CERT_CA;

	if (!add_extension(cert, issuer, NID_basic_constraints,
	    is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"))
		return false;
	if (!add_extension(cert, issuer, NID_key_usage,
	    is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature,keyEncipherment"))
		return false;
	if (!is_ca && !add_extension(cert, issuer, NID_ext_key_usage,
	    request->kind == CERT_SERVER ? "serverAuth" : "clientAuth"))
		return false;
	return add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
	    add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always") && add_sans(cert, request);
}

int
cert_make(const struct cert_request *request, const struct cert_pair *ca, struct cert_pair *made,
    struct vg_error *error)
{
	X509 *cert = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *issuer = ca != NULL ? ca->cert : cert;

	made->cert = cert;
	made->key = key;
	if (cert == NULL || key == NULL || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
	    !set_subject(cert, request) || X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
	    ASN1_TIME_set(X509_getm_notBefore(cert), request->not_before) == NULL ||
	    ASN1_TIME_set(X509_getm_notAfter(cert), request->not_after) == NULL || X509_set_pubkey(cert, key) != 1 ||
	    !add_extensions(cert, issuer, request) || X509_sign(cert, ca != NULL ? ca->key : key, EVP_sha256()) == 0) {
		vg_fail(error, "cannot make a certificate for '%s': %s", request->cn != NULL ? request->cn : "?",
		    openssl_reason());
		cert_pair_clear(made);
		return -1;
	}
	return 0;
}

static void
hex_upper(const unsigned char *bytes, size_t len, char *text)
{
	size_t i;

	for (i = 0; i < len; i++)
		(void)snprintf(text + 2 * i, 3, "%02X", bytes[i]);
}

int
cert_record(X509 *cert, struct index_record *record, struct vg_error *error)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_len, i;

	if (serial->length < 1 || serial->length > SERIAL_HEX_MAX / 2 || (serial->type & V_ASN1_NEG) != 0)
		return vg_fail(error, "the certificate's serial number is negative or longer than 20 bytes");
	if (X509_digest(cert, EVP_sha256(), digest, &digest_len) != 1 || digest_len != 32)
		return vg_fail(error, "cannot hash a certificate: %s", openssl_reason());
	hex_upper(serial->data, (size_t)serial->length, record->serial);
	for (i = 0; i < digest_len; i++)
		(void)snprintf(record->sha256 + 2 * i, 3, "%02x", digest[i]);
	record->not_before = cert_time(X509_get0_notBefore(cert));
	record->not_after = cert_time(X509_get0_notAfter(cert));
	record->revoked = 0;
	record->reason[0] = '\0';
	return 0;
}

static const struct {
	const char *name;
	long code;
} reasons[] = {
	{ "unspecified", CRL_REASON_NONE },
	{ "keyCompromise", CRL_REASON_KEY_COMPROMISE },
	{ "affiliationChanged", CRL_REASON_AFFILIATION_CHANGED },
	{ "superseded", CRL_REASON_SUPERSEDED },
	{ "cessationOfOperation", CRL_REASON_CESSATION_OF_OPERATION },
	{ "privilegeWithdrawn", CRL_REASON_PRIVILEGE_WITHDRAWN },
};

const char *
crl_reason_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcasecmp(reasons[i].name, name) == 0)
			return reasons[i].name;
	return NULL;
}

/* RFC 5280 wants no reason at all rather than "unspecified". */
static bool
set_reason(X509_REVOKED *entry, const char *name)
{
	ASN1_ENUMERATED *reason;
	long code = CRL_REASON_NONE;
	size_t i;
	bool ok;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].name, name) == 0)
			code = reasons[i].code;
	if (code == CRL_REASON_NONE)
		return true;
	reason = ASN1_ENUMERATED_new();
	ok = reason != NULL && ASN1_ENUMERATED_set(reason, code) == 1 &&
	    X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0) == 1;
	ASN1_ENUMERATED_free(reason);
	return ok;
}

static bool
crl_add_record(X509_CRL *crl, const struct index_record *record)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, record->revoked);
	BIGNUM *number = NULL;
	ASN1_INTEGER *serial = NULL;
	bool ok = entry != NULL && when != NULL && BN_hex2bn(&number, record->serial) != 0 &&
	    (serial = BN_to_ASN1_INTEGER(number, NULL)) != NULL && X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
	    X509_REVOKED_set_revocationDate(entry, when) == 1 && set_reason(entry, record->reason) &&
	    X509_CRL_add0_revoked(crl, entry) == 1;

	if (!ok)
		X509_REVOKED_free(entry);
	ASN1_TIME_free(when);
	ASN1_INTEGER_free(serial);
	BN_free(number);
	return ok;
}

/* True when `index` decides whether this serial is revoked. */
static bool
index_knows(const struct index *index, const ASN1_INTEGER *serial)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
	char *hex = number != NULL ? BN_bn2hex(number) : NULL;
	struct index copy = *index;
	bool known = hex != NULL && index_find_serial(&copy, hex) != NULL;

	OPENSSL_free(hex);
	BN_free(number);
	return known;
}

static bool
crl_add_entries(X509_CRL *crl, const struct index *index, X509_CRL *old)
{
	STACK_OF(X509_REVOKED) *entries = old != NULL ? X509_CRL_get_REVOKED(old) : NULL;
	size_t i;
	int j;

	for (i = 0; i < index->num; i++)
		if (index->records[i].revoked != 0 && !crl_add_record(crl, &index->records[i]))
			return false;
	for (j = 0; j < sk_X509_REVOKED_num(entries); j++) {
		X509_REVOKED *entry = sk_X509_REVOKED_value(entries, j);

		if (index_knows(index, X509_REVOKED_get0_serialNumber(entry)))
			continue;
		entry = X509_REVOKED_dup(entry);
		if (entry == NULL || X509_CRL_add0_revoked(crl, entry) != 1) {
			X509_REVOKED_free(entry);
			return false;
		}
	}
	return true;
}

/* Its number, one more than the old one's, and the id of the key that signs it. */
static bool
crl_add_extensions(X509_CRL *crl, X509 *issuer, X509_CRL *old)
{
	ASN1_INTEGER *last = old != NULL ? X509_CRL_get_ext_d2i(old, NID_crl_number, NULL, NULL) : NULL;
	BIGNUM *number = last != NULL ? ASN1_INTEGER_to_BN(last, NULL) : BN_new();
	ASN1_INTEGER *next = NULL;
	X509_EXTENSION *key_id = NULL;
	X509V3_CTX context;
	bool ok;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, NULL, NULL, crl, 0);
	ok = number != NULL && BN_add_word(number, 1) == 1 && (next = BN_to_ASN1_INTEGER(number, NULL)) != NULL &&
	    X509_CRL_add1_ext_i2d(crl, NID_crl_number, next, 0, X509V3_ADD_DEFAULT) == 1;
	/* A CA made elsewhere may have no subject key id; the list is valid without it. */
	if (ok && X509_get0_subject_key_id(issuer) != NULL) {
		key_id = X509V3_EXT_nconf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
		ok = key_id != NULL && X509_CRL_add_ext(crl, key_id, -1) == 1;
	}
	X509_EXTENSION_free(key_id);
	ASN1_INTEGER_free(last);
	ASN1_INTEGER_free(next);
	BN_free(number);
	return ok;
}

int
crl_make(const struct cert_pair *ca, const struct index *index, X509_CRL *old, time_t now, time_t next, X509_CRL **made,
    struct vg_error *error)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *last_update = ASN1_TIME_set(NULL, now), *next_update = ASN1_TIME_set(NULL, next);
	int result = -1;

	if (crl == NULL || last_update == NULL || next_update == NULL ||
	    X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
	    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert)) != 1 ||
	    X509_CRL_set1_lastUpdate(crl, last_update) != 1 || X509_CRL_set1_nextUpdate(crl, next_update) != 1 ||
	    !crl_add_entries(crl, index, old) || !crl_add_extensions(crl, ca->cert, old) || X509_CRL_sort(crl) != 1 ||
	    X509_CRL_sign(crl, ca->key, EVP_sha256()) == 0) {
		vg_fail(error, "cannot make the revocation list: %s", openssl_reason());
		X509_CRL_free(crl);
		crl = NULL;
	} else {
		result = 0;
	}
	ASN1_TIME_free(last_update);
	ASN1_TIME_free(next_update);
	*made = crl;
	return result;
}
