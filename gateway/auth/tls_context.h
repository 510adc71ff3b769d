/*
 * tls_context.h: one SSL_CTX from the files that the parent opened, and the judgement on a client's certificate once
 * OpenSSL has verified its chain.
 */
#ifndef AUTH_TLS_CONTEXT_H
#define AUTH_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "gateway/core/process.h"
#include "virtgate/identity.h"
#include "virtgate/result.h"

/* A new context, or NULL with `error` naming file and remedy. Reads the files, does not close them. */
SSL_CTX *tls_context_create(const struct settings *settings, const int files[PROCESS_NUM_FILES],
    struct vg_error *error);

/* Versions, ciphers, no tickets, no renegotiation; client certificates demanded, or only asked for. Of a context that somebody else made. */
int tls_context_protocol(SSL_CTX *ctx, bool demand, struct vg_error *error);

/* What is wrong with dates: server certificate, CA, CRL. -1 with `error`. For checks and warnings, not for deciding. */
int tls_context_check_dates(SSL_CTX *ctx, const struct settings *settings, struct vg_error *error);

/* Would this client, who was let in before, be let in by `ctx` as well? Chain, dates, revocation. -1 with `error`. */
int tls_client_check_again(SSL *ssl, SSL_CTX *ctx, struct vg_error *error);
/* Until the first certificate of the client's chain expires; 0 when one has; -1 for a client without a certificate. */
long tls_client_seconds_left(const SSL *ssl);

/*
 * The verified client of a finished handshake, into `identity` (DN, CN, fingerprint, SANs, proof X509). -1 with `error`
 * when there is none, or its certificate is one that we do not take: NUL, several CNs, bytes that are not UTF-8,
 * no clientAuth. `identity` then holds what is known, for the record, without the proof.
 */
int tls_client_identity(SSL *ssl, struct vg_identity *identity, struct vg_error *error);

/* Does a ClientHello's key_share extension (its content) hold a share of X25519? False for what does not parse. */
bool tls_shares_x25519(const uint8_t *extension, size_t len);

#endif
