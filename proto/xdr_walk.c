/* xdr_walk.c: every leaf of a value in order. */
#include "proto/xdr_cursor.h"

/* A struct that is being walked; its name and index stand at the same depth in struct walk. */
struct frame {
	const struct xdr_field *first, *at;
	uint32_t left;
};

struct walk {
	struct xdr_cursor cursor;
	struct frame stack[XDR_MAX_DEPTH];
	const char *names[XDR_MAX_DEPTH];
	uint32_t indexes[XDR_MAX_DEPTH];
	size_t depth;
	bool (*leaf)(const struct xdr_leaf *leaf, void *arg);
	void *arg;
};

static bool
take_u64(struct xdr_cursor *cursor, uint64_t *value)
{
	if (xdr_left(cursor) < 8)
		return false;
	*value = xdr_load_u64(cursor->at);
	cursor->at += 8;
	return true;
}

/* A typed value is told as what its arm is. */
static bool
take_arm(struct xdr_cursor *cursor, struct xdr_leaf *leaf)
{
	static const enum xdr_kind kinds[] = {
		[XDR_TYPED_INT] = XDR_INT32, [XDR_TYPED_UINT] = XDR_UINT32, [XDR_TYPED_LLONG] = XDR_INT64,
		[XDR_TYPED_ULLONG] = XDR_UINT64, [XDR_TYPED_DOUBLE] = XDR_DOUBLE, [XDR_TYPED_BOOLEAN] = XDR_INT32,
		[XDR_TYPED_STRING] = XDR_STRING
	};
	uint32_t arm;

	if (!xdr_take_u32(cursor, &arm) || arm < XDR_TYPED_INT || arm > XDR_TYPED_STRING)
		return false;
	leaf->kind = kinds[arm];
	leaf->boolean = arm == XDR_TYPED_BOOLEAN;
	return true;
}

static bool
take_value(struct xdr_cursor *cursor, struct xdr_leaf *leaf)
{
	uint64_t bits = 0;
	uint32_t word = 0;

	if (leaf->kind == XDR_TYPED_VALUE && !take_arm(cursor, leaf))
		return false;
	switch (leaf->kind) {
	case XDR_INT32:
	case XDR_CHAR:
	case XDR_AUTH_TYPE:
		if (!xdr_take_u32(cursor, &word))
			return false;
		leaf->i = (int32_t)word;
		return true;
	case XDR_UINT32:
	case XDR_UCHAR:
	case XDR_USHORT:
		if (!xdr_take_u32(cursor, &word))
			return false;
		leaf->u = word;
		return true;
	case XDR_INT64:
		if (!take_u64(cursor, &bits))
			return false;
		leaf->i = (int64_t)bits;
		return true;
	case XDR_UINT64:
		return take_u64(cursor, &leaf->u);
	case XDR_DOUBLE:
		if (!take_u64(cursor, &bits))
			return false;
		memcpy(&leaf->d, &bits, sizeof(leaf->d));
		return true;
	case XDR_STRING:
		return xdr_take_opaque(cursor, XDR_STRING_MAX, &leaf->bytes);
	case XDR_UUID:
		if (xdr_left(cursor) < VG_UUID_LEN)
			return false;
		leaf->bytes = (struct xdr_span){ cursor->at, VG_UUID_LEN };
		cursor->at += VG_UUID_LEN;
		return true;
	case XDR_TYPED_VALUE:
	case XDR_STRUCT:
		break;
	}
	return false;
}

static struct xdr_leaf
new_leaf(const struct walk *walk, const struct xdr_field *field)
{
	return (struct xdr_leaf){
		.names = walk->names, .indexes = walk->indexes, .depth = walk->depth + 1, .field = field,
		.kind = field->type != NULL ? field->type->kind : XDR_STRUCT
	};
}

/* Tells the leaves of a field that is not made of structs. False ends the walk. */
static bool
tell(struct walk *walk, const struct xdr_field *field, uint32_t count, struct xdr_span bytes)
{
	struct xdr_leaf leaf;
	uint32_t i;

	if (field->form == XDR_BYTES || (field->form == XDR_OPTIONAL && count == 0)) {
		leaf = new_leaf(walk, field);
		leaf.bytes = bytes;
		leaf.absent = field->form == XDR_OPTIONAL;
		return walk->leaf(&leaf, walk->arg);
	}
	for (i = 0; i < count; i++) {
		leaf = new_leaf(walk, field);
		if (field->form == XDR_ARRAY || field->form == XDR_FIXED)
			walk->indexes[walk->depth] = i;
		if (!take_value(&walk->cursor, &leaf) || !walk->leaf(&leaf, walk->arg))
			return false;
	}
	return true;
}

/* The field after the one that was just told, leaving the structs that end with it; NULL when all are left. */
static const struct xdr_field *
next_field(struct walk *walk)
{
	while (walk->depth > 0) {
		struct frame *top = &walk->stack[walk->depth - 1];

		top->at++;
		if (top->at->name != NULL)
			return top->at;
		if (top->left > 0) {
			top->left--;
			walk->indexes[walk->depth - 1]++;
			top->at = top->first;
			return top->at;
		}
		walk->depth--;
	}
	return NULL;
}

/* One field of the outermost struct with all that is in it. False ends the walk. */
static bool
walk_field(struct walk *walk, const struct xdr_field *field)
{
	struct xdr_span bytes = { NULL, 0 };
	uint32_t count;

	while (field != NULL) {
		if (walk->depth == XDR_MAX_DEPTH || !xdr_take_head(&walk->cursor, field, &count, &bytes))
			return false;
		walk->names[walk->depth] = field->name;
		walk->indexes[walk->depth] = UINT32_MAX;
		if (count > 0 && field->type->kind == XDR_STRUCT) {
			if (field->form == XDR_ARRAY || field->form == XDR_FIXED)
				walk->indexes[walk->depth] = 0;
			field = field->type->fields;
			walk->stack[walk->depth++] = (struct frame){ field, field, count - 1 };
			continue;
		}
		if (!tell(walk, field, count, bytes))
			return false;
		field = next_field(walk);
	}
	return true;
}

void
xdr_walk(const struct xdr_field *fields, const uint8_t *body, size_t len,
    bool (*leaf)(const struct xdr_leaf *leaf, void *arg), void *arg)
{
	struct walk walk = { .cursor = xdr_cursor_over(body, len), .leaf = leaf, .arg = arg };

	for (; fields->name != NULL; fields++)
		if (!walk_field(&walk, fields))
			return;
}
