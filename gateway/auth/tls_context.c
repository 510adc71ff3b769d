/* tls_context.c: TLS 1.3 and 1.2 with mandatory client certificates, and nothing of TLS that could replace them. */
#include "gateway/auth/tls_context.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "gateway/auth/dn.h"

/* Sessions are never resumed; the id only keeps OpenSSL from mixing up contexts. */
static const unsigned char session_id_context[] = "virtgate-rpc";

static const char ciphers_tls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL";
#define TLS_GROUP_X25519	0x001d
#define X25519_SHARE_LEN	32u
static const char groups[] = "X25519:P-256:P-384";

/* OpenSSL's own words for the last thing that failed. */
static const char *
openssl_reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text != NULL ? text : "not valid PEM";
}

/* The passed file as a BIO over memory that the caller frees. */
static BIO *
open_file(int fd, const char *name, const char *what, char **text, struct vg_error *error)
{
	size_t len = 0;
	BIO *bio;

	*text = NULL;
	if (fd < 0) {
		vg_fail(error, "%s: cannot read the %s", name != NULL ? name : "(not set)", what);
		vg_hint(error, "make the file, e.g. with 'virtgate pki', or name another one in virtgated.conf");
		return NULL;
	}
	*text = process_read_file(fd, &len);
	if (*text == NULL) {
		vg_fail(error, "%s: cannot read the %s: %s", name, what, strerror(errno));
		return NULL;
	}
	bio = len <= INT_MAX ? BIO_new_mem_buf(*text, (int)len) : NULL;
	if (bio == NULL)
		vg_fail(error, "%s: out of memory", name);
	return bio;
}

static void
close_file(BIO *bio, char *text)
{
	BIO_free(bio);
	if (text != NULL)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

/* An encrypted key cannot be used: nobody is there to type the passphrase. */
static int
no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int
use_certificate(SSL_CTX *ctx, const struct settings *settings, int fd, struct vg_error *error)
{
	char *text;
	BIO *bio = open_file(fd, settings->cert_file, "server certificate", &text, error);
	X509 *cert = NULL;
	int ret = -1;

	if (bio == NULL)
		goto out;
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (cert == NULL || SSL_CTX_use_certificate(ctx, cert) != 1) {
		vg_fail(error, "%s: no usable server certificate: %s", settings->cert_file, openssl_reason());
		vg_hint(error, "the file must hold a PEM certificate, its intermediates behind it");
		goto out;
	}
	X509_free(cert);
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			vg_fail(error, "%s: an intermediate cannot be used: %s", settings->cert_file, openssl_reason());
			goto out;
		}
	}
	ERR_clear_error();
	ret = 0;
out:
	X509_free(cert);
	close_file(bio, text);
	return ret;
}

static int
use_key(SSL_CTX *ctx, const struct settings *settings, int fd, struct vg_error *error)
{
	char *text;
	BIO *bio = open_file(fd, settings->key_file, "private key", &text, error);
	EVP_PKEY *key = NULL;
	bool encrypted = false;
	int ret = -1;

	if (bio == NULL)
		goto out;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	if (encrypted) {
		vg_fail(error, "%s: the private key is encrypted", settings->key_file);
		vg_hint(error, "store it without passphrase, mode 0600: openssl pkey -in KEY -out NEW");
		goto out;
	}
	if (key == NULL) {
		vg_fail(error, "%s: no usable private key: %s", settings->key_file, openssl_reason());
		vg_hint(error, "the file must hold a PEM private key");
		goto out;
	}
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		vg_fail(error, "%s: the key does not belong to the certificate in %s", settings->key_file,
		    settings->cert_file);
		vg_hint(error, "cert_file and key_file must be a pair");
		goto out;
	}
	ret = 0;
out:
	EVP_PKEY_free(key);
	close_file(bio, text);
	return ret;
}

