/*
 * http.c: requests and answers through libwebsockets, the same for HTTP/1.1 and HTTP/2. What every answer has (the headers that keep a page in
 * its place) is here and nowhere else.
 */
#include "web/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include "gateway/auth/tls_context.h"
#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "web/session.h"

#define FRAME_HEAD	9u		/* RFC 9113, 4.1 */
#define PIECE		(16384u - FRAME_HEAD)	/* of an answer, in one write: with its head a full record of TLS */
#define MOST_PIECES	16u		/* one after the other, before others have a turn */
#define SEND_SECONDS	20	/* in which a reader takes a piece, or opens HTTP/2's window for it; else his answer is dropped */
#define MAX_EVENTS	(512u * 1024u)	/* that a slow reader lets wait; then his stream ends, and he comes again */

const size_t http_user_size = sizeof(struct request);

/*
 * Nothing of the page may come from elsewhere, nobody may put it into a frame, and what it keeps is kept by nobody else. A chain as libwebsockets wants
 * it, which puts these into its own refusals too.
 */
#define HEADER(number, name_, value_) { .next = &http_fixed_headers[(number) + 1], .name = name_ ":", .value = value_ }
const struct lws_protocol_vhost_options http_fixed_headers[] = {
	HEADER(0, "content-security-policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
	    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
	HEADER(1, "strict-transport-security", "max-age=31536000"),
	HEADER(2, "x-content-type-options", "nosniff"),
	HEADER(3, "x-frame-options", "DENY"),
	HEADER(4, "referrer-policy", "no-referrer"),
	HEADER(5, "cross-origin-opener-policy", "same-origin"),
	HEADER(6, "cross-origin-resource-policy", "same-origin"),
	{ .next = NULL, .name = "permissions-policy:", .value = "camera=(), microphone=(), geolocation=(), payment=()" },
};

/* ---- what a browser said ---- */

bool
request_header(const struct request *request, enum lws_token_indexes header, char *value, size_t size)
{
	int len = lws_hdr_total_length(request->wsi, header);

	value[0] = '\0';
	return len > 0 && (size_t)len < size && lws_hdr_copy(request->wsi, value, (int)size, header) == len && strlen(value) == (size_t)len;
}

bool
request_takes_gzip(const struct request *request)
{
	char encodings[256];

	return request_header(request, WSI_TOKEN_HTTP_ACCEPT_ENCODING, encodings, sizeof(encodings)) && strstr(encodings, "gzip") != NULL;
}

const char *
request_argument(const struct request *request, const char *name, char *value, size_t size)
{
	char piece[512];
	size_t len = strlen(name);

	for (int i = 0; lws_hdr_copy_fragment(request->wsi, piece, sizeof(piece), WSI_TOKEN_HTTP_URI_ARGS, i) >= 0; i++) {
		if (strncmp(piece, name, len) != 0 || piece[len] != '=')
			continue;
		/* libwebsockets has undone %-escapes already. */
		if (strlen(piece + len + 1) >= size)
			return NULL;
		memcpy(value, piece + len + 1, strlen(piece + len + 1) + 1);
		return value;
	}
	return NULL;
}

json_t *
request_json(struct request *request)
{
	json_t *json = json_loadb(buf_len(&request->body) == 0 ? "{}" : (const char *)buf_head(&request->body),
	    buf_len(&request->body) == 0 ? 2 : buf_len(&request->body), JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	reply_error(request, 400, RPC_ERR_INVALID_ARG, "the body must be one JSON object");
	return NULL;
}

int
request_identity(struct request *request, struct vg_identity *identity, struct vg_error *error)
{
	SSL *ssl = lws_get_ssl(lws_get_network_wsi(request->wsi));
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd = ssl == NULL ? -1 : SSL_get_fd(ssl);

	*identity = (struct vg_identity){ 0 };
	error->what[0] = '\0';
	if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return vg_fail(error, "the connection is gone");
	identity_set_address(identity, (struct sockaddr *)&peer);
	if (SSL_get0_peer_certificate(ssl) == NULL) {
		identity->via = VG_VIA_WEB;
		return 0;
	}
	/* What it makes of the certificate is set beside what is set here. */
	if (tls_client_identity(ssl, identity, error) < 0)
		return -1;
	identity->via = VG_VIA_WEB;
	return 0;
}

/* ---- answering ---- */

static void
answer(struct request *request, unsigned status, const char *type)
{
	if (request->answered) {
		log_error("a second answer to %s", request->path);
		return;
	}
	request->answered = true;
	request->status = status;
	request->type = type;
	if (!request->streams)
		lws_set_timeout(request->wsi, PENDING_TIMEOUT_HTTP_CONTENT, SEND_SECONDS);
	(void)lws_callback_on_writable(request->wsi);
	web_loop_kick(request->web);
}

void
reply_bytes(struct request *request, unsigned status, const char *type, uint8_t *bytes, size_t len)
{
	request->owned = bytes;
	request->bytes = bytes;
	request->len = len;
	answer(request, status, type);
}

void
reply_static(struct request *request, unsigned status, const char *type)
{
	answer(request, status, type);
}

void
reply_json(struct request *request, unsigned status, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL) {
		text = strdup("{\"error\":{\"status\":500,\"code\":38,\"message\":\"out of memory\"}}");
		status = 500;
	}
	reply_bytes(request, status, "application/json", (uint8_t *)text, text == NULL ? 0 : strlen(text));
}

void
reply_error(struct request *request, unsigned status, int code, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	reply_json(request, status, json_pack("{s:{s:i, s:i, s:o}}", "error", "status", (int)status, "code", code, "message",
	    audit_text(text, strlen(text))));
}

/* A part of "access denied: 'domain:start' on domain 'web-1' (decision 01…)". NULL: it is not in there. */
static json_t *
part_of(const char *message, const char *before, const char *until)
{
	const char *from = strstr(message, before), *to;

	if (from == NULL)
		return NULL;
	from += strlen(before);
	to = strstr(from, until);
	return to == NULL ? NULL : audit_text(from, (size_t)(to - from));
}

void
reply_rpc_error(struct request *request, const struct rpc_error *error)
{
	static const struct { int32_t code; unsigned status; } known[] = { { RPC_ERR_ACCESS_DENIED, 403 }, { RPC_ERR_OPERATION_DENIED, 403 },
		{ RPC_ERR_NO_DOMAIN, 404 }, { RPC_ERR_OPERATION_INVALID, 409 }, { RPC_ERR_INVALID_ARG, 400 }, { RPC_ERR_NO_SUPPORT, 501 },
		{ RPC_ERR_SYSTEM, 503 } };
	json_t *json = json_object(), *inside = json_object();
	unsigned status = 502;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].code == error->code)
			status = known[i].status;
	(void)json_object_set_new(inside, "status", json_integer(status));
	(void)json_object_set_new(inside, "code", json_integer(error->code));
	(void)json_object_set_new(inside, "message", audit_text(error->message, strlen(error->message)));
	if (error->code == RPC_ERR_ACCESS_DENIED) {
		(void)json_object_set_new(inside, "permission", part_of(error->message, "denied: '", "' on "));
		(void)json_object_set_new(inside, "object", part_of(error->message, "' on ", " (decision "));
		(void)json_object_set_new(inside, "decision", part_of(error->message, "(decision ", ")"));
	}
	(void)json_object_set_new(json, "error", inside);
	reply_json(request, status, json);
}

