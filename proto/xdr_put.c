/* xdr_put.c: writing XDR into room that the caller gives. */
#include <string.h>

#include "proto/xdr.h"

void
xdr_out_init(struct xdr_out *out, uint8_t *buf, size_t size)
{
	*out = (struct xdr_out){ .buf = buf, .size = size };
}

void
xdr_put_raw(struct xdr_out *out, const void *data, size_t len)
{
	if (out->failed || len > out->size - out->len) {
		out->failed = true;
		return;
	}
	if (len > 0)
		memcpy(out->buf + out->len, data, len);
	out->len += len;
}

void
xdr_put_u32(struct xdr_out *out, uint32_t value)
{
	const uint8_t word[4] = {
		(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value
	};

	xdr_put_raw(out, word, sizeof(word));
}

void
xdr_put_i32(struct xdr_out *out, int32_t value)
{
	xdr_put_u32(out, (uint32_t)value);
}

void
xdr_put_u64(struct xdr_out *out, uint64_t value)
{
	xdr_put_u32(out, (uint32_t)(value >> 32));
	xdr_put_u32(out, (uint32_t)value);
}

void
xdr_put_bytes(struct xdr_out *out, const void *data, size_t len)
{
	static const uint8_t zeros[3];

	if (len > UINT32_MAX) {
		out->failed = true;
		return;
	}
	xdr_put_u32(out, (uint32_t)len);
	xdr_put_raw(out, data, len);
	xdr_put_raw(out, zeros, -len & 3);
}

void
xdr_put_string(struct xdr_out *out, const char *text)
{
	xdr_put_bytes(out, text, strlen(text));
}

void
xdr_put_optional_string(struct xdr_out *out, const char *text)
{
	xdr_put_u32(out, text != NULL);
	if (text != NULL)
		xdr_put_string(out, text);
}
