/*
 * pki_fixture.h: a PKI in a directory of its own.
 */
#ifndef TESTS_UNIT_PKI_FIXTURE_H
#define TESTS_UNIT_PKI_FIXTURE_H

#include "certs/pki.h"

struct fixture {
	char dir[64];
	struct pki pki;
	struct vg_error error;
};

int setup(void **state);
int teardown(void **state);
/* Fails the test with the error. */
void ok(const struct fixture *f, int result);
void init_ca(struct fixture *f);
void make_client(struct fixture *f, const char *name);
/* A path below its directory; good for the next 31 calls. */
const char *below(const struct fixture *f, const char *name);
unsigned mode_of(const char *path);
/* Of a file that holds one; freed by the caller. */
X509 *load_cert(const char *path);
X509_CRL *load_crl(const char *path);
/* OpenSSL's verdict on a certificate of the tree, strictly, with the whole chain's lists. */
int verdict(const struct fixture *f, const char *path, int purpose, const char *host);

#endif
