#include "web/wire.h"

#include <string.h>

/* Types and flags of RFC 9113, 6. */
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, CONTINUATION = 9 };
enum { ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITY = 32 };

#define FRAME_HEAD	9u
#define PREFACE_LEN	24u
#define PRIORITY_LEN	5u	/* RFC 9113, 6.2 */
#define ENABLE_CONNECT_PROTOCOL 8u	/* RFC 8441, 3 */
#define WINDOW		10	/* seconds that are counted together */
#define MAX_BLOCK_FRAMES 8u	/* of a header block; browsers need one or two */
#define MAX_BLOCK_BYTES	(32u * 1024u)	/* four times what libwebsockets keeps of it (loop.c) */

/*
 * Frames of a kind that are let pass in a window. libwebsockets answers a PING and SETTINGS, and keeps its answers to those who do not read: browsers send
 * one in ten seconds and more. A stream is reset when somebody leaves a page; there can be 24 at a time. Any other costs it some microseconds at most;
 * slow clients send a WINDOW_UPDATE for each 16 KiB that they got.
 */
static const struct { unsigned most; const char *what; } kinds[WIRE_KINDS] = {
	{ 100, "more PING and SETTINGS than any browser sends" },
	{ 500, "streams are opened to be reset" },
	{ 20000, "more frames than any browser sends" },
	{ 20000, "more requests than any browser sends" },
};
enum { ANSWERED, RESET, OTHER, REQUEST };

void
wire_init(struct wire *wire, bool http2)
{
	*wire = (struct wire){ .language = http2 ? WIRE_HTTP2 : WIRE_HTTP1 };
}

/* ---- HTTP/1: up to the first request's empty line ---- */

static void
take_http1(struct wire *wire, const uint8_t *bytes, size_t len)
{
	static const char blank[] = "\r\n\r\n";

	for (size_t at = 0; at < len && !wire->behind; at++) {
		if (wire->blank == sizeof(blank) - 1)
			wire->behind = true;
		else
			wire->blank = bytes[at] == (uint8_t)blank[wire->blank] ? (uint8_t)(wire->blank + 1) : bytes[at] == '\r' ? 1 : 0;
	}
}

/* ---- WebSocket: two bytes, more of the length, the mask, the payload ---- */

static const char *
take_socket_head(struct wire *wire, uint8_t byte)
{
	uint8_t size = byte & 0x7f;

	wire->num++;
	if (wire->num == 1) {
		wire->left = 0;
	} else if (wire->num == 2) {
		if ((byte & 0x80) == 0)
			return "a frame that is not masked";
		wire->need = (uint8_t)(2 + (size == 126 ? 2 : size == 127 ? 8 : 0) + 4);
		wire->left = size < 126 ? size : 0;
	} else if (wire->num <= wire->need - 4) {
		wire->left = wire->left << 8 | byte;
	}
	return NULL;
}

static const char *
take_socket(struct wire *wire, const uint8_t *bytes, size_t len)
{
	const char *wrong = NULL;
	size_t n;

	for (size_t at = 0; at < len && wrong == NULL; at += n) {
		n = 1;
		if (wire->num < 2 || wire->num < wire->need) {
			wrong = take_socket_head(wire, bytes[at]);
		} else {
			n = wire->left < len - at ? (size_t)wire->left : len - at;
			wire->left -= n;
		}
		if (wire->num > 2 && wire->num == wire->need && wire->left == 0)
			wire->num = 0;
	}
	return wrong;
}

/* ---- HTTP/2 ---- */

