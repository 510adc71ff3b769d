/*
 * xdr_cursor.h: what the parts of xdr share: a cursor over a body, and stepping over one value. Not for others:
 * they use xdr.h.
 */
#ifndef PROTO_XDR_CURSOR_H
#define PROTO_XDR_CURSOR_H

#include <string.h>

#include "proto/xdr.h"

/* Discriminants of a typed value: libvirt include/libvirt/libvirt-common.h, virTypedParameterType. */
enum {
	XDR_TYPED_INT = 1, XDR_TYPED_UINT, XDR_TYPED_LLONG, XDR_TYPED_ULLONG, XDR_TYPED_DOUBLE, XDR_TYPED_BOOLEAN,
	XDR_TYPED_STRING
};

struct xdr_cursor {
	const uint8_t *at, *end;
};

/* `data` may be NULL when `len` is 0. */
static inline struct xdr_cursor
xdr_cursor_over(const uint8_t *data, size_t len)
{
	static const uint8_t nothing[1];

	if (len == 0)
		data = nothing;
	return (struct xdr_cursor){ data, data + len };
}

static inline size_t
xdr_left(const struct xdr_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

/* The word at `data`, which the caller knows to be there. */
static inline uint32_t
xdr_load_u32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static inline uint64_t
xdr_load_u64(const uint8_t *data)
{
	return (uint64_t)xdr_load_u32(data) << 32 | xdr_load_u32(data + 4);
}

static inline bool
xdr_take_u32(struct xdr_cursor *cursor, uint32_t *word)
{
	if (xdr_left(cursor) < 4)
		return false;
	*word = xdr_load_u32(cursor->at);
	cursor->at += 4;
	return true;
}

/* Length word, bytes, zero padding: the content in `bytes`. */
bool xdr_take_opaque(struct xdr_cursor *cursor, uint32_t max, struct xdr_span *bytes);

/*
 * What stands before the values of a field: how many follow (0 or 1 of an optional). A field of form XDR_BYTES is
 * taken whole, into `bytes`, and has no values. False: not valid.
 */
bool xdr_take_head(struct xdr_cursor *cursor, const struct xdr_field *field, uint32_t *count, struct xdr_span *bytes);

/* Steps over `count` values of a type that is not a struct, checking them. */
bool xdr_skip_scalars(struct xdr_cursor *cursor, const struct xdr_type *type, uint32_t count);

/* Steps over one whole field, checking it. False: not valid, and the cursor is anywhere. */
bool xdr_skip_field(struct xdr_cursor *cursor, const struct xdr_field *field);

#endif
