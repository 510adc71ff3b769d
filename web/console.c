/*
 * console.c: the pump between a WebSocket and the gate. To the browser the web front is the RFB server until its two steps (version,
 * security type None: all of that is proven) are over; then the gate speaks, and decides.
 */
#include "web/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "proto/rfb.h"
#include "virtgate/endings.h"
#include "web/guard.h"
#include "web/ticket.h"

#define FRAME_HEAD	10u		/* RFC 6455, 5.2 */
#define PIECE		(8u * 16384u - FRAME_HEAD)	/* one read of the gate, one frame to the browser: as many full records of TLS */
#define BEGIN_SECONDS	10	/* the browser's part of the handshake must be there */
#define MAX_TO_GATE	(256u * 1024u)	/* that the gate has not taken; the browser waits meanwhile */

/* In the place of the version: whom do you want? The real version follows the answer (ticket.h). */
#define REPEATER_VERSION "RFB 000.000\n"

/* What the browser's next bytes are. */
enum step { AWAIT_REPEATER_ID, AWAIT_VERSION, AWAIT_SECURITY, PUMPING };

struct console {
	LIST_ENTRY(console) entry;
	struct web *web;
	struct web_session *session;	/* NULL: not, or no longer */
	struct lws *wsi;
	struct ticket *ticket;		/* taken, until the socket is there */
	char *origin;			/* owned: of the page, while its ticket is to come */
	int fd;				/* our end of the stream to the gate; -1: none */
	int last_word;			/* where the gate says why it ended; -1: none */
	struct event *readable, *writable;
	enum step step;
	struct buf in;			/* of the handshake */
	struct buf to_gate;
	bool held;			/* the browser, until the gate has taken that */
	bool refused;			/* over HTTP/2, before it was there */
	const char *version;		/* to be said to the browser; NULL: was said */
	unsigned close;			/* code; 0: not asked for */
	struct event *end;		/* when nothing is left to write before the close frame, or the handshake takes too long */
	char why[124];			/* RFC 6455, 5.5: a control frame has 125 bytes, two of them the code */
};

const size_t console_user_size = sizeof(struct console);
const size_t console_max_write = PIECE + FRAME_HEAD;

/* Where bytes for a browser land, behind the room for a frame's head: shared by all, so that a console holds no buffer. */
static uint8_t scratch[LWS_PRE + PIECE];

/* ---- ending ---- */

static const struct {
	unsigned code;
	const char *text;
} endings[CLOSE_NUM_REASONS] = {
#define ENDING(NAME, CODE, TEXT) [CLOSE_##NAME] = { CODE, TEXT },
#include "virtgate/endings.def"
#undef ENDING
};

/* The browser is told why at the next chance to write; nothing more is sent. */
static void
close_with(struct console *console, enum close_reason reason, const char *text)
{
	if (console->close != 0)
		return;
	console->close = endings[reason].code;
	(void)snprintf(console->why, sizeof(console->why), "%s", text);
	if (console->fd >= 0)
		(void)shutdown(console->fd, SHUT_RDWR);
	if (console->readable != NULL)
		(void)event_del(console->readable);
	(void)lws_callback_on_writable(console->wsi);
	web_loop_kick(console->web);
}

static void
close_by_us(struct console *console, enum close_reason reason)
{
	close_with(console, reason, endings[reason].text);
}

/* The stream to the gate is at its end; without a word of why, the gate itself is. */
static void
close_by_gate(struct console *console)
{
	char by[HANDOVER_BY_SIZE] = "", text[sizeof(console->why)];
	unsigned reason;

	if (!handover_hear_end(console->last_word, &reason, by) || reason >= CLOSE_NUM_REASONS || endings[reason].code == 0)
		reason = CLOSE_WEB_NO_GATE;
	(void)snprintf(text, sizeof(text), "%s%s%s", endings[reason].text, by[0] == '\0' ? "" : ": ", by);
	close_with(console, (enum close_reason)reason, text);
}

