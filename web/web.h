/*
 * web.h: the room that browsers come to: HTTPS and WebSocket by libwebsockets, log-in, and REST. Like the front it turns a stranger into an
 * identity and hands him to the gate; then it is his RPC client there (rpc.h): every question and change of a browser takes the way of an RPC
 * call, and is decided, recorded and filtered as one. It holds no right of its own.
 *
 *   browser ── HTTPS ──► http.c ──► routes.c ──► login.c, guests.c, admin.c, ticket.c ──► session.c: rpc.c ──► gate
 *   browser ── WebSocket ──► console.c ──────────────────────────────────────────────────────────► gate (a console's stream)
 */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include <event2/event.h>
#include <jansson.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>

#include "gateway/core/accepting.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/link.h"
#include "gateway/core/process.h"
#include "virtgate/identity.h"
#include "virtgate/result.h"

struct failures;
struct worker;
struct web_loop;
struct web_session;
struct request;

#define WEB_TOKEN_LEN	43	/* 32 random bytes in base64url */
#define WEB_MAX_NAMES	32	/* of hosts */

struct web {
	struct event_base *base;
	struct process *process;
	struct settings *settings;
	SSL_CTX *tls;				/* of the settings in force; clients switch to it as they say hello */
	char *names[WEB_MAX_NAMES];		/* this server's, from its certificate */
	size_t num_names;
	struct link *parent, *gate;		/* gate: NULL while it is away */
	struct audit_client *audit;
	struct worker *worker;
	struct failures *throttled, *recorded;	/* log-ins: who is slowed down; what is in the trail already */
	struct failures *crowds;		/* connections that were too many, as far as they are told already */
	struct web_loop *loop;
	struct accepting *accepting;
	struct event *tick;			/* once a second */
	LIST_HEAD(, web_session) sessions;
	unsigned num_sessions;
	unsigned num_clients;			/* connections */
};

/* Seconds that only go forward. */
time_t web_now(void);
/* 32 random bytes as text. -1: the system has none. */
int web_token(char token[WEB_TOKEN_LEN + 1]);
/* In a time that does not tell where they differ. */
bool web_same_token(const char *a, const char *b);
/*
 * Passes an identity and one end of a new stream to the gate. Returns the other end, non-blocking; -1: the gate is away, or no descriptors.
 * `last_word`: NULL, or where handover_hear_end() hears why it ended; the caller closes both.
 */
int web_hand_over(struct web *web, const struct vg_identity *identity, int *last_word);

/* ---- names.c ---- */

/* This server's names: those in the certificate of web->tls. A browser that came by another one was warned. */
void names_read(struct web *web);
/* Is this the name, with or without a port, of this server? (Host header) */
bool web_is_our_host(const struct web *web, const char *host);
/* Is this the origin of a page elsewhere that may show consoles (web_embed_origins)? */
bool web_may_embed(const struct web *web, const char *origin);
/* A name for such pages, under which nobody is asked for a certificate (web_embed_hosts)? */
bool web_is_embed_host(const struct web *web, const char *name);
/* ---- loop.c: libwebsockets on our event loop ---- */

/* -1 with `error`. `tls` of `web` is set already. */
int web_loop_start(struct web *web, struct vg_error *error);
void web_loop_stop(struct web *web);
/* Something was asked of libwebsockets from outside of its callbacks: it must look after its descriptors. */
void web_loop_kick(struct web *web);
/* A connection that was accepted; takes `fd`. While it lives it counts in `crowd` (NULL: nowhere). */
void web_loop_adopt(struct web *web, int fd, unsigned *crowd);

/* http.c and console.c: what libwebsockets calls. */
int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
int console_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
extern const size_t http_user_size, console_user_size;
extern const size_t console_max_write;	/* of one frame */
/* What every answer has, also those that libwebsockets gives by itself. */
extern const struct lws_protocol_vhost_options http_fixed_headers[];

#endif
