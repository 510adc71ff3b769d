/*
 * http.h: one request of a browser, from its first header to the last byte of its answer. Routes are a table (routes.c); a handler answers at
 * once by one of reply_*(), or later, from a callback: the request stays until then, or until the browser is gone.
 */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include "gateway/core/buf.h"
#include "proto/rpc.h"
#include "web/rpc.h"
#include "web/web.h"

enum web_method { WEB_GET, WEB_POST, WEB_DELETE, WEB_OTHER_METHOD };

#define REQUEST_MAX_STRANGER (16u * 1024u)	/* of a body, while nobody is logged in: a name and a password, each letter escaped */
#define REQUEST_MAX_BODY	(64u * 1024u)
#define REQUEST_MAX_LARGE	(128u * 1024u)	/* of a draft of a policy: WEB_MAX_POLICY of the gate, as a JSON string */
#define REQUEST_MAX_SECONDS	30	/* from the end of its headers to the end of its body */
#define REQUEST_MAX_SEGMENTS	2

struct request {
	struct web *web;
	struct lws *wsi;
	enum web_method method;
	char path[256];
	char segments[REQUEST_MAX_SEGMENTS][64];	/* what stood for the stars of its route */
	bool taken, has_body, whole;	/* there is one; one with a body; that came */
	struct buf body;
	size_t max_body;
	bool too_long;
	bool closes;			/* the connection ends with the answer: where this request ends is a matter of opinion */
	struct web_session *session;	/* of its cookie; NULL: nobody is logged in */
	struct rpc_call *call;		/* that it waits for: forgotten when it goes */
	void (*gone)(struct request *request);	/* a handler that waits otherwise: the request goes */
	void *waiting;			/* its own */
	json_t *json;			/* owned: what a handler of several steps has so far */
	struct timespec began;

	/* The answer. */
	bool answered, head_sent, streams;	/* streams: events, without an end */
	unsigned status;
	const char *type;
	uint8_t *owned;			/* of `bytes`, or NULL */
	const uint8_t *bytes;
	size_t len, sent;
	const char *etag;
	bool gzip, forever;
	char cookie[160], disposition[96];	/* header values, empty: none */
	struct buf events;		/* of a stream, not yet sent */
	struct event *heard;		/* the reader of a stream says something, or goes */
};

/* ---- what a browser said ---- */

/* An argument of the query, decoded; NULL: not there, or too long. */
const char *request_argument(const struct request *request, const char *name, char *value, size_t size);
/* A header; false: not there, or longer than there is room for. */
bool request_header(const struct request *request, enum lws_token_indexes header, char *value, size_t size);
bool request_takes_gzip(const struct request *request);
/* The body as one JSON object without a key twice; NULL when it is none (an answer was given then). Caller's. */
json_t *request_json(struct request *request);
/* The client's address, and his certificate as an identity (via web, address and port set). What the certificate says is wrong with it in `error`. */
int request_identity(struct request *request, struct vg_identity *identity, struct vg_error *error);

/* ---- the answer; each may be the only one ---- */

void reply_json(struct request *request, unsigned status, json_t *json /* taken; NULL: out of memory */);
/* {"error": {...}} with a libvirt code, 0 for none. */
__attribute__((format(printf, 4, 5))) void reply_error(struct request *request, unsigned status, int code, const char *format, ...);
/* What libvirtd or the gate said: 403, 404, 409, … by its code; permission, object and decision are taken out of a refusal's text. */
void reply_rpc_error(struct request *request, const struct rpc_error *error);
/* `bytes` is malloc'ed and taken. */
void reply_bytes(struct request *request, unsigned status, const char *type, uint8_t *bytes, size_t len);
/* `bytes` and `len` of the request are set, and are nobody's to free. */
void reply_static(struct request *request, unsigned status, const char *type);
/* An event stream begins; request_event() adds to it. */
void reply_events(struct request *request);
void request_event(struct request *request, const char *event, const char *data);

/* routes.c. Does it come from a page of this server, which was called `host`? One without an Origin does, unless one is demanded. */
bool request_origin_is_ours(const struct request *request, const char *host, bool demanded);
/* Finds the handler and calls it, or answers why not. */
void route(struct request *request);
/* Bytes of a body that its route takes of whom it comes from; known when its head is there. */
size_t route_max_body(const struct request *request);

#endif
