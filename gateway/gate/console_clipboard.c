/* console_clipboard.c: flags, formats and sizes, and one text through zlib. */
#include "gateway/gate/console_clipboard.h"

#include <string.h>

#include <zlib.h>

#include "proto/rfb.h"

#define HEAD_LEN	12u		/* type, padding, length below zero, flags */
#define MAX_PLAIN	(4u + RFB_MAX_TEXT)
/* What zlib says of data that it stores: five bytes a block of 16 KiB at least, and its own frame. */
#define MAX_STORED	(MAX_PLAIN + MAX_PLAIN / 1024u + 64u)

static uint8_t plain[MAX_PLAIN], made[HEAD_LEN + MAX_STORED];

/* The message so far `len` bytes long behind its head. Returns its whole length. */
static size_t
finish(uint32_t flags, size_t len)
{
	memset(made, 0, 4);
	made[0] = RFB_CLIENT_CUT_TEXT;
	rfb_store_u32(made + 4, 0u - (uint32_t)(4 + len));
	rfb_store_u32(made + 8, flags);
	return HEAD_LEN + len;
}

/* Capabilities: one size for each format, of which text is the first. */
static size_t
make_caps(const uint8_t *message, size_t len, uint32_t flags)
{
	static const uint32_t actions = RFB_CLIPBOARD_CAPS | RFB_CLIPBOARD_REQUEST | RFB_CLIPBOARD_PEEK | RFB_CLIPBOARD_NOTIFY | RFB_CLIPBOARD_PROVIDE;

	if ((flags & RFB_CLIPBOARD_TEXT) == 0 || len != HEAD_LEN + 4 * (size_t)__builtin_popcount(flags & RFB_CLIPBOARD_FORMATS))
		return 0;
	memcpy(made + HEAD_LEN, message + HEAD_LEN, 4);
	return finish((flags & actions) | RFB_CLIPBOARD_TEXT, 4);
}

/*
 * Bytes that are in `plain`: all that is in the stream, or 0. It need not have an end: viewers flush theirs and go on (noVNC, TigerVNC). More
 * than fits, or anything behind its end, and it is none.
 */
static size_t
inflate_text(const uint8_t *data, size_t len)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len, .next_out = plain, .avail_out = sizeof(plain) };
	int code;

	if (inflateInit(&stream) != Z_OK)
		return 0;
	code = inflate(&stream, Z_SYNC_FLUSH);
	(void)inflateEnd(&stream);
	if ((code != Z_OK && code != Z_STREAM_END) || stream.avail_in > 0)
		return 0;
	return sizeof(plain) - stream.avail_out;
}

/* The text alone, whatever other formats stand behind it. */
static size_t
make_provide(const uint8_t *message, size_t len, uint32_t flags)
{
	size_t plain_len = (flags & RFB_CLIPBOARD_TEXT) != 0 ? inflate_text(message + HEAD_LEN, len - HEAD_LEN) : 0;
	uLongf stored = sizeof(made) - HEAD_LEN;

	if (plain_len < 4 || rfb_load_u32(plain) > plain_len - 4 ||
	    compress2(made + HEAD_LEN, &stored, plain, 4 + (uLong)rfb_load_u32(plain), Z_NO_COMPRESSION) != Z_OK)
		return 0;
	return finish(RFB_CLIPBOARD_PROVIDE | RFB_CLIPBOARD_TEXT, stored);
}

static bool
is_too_often(struct console_clipboard *clipboard, time_t now)
{
	if (clipboard->second != now)
		clipboard->texts = 0;
	clipboard->second = now;
	return clipboard->texts++ >= CONSOLE_CLIPBOARD_TEXTS;
}

size_t
console_clipboard_take(struct console_clipboard *clipboard, const uint8_t *message, size_t len, bool copies, bool pastes, time_t now,
    const uint8_t **out)
{
	uint32_t flags = len >= HEAD_LEN ? rfb_load_u32(message + 8) : 0, text = flags & RFB_CLIPBOARD_TEXT;

	*out = made;
	if (!clipboard->on || !copies)
		return 0;
	if ((flags & RFB_CLIPBOARD_CAPS) != 0)
		return make_caps(message, len, flags);
	switch (flags & ~RFB_CLIPBOARD_FORMATS) {
	case RFB_CLIPBOARD_REQUEST:
		return len == HEAD_LEN && text != 0 ? finish(RFB_CLIPBOARD_REQUEST | text, 0) : 0;
	case RFB_CLIPBOARD_PEEK:
		return len == HEAD_LEN ? finish(RFB_CLIPBOARD_PEEK, 0) : 0;
	case RFB_CLIPBOARD_NOTIFY:
		return pastes && len == HEAD_LEN ? finish(RFB_CLIPBOARD_NOTIFY | text, 0) : 0;
	case RFB_CLIPBOARD_PROVIDE:
		return pastes && !is_too_often(clipboard, now) ? make_provide(message, len, flags) : 0;
	}
	return 0;
}
