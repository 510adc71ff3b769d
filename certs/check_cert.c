/* check_cert.c: what can be wrong with a certificate; see checks.h. */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "certs/checks.h"
#include "certs/issue.h"
#include "certs/names.h"

#define DAY_SECONDS 86400
#define MIN_SECURITY_BITS 112	/* RSA 2048, SHA-256: the least that OpenSSL and GnuTLS take on Debian */

static const char *
role(enum cert_kind kind)
{
	static const char *const names[CERT_NUM_KINDS] = { "CA", "server", "client" };

	return names[kind];
}

static void
check_times(struct check *check, const char *path, X509 *cert, enum cert_kind kind)
{
	time_t from = cert_time(X509_get0_notBefore(cert)), until = cert_time(X509_get0_notAfter(cert));
	time_t now = check->pki->now;
	char text[21];

	if (now > until) {
		time_text(until, text);
		check_note(check, check->worst_of_old, path, "expired on %s; virsh and libvirtd say: The %s "
		    "certificate %.200s has expired", text, role(kind), path);
		check_hint(check, kind == CERT_CA ? "make a new CA and replace this file everywhere, then issue all "
		    "certificates anew" : "issue a new one: virtgate pki %s", role(kind));
	} else if (now < from) {
		time_text(from, text);
		check_note(check, CHECK_FAIL, path, "not valid before %s; virsh and libvirtd say: The %s certificate "
		    "%.200s is not yet active", text, role(kind), path);
		check_hint(check, "is a clock wrong, here or where it was issued? compare with: date -u");
	} else if (until - now < CHECK_SOON_DAYS * DAY_SECONDS) {
		time_text(until, text);
		check_note(check, CHECK_WARN, path, "expires on %s, in %lld days", text,
		    (long long)((until - now) / DAY_SECONDS));
		check_hint(check, "issue a new one in time");
	}
}

static bool
has_extension(X509 *cert, int nid, bool *critical)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	*critical = at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(cert, at)) == 1;
	return at >= 0;
}

static void
check_basic_constraints(struct check *check, const char *path, X509 *cert, enum cert_kind kind)
{
	bool critical, present = has_extension(cert, NID_basic_constraints, &critical);
	bool is_ca = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;

	if (kind == CERT_CA && !present) {
		check_note(check, CHECK_FAIL, path, "no basicConstraints; virsh and libvirtd say: The certificate "
		    "%.200s is missing basic constraints for a CA", path);
		check_hint(check, "the CA must be made anew with basicConstraints = critical,CA:TRUE (certtool: ca)");
	} else if (kind == CERT_CA && !is_ca) {
		check_note(check, CHECK_FAIL, path, "not a CA; virsh and libvirtd say: The certificate %.200s basic "
		    "constraints do not show a CA", path);
		check_hint(check, "is this a server's or client's certificate in the CA's place?");
	} else if (kind != CERT_CA && is_ca) {
		check_note(check, CHECK_FAIL, path, "a CA's certificate; virsh and libvirtd say: The certificate "
		    "%.200s basic constraints show a CA, but we need one for a %s", path, role(kind));
		check_hint(check, "issue one for the %s: virtgate pki %s", role(kind), role(kind));
	}
}

static void
check_usage_bit(struct check *check, const char *path, X509 *cert, uint32_t bit, const char *name,
    const char *libvirt_says)
{
	bool critical;

	/* A certificate without the extension may be used for everything. */
	if (!has_extension(cert, NID_key_usage, &critical) || (X509_get_key_usage(cert) & bit) != 0)
		return;
	check_note(check, critical ? CHECK_FAIL : CHECK_WARN, path, "keyUsage lacks %s%s; virsh and libvirtd say: "
	    "Certificate %.200s usage does not permit %s", name, critical ? "" : " (not critical: they only warn)",
	    path, libvirt_says);
	if (bit == KU_KEY_ENCIPHERMENT)
		check_hint(check, "libvirt wants it for EC keys, too: issue it anew with virtgate pki (certtool sets "
		    "it for RSA keys only)");
	else
		check_hint(check, "issue it anew with keyUsage = critical,%s", name);
}