static void
on_heard(evutil_socket_t fd, short what, void *arg)
{
	struct request *request = arg;

	(void)fd;
	(void)what;
	request->streams = false;
	buf_drop(&request->events, buf_len(&request->events));
	(void)lws_callback_on_writable(request->wsi);
	web_loop_kick(request->web);
}

/*
 * A stream is the last answer of its HTTP/1 connection, and nobody has to say anything behind his question, nor that he says no more. libwebsockets
 * would leave it where it is, and be woken for it all the time: the connection is ended instead.
 */
static void
listen_to(struct request *request)
{
	request->heard = event_new(request->web->base, lws_get_socket_fd(request->wsi), EV_READ, on_heard, request);
	if (request->heard != NULL)
		(void)event_add(request->heard, NULL);
}

void
reply_events(struct request *request)
{
	request->streams = true;
	/* Else libwebsockets ends it as a request that takes too long; of HTTP/2 it keeps the connection, too. */
	if (lws_get_network_wsi(request->wsi) != request->wsi) {
		(void)lws_http_mark_sse(request->wsi);
	} else {
		lws_set_timeout(request->wsi, NO_PENDING_TIMEOUT, 0);
		listen_to(request);
	}
	answer(request, 200, "text/event-stream");
}

void
request_event(struct request *request, const char *event, const char *data)
{
	struct buf *out = &request->events;
	bool full = buf_len(out) > MAX_EVENTS;

	if (full || buf_add(out, event == NULL ? ":" : "event: ", event == NULL ? 1 : 7) < 0 ||
	    (event != NULL && (buf_add(out, event, strlen(event)) < 0 || buf_add(out, "\ndata: ", 7) < 0 || buf_add(out, data, strlen(data)) < 0)) ||
	    buf_add(out, "\n\n", 2) < 0)
		request->streams = false;	/* it ends behind what there is; the browser comes again */
	(void)lws_callback_on_writable(request->wsi);
	web_loop_kick(request->web);
}

