/*
 * wire.h: what a browser sends, as bytes inside TLS, before libwebsockets sees them. It judges only what libwebsockets takes and should not: frames of
 * a WebSocket that are not masked (RFC 6455, 5.1), changes of HTTP/2's header table (hpack.h), frames that it ends in another place than RFC 9113 does, and HTTP/2 frames in numbers that only keep a server busy (CVE-2019-9512 to 9518, CVE-2023-44487,
 * CVE-2024-27316). Pure: bytes and a time in, a verdict out. guard.c puts it where the bytes are.
 */
#ifndef WEB_WIRE_H
#define WEB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "web/hpack.h"

enum wire_language { WIRE_HTTP1, WIRE_HTTP2, WIRE_WEBSOCKET };

#define WIRE_KINDS	4u	/* of frames that are counted */

struct wire {
	enum wire_language language;
	uint8_t blank;			/* HTTP/1: bytes of the empty line behind the first request's headers */
	bool behind;			/* and something came behind it */
	uint8_t preface;		/* HTTP/2: bytes of it that came */
	uint8_t head[9];		/* of the frame at hand */
	uint8_t num, need;		/* bytes of it: there, and (WebSocket) wanted */
	uint64_t left;			/* of the frame's payload */
	unsigned block_frames, block_bytes;	/* HTTP/2: of a header block */
	bool padded;			/* the length of its padding is to come, */
	uint8_t priority;		/* and so many bytes before it that are none of it */
	uint8_t padding;		/* bytes behind it in this frame */
	struct hpack block;
	time_t since;			/* of these counts */
	unsigned counts[WIRE_KINDS];
};

void wire_init(struct wire *wire, bool http2);
/* What came. NULL, or what is wrong with it: the connection is to be ended. */
const char *wire_take(struct wire *wire, const uint8_t *bytes, size_t len, time_t now);
/*
 * The request that came asks for a WebSocket, and gets it. False: it may not. It must be the first of its connection, with nothing behind it, and in
 * HTTP/1: which of HTTP/2's streams libwebsockets makes one of it does not say.
 */
bool wire_upgrade(struct wire *wire);
/* The server's first SETTINGS in `bytes`: it does not offer WebSockets over HTTP/2 (RFC 8441), so that browsers come by HTTP/1 for them. */
void wire_offer_no_connect(uint8_t *bytes, size_t len);

#endif