static void
check_usage(struct check *check, const char *path, X509 *cert, enum cert_kind kind)
{
	uint32_t wanted = kind == CERT_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
	const char *name = kind == CERT_SERVER ? "serverAuth" : "clientAuth";
	bool critical, present;

	if (kind == CERT_CA) {
		check_usage_bit(check, path, cert, KU_KEY_CERT_SIGN, "keyCertSign", "certificate signing");
		return;
	}
	check_usage_bit(check, path, cert, KU_DIGITAL_SIGNATURE, "digitalSignature", "digital signature");
	check_usage_bit(check, path, cert, KU_KEY_ENCIPHERMENT, "keyEncipherment", "key encipherment");
	present = has_extension(cert, NID_ext_key_usage, &critical);
	if (present && (X509_get_extended_key_usage(cert) & (wanted | XKU_ANYEKU)) == 0) {
		check_note(check, CHECK_FAIL, path, "extendedKeyUsage lacks %s; virtgated and browsers refuse it, "
		    "virsh and libvirtd say: Certificate %.200s purpose does not allow use for with a TLS %s", name,
		    path, role(kind));
		check_hint(check, "is this a %s's certificate? issue one for the %s: virtgate pki %s",
		    kind == CERT_SERVER ? "client" : "server", role(kind), role(kind));
	} else if (kind == CERT_CLIENT && (!present || (X509_get_extended_key_usage(cert) & wanted) == 0)) {
		check_note(check, CHECK_FAIL, path, "extendedKeyUsage does not name clientAuth: libvirtd takes it, "
		    "virtgated refuses it");
		check_hint(check, "a certificate that is good for everything can be a server's: issue it anew with "
		    "extendedKeyUsage = clientAuth (virtgate pki client)");
	} else if (!present) {
		check_note(check, CHECK_WARN, path, "no extendedKeyUsage: it is good for everything");
		check_hint(check, "stolen, it can pose as a client or a CA's service as well: issue it anew with "
		    "extendedKeyUsage = serverAuth");
	}
}

static void
check_strength(struct check *check, const char *path, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int key_bits = key != NULL ? EVP_PKEY_get_security_bits(key) : 0, digest, sign_bits;

	if (key == NULL) {
		check_note(check, CHECK_FAIL, path, "its public key is of a kind that OpenSSL does not know");
		(void)openssl_reason();
	} else if (key_bits < MIN_SECURITY_BITS) {
		check_note(check, CHECK_FAIL, path, "its %s key of %d bits is too weak; OpenSSL says: key too small",
		    EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
		check_hint(check, "issue it anew with an EC P-256 key, or RSA of 2048 bits or more");
	}
	/* Nobody checks the signature of a root: it is trusted for being in the file. */
	if (X509_self_signed(cert, 0) == 1 || X509_get_signature_info(cert, &digest, NULL, &sign_bits, NULL) != 1)
		return;
	if (digest == NID_md5 || digest == NID_sha1 || sign_bits < MIN_SECURITY_BITS / 2) {
		check_note(check, CHECK_FAIL, path, "signed with %s; virsh and libvirtd say: The certificate uses an "
		    "insecure algorithm", digest != NID_undef ? OBJ_nid2sn(digest) : "a weak algorithm");
		check_hint(check, "have the CA sign it anew with SHA-256");
	}
}

/* What would be ambiguous as an identity: two CNs, a SAN twice, no name at all. */
static void
check_identity(struct check *check, const char *path, X509 *cert)
{
	struct vg_error error;

	if (check->pki->client_ok == NULL || check->pki->client_ok(cert, &error) == 0)
		return;
	check_note(check, CHECK_FAIL, path, "virtgated refuses it: %s", error.what);
	check_hint(check, "%s", error.hint[0] != '\0' ? error.hint :
	    "issue one with a single CN: virtgate pki client NAME");
}

void
check_cert(struct check *check, const char *path, X509 *cert, enum cert_kind kind)
{
	if ((X509_get_extension_flags(cert) & EXFLAG_INVALID) != 0) {
		(void)openssl_reason();
		check_note(check, CHECK_FAIL, path, "an extension of the certificate is damaged or there twice");
		check_hint(check, "look at it: openssl x509 -in '%.200s' -noout -text", path);
		return;
	}
	check_times(check, path, cert, kind);
	check_basic_constraints(check, path, cert, kind);
	check_usage(check, path, cert, kind);
	check_strength(check, path, cert);
	if (kind == CERT_CLIENT)
		check_identity(check, path, cert);
}

/* ---- chain ---- */

static bool
is_revoked(X509 *cert, const struct check_trust *trust)
{
	X509_REVOKED *entry;
	int i;

	for (i = 0; i < sk_X509_CRL_num(trust->crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(trust->crls, i);

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) == 0 &&
		    X509_CRL_get0_by_cert(crl, &entry, cert) == 1)
			return true;
	}
	return false;
}

