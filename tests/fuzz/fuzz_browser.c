/*
 * fuzz_browser.c: what a browser sends, byte by byte, through TLS, libwebsockets and all of the web front (web_room.h): requests, cookies, tickets, WebSockets,
 * HTTP/2. Input: a byte, '1' or '2', the HTTP that is agreed on; then pieces parted by byte 1e, each sent by itself; one that is byte 1f alone is a new connection.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/web_room.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t ignored[65536];
	bool http2 = size > 0 && data[0] == '2';
	size_t n;
	SSL *ssl;

	room_enter();
	ssl = room_dial(http2);
	for (data++, size = size == 0 ? 0 : size - 1; size > 0;) {
		const uint8_t *end = memchr(data, 0x1e, size);
		size_t len = end == NULL ? size : (size_t)(end - data);

		if (len == 1 && data[0] == 0x1f) {
			room_hang_up(ssl);
			ssl = room_dial(http2);
		} else if (len > 0)
			(void)SSL_write_ex(ssl, data, len < 60000 ? len : 60000, &n);
		for (int i = 0; i < 4; i++)
			room_turn();
		while (room_read(ssl, ignored, sizeof(ignored)) > 0)
			;
		size -= end == NULL ? len : len + 1;
		data += end == NULL ? len : len + 1;
	}
	room_hang_up(ssl);
	room_leave();
	return 0;
}