void
console_end_all(struct web_session *session, const char *reason)
{
	struct console *console;

	ticket_drop_all(session);
	while ((console = LIST_FIRST(&session->consoles)) != NULL) {
		LIST_REMOVE(console, entry);
		console->session = NULL;
		close_with(console, CLOSE_WEB_LOGGED_OUT, reason);
	}
}

static void
release(struct console *console)
{
	if (console->session != NULL)
		LIST_REMOVE(console, entry);
	ticket_free(console->ticket);
	free(console->origin);
	if (console->readable != NULL)
		event_free(console->readable);
	if (console->writable != NULL)
		event_free(console->writable);
	if (console->end != NULL)
		event_free(console->end);
	if (console->fd >= 0)
		close(console->fd);
	if (console->last_word >= 0)
		close(console->last_word);
	buf_free(&console->in);
	buf_free(&console->to_gate);
	memset(console, 0, sizeof(*console));
	console->fd = console->last_word = -1;
}

/* ---- gate to browser ---- */

static int
write_scratch(struct console *console, size_t len)
{
	return lws_write(console->wsi, scratch + LWS_PRE, len, LWS_WRITE_BINARY) < (int)len ? -1 : 0;
}

static int
send_now(struct console *console, const void *bytes, size_t len)
{
	memcpy(scratch + LWS_PRE, bytes, len);
	return write_scratch(console, len);
}

/*
 * Written at once: to be called for it by libwebsockets costs more than the writing. While the browser's connection takes no more the gate is not read; what
 * it did not take of the last piece is kept by libwebsockets.
 */
static void
on_gate_readable(evutil_socket_t fd, short what, void *arg)
{
	struct console *console = arg;
	ssize_t n;

	(void)what;
	if (lws_send_pipe_choked(console->wsi) != 0) {
		(void)event_del(console->readable);
		(void)lws_callback_on_writable(console->wsi);
		web_loop_kick(console->web);
		return;
	}
	n = recv(fd, scratch + LWS_PRE, PIECE, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_by_gate(console);
	} else if (write_scratch(console, (size_t)n) < 0) {
		(void)event_del(console->readable);
		lws_set_timeout(console->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
		web_loop_kick(console->web);
	} else if (lws_partial_buffered(console->wsi) != 0) {
		web_loop_kick(console->web);
	}
}

/*
 * Outside of libwebsockets' callbacks: with libuv, and built with _DEBUG as Debian's is, it drops a connection whose
 * callback returned -1 before the close frame (RFC 6455, 5.5.1) is sent. This way it sends it, and gives the browser
 * five seconds to answer.
 */
static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	struct console *console = arg;
	struct web *web = console->web;

	(void)fd;
	(void)what;
	(void)event_del(console->end);
	if (console->close == 0) {
		close_by_us(console, CLOSE_WEB_TOO_SLOW);
		return;
	}
	lws_close_reason(console->wsi, (enum lws_close_status)console->close, (unsigned char *)console->why, strlen(console->why));
	lws_set_timeout(console->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
	web_loop_kick(web);
}

static int
on_writeable(struct console *console)
{
	const char *version = console->version;

	console->version = NULL;
	if (version != NULL && send_now(console, version, RFB_VERSION_LEN) < 0)
		return -1;
	if (console->close != 0)
		event_active(console->end, EV_TIMEOUT, 0);
	else if (console->step == PUMPING)
		(void)event_add(console->readable, NULL);
	return 0;
}

/* ---- browser to gate ---- */

static void
flush_to_gate(struct console *console)
{
	while (buf_len(&console->to_gate) > 0) {
		ssize_t n = send(console->fd, buf_head(&console->to_gate), buf_len(&console->to_gate), MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			(void)event_add(console->writable, NULL);
			return;
		}
		if (n < 0 && errno != EINTR) {
			close_by_gate(console);
			return;
		}
		if (n > 0)
			buf_drop(&console->to_gate, (size_t)n);
	}
	if (console->held) {
		console->held = false;
		(void)lws_rx_flow_control(console->wsi, 1);
		web_loop_kick(console->web);
	}
}

static void
on_gate_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush_to_gate(arg);
}