/* ---- libwebsockets: writing ---- */

static int
add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), at, end);
}

static int
send_head(struct request *request)
{
	unsigned char room[LWS_PRE + 4096], *start = room + LWS_PRE, *at = start, *end = room + sizeof(room) - 1;
	struct lws *wsi = request->wsi;
	lws_filepos_t length = request->streams ? LWS_ILLEGAL_HTTP_CONTENT_LEN : request->len;

	if (lws_add_http_common_headers(wsi, request->status, request->type, length, &at, end) != 0 ||
	    add_header(wsi, "cache-control:", request->forever ? "public, max-age=31536000, immutable" : "no-store", &at, end) != 0 ||
	    (request->etag != NULL && add_header(wsi, "etag:", request->etag, &at, end) != 0) ||
	    (request->gzip && (add_header(wsi, "content-encoding:", "gzip", &at, end) != 0 || add_header(wsi, "vary:", "accept-encoding", &at, end) != 0)) ||
	    (request->cookie[0] != '\0' && add_header(wsi, "set-cookie:", request->cookie, &at, end) != 0) ||
	    (request->disposition[0] != '\0' && add_header(wsi, "content-disposition:", request->disposition, &at, end) != 0))
		return -1;
	request->head_sent = true;
	return lws_finalize_write_http_header(wsi, start, &at, end);
}

/* -1: the connection is to be closed. */
static int
send_piece(struct request *request, const uint8_t *bytes, size_t len, bool last)
{
	static unsigned char room[LWS_PRE + PIECE];

	memcpy(room + LWS_PRE, len == 0 ? (const uint8_t *)"" : bytes, len);
	return lws_write(request->wsi, room + LWS_PRE, len, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)len ? -1 : 0;
}

static void
reset(struct request *request)
{
	struct web *web = request->web;
	struct lws *wsi = request->wsi;

	if (request->gone != NULL)
		request->gone(request);
	if (request->heard != NULL)
		event_free(request->heard);
	rpc_call_forget(request->call);
	json_decref(request->json);
	free(request->owned);
	buf_free(&request->body);
	buf_free(&request->events);
	memset(request, 0, sizeof(*request));
	request->web = web;
	request->wsi = wsi;
}

/* A piece, and of HTTP/2 only as much as its windows are open for: libwebsockets leaves that to us, and calls again when they are opened. */
static size_t
may_send(const struct request *request, size_t len)
{
	lws_fileofs_t allowed = lws_get_peer_write_allowance(request->wsi);

	if (len > PIECE)
		len = PIECE;
	return allowed >= 0 && len > (size_t)allowed ? (size_t)allowed : len;
}

/* To be called again costs more than a piece: as many as the connection takes. -1: the connection is to be closed. */
static int
send_pieces(struct request *request)
{
	unsigned num = 0;
	size_t n;

	do {
		n = may_send(request, request->len - request->sent);
		if (n == 0 && request->sent < request->len)
			return 0;
		if (send_piece(request, request->bytes + request->sent, n, request->sent + n == request->len) < 0)
			return -1;
		request->sent += n;
	} while (request->sent < request->len && ++num < MOST_PIECES && lws_send_pipe_choked(request->wsi) == 0);
	return 0;
}

static int
send_events(struct request *request)
{
	size_t n = may_send(request, buf_len(&request->events));

	if (n > 0 && send_piece(request, buf_head(&request->events), n, false) < 0)
		return -1;
	buf_drop(&request->events, n);
	if (buf_len(&request->events) > 0)
		(void)lws_callback_on_writable(request->wsi);
	return request->streams || buf_len(&request->events) > 0 ? 0 : -1;
}

static int
on_writeable(struct request *request)
{
	size_t before = request->sent;

	if (!request->answered)
		return 0;
	if (!request->head_sent) {
		if (send_head(request) != 0)
			return -1;
		if (lws_send_pipe_choked(request->wsi) != 0) {
			(void)lws_callback_on_writable(request->wsi);
			return 0;
		}
	}
	if (request->type != NULL && strcmp(request->type, "text/event-stream") == 0)
		return send_events(request);
	if (send_pieces(request) < 0)
		return -1;
	if (request->sent < request->len) {
		if (request->sent > before)
			lws_set_timeout(request->wsi, PENDING_TIMEOUT_HTTP_CONTENT, SEND_SECONDS);
		(void)lws_callback_on_writable(request->wsi);
		return 0;
	}
	if (request->closes)
		return -1;
	reset(request);
	return lws_http_transaction_completed(request->wsi) != 0 ? -1 : 0;
}

/* ---- libwebsockets: reading ---- */

