/* xdr_find.c: fields by path, items of arrays, and what their spans say. */
#include "proto/table.h"
#include "proto/xdr_cursor.h"

/* Moves the cursor to the field named by the first `len` bytes of `name`; NULL when there is none. */
static const struct xdr_field *
seek(struct xdr_cursor *cursor, const struct xdr_field *fields, const char *name, size_t len)
{
	for (; fields->name != NULL; fields++) {
		if (strncmp(fields->name, name, len) == 0 && fields->name[len] == '\0')
			return fields;
		if (!xdr_skip_field(cursor, fields))
			return NULL;
	}
	return NULL;
}

/* Into the struct that `field` holds: its fields, with the cursor before the first; NULL: not a struct, or absent. */
static const struct xdr_field *
enter(struct xdr_cursor *cursor, const struct xdr_field *field)
{
	struct xdr_span bytes;
	uint32_t count;

	if (field->form != XDR_ONE && field->form != XDR_OPTIONAL)
		return NULL;
	if (!xdr_take_head(cursor, field, &count, &bytes) || count == 0 || field->type->kind != XDR_STRUCT)
		return NULL;
	return field->type->fields;
}

/* What a typed value of a string is, without its discriminant. */
static const struct xdr_field typed_string = { "value", &xdr_type_nonnull_string, XDR_ONE, 0 };

/* Takes one typed parameter: its name, and its value when that is a string; otherwise `value` has no bytes. */
static bool
take_param(struct xdr_cursor *cursor, struct xdr_span *name, struct xdr_span *value)
{
	const uint8_t *before;

	if (!xdr_take_opaque(cursor, XDR_STRING_MAX, name))
		return false;
	before = cursor->at;
	if (!xdr_skip_scalars(cursor, &xdr_type_typed_param_value, 1))
		return false;
	value->data = before + 4;
	value->len = xdr_load_u32(before) == XDR_TYPED_STRING ? (size_t)(cursor->at - value->data) : 0;
	return true;
}

/* The string parameter `name` of the array `field`. One that is there twice has no single meaning: not found. */
static bool
find_param(struct xdr_cursor *cursor, const struct xdr_field *field, const char *name, size_t len,
    struct xdr_span *span)
{
	struct xdr_span param, value;
	unsigned found = 0;
	uint32_t count;

	if (field->form != XDR_ARRAY || field->type != &xdr_type_typed_param)
		return false;
	if (!xdr_take_u32(cursor, &count) || count > field->max)
		return false;
	for (; count > 0; count--) {
		if (!take_param(cursor, &param, &value))
			return false;
		if (param.len != len || memcmp(param.data, name, len) != 0)
			continue;
		found++;
		*span = value;
	}
	return found == 1 && span->len > 0;
}

bool
xdr_find_field(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path,
    struct xdr_span *span, const struct xdr_field **field)
{
	struct xdr_cursor cursor = xdr_cursor_over(body, len);
	const struct xdr_field *found;
	size_t name_len;

	if (path == NULL)
		return false;
	for (;;) {
		name_len = strcspn(path, ".[");
		found = seek(&cursor, fields, path, name_len);
		if (found == NULL)
			return false;
		path += name_len;
		if (*path != '.')
			break;
		fields = enter(&cursor, found);
		if (fields == NULL)
			return false;
		path++;
	}
	if (*path == '[') {
		name_len = strcspn(path + 1, "]");
		if (strcmp(path + 1 + name_len, "]") != 0)
			return false;
		if (!find_param(&cursor, found, path + 1, name_len, span))
			return false;
		found = &typed_string;
	} else {
		span->data = cursor.at;
		if (!xdr_skip_field(&cursor, found))
			return false;
		span->len = (size_t)(cursor.at - span->data);
	}
	if (field != NULL)
		*field = found;
	return true;
}

bool
xdr_find(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path, struct xdr_span *span)
{
	return xdr_find_field(fields, body, len, path, span, NULL);
}

uint32_t
xdr_span_u32(struct xdr_span span)
{
	return span.len >= 4 ? xdr_load_u32(span.data) : 0;
}

uint64_t
xdr_span_u64(struct xdr_span span)
{
	if (span.len < 8)
		return xdr_span_u32(span);
	return (uint64_t)xdr_load_u32(span.data) << 32 | xdr_load_u32(span.data + 4);
}

int32_t
xdr_span_i32(struct xdr_span span)
{
	return (int32_t)xdr_span_u32(span);
}

bool
xdr_span_string(struct xdr_span span, struct xdr_span *out)
{
	struct xdr_cursor cursor = xdr_cursor_over(span.data, span.len);

	return xdr_take_opaque(&cursor, XDR_STRING_MAX, out) && cursor.at == cursor.end;
}

bool
xdr_span_present(struct xdr_span span, struct xdr_span *value)
{
	if (span.len < 4 || xdr_load_u32(span.data) != 1)
		return false;
	*value = (struct xdr_span){ span.data + 4, span.len - 4 };
	return true;
}

bool
xdr_find_value(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path, struct xdr_span *value)
{
	const struct xdr_field *field;

	if (!xdr_find_field(fields, body, len, path, value, &field))
		return false;
	return field->form != XDR_ARRAY && (field->form != XDR_OPTIONAL || xdr_span_present(*value, value));
}

bool
xdr_items(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path,
    struct xdr_items *items)
{
	struct xdr_cursor cursor = xdr_cursor_over(body, len);
	const struct xdr_field *found;
	size_t name_len;

	if (path == NULL)
		return false;
	for (;;) {
		name_len = strcspn(path, ".");
		found = seek(&cursor, fields, path, name_len);
		if (found == NULL)
			return false;
		path += name_len;
		if (found->form == XDR_ARRAY)
			break;
		if (*path == '\0' || (fields = enter(&cursor, found)) == NULL)
			return false;
		path++;
	}
	items->field = found;
	items->item = (struct xdr_field){ found->name, found->type, XDR_ONE, 0 };
	items->member = *path == '.' ? path + 1 : NULL;
	items->whole.data = cursor.at;
	items->next = 0;
	if (!xdr_take_u32(&cursor, &items->count) || items->count > found->max)
		return false;
	items->at = cursor.at;
	cursor.at = items->whole.data;
	if (!xdr_skip_field(&cursor, found))
		return false;
	items->end = cursor.at;
	items->whole.len = (size_t)(cursor.at - items->whole.data);
	return true;
}

bool
xdr_items_next(struct xdr_items *items, struct xdr_span *item)
{
	struct xdr_cursor cursor = { items->at, items->end };

	if (items->next >= items->count || !xdr_skip_field(&cursor, &items->item))
		return false;
	*item = (struct xdr_span){ items->at, (size_t)(cursor.at - items->at) };
	items->at = cursor.at;
	items->next++;
	return true;
}

bool
xdr_item_member(const struct xdr_items *items, struct xdr_span item, struct xdr_span *member)
{
	*member = item;
	if (items->member == NULL)
		return true;
	return items->item.type->kind == XDR_STRUCT &&
	    xdr_find(items->item.type->fields, item.data, item.len, items->member, member);
}
