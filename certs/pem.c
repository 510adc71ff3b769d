/* pem.c: PEM and PKCS#12 out of and into OpenSSL objects; see issue.h. */
#include "certs/issue.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <stdlib.h>
#include <string.h>

#include "certs/files.h"

#define PKCS12_ITERATIONS 100000	/* PBKDF2 rounds: what a weak password costs its guesser */

/* Moves what was written to `bio` into fresh memory, when `ok`; frees `bio`, wiped. */
static int
bio_take(BIO *bio, bool ok, const char *what, char **bytes, size_t *len, struct vg_error *error)
{
	char *from = NULL;
	long n = bio != NULL ? BIO_get_mem_data(bio, &from) : 0;
	int result = -1;

	*bytes = NULL;
	*len = 0;
	if (ok && n > 0 && (*bytes = malloc((size_t)n)) != NULL) {
		memcpy(*bytes, from, (size_t)n);
		*len = (size_t)n;
		result = 0;
	} else {
		vg_fail(error, "cannot write a %s: %s", what, openssl_reason());
	}
	BIO_free(bio);
	return result;
}

int
pem_cert(X509 *cert, char **bytes, size_t *len, struct vg_error *error)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return bio_take(bio, bio != NULL && PEM_write_bio_X509(bio, cert) == 1, "certificate", bytes, len, error);
}

int
pem_key(EVP_PKEY *key, char **bytes, size_t *len, struct vg_error *error)
{
	BIO *bio = BIO_new(BIO_s_secmem());

	return bio_take(bio, bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1,
	    "private key", bytes, len, error);
}

int
pem_crl(X509_CRL *crl, char **bytes, size_t *len, struct vg_error *error)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return bio_take(bio, bio != NULL && PEM_write_bio_X509_CRL(bio, crl) == 1, "revocation list", bytes, len,
	    error);
}

int
pkcs12_make(const struct cert_pair *pair, X509 *ca, const char *name, const char *password, char **bytes, size_t *len,
    struct vg_error *error)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	BIO *bio = BIO_new(BIO_s_mem());
	PKCS12 *p12 = NULL;
	bool ok = false;

	if (chain != NULL && bio != NULL && sk_X509_push(chain, ca) > 0)
		p12 = PKCS12_create(password, name, pair->key, pair->cert, chain, NID_aes_256_cbc, NID_aes_256_cbc,
		    PKCS12_ITERATIONS, -1, 0);
	/* -1 above: no MAC yet, so that it is made with the digest named here and not with a default. */
	if (p12 != NULL)
		ok = PKCS12_set_mac(p12, password, -1, NULL, 0, PKCS12_ITERATIONS, EVP_sha256()) == 1 &&
		    i2d_PKCS12_bio(bio, p12) == 1;
	PKCS12_free(p12);
	sk_X509_free(chain);
	return bio_take(bio, ok, "PKCS#12 file", bytes, len, error);
}

void
certs_free(STACK_OF(X509) *certs)
{
	sk_X509_pop_free(certs, X509_free);
}

/* A key that wants a passphrase is not asked for one: nobody may be there to answer. */
static int
no_passphrase(char *buf, int size, int writing, void *context)
{
	bool *asked = context;

	(void)buf;
	(void)size;
	(void)writing;
	*asked = true;
	return -1;
}

static BIO *
bio_from_file(const char *path, char **bytes, size_t *len, struct vg_error *error)
{
	BIO *bio;

	if (file_read(path, bytes, len, error) < 0)
		return NULL;
	bio = BIO_new_mem_buf(*bytes, (int)*len);
	if (bio == NULL) {
		vg_fail(error, "%s: no memory to read it", path);
		file_free(*bytes, *len);
	}
	return bio;
}

int
pem_load_key(const char *path, EVP_PKEY **key, struct vg_error *error)
{
	char *bytes;
	size_t len;
	bool asked = false;
	BIO *bio = bio_from_file(path, &bytes, &len, error);

	*key = NULL;
	if (bio == NULL)
		return -1;
	*key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	file_free(bytes, len);
	if (*key != NULL) {
		ERR_clear_error();
		return 0;
	}
	if (asked) {
		ERR_clear_error();
		vg_fail(error, "%s: the private key is encrypted with a passphrase", path);
		return vg_hint(error, "libvirt and virtgate read plain keys, kept by mode 0600; decrypt it with: "
		    "openssl pkey -in '%.80s' -out NEW", path);
	}
	vg_fail(error, "%s: no private key in PEM form: %s", path, openssl_reason());
	return vg_hint(error, "the file should begin with -----BEGIN PRIVATE KEY-----");
}

/* True when the reader stopped because the file was at its end and not because of damage. */
static bool
pem_ended(void)
{
	unsigned long last = ERR_peek_last_error();
	bool ended = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;

	if (ended)
		ERR_clear_error();
	return ended;
}

int
pem_load_certs(const char *path, STACK_OF(X509) **certs, struct vg_error *error)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	char *bytes;
	size_t len;
	BIO *bio = bio_from_file(path, &bytes, &len, error);
	X509 *cert;
	bool asked = false, damaged;

	*certs = NULL;
	if (bio == NULL || list == NULL) {
		sk_X509_free(list);
		return -1;
	}
	while ((cert = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked)) != NULL)
		if (sk_X509_push(list, cert) <= 0) {
			X509_free(cert);
			break;
		}
	damaged = !pem_ended();
	BIO_free(bio);
	file_free(bytes, len);
	if (!damaged && sk_X509_num(list) > 0) {
		*certs = list;
		return 0;
	}
	if (damaged)
		vg_fail(error, "%s: certificate %d of the file is damaged: %s", path, sk_X509_num(list) + 1,
		    openssl_reason());
	else
		vg_fail(error, "%s: no certificate in PEM form", path);
	certs_free(list);
	return vg_hint(error, "the file should have -----BEGIN CERTIFICATE-----; a DER file is turned into PEM with: "
	    "openssl x509 -inform DER -in FILE -out NEW");
}

int
pem_load_crls(const char *path, STACK_OF(X509_CRL) **crls, struct vg_error *error)
{
	STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
	char *bytes;
	size_t len;
	BIO *bio = bio_from_file(path, &bytes, &len, error);
	X509_CRL *crl;
	bool asked = false, damaged;

	*crls = NULL;
	if (bio == NULL || list == NULL) {
		sk_X509_CRL_free(list);
		return -1;
	}
	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, no_passphrase, &asked)) != NULL)
		if (sk_X509_CRL_push(list, crl) <= 0) {
			X509_CRL_free(crl);
			break;
		}
	damaged = !pem_ended();
	BIO_free(bio);
	file_free(bytes, len);
	if (!damaged && sk_X509_CRL_num(list) > 0) {
		*crls = list;
		return 0;
	}
	if (damaged)
		vg_fail(error, "%s: revocation list %d of the file is damaged: %s", path, sk_X509_CRL_num(list) + 1,
		    openssl_reason());
	else
		vg_fail(error, "%s: no revocation list in PEM form", path);
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	return vg_hint(error, "the file should have -----BEGIN X509 CRL-----");
}