static enum web_method
method_of(struct lws *wsi)
{
	char *path;
	int len;

	switch (lws_http_get_uri_and_method(wsi, &path, &len)) {
	case LWSHUMETH_GET:
		return WEB_GET;
	case LWSHUMETH_POST:
		return WEB_POST;
	case LWSHUMETH_DELETE:
		return WEB_DELETE;
	default:
		return WEB_OTHER_METHOD;
	}
}

/*
 * Where one body ends and the next request begins must not be a matter of opinion (RFC 9112, 6.3): a length is digits and
 * nothing else, there is one, and only what has a body has it. NULL, or what is wrong.
 */
static const char *
wrong_body(const struct request *request, bool *comes)
{
	char text[24];

	*comes = request->method == WEB_POST;
	if (lws_hdr_total_length(request->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return "transfer encodings are not taken: send a Content-Length";
	if (lws_hdr_total_length(request->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
		return NULL;
	/* Two headers come as one text with a comma in it. */
	if (!request_header(request, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)) || strspn(text, "0123456789") != strlen(text) || strlen(text) > 12)
		return "the Content-Length is no length";
	if (strspn(text, "0") == strlen(text))
		*comes = false;
	else if (!*comes)
		return "only a POST has a body";
	return NULL;
}

static int
on_request(struct request *request, struct lws *wsi, const char *path)
{
	const char *wrong;
	bool comes;

	/* libwebsockets begins with a request that came behind one that waits for its answer: they would have one struct between them. */
	if (request->taken)
		return -1;
	request->taken = true;
	request->web = lws_context_user(lws_get_context(wsi));
	request->wsi = wsi;
	request->method = method_of(wsi);
	/* Behind the answer to a HEAD stands no body: what we send there would be the next answer to somebody in between. */
	request->closes = request->method == WEB_OTHER_METHOD;
	clock_gettime(CLOCK_MONOTONIC, &request->began);
	wrong = wrong_body(request, &comes);
	if (wrong != NULL || strlen(path) >= sizeof(request->path)) {
		request->closes = true;
		reply_error(request, wrong != NULL ? 400 : 414, RPC_ERR_INVALID_ARG, "%s", wrong != NULL ? wrong : "the path is too long");
		return 0;
	}
	memcpy(request->path, path, strlen(path) + 1);
	request->has_body = comes;
	if (comes)
		request->max_body = route_max_body(request);
	else
		route(request);
	return 0;
}

static int
on_body(struct request *request, const void *bytes, size_t len)
{
	struct timespec now;

	if (request->answered)
		return 0;
	/* libwebsockets counts anew with each piece: who sends a byte now and then could stay for hours. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - request->began.tv_sec > REQUEST_MAX_SECONDS)
		return -1;
	if (buf_len(&request->body) + len > request->max_body)
		request->too_long = true;
	else if (buf_add(&request->body, bytes, len) < 0)
		return -1;
	return 0;
}

static int
on_body_complete(struct request *request)
{
	/* Said again when something came behind it, and again while the answer is not there. */
	if (request->whole && !request->answered)
		return -1;
	request->whole = true;
	if (request->answered || !request->has_body)
		return 0;
	if (request->too_long)
		reply_error(request, 413, RPC_ERR_INVALID_ARG, "the body is longer than %zu bytes", request->max_body);
	else
		route(request);
	return 0;
}

/*
 * To nothing else: HTTP/2 is agreed on in the handshake of TLS, or not at all. The header is asked for, not what the callback has of it: a request for what
 * libwebsockets does not know was answered, and its headers are freed; who lets it go on goes on with them (CVE-2025-11677).
 */
static bool
asks_for_websocket(struct lws *wsi)
{
	char to[16];

	return lws_hdr_copy(wsi, to, sizeof(to), WSI_TOKEN_UPGRADE) > 0 && strcasecmp(to, "websocket") == 0;
}

int
http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct request *request = user;
	unsigned *crowd;

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_request(request, wsi, in);
	case LWS_CALLBACK_HTTP_BODY:
		return on_body(request, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return on_body_complete(request);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writeable(request);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return asks_for_websocket(wsi) ? 0 : -1;
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
	case LWS_CALLBACK_CLOSED_HTTP:
		if (request != NULL && request->web != NULL)
			reset(request);
		return 0;
	case LWS_CALLBACK_WSI_CREATE:
		((struct web *)lws_context_user(lws_get_context(wsi)))->num_clients++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		((struct web *)lws_context_user(lws_get_context(wsi)))->num_clients--;
		crowd = lws_get_opaque_user_data(wsi);
		if (crowd != NULL)
			(*crowd)--;
		return 0;
	default:
		/* Not lws_callback_http_dummy: what is not handled here (redirects, files, CGI) is not wanted. */
		return 0;
	}
}