/* ---- the handshake ---- */

static int
hand_over(struct console *console, const struct ticket *ticket)
{
	struct vg_identity identity = ticket->session->identity;	/* its texts are borrowed */

	identity.console = (char *)(uintptr_t)ticket->name;
	memcpy(identity.console_uuid, ticket->uuid, VG_UUID_LEN);
	identity.console_view = ticket->view;
	console->fd = web_hand_over(console->web, &identity, &console->last_word);
	if (console->fd < 0)
		return -1;
	console->readable = event_new(console->web->base, console->fd, EV_READ | EV_PERSIST, on_gate_readable, console);
	console->writable = event_new(console->web->base, console->fd, EV_WRITE, on_gate_writable, console);
	return console->readable == NULL || console->writable == NULL ? -1 : 0;
}

static void
say_version(struct console *console, const char *version)
{
	console->version = version;
	(void)lws_callback_on_writable(console->wsi);
	web_loop_kick(console->web);
}

/* The stream to the gate, and RFB's first word to the browser. */
static void
begin(struct console *console, struct ticket *ticket)
{
	if (ticket == NULL || ticket->session->over) {
		close_by_us(console, CLOSE_WEB_BAD_TICKET);
	} else if (hand_over(console, ticket) < 0) {
		close_by_us(console, CLOSE_WEB_NO_GATE);
	} else {
		console->session = ticket->session;
		LIST_INSERT_HEAD(&ticket->session->consoles, console, entry);
		say_version(console, RFB_VERSION_TEXT);
		console->step = AWAIT_VERSION;
	}
	ticket_free(ticket);
}

/* -1: not what was asked for. */
static int
take_repeater_id(struct console *console)
{
	char token[WEB_TOKEN_LEN + 1];
	bool found = ticket_in_repeater_id(buf_head(&console->in), token);

	explicit_bzero(buf_head(&console->in), TICKET_REPEATER_ID_LEN);
	buf_free(&console->in);
	if (found)
		begin(console, ticket_take(token, console->origin));
	explicit_bzero(token, sizeof(token));
	return found ? 0 : -1;
}

/* RFB's first steps, then the gate's first word is let through. -1: no RFB. */
static int
take_handshake(struct console *console, const uint8_t *bytes, size_t len)
{
	static const uint8_t types[] = { 1, RFB_SECURITY_NONE };
	size_t max = console->step == AWAIT_REPEATER_ID ? TICKET_REPEATER_ID_LEN : RFB_VERSION_LEN + 1;
	unsigned minor;

	if (buf_len(&console->in) + len > max || buf_add(&console->in, bytes, len) < 0)
		return -1;
	if (console->step == AWAIT_REPEATER_ID)
		return buf_len(&console->in) < TICKET_REPEATER_ID_LEN ? 0 : take_repeater_id(console);
	if (console->step == AWAIT_VERSION && buf_len(&console->in) >= RFB_VERSION_LEN) {
		if (rfb_version_get(buf_head(&console->in), RFB_VERSION_LEN, &minor) != VG_OK || minor < 8 || send_now(console, types, sizeof(types)) < 0)
			return -1;
		buf_drop(&console->in, RFB_VERSION_LEN);
		console->step = AWAIT_SECURITY;
	}
	if (console->step == AWAIT_SECURITY && buf_len(&console->in) > 0) {
		if (*buf_head(&console->in) != RFB_SECURITY_NONE || buf_len(&console->in) > 1)
			return -1;
		buf_drop(&console->in, 1);
		(void)event_del(console->end);
		console->step = PUMPING;
		(void)event_add(console->readable, NULL);
	}
	return 0;
}

/* ---- browser to gate ---- */

