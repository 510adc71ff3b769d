/*
 * pki.h: the steps of a small PKI: make a CA, issue for servers and clients, revoke, renew the revocation list. Each
 * takes the lock of the tree, does everything or nothing, and overwrites only the index and the revocation list.
 */
#ifndef CERTS_PKI_H
#define CERTS_PKI_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "certs/files.h"
#include "certs/index.h"
#include "certs/issue.h"
#include "virtgate/result.h"

#define PKI_DAYS_MAX 36500
#define PKI_DAYS_CA 3650
#define PKI_DAYS_SERVER 825	/* browsers and phones refuse server certificates that live longer */
#define PKI_DAYS_CLIENT 365
/*
 * A revocation list that has expired locks everybody out, and nothing here renews it by itself; it lies on the host
 * that reads it, so a long life costs nothing: every revocation replaces it at once.
 */
#define PKI_DAYS_CRL 365
#define PKI_SKEW_SECONDS 300	/* certificates begin this much in the past, for clocks that are behind */
#define PKI_PASSWORD_MIN 8
#define PKI_PASSWORD_GENERATED 29

struct pki {
	struct pki_tree tree;
	char *(*dn_text)(const X509_NAME *name);	/* heap text as virt-pki-query-dn prints it */
	/* Does the gateway take it as an identity? NULL: not asked. */
	int (*client_ok)(X509 *cert, struct vg_error *error);
	time_t now;
};

struct pki_request {
	const char *name;		/* client: its name; CA: its CN; server: NULL, the first host counts */
	const char *org, *org_unit;	/* NULL: O of the CA; no OU */
	const char *const *hosts;
	size_t num_hosts;
	const char *const *emails;
	size_t num_emails;
	int days;			/* 0: the default of its kind */
	const char *out;		/* directory for the files instead of the usual place, or NULL */
	bool force_new;			/* client: even when a valid certificate of that name exists */
	const char *password;		/* client: makes client.p12 as well, with this password; or NULL */
};

#define PKI_RESULT_FILES 12

struct pki_result {
	struct index_record record;	/* of what was issued; owned */
	char files[PKI_RESULT_FILES][PKI_PATH_MAX];
	size_t num_files;
	bool shortened;			/* the certificate ends with its CA, earlier than asked */
};

/* CA key, certificate, an empty revocation list, and the directories. */
int pki_init(const struct pki *pki, const struct pki_request *request, struct pki_result *result,
    struct vg_error *error);

/* Into libvirt/ of the tree, or cacert.pem, servercert.pem, serverkey.pem into request->out. */
int pki_server(const struct pki *pki, const struct pki_request *request, struct pki_result *result,
    struct vg_error *error);

/* cacert.pem, clientcert.pem, clientkey.pem and perhaps client.p12 in clients/NAME, or request->out. */
int pki_client(const struct pki *pki, const struct pki_request *request, struct pki_result *result,
    struct vg_error *error);

enum pki_selector { PKI_BY_NAME, PKI_BY_SERIAL, PKI_BY_FILE };

/*
 * Revokes all valid certificates of a name, one by serial, or the one in a PEM file (which another tool may have
 * issued), and renews the revocation list. `revoked` gets the records (clear it with index_clear). Answers 1 when
 * there was nothing to revoke; the error then says why.
 */
int pki_revoke(const struct pki *pki, enum pki_selector by, const char *what, const char *reason, struct index *revoked,
    struct vg_error *error);

/* Signs a fresh revocation list. `next` gets the time at which it expires. */
int pki_crl(const struct pki *pki, int days, time_t *next, struct vg_error *error);

/* 125 random bits, easy to type. */
int pki_make_password(char password[PKI_PASSWORD_GENERATED + 1], struct vg_error *error);

void pki_result_clear(struct pki_result *result);

#endif