static int
use_ca(X509_STORE *store, const struct settings *settings, int fd, struct vg_error *error)
{
	char *text;
	BIO *bio = open_file(fd, settings->ca_file, "CA certificate", &text, error);
	X509 *cert = NULL;
	unsigned num = 0;
	int ret = -1;

	if (bio == NULL)
		goto out;
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_check_ca(cert) == 0) {
			vg_fail(error, "%s: certificate %u is not a CA certificate", settings->ca_file, num + 1);
			vg_hint(error, "ca_file holds what issues client certificates, not a server's certificate");
			goto out;
		}
		if (X509_STORE_add_cert(store, cert) != 1) {
			vg_fail(error, "%s: certificate %u cannot be used: %s", settings->ca_file, num + 1,
			    openssl_reason());
			goto out;
		}
		X509_free(cert);
		num++;
	}
	if (num == 0) {
		vg_fail(error, "%s: no CA certificate in it: %s", settings->ca_file, openssl_reason());
		vg_hint(error, "the file must hold PEM certificates");
		goto out;
	}
	ERR_clear_error();
	ret = 0;
out:
	X509_free(cert);
	close_file(bio, text);
	return ret;
}

/*
 * What stands between the server certificate and its root, found once. Left to itself OpenSSL builds and verifies the
 * chain anew in every handshake, and sends the root along. A certificate that does not verify is sent alone.
 */
static int
build_chain(SSL_CTX *ctx, const struct settings *settings, struct vg_error *error)
{
	const int flags = SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT |
	    SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR;

	if (SSL_CTX_build_cert_chain(ctx, flags) > 0)
		return 0;
	return vg_fail(error, "%s: the chain of the server certificate cannot be used: %s", settings->cert_file,
	    openssl_reason());
}

/* With crl_file set every CA of a chain must have a valid list: a missing or expired one refuses everybody. */
static int
use_crl(X509_STORE *store, const struct settings *settings, int fd, struct vg_error *error)
{
	char *text;
	BIO *bio = open_file(fd, settings->crl_file, "revocation list", &text, error);
	X509_CRL *crl = NULL;
	unsigned num = 0;
	int ret = -1;

	if (bio == NULL)
		goto out;
	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
		if (X509_STORE_add_crl(store, crl) != 1) {
			vg_fail(error, "%s: list %u cannot be used: %s", settings->crl_file, num + 1, openssl_reason());
			goto out;
		}
		X509_CRL_free(crl);
		num++;
	}
	if (num == 0) {
		vg_fail(error, "%s: no revocation list in it: %s", settings->crl_file, openssl_reason());
		vg_hint(error, "the file must hold PEM X509 CRLs, one for every CA");
		goto out;
	}
	ERR_clear_error();
	if (X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1) {
		vg_fail(error, "%s: revocation checking cannot be switched on", settings->crl_file);
		goto out;
	}
	ret = 0;
out:
	X509_CRL_free(crl);
	close_file(bio, text);
	return ret;
}

/* OpenSSL has decided; a certificate that it refuses is still named in the record, as unproven. */
static int
on_verified(int accepted, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct vg_identity *identity = SSL_get_app_data(ssl);

	if (!accepted && identity != NULL && identity->x509_sha256 == NULL)
		(void)dn_identity(X509_STORE_CTX_get0_cert(store), identity, NULL);
	return accepted;
}

bool
tls_shares_x25519(const uint8_t *extension, size_t len)
{
	size_t at = 2, share;

	if (len < 2 || ((size_t)extension[0] << 8 | extension[1]) != len - 2)
		return false;
	while (len - at >= 4) {
		share = (size_t)extension[at + 2] << 8 | extension[at + 3];
		if (share > len - at - 4)
			return false;
		if ((extension[at] << 8 | extension[at + 1]) == TLS_GROUP_X25519)
			return share == X25519_SHARE_LEN;
		at += 4 + share;
	}
	return false;
}

/*
 * OpenSSL takes the first share that a client sends, libvirt's client sends P-256 before X25519. X25519 costs both
 * sides less: where it is offered at once it is taken.
 */
static int
on_client_hello(SSL *ssl, int *alert, void *arg)
{
	static int x25519[] = { NID_X25519 };
	const unsigned char *extension;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_key_share, &extension, &len) != 1 ||
	    !tls_shares_x25519(extension, len) || SSL_set1_groups(ssl, x25519, 1) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