static uint32_t
frame_len(const uint8_t head[FRAME_HEAD])
{
	return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

static const char *
count(struct wire *wire, unsigned kind, time_t now)
{
	if (now - wire->since >= WINDOW) {
		wire->since = now;
		memset(wire->counts, 0, sizeof(wire->counts));
	}
	return ++wire->counts[kind] > kinds[kind].most ? kinds[kind].what : NULL;
}

/*
 * libwebsockets 4.1 takes the flags PADDED and PRIORITY for what they are in HEADERS (RFC 9113, 6.2) whatever frame they stand in, so that it would read
 * other bytes of a header block than are looked at here; padding in DATA it gives on as content. A frame that is at its end behind what these flags
 * announce it goes on with into the next one.
 */
static const char *
take_preamble(struct wire *wire, uint8_t type, uint8_t flags)
{
	wire->padded = (flags & PADDED) != 0;
	wire->priority = (flags & PRIORITY) != 0 ? PRIORITY_LEN : 0;
	wire->padding = 0;
	if (type > CONTINUATION || (flags & (PADDED | PRIORITY)) == 0)
		return NULL;
	if (type == DATA)
		return "padded content, which no browser sends";
	if (type != HEADERS)
		return "a flag that its frame does not have";
	return wire->left <= (wire->padded ? 1u : 0u) + wire->priority ? "headers with nothing in them" : NULL;
}

static const char *
take_frame_head(struct wire *wire, time_t now)
{
	const char *wrong;
	uint8_t type = wire->head[3], flags = wire->head[4];

	wire->left = frame_len(wire->head);
	wrong = take_preamble(wire, type, flags);
	if (wrong != NULL)
		return wrong;
	if (type == HEADERS) {
		wire->block_frames = wire->block_bytes = 0;
		wire->block = (struct hpack){ .part = HPACK_FIELD };
	}
	if (type == HEADERS || type == CONTINUATION) {
		wire->block_bytes += (unsigned)wire->left;
		if (++wire->block_frames > MAX_BLOCK_FRAMES || wire->block_bytes > MAX_BLOCK_BYTES)
			return "headers without an end";
	}
	if (type == PING || (type == SETTINGS && (flags & ACK) == 0))
		return count(wire, ANSWERED, now);
	return count(wire, type == HEADERS ? REQUEST : type == RST_STREAM ? RESET : OTHER, now);
}

static bool
is_of_block(const struct wire *wire)
{
	return wire->head[3] == HEADERS || wire->head[3] == CONTINUATION;
}

/* Bytes of a frame with a piece of the block, of which wire->left more are to come. */
static const char *
take_block(struct wire *wire, const uint8_t *bytes, size_t len)
{
	const char *wrong;
	uint64_t rest = wire->left + len;
	size_t at = 0, skip, end = 0;

	if (wire->padded) {
		wire->padded = false;
		wire->padding = bytes[at++];
		if (wire->padding + wire->priority > wire->left + len - at)
			return "more padding than there is room for";
	}
	skip = wire->priority < len - at ? wire->priority : len - at;
	wire->priority = (uint8_t)(wire->priority - skip);
	at += skip;
	if (rest > wire->padding)
		end = rest - wire->padding < len ? (size_t)(rest - wire->padding) : len;
	if (end < at)
		end = at;
	wrong = hpack_take(&wire->block, bytes + at, end - at);
	for (at = end; at < len && wrong == NULL; at++)
		if (bytes[at] != 0)
			wrong = "padding that says something";
	return wrong;
}

static const char *
take_http2(struct wire *wire, const uint8_t *bytes, size_t len, time_t now)
{
	const char *wrong = NULL;
	size_t n;

	for (size_t at = 0; at < len && wrong == NULL; at += n) {
		n = 1;
		if (wire->preface < PREFACE_LEN) {
			wire->preface++;
		} else if (wire->num < FRAME_HEAD) {
			wire->head[wire->num++] = bytes[at];
			if (wire->num == FRAME_HEAD)
				wrong = take_frame_head(wire, now);
		} else {
			n = wire->left < len - at ? (size_t)wire->left : len - at;
			wire->left -= n;
			if (is_of_block(wire))
				wrong = take_block(wire, bytes + at, n);
		}
		if (wire->num == FRAME_HEAD && wire->left == 0) {
			if (wrong == NULL && is_of_block(wire) && (wire->head[4] & END_HEADERS) != 0 && !hpack_is_whole(&wire->block))
				wrong = "headers that end amid a field";
			wire->num = 0;
		}
	}
	return wrong;
}

void
wire_offer_no_connect(uint8_t *bytes, size_t len)
{
	size_t end;

	if (len < FRAME_HEAD || bytes[3] != SETTINGS)
		return;
	end = FRAME_HEAD + frame_len(bytes);
	for (size_t at = FRAME_HEAD; at + 6 <= len && at + 6 <= end; at += 6)
		if (bytes[at] == 0 && bytes[at + 1] == ENABLE_CONNECT_PROTOCOL)
			memset(bytes + at + 2, 0, 4);
}

/* ---- all of them ---- */

const char *
wire_take(struct wire *wire, const uint8_t *bytes, size_t len, time_t now)
{
	switch (wire->language) {
	case WIRE_WEBSOCKET:
		return take_socket(wire, bytes, len);
	case WIRE_HTTP2:
		return take_http2(wire, bytes, len, now);
	default:
		take_http1(wire, bytes, len);
		return NULL;
	}
}

bool
wire_upgrade(struct wire *wire)
{
	if (wire->language != WIRE_HTTP1 || wire->blank < 4 || wire->behind)
		return false;
	wire->language = WIRE_WEBSOCKET;
	return true;
}
