/* xdr_check.c: is a body exactly what its description says? */
#include "proto/xdr_cursor.h"

/* A struct that is being read: where in it, and how many more like it follow in its array. */
struct frame {
	const struct xdr_field *first, *at;
	uint32_t left;
};

static bool
skip(struct xdr_cursor *cursor, uint64_t len)
{
	if (len > xdr_left(cursor))
		return false;
	cursor->at += len;
	return true;
}

bool
xdr_take_opaque(struct xdr_cursor *cursor, uint32_t max, struct xdr_span *bytes)
{
	uint32_t len, padding;

	if (!xdr_take_u32(cursor, &len) || len > max || len > xdr_left(cursor))
		return false;
	*bytes = (struct xdr_span){ cursor->at, len };
	cursor->at += len;
	padding = -len & 3;
	if (padding > xdr_left(cursor))
		return false;
	for (; padding > 0; padding--)
		if (*cursor->at++ != 0)
			return false;
	return true;
}

static bool
skip_string(struct xdr_cursor *cursor)
{
	struct xdr_span text;

	return xdr_take_opaque(cursor, XDR_STRING_MAX, &text) && memchr(text.data, 0, text.len) == NULL;
}

/* Each of `count` words, read as int32, lies in low..high. */
static bool
skip_words_within(struct xdr_cursor *cursor, uint32_t count, int32_t low, int32_t high)
{
	uint32_t word;

	for (; count > 0; count--)
		if (!xdr_take_u32(cursor, &word) || (int32_t)word < low || (int32_t)word > high)
			return false;
	return true;
}

static bool
skip_typed_value(struct xdr_cursor *cursor)
{
	uint32_t arm;

	if (!xdr_take_u32(cursor, &arm))
		return false;
	switch (arm) {
	case XDR_TYPED_INT:
	case XDR_TYPED_UINT:
		return skip(cursor, 4);
	case XDR_TYPED_LLONG:
	case XDR_TYPED_ULLONG:
	case XDR_TYPED_DOUBLE:
		return skip(cursor, 8);
	case XDR_TYPED_BOOLEAN:
		return skip_words_within(cursor, 1, 0, 1);
	case XDR_TYPED_STRING:
		return skip_string(cursor);
	}
	return false;
}

bool
xdr_skip_scalars(struct xdr_cursor *cursor, const struct xdr_type *type, uint32_t count)
{
	switch (type->kind) {
	case XDR_INT32:
		if (type->never_negative)
			return skip_words_within(cursor, count, 0, INT32_MAX);
		return skip(cursor, (uint64_t)count * 4);
	case XDR_UINT32:
		return skip(cursor, (uint64_t)count * 4);
	case XDR_INT64:
	case XDR_UINT64:
	case XDR_DOUBLE:
		return skip(cursor, (uint64_t)count * 8);
	case XDR_UUID:
		return skip(cursor, (uint64_t)count * VG_UUID_LEN);
	case XDR_CHAR:
		return skip_words_within(cursor, count, -128, 255);
	case XDR_UCHAR:
		return skip_words_within(cursor, count, 0, 255);
	case XDR_USHORT:
		return skip_words_within(cursor, count, 0, 65535);
	case XDR_AUTH_TYPE:
		return skip_words_within(cursor, count, 0, 2);
	case XDR_STRING:
		for (; count > 0; count--)
			if (!skip_string(cursor))
				return false;
		return true;
	case XDR_TYPED_VALUE:
		for (; count > 0; count--)
			if (!skip_typed_value(cursor))
				return false;
		return true;
	case XDR_STRUCT:
		break;
	}
	return false;
}

bool
xdr_take_head(struct xdr_cursor *cursor, const struct xdr_field *field, uint32_t *count, struct xdr_span *bytes)
{
	switch (field->form) {
	case XDR_ONE:
		*count = 1;
		return true;
	case XDR_OPTIONAL:
		return xdr_take_u32(cursor, count) && *count <= 1;
	case XDR_ARRAY:
		return xdr_take_u32(cursor, count) && *count <= field->max;
	case XDR_FIXED:
		*count = field->max;
		return true;
	case XDR_BYTES:
		*count = 0;
		return xdr_take_opaque(cursor, field->max, bytes);
	}
	return false;
}

/* The field after the one that was just read, leaving the structs that end with it; NULL when all are left. */
static const struct xdr_field *
next_field(struct frame *stack, size_t *depth)
{
	while (*depth > 0) {
		struct frame *top = &stack[*depth - 1];

		top->at++;
		if (top->at->name != NULL)
			return top->at;
		if (top->left > 0) {
			top->left--;
			top->at = top->first;
			return top->at;
		}
		(*depth)--;
	}
	return NULL;
}

bool
xdr_skip_field(struct xdr_cursor *cursor, const struct xdr_field *field)
{
	struct frame stack[XDR_MAX_DEPTH];
	struct xdr_span bytes;
	size_t depth = 0;
	uint32_t count;

	while (field != NULL) {
		if (!xdr_take_head(cursor, field, &count, &bytes))
			return false;
		if (count > 0 && field->type->kind == XDR_STRUCT) {
			if (depth == XDR_MAX_DEPTH)
				return false;
			field = field->type->fields;
			stack[depth++] = (struct frame){ field, field, count - 1 };
			continue;
		}
		if (count > 0 && !xdr_skip_scalars(cursor, field->type, count))
			return false;
		field = next_field(stack, &depth);
	}
	return true;
}

enum vg_parse
xdr_check(const struct xdr_field *fields, const uint8_t *body, size_t len)
{
	struct xdr_cursor cursor = xdr_cursor_over(body, len);

	for (; fields->name != NULL; fields++)
		if (!xdr_skip_field(&cursor, fields))
			return VG_BAD;
	return cursor.at == cursor.end ? VG_OK : VG_BAD;
}