int
tls_context_protocol(SSL_CTX *ctx, bool demand, struct vg_error *error)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION |
	    SSL_OP_IGNORE_UNEXPECTED_EOF);	/* libvirt's client leaves without a word; RPC has its own lengths */
	SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_security_level(ctx, 2);
	/* libvirt's client takes a ticket for the missing confirmation byte and gives up. */
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_max_early_data(ctx, 0) != 1 || SSL_CTX_set_cipher_list(ctx, ciphers_tls12) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, session_id_context, sizeof(session_id_context) - 1) != 1)
		return vg_fail(error, "OpenSSL lacks what virtgate needs: %s", openssl_reason());
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
	/* No list of CA names is sent: a client with an intermediate of its own would keep its certificate back. */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (demand ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), on_verified);
	SSL_CTX_set_verify_depth(ctx, 8);
	if (SSL_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) != 1)
		return vg_fail(error, "OpenSSL lacks what virtgate needs: %s", openssl_reason());
	return 0;
}

SSL_CTX *
tls_context_create(const struct settings *settings, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL) {
		vg_fail(error, "OpenSSL gives no TLS context: %s", openssl_reason());
		return NULL;
	}
	if (tls_context_protocol(ctx, true, error) < 0 || use_certificate(ctx, settings, files[FILE_CERT], error) < 0 ||
	    use_key(ctx, settings, files[FILE_KEY], error) < 0 ||
	    use_ca(SSL_CTX_get_cert_store(ctx), settings, files[FILE_CA], error) < 0 ||
	    build_chain(ctx, settings, error) < 0 ||
	    (settings->crl_file != NULL &&
	    use_crl(SSL_CTX_get_cert_store(ctx), settings, files[FILE_CRL], error) < 0)) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}

/* -1 before, 0 within, 1 behind its time. */
static int
when(const ASN1_TIME *from, const ASN1_TIME *until)
{
	if (from != NULL && X509_cmp_current_time(from) > 0)
		return -1;
	if (until != NULL && X509_cmp_current_time(until) < 0)
		return 1;
	return 0;
}

static int
date_failed(const char *file, const char *what, int place, const char *remedy, struct vg_error *error)
{
	vg_fail(error, "%s: the %s %s", file, what, place < 0 ? "is not valid yet" : "has expired");
	return vg_hint(error, "%s", place < 0 ? "check the host's clock" : remedy);
}

int
tls_context_check_dates(SSL_CTX *ctx, const struct settings *settings, struct vg_error *error)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
	const X509 *cert = SSL_CTX_get0_certificate(ctx);
	int place = when(X509_get0_notBefore(cert), X509_get0_notAfter(cert));

	if (place != 0)
		return date_failed(settings->cert_file, "server certificate", place,
		    "make a new one with 'virtgate pki server HOST'", error);
	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509_OBJECT *object = sk_X509_OBJECT_value(objects, i);
		const X509 *ca = X509_OBJECT_get0_X509(object);
		X509_CRL *crl = X509_OBJECT_get0_X509_CRL(object);

		if (ca != NULL && (place = when(X509_get0_notBefore(ca), X509_get0_notAfter(ca))) != 0)
			return date_failed(settings->ca_file, "CA certificate", place, "make a new CA", error);
		if (crl != NULL && (place = when(X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl))) != 0)
			return date_failed(settings->crl_file, "revocation list", place,
			    "issue it again; until then every client is refused", error);
	}
	return 0;
}

long
tls_client_seconds_left(const SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	long least = -1;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int days = 0, seconds = 0;
		long left = 0;

		if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(sk_X509_value(chain, i))) == 1 && days >= 0 && seconds >= 0)
			left = days * 86400L + seconds;
		if (least < 0 || left < least)
			least = left;
	}
	return least;
}

int
tls_client_check_again(SSL *ssl, SSL_CTX *ctx, struct vg_error *error)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	int ret = -1;

	if (store == NULL || X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ctx), SSL_get0_peer_certificate(ssl),
	    SSL_get_peer_cert_chain(ssl)) != 1 || X509_STORE_CTX_set_default(store, "ssl_client") != 1) {
		vg_fail(error, "out of memory");
		goto out;
	}
	if (X509_verify_cert(store) == 1)
		ret = 0;
	else
		vg_fail(error, "%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
out:
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return ret;
}