static void
note_unknown_issuer(struct check *check, const char *path, X509 *cert, const struct check_trust *trust, const char *why)
{
	char *issuer = check->pki->dn_text(X509_get_issuer_name(cert));

	check_note(check, CHECK_FAIL, path, "issued by '%s', and does not chain to %.200s (%s); virsh and libvirtd "
	    "say: The certificate hasn't got a known issuer", issuer != NULL ? issuer : "?", trust->ca_path, why);
	check_hint(check, "use the CA certificate of the CA that issued it (a CA made anew has the same name and "
	    "another key), with intermediates behind the certificate in its file");
	free(issuer);
}

void
check_chain(struct check *check, const char *path, X509 *cert, STACK_OF(X509) *others, const struct check_trust *trust)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	STACK_OF(X509) *chain;
	int i, verified;

	if (trust->cas == NULL || store == NULL || context == NULL) {
		check->report->incomplete = check->report->incomplete || store == NULL || context == NULL;
		goto out;
	}
	for (i = 0; i < sk_X509_num(trust->cas); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(trust->cas, i)) != 1)
			(void)openssl_reason();
	if (X509_STORE_CTX_init(context, store, cert, others) != 1) {
		check->report->incomplete = true;
		goto out;
	}
	/* Dates have been judged where they are wrong: at the certificate that has ended. */
	X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME);
	verified = X509_verify_cert(context);
	if (verified != 1) {
		note_unknown_issuer(check, path, cert, trust,
		    X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
		goto out;
	}
	chain = X509_STORE_CTX_get0_chain(context);
	for (i = 0; i < sk_X509_num(chain); i++) {
		if (!is_revoked(sk_X509_value(chain, i), trust))
			continue;
		check_note(check, check->worst_of_old, path, "%s was revoked; virsh and libvirtd say: The certificate "
		    "has been revoked", i == 0 ? "the certificate" : "the CA that issued it");
		check_hint(check, "it cannot be made good again: issue a new one");
	}
out:
	(void)openssl_reason();
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
}

void
check_key(struct check *check, const char *key_path, const char *cert_path, X509 *cert)
{
	struct vg_error error;
	EVP_PKEY *key;

	if (pem_load_key(key_path, &key, &error) < 0) {
		check_note(check, CHECK_FAIL, key_path, "%s", error.what);
		check_hint(check, "%s", error.hint);
		return;
	}
	if (X509_check_private_key(cert, key) != 1) {
		(void)openssl_reason();
		check_note(check, CHECK_FAIL, key_path, "not the key of %.200s; virsh and libvirtd say: Unable to set "
		    "x509 key and certificate: %.120s, %.120s: The certificate and the given key do not match.",
		    cert_path, key_path, cert_path);
		check_hint(check, "the two files come from different certificates: restore the right one or issue "
		    "anew");
	}
	EVP_PKEY_free(key);
}

/* ---- names of a server ---- */

static bool
fits_host(X509 *cert, const char *host)
{
	if (name_is_ip(host, NULL, NULL))
		return X509_check_ip_asc(cert, host, 0) == 1;
	return X509_check_host(cert, host, 0, 0, NULL) == 1;
}

void
check_hosts(struct check *check, const char *path, X509 *cert, const char *const *hosts, size_t num_hosts, bool guessed)
{
	bool critical;
	size_t i;

	if (!has_extension(cert, NID_subject_alt_name, &critical)) {
		check_note(check, CHECK_FAIL, path, "no subjectAltName: browsers refuse it, virsh falls back to the "
		    "CN");
		check_hint(check, "issue it anew: virtgate pki server %s", num_hosts > 0 ? hosts[0] : "HOST");
		return;
	}
	for (i = 0; i < num_hosts; i++) {
		if (fits_host(cert, hosts[i]))
			continue;
		check_note(check, guessed ? CHECK_WARN : CHECK_FAIL, path, "not for '%s'%s; virsh says: Certificate "
		    "[session] owner does not match the hostname %s", hosts[i], guessed ? ", a name of this host" : "",
		    hosts[i]);
		check_hint(check, guessed ? "fine if clients use other names: check those with --host NAME; else issue "
		    "it anew with all names: virtgate pki server HOST..." :
		    "issue it anew with all names and addresses that clients use: virtgate pki server HOST...");
	}
}
