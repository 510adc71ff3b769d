/*
 * guard.h: wire.h between OpenSSL and libwebsockets. libwebsockets calls SSL_read and SSL_write, and has no place for a filter behind them; the
 * program's own functions of these names stand before those of libssl (as ELF resolves names) and call SSL_read_ex and SSL_write_ex. Connections that
 * nobody watches are as they were.
 */
#ifndef WEB_GUARD_H
#define WEB_GUARD_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "virtgate/result.h"

/* Once. -1 with `error`: libwebsockets would go past it. */
int guard_start(struct vg_error *error);
/* Before the first byte inside TLS. Freed with `ssl`. -1: memory is out. */
int guard_watch(SSL *ssl);
/* The request that came last becomes a WebSocket. False: it may not (wire.h). */
bool guard_upgrade(SSL *ssl);
/* The connection ends: nothing more is read of it. */
void guard_end(SSL *ssl, const char *why);

#endif