static int
on_receive(struct console *console, const uint8_t *bytes, size_t len)
{
	if (console->close != 0)
		return 0;
	if (!lws_frame_is_binary(console->wsi)) {
		close_by_us(console, CLOSE_WEB_NOT_BINARY);
		return 0;
	}
	if (console->step != PUMPING)
		return take_handshake(console, bytes, len);
	if (buf_add(&console->to_gate, bytes, len) < 0)
		return -1;
	flush_to_gate(console);
	if (buf_len(&console->to_gate) > MAX_TO_GATE / 2) {
		console->held = true;
		(void)lws_rx_flow_control(console->wsi, 0);
	}
	return buf_len(&console->to_gate) > MAX_TO_GATE ? -1 : 0;
}

/* ---- beginning ---- */

/* Before the upgrade is answered: wrong names and pages get no socket at all. A ticket is looked at here, while its header is there. */
static int
on_filter(struct console *console, struct lws *wsi)
{
	struct request look = { .web = lws_context_user(lws_get_context(wsi)), .wsi = wsi };
	char host[256], origin[TICKET_ORIGIN_SIZE], path[16], protocols[256], token[WEB_TOKEN_LEN + 1];
	bool elsewhere;

	memset(console, 0, sizeof(*console));
	console->fd = console->last_word = -1;
	console->web = look.web;
	/*
	 * Nobody was offered one over HTTP/2 (guard.c). When this is called libwebsockets has got memory for it that it frees with WebSockets only: so
	 * it becomes one, and ends with its connection.
	 */
	console->refused = lws_get_network_wsi(wsi) != wsi;
	if (console->refused)
		return 0;
	if ((!request_header(&look, WSI_TOKEN_HOST, host, sizeof(host)) && !request_header(&look, WSI_TOKEN_HTTP_COLON_AUTHORITY, host, sizeof(host))) ||
	    !web_is_our_host(look.web, host) || !request_header(&look, WSI_TOKEN_ORIGIN, origin, sizeof(origin)))
		return -1;
	elsewhere = !request_origin_is_ours(&look, host, true);
	if (elsewhere && !web_may_embed(look.web, origin))
		return -1;
	if ((!request_header(&look, WSI_TOKEN_GET_URI, path, sizeof(path)) && !request_header(&look, WSI_TOKEN_HTTP_COLON_PATH, path, sizeof(path))) ||
	    strcmp(path, "/console") != 0 || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) > 0)
		return -1;
	if (!guard_upgrade(lws_get_ssl(lws_get_network_wsi(wsi))))
		return -1;
	(void)request_header(&look, WSI_TOKEN_PROTOCOL, protocols, sizeof(protocols));
	if (ticket_in_protocols(protocols, token))
		console->ticket = ticket_take(token, origin);
	else if (elsewhere && (console->origin = strdup(origin)) == NULL)
		return -1;
	return 0;
}

static int
on_established(struct console *console, struct lws *wsi)
{
	static const struct timeval patience = { BEGIN_SECONDS, 0 };
	struct ticket *ticket = console->ticket;

	if (console->refused) {
		guard_end(lws_get_ssl(lws_get_network_wsi(wsi)), "a WebSocket over HTTP/2, which was not offered");
		return -1;
	}
	console->wsi = wsi;
	console->ticket = NULL;
	console->end = evtimer_new(console->web->base, on_end, console);
	if (console->end == NULL) {
		ticket_free(ticket);
		return -1;
	}
	(void)event_add(console->end, &patience);
	if (console->origin != NULL)
		say_version(console, REPEATER_VERSION);
	else
		begin(console, ticket);
	return 0;
}

int
console_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct console *console = user;

	switch (reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return on_filter(console, wsi);
	case LWS_CALLBACK_ESTABLISHED:
		return on_established(console, wsi);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return console->web == NULL ? 0 : on_writeable(console);
	case LWS_CALLBACK_RECEIVE:
		return console->web == NULL ? 0 : on_receive(console, in, len);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		/* Nothing of the gate's may come behind our answer to that. */
		if (console->readable != NULL)
			(void)event_del(console->readable);
		return 0;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		if (console != NULL && console->web != NULL)
			release(console);
		return 0;
	default:
		return 0;
	}
}
