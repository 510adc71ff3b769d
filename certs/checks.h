/*
 * checks.h: the single checks behind check.h. Each adds to the report what it finds, and nothing when all is well.
 */
#ifndef CERTS_CHECKS_H
#define CERTS_CHECKS_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <sys/types.h>

#include "certs/check.h"
#include "certs/index.h"

/* What the certificates of one place are judged by. */
struct check_trust {
	const char *ca_path, *crl_path;
	STACK_OF(X509) *cas;		/* NULL when the file could not be read */
	STACK_OF(X509_CRL) *crls;	/* NULL: none */
};

struct check {
	const struct pki *pki;
	struct check_report *report;
	enum check_level worst_of_old;	/* how bad it is that a certificate has expired or was revoked */
};

/* Adds a finding; the hint of the one just added follows by check_hint. */
__attribute__((format(printf, 4, 5)))
void check_note(struct check *check, enum check_level level, const char *file, const char *format, ...);
__attribute__((format(printf, 2, 3)))
void check_hint(struct check *check, const char *format, ...);

/*
 * Exists, readable, not writable by others; `key`: not readable by others either. False: nothing can be read from it.
 * `what` it is, what follows when it is missing, and what to do then.
 */
bool check_file(struct check *check, const char *path, bool key, const char *what, const char *consequence,
    const char *if_missing);

/* ---- check_cert.c ---- */

/* Everything about one certificate that its file alone tells. */
void check_cert(struct check *check, const char *path, X509 *cert, enum cert_kind kind);

/* Chains to a CA of `trust`, and none of the chain's serials is on a list. `others`: intermediates, may be NULL. */
void check_chain(struct check *check, const char *path, X509 *cert, STACK_OF(X509) *others,
    const struct check_trust *trust);

/* The key in the file is that of the certificate. */
void check_key(struct check *check, const char *key_path, const char *cert_path, X509 *cert);

void check_hosts(struct check *check, const char *path, X509 *cert, const char *const *hosts, size_t num_hosts,
    bool guessed);

/* ---- check_crl.c ---- */

void check_crls(struct check *check, const struct check_trust *trust);

/* Every revoked certificate of the index is on the list. */
void check_index(struct check *check, const struct check_trust *trust);

#endif
