/*
 * front_harness.h: a front of its own for each test: front_main in a child process, and the test in the place of the
 * parent, the gate and the audit process at the other ends of its links. Certificates are made here, in memory.
 */
#ifndef FRONT_HARNESS_H
#define FRONT_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "gateway/core/process.h"
#include "virtgate/identity.h"

/* ---- certificates ---- */

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

/* What is wanted of a certificate; zeroes are the sound default. */
struct cert_wish {
	X509_NAME *name;	/* taken; NULL: O=Lab, CN=`cn` */
	const char *cn;
	const struct cert *issuer;	/* NULL: self-signed */
	bool ca;
	long from, until;	/* days from now; until 0: 30 */
	long seconds;		/* instead of `until`, when not 0 */
	const char *usage;	/* extended key usage; NULL "clientAuth", "" none */
	const char *san;	/* as openssl.cnf has it, or NULL */
	const char *constraints;	/* name constraints of a CA, likewise */
};

struct cert cert_make(struct cert_wish wish);
void cert_free(struct cert *cert);
X509_NAME *name_make(const char *first, ...);	/* pairs of field and text up to NULL */
/* A file (unlinked) of PEM text; -1 never. */
int file_of_certs(const X509 *first, ...);
int file_of_key(EVP_PKEY *key);
/* One CRL per issuer; `revoked` may be NULL. `until` in days from now. */
X509_CRL *crl_make(const struct cert *issuer, const X509 *revoked, long until);
int file_of_crls(X509_CRL *first, ...);
int file_of_text(const char *text);

/* ---- the front ---- */

struct harness {
	pid_t pid;
	struct event_base *base;
	struct link *parent, *gate, *audit;
	uint16_t tls_port, tcp_port;
	char unix_path[108];
	struct cert ca, server;
	unsigned max_files;	/* descriptors that the front may have; 0: as many as the test */
	char settings[2048];
	/* what came */
	bool ready, stopped;
	char failed[1024], reloaded[1024];
	bool has_reloaded;
	struct vg_identity identity;	/* of the last session */
	int session_fd;			/* its stream; -1 when none came since */
	unsigned num_sessions, num_records;
	char record[8192];		/* text of the last audit record */
};

/* `settings` is more text for virtgated.conf; `files` overrides those that are >= 0 (NULL: none). Waits until READY or failure. */
void harness_start(struct harness *harness, const char *settings, const int *files);
/* As start, without a link to a gate. */
void harness_start_without_gate(struct harness *harness, const char *settings, const int *files);
void harness_connect_gate(struct harness *harness);
/* Sends LINK_STOP and expects a clean exit, so that leaks and sanitizer reports are seen. */
void harness_stop(struct harness *harness);
/* Runs the loop until `*flag` differs from `was`, at most five seconds. */
bool harness_wait(struct harness *harness, const unsigned *counter, unsigned was);
/* Waits for the next session and hands out its stream (blocking, with a time limit); -1 when none comes. */
int harness_next_session(struct harness *harness);
bool harness_next_record(struct harness *harness);
void harness_reload(struct harness *harness, const char *settings, const int *files);
/* Own memory of the front in KiB. */
long harness_private_kib(const struct harness *harness);

/* ---- a client ---- */

struct tls_client {
	int fd;
	SSL *ssl;
	SSL_CTX *ctx;
	bool confirmed;		/* the byte \1 came */
	char problem[256];
};

int connect_tcp(uint16_t port);
/* Handshake and the byte that admits; `cert` NULL: none. `version` 0 or TLS1_2_VERSION … as the highest. */
bool tls_connect(struct tls_client *client, const struct harness *harness, const struct cert *cert, int version);
void tls_close(struct tls_client *client);
/* Whole or nothing. */
bool read_all(int fd, void *buf, size_t len);
bool write_all(int fd, const void *buf, size_t len);
bool tls_read_all(struct tls_client *client, void *buf, size_t len);

#endif
