/*
 * fuzz_socket.c: a console's WebSocket behind its upgrade, against a model of RFC 6455: what comes to the gate is what stood in binary messages that are
 * without fault, no byte of anything behind the first fault, and what the gate says comes back in frames that are without fault. Input: pieces parted
 * by byte 1e. The first byte of each is the first of a frame (fin, three reserved bits, opcode), the second says how it is sent (enum), the rest is its payload.
 * A first byte of the input that is odd leaves RFB's handshake to the input.
 */
#include <string.h>

#include "proto/rfb.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/web_room.h"

enum { UNMASKED = 1, IN_TWO = 2, LONG_LENGTH = 4 };
enum { CONTINUED = 0, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

#define MAX_PAYLOAD	60000u

static const char post[] = "POST /api/v1/guests/" ROOM_GUEST "/console HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\n"
	"Cookie: __Host-virtgate=" ROOM_WORD "\r\nX-Auth-Token: " ROOM_WORD "\r\nContent-Length: 16\r\n\r\n{\"mode\":\"input\"}";
static const char upgrade[] = "GET /console HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary, ticket." ROOM_WORD "\r\n\r\n";

/* The model of what the browser sent. */
static struct {
	struct buf handshake;		/* RFB's: its version and security type, so far */
	struct buf typed;		/* behind it */
	bool over;			/* a fault, or a close frame: nothing more counts */
	bool within;			/* a message */
} sent;

/* The model of what the browser got. */
static struct { struct buf raw, shown; } got;

static void
turns(SSL *ssl, int num)
{
	static uint8_t bytes[65536];
	size_t n;

	for (int i = 0; i < num; i++) {
		room_turn();
		while ((n = room_read(ssl, bytes, sizeof(bytes))) > 0)
			FUZZ_ASSERT(buf_add(&got.raw, bytes, n) == 0);
	}
}

/* ---- the way in ---- */

static SSL *
enter(void)
{
	SSL *ssl = room_dial(false);
	size_t n;

	FUZZ_ASSERT(SSL_write_ex(ssl, post, sizeof(post) - 1, &n) == 1);
	turns(ssl, 12);
	FUZZ_ASSERT(memmem(buf_head(&got.raw), buf_len(&got.raw), "\"ticket\":\"" ROOM_WORD, 53) != NULL);
	buf_free(&got.raw);
	room_hang_up(ssl);
	ssl = room_dial(false);
	FUZZ_ASSERT(SSL_write_ex(ssl, upgrade, sizeof(upgrade) - 1, &n) == 1);
	turns(ssl, 12);
	FUZZ_ASSERT(buf_len(&got.raw) > 12 && memcmp(buf_head(&got.raw), "HTTP/1.1 101", 12) == 0);
	buf_drop(&got.raw, (size_t)((uint8_t *)memmem(buf_head(&got.raw), buf_len(&got.raw), "\r\n\r\n", 4) - buf_head(&got.raw)) + 4);
	return ssl;
}

/* ---- frames of the browser ---- */

/* Bytes of a message: first those of the handshake, then what the gate gets. */
static void
take(const uint8_t *bytes, size_t len)
{
	size_t want = RFB_VERSION_LEN + 1, room = want - buf_len(&sent.handshake);
	unsigned minor;

	if (room > 0) {
		/* More at once than the handshake has, or another version or type than ours, is none. */
		if (len > room || (len > 0 && buf_add(&sent.handshake, bytes, len) < 0))
			sent.over = true;
		else if (buf_len(&sent.handshake) >= RFB_VERSION_LEN && (rfb_version_get(buf_head(&sent.handshake), RFB_VERSION_LEN, &minor) != VG_OK || minor < 8))
			sent.over = true;
		else if (buf_len(&sent.handshake) == want && buf_head(&sent.handshake)[want - 1] != RFB_SECURITY_NONE)
			sent.over = true;
		return;
	}
	FUZZ_ASSERT(len == 0 || buf_add(&sent.typed, bytes, len) == 0);
}

static void
model(uint8_t first, unsigned how, const uint8_t *payload, size_t len)
{
	bool fin = (first & 0x80) != 0;

	if (sent.over)
		return;
	if ((how & UNMASKED) != 0 || (first & 0x70) != 0)
		sent.over = true;
	else if ((first & 15) == BINARY && !sent.within)
		sent.within = !fin;
	else if ((first & 15) == CONTINUED && sent.within)
		sent.within = !fin;
	else if (((first & 15) == PING || (first & 15) == PONG) && fin && len <= 125 && (how & LONG_LENGTH) == 0)	/* seven bits tell their length: 5.5 */
		return;
	else
		sent.over = true;
	if (!sent.over)
		take(payload, len);
}

static void
put_frame(SSL *ssl, uint8_t first, unsigned how, const uint8_t *payload, size_t len)
{
	static const uint8_t mask[4] = { 0x12, 0x80, 0xfe, 0x01 };
	static uint8_t frame[MAX_PAYLOAD + 16];
	size_t at = 0, half, n;
	bool masked = (how & UNMASKED) == 0;

	frame[at++] = first;
	if (len < 126 && (how & LONG_LENGTH) == 0) {
		frame[at++] = (uint8_t)((masked ? 0x80 : 0) | len);
	} else {
		frame[at++] = masked ? 0xfe : 0x7e;
		frame[at++] = (uint8_t)(len >> 8);
		frame[at++] = (uint8_t)len;
	}
	if (masked) {
		memcpy(frame + at, mask, sizeof(mask));
		at += sizeof(mask);
	}
	for (size_t i = 0; i < len; i++)
		frame[at++] = masked ? (uint8_t)(payload[i] ^ mask[i % 4]) : payload[i];
	half = (how & IN_TWO) != 0 ? at / 2 : at;
	(void)SSL_write_ex(ssl, frame, half, &n);
	if (half < at) {
		turns(ssl, 2);
		(void)SSL_write_ex(ssl, frame + half, at - half, &n);
	}
	turns(ssl, 4);
}

/* ---- frames of the gateway ---- */

static void
take_answers(void)
{
	const uint8_t *bytes = buf_head(&got.raw);
	size_t len = buf_len(&got.raw), head, size;

	for (size_t at = 0; len - at >= 2; at += head + size) {
		head = 2;
		size = bytes[at + 1];
		FUZZ_ASSERT((bytes[at] & 0x70) == 0 && size < 128);	/* and no mask */
		if (size >= 126) {
			head = size == 126 ? 4 : 10;
			if (len - at < head)
				return;
			size = 0;
			for (size_t i = 2; i < head; i++)
				size = size << 8 | bytes[at + i];
		}
		if (size > len - at - head)
			return;
		FUZZ_ASSERT((bytes[at] & 15) == BINARY || (bytes[at] & 15) == CONTINUED || (bytes[at] & 15) == CLOSE || (bytes[at] & 15) == PING ||
		    (bytes[at] & 15) == PONG);
		if ((bytes[at] & 15) == BINARY || (bytes[at] & 15) == CONTINUED)
			FUZZ_ASSERT(size == 0 || buf_add(&got.shown, bytes + at + head, size) == 0);
	}
}

static bool
is_start_of(const struct buf *part, const struct buf *whole, size_t skip)
{
	size_t len = buf_len(part) < skip ? 0 : buf_len(part) - skip;

	return len == 0 || (len <= buf_len(whole) && memcmp(buf_head(part) + skip, buf_head(whole), len) == 0);
}

static void
check(void)
{
	static const uint8_t begin[] = "RFB 003.008\n\1\1";

	take_answers();
	FUZZ_ASSERT(is_start_of(&room_typed, &sent.typed, 0) && (sent.over || buf_len(&room_typed) == buf_len(&sent.typed)));
	for (size_t i = 0; i < buf_len(&got.shown) && i < sizeof(begin) - 1; i++)
		FUZZ_ASSERT(buf_head(&got.shown)[i] == begin[i]);
	FUZZ_ASSERT(is_start_of(&got.shown, &room_typed, sizeof(begin) - 1));
	buf_free(&sent.handshake);
	buf_free(&sent.typed);
	buf_free(&got.raw);
	buf_free(&got.shown);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool by_input = size > 0 && (data[0] & 1) != 0;
	SSL *ssl;

	room_enter();
	memset(&sent, 0, sizeof(sent));
	ssl = enter();
	if (!by_input) {
		model(0x80 | BINARY, 0, (const uint8_t *)"RFB 003.008\n", 12);
		put_frame(ssl, 0x80 | BINARY, 0, (const uint8_t *)"RFB 003.008\n", 12);
		model(0x80 | BINARY, 0, (const uint8_t *)"\1", 1);
		put_frame(ssl, 0x80 | BINARY, 0, (const uint8_t *)"\1", 1);
	}
	for (data++, size = size == 0 ? 0 : size - 1; size > 0;) {
		const uint8_t *end = memchr(data, 0x1e, size);
		size_t len = end == NULL ? size : (size_t)(end - data), most = len < MAX_PAYLOAD + 2 ? len : MAX_PAYLOAD + 2;

		if (most >= 2) {
			model(data[0], data[1], data + 2, most - 2);
			put_frame(ssl, data[0], data[1], data + 2, most - 2);
		}
		size -= end == NULL ? len : len + 1;
		data += end == NULL ? len : len + 1;
	}
	turns(ssl, 8);
	room_hang_up(ssl);
	room_leave();
	check();
	return 0;
}
