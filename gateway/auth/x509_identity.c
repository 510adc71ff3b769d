/* x509_identity.c: who a certificate says its holder is, and which certificates say it in a way that can be trusted. */
#include "gateway/auth/dn.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "gateway/auth/tls_context.h"
#include "gateway/auth/utf8.h"

/* A NUL hides what is behind it from many a program: nobody honest has one in a name. */
static bool
has_nul(const X509_NAME *name)
{
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
		int type = ASN1_STRING_type(value);

		if (type != V_ASN1_BMPSTRING && type != V_ASN1_UNIVERSALSTRING && type != V_ASN1_BIT_STRING &&
		    memchr(ASN1_STRING_get0_data(value), 0, (size_t)ASN1_STRING_length(value)) != NULL)
			return true;
	}
	return false;
}

/* The one CN; none is fine, two are not. */
static int
get_cn(const X509_NAME *name, char **cn, struct vg_error *error)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const ASN1_STRING *value;
	uint8_t *text = NULL;
	int len, ret = -1;

	if (at < 0)
		return 0;
	if (X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return vg_fail(error, "certificate with more than one CN");
	value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	if (ASN1_STRING_type(value) == V_ASN1_T61STRING || ASN1_STRING_type(value) == V_ASN1_UNIVERSALSTRING)
		return vg_fail(error, "certificate whose CN is in an outdated character set");
	len = ASN1_STRING_to_UTF8(&text, value);
	if (len <= 0 || !utf8_is_name(text, (size_t)len))
		vg_fail(error, "certificate whose CN is empty, holds control bytes or is not UTF-8");
	else if ((*cn = strndup((const char *)text, (size_t)len)) == NULL)
		vg_fail(error, "out of memory");
	else
		ret = 0;
	OPENSSL_free(text);
	return ret;
}

static int
add_san(struct vg_identity *identity, const char *kind, const char *text, size_t len, struct vg_error *error)
{
	size_t size = strlen(kind) + len + 1;
	char *san;

	if (len == 0 || !utf8_is_name((const uint8_t *)text, len))
		return vg_fail(error, "certificate with an empty or malformed subject alternative name");
	if (identity->num_x509_sans == VG_IDENTITY_MAX_SANS)
		return vg_fail(error, "certificate with more than %d subject alternative names", VG_IDENTITY_MAX_SANS);
	san = malloc(size);
	if (san == NULL)
		return vg_fail(error, "out of memory");
	snprintf(san, size, "%s%.*s", kind, (int)len, text);
	for (size_t i = 0; i < identity->num_x509_sans; i++) {
		if (strcmp(identity->x509_sans[i], san) == 0) {
			free(san);
			return vg_fail(error, "certificate with the same subject alternative name twice");
		}
	}
	identity->x509_sans[identity->num_x509_sans++] = san;
	return 0;
}

static int
add_ip(struct vg_identity *identity, const ASN1_OCTET_STRING *ip, struct vg_error *error)
{
	int len = ASN1_STRING_length(ip);
	char text[INET6_ADDRSTRLEN];

	if ((len != 4 && len != 16) ||
	    inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof(text)) == NULL)
		return vg_fail(error, "certificate with a malformed IP address among its names");
	return add_san(identity, "ip:", text, strlen(text), error);
}

static int
get_sans(const X509 *cert, struct vg_identity *identity, struct vg_error *error)
{
	int critical = -1, ret = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);

	if (names == NULL)
		return critical == -1 ? 0 : vg_fail(error, "certificate with malformed subject alternative names");
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && ret == 0; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *text = name->d.ia5;
		const char *kind = NULL;

		switch (name->type) {
		case GEN_DNS:
			kind = "dns:";
			break;
		case GEN_EMAIL:
			kind = "email:";
			break;
		case GEN_URI:
			kind = "uri:";
			break;
		case GEN_IPADD:
			ret = add_ip(identity, name->d.iPAddress, error);
			break;
		default:
			break;		/* other kinds of names are no identity here */
		}
		if (kind != NULL)
			ret = add_san(identity, kind, (const char *)ASN1_STRING_get0_data(text),
			    (size_t)ASN1_STRING_length(text), error);
	}
	GENERAL_NAMES_free(names);
	return ret;
}

static char *
fingerprint(const X509 *cert)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	char *text;

	if (X509_digest(cert, EVP_sha256(), sum, &len) != 1 || len != 32)
		return NULL;
	text = malloc(2 * len + 1);
	if (text == NULL)
		return NULL;
	for (unsigned i = 0; i < len; i++) {
		text[2 * i] = digits[sum[i] >> 4];
		text[2 * i + 1] = digits[sum[i] & 15];
	}
	text[2 * len] = '\0';
	return text;
}

int
dn_identity(X509 *cert, struct vg_identity *identity, struct vg_error *error)
{
	const X509_NAME *name = X509_get_subject_name(cert);

	identity->x509_sha256 = fingerprint(cert);
	if (identity->x509_sha256 == NULL)
		return vg_fail(error, "out of memory");
	if (has_nul(name))
		return vg_fail(error, "certificate with a NUL in its subject");
	identity->x509_dn = dn_text(name);
	if (identity->x509_dn == NULL)
		return vg_fail(error, "certificate without a readable subject name");
	if (!utf8_is_name((const uint8_t *)identity->x509_dn, strlen(identity->x509_dn))) {
		free(identity->x509_dn);
		identity->x509_dn = NULL;
		return vg_fail(error, "certificate whose subject holds control bytes or is not UTF-8");
	}
	if (get_cn(name, &identity->x509_cn, error) < 0 || get_sans(cert, identity, error) < 0)
		return -1;
	return 0;
}

int
tls_client_identity(SSL *ssl, struct vg_identity *identity, struct vg_error *error)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	int ret = -1;

	if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK || SSL_session_reused(ssl)) {
		vg_fail(error, "no verified client certificate");
		goto out;
	}
	if (dn_identity(cert, identity, error) < 0)
		goto out;
	/* OpenSSL lets a certificate without any extended usage pass: here it must say that it is a client's. */
	if (X509_get_extended_key_usage(cert) == UINT32_MAX ||
	    (X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT) == 0) {
		vg_fail(error, "certificate whose extended key usage does not say clientAuth");
		goto out;
	}
	identity->proofs |= VG_PROOF_X509;
	ret = 0;
out:
	ERR_clear_error();
	return ret;
}
