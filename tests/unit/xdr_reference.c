/* xdr_reference.c: see xdr_reference.h. Written from RFC 4506 and proto/xdr.h, not from proto's sources. */
#include "tests/unit/xdr_reference.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

struct reader {
	const uint8_t *body;
	size_t len, at;
	bool bad;
	struct pieces *pieces;
};

static void
note(struct reader *r, enum piece_kind kind, size_t offset, size_t len, uint32_t max)
{
	struct pieces *pieces = r->pieces;

	if (pieces == NULL || len == 0)
		return;
	if (pieces->count == pieces->size) {
		pieces->size = pieces->size * 2 + 64;
		pieces->list = realloc(pieces->list, pieces->size * sizeof(*pieces->list));
		if (pieces->list == NULL)
			abort();
	}
	pieces->list[pieces->count++] = (struct piece){ kind, offset, len, max };
}

static uint64_t
read_big_endian(struct reader *r, size_t bytes)
{
	uint64_t value = 0;

	if (r->bad || r->len - r->at < bytes) {
		r->bad = true;
		return 0;
	}
	while (bytes-- > 0)
		value = value << 8 | r->body[r->at++];
	return value;
}

static void
read_range(struct reader *r, enum piece_kind kind, int64_t low, int64_t high)
{
	int32_t value = (int32_t)read_big_endian(r, 4);

	if (r->bad || value < low || value > high)
		r->bad = true;
	else
		note(r, kind, r->at - 4, 4, 0);
}

static void
read_counted_bytes(struct reader *r, uint32_t max, bool text)
{
	uint32_t len = (uint32_t)read_big_endian(r, 4), i;

	if (r->bad || len > max || len > r->len - r->at) {
		r->bad = true;
		return;
	}
	note(r, PIECE_LENGTH, r->at - 4, 4, max);
	if (text)
		note(r, PIECE_TEXT, r->at, len, 0);
	for (i = 0; i < len; i++)
		if (r->body[r->at++] == 0 && text)
			r->bad = true;
	for (i = len; i % 4 != 0; i++) {
		note(r, PIECE_PADDING, r->at, 1, 0);
		if (read_big_endian(r, 1) != 0)
			r->bad = true;
	}
}

static void read_fields(struct reader *r, const struct xdr_field *fields);

static void
read_typed_value(struct reader *r)
{
	switch (read_big_endian(r, 4)) {
	case 1:
	case 2:
		read_big_endian(r, 4);
		return;
	case 3:
	case 4:
	case 5:
		read_big_endian(r, 8);
		return;
	case 6:
		read_range(r, PIECE_OPTIONAL, 0, 1);
		return;
	case 7:
		read_counted_bytes(r, 4194304, true);
		return;
	}
	r->bad = true;
}

static void
read_value(struct reader *r, const struct xdr_type *type)
{
	switch (type->kind) {
	case XDR_INT32:
		if (type->never_negative)
			read_range(r, PIECE_NATURAL, 0, INT32_MAX);
		else
			read_big_endian(r, 4);
		return;
	case XDR_UINT32:
		read_big_endian(r, 4);
		return;
	case XDR_INT64:
	case XDR_UINT64:
	case XDR_DOUBLE:
		read_big_endian(r, 8);
		return;
	case XDR_CHAR:
		read_range(r, PIECE_NARROW, -128, 255);
		return;
	case XDR_UCHAR:
		read_range(r, PIECE_NARROW, 0, 255);
		return;
	case XDR_USHORT:
		read_range(r, PIECE_NARROW, 0, 65535);
		return;
	case XDR_AUTH_TYPE:
		read_range(r, PIECE_NARROW, 0, 2);
		return;
	case XDR_UUID:
		read_big_endian(r, 8);
		read_big_endian(r, 8);
		return;
	case XDR_STRING:
		read_counted_bytes(r, 4194304, true);
		return;
	case XDR_TYPED_VALUE:
		read_typed_value(r);
		return;
	case XDR_STRUCT:
		read_fields(r, type->fields);
		return;
	}
	abort();
}

static void
read_field(struct reader *r, const struct xdr_field *field)
{
	uint32_t count = 1, i;

	if (field->form == XDR_BYTES) {
		read_counted_bytes(r, field->max, false);
		return;
	}
	if (field->form == XDR_FIXED)
		count = field->max;
	if (field->form == XDR_OPTIONAL || field->form == XDR_ARRAY) {
		count = (uint32_t)read_big_endian(r, 4);
		if (r->bad || count > (field->form == XDR_ARRAY ? field->max : 1)) {
			r->bad = true;
			return;
		}
		note(r, field->form == XDR_ARRAY ? PIECE_COUNT : PIECE_OPTIONAL, r->at - 4, 4, field->max);
	}
	for (i = 0; i < count && !r->bad; i++)
		read_value(r, field->type);
}

static void
read_fields(struct reader *r, const struct xdr_field *fields)
{
	for (; fields->name != NULL && !r->bad; fields++)
		read_field(r, fields);
}

bool
reference_check(const struct xdr_field *fields, const uint8_t *body, size_t len, struct pieces *pieces)
{
	struct reader r = { .body = body, .len = len, .pieces = pieces };

	read_fields(&r, fields);
	return !r.bad && r.at == len;
}

void
pieces_free(struct pieces *pieces)
{
	free(pieces->list);
	*pieces = (struct pieces){ NULL, 0, 0 };
}

/* ---- leaves to bytes ---- */

struct kept_leaf {
	struct xdr_leaf leaf;
	const char *names[XDR_MAX_DEPTH];
	uint32_t indexes[XDR_MAX_DEPTH];
};

struct leaves {
	struct kept_leaf *list;
	size_t count, size;
};

static bool
keep_leaf(const struct xdr_leaf *leaf, void *arg)
{
	struct leaves *leaves = arg;
	struct kept_leaf *kept;

	if (leaves->count == leaves->size) {
		leaves->size = leaves->size * 2 + 64;
		leaves->list = realloc(leaves->list, leaves->size * sizeof(*leaves->list));
		if (leaves->list == NULL)
			abort();
	}
	kept = &leaves->list[leaves->count++];
	memset(kept, 0, sizeof(*kept));
	kept->leaf = *leaf;
	memcpy(kept->names, leaf->names, leaf->depth * sizeof(leaf->names[0]));
	memcpy(kept->indexes, leaf->indexes, leaf->depth * sizeof(leaf->indexes[0]));
	return true;
}

struct writer {
	const struct leaves *leaves;
	size_t next;
	const char *names[XDR_MAX_DEPTH];
	uint32_t indexes[XDR_MAX_DEPTH];
	struct xdr_out out;
	bool bad;
};

/* Is the next leaf at or below the place that the writer is at, `depth` names deep? */
static const struct kept_leaf *
leaf_here(const struct writer *w, size_t depth)
{
	const struct kept_leaf *kept;
	size_t i;

	if (w->bad || w->next == w->leaves->count)
		return NULL;
	kept = &w->leaves->list[w->next];
	if (kept->leaf.depth < depth)
		return NULL;
	for (i = 0; i < depth; i++)
		if (kept->names[i] != w->names[i] || kept->indexes[i] != w->indexes[i])
			return NULL;
	return kept;
}

static void
write_typed_value(struct xdr_out *out, const struct xdr_leaf *leaf)
{
	uint64_t bits;

	switch (leaf->kind) {
	case XDR_INT32:
		xdr_put_u32(out, leaf->boolean ? 6 : 1);
		xdr_put_i32(out, (int32_t)leaf->i);
		return;
	case XDR_UINT32:
		xdr_put_u32(out, 2);
		xdr_put_u32(out, (uint32_t)leaf->u);
		return;
	case XDR_INT64:
		xdr_put_u32(out, 3);
		xdr_put_u64(out, (uint64_t)leaf->i);
		return;
	case XDR_UINT64:
		xdr_put_u32(out, 4);
		xdr_put_u64(out, leaf->u);
		return;
	case XDR_DOUBLE:
		xdr_put_u32(out, 5);
		memcpy(&bits, &leaf->d, sizeof(bits));
		xdr_put_u64(out, bits);
		return;
	case XDR_STRING:
		xdr_put_u32(out, 7);
		xdr_put_bytes(out, leaf->bytes.data, leaf->bytes.len);
		return;
	default:
		out->failed = true;
	}
}

static void
write_scalar(struct writer *w, const struct xdr_type *type, size_t depth)
{
	const struct kept_leaf *kept = leaf_here(w, depth);
	const struct xdr_leaf *leaf;
	uint64_t bits;

	if (kept == NULL || kept->leaf.depth != depth || kept->leaf.absent) {
		w->bad = true;
		return;
	}
	leaf = &kept->leaf;
	w->next++;
	if (type->kind == XDR_TYPED_VALUE) {
		write_typed_value(&w->out, leaf);
		return;
	}
	switch (leaf->kind) {
	case XDR_INT32:
	case XDR_CHAR:
	case XDR_AUTH_TYPE:
		xdr_put_i32(&w->out, (int32_t)leaf->i);
		return;
	case XDR_UINT32:
	case XDR_UCHAR:
	case XDR_USHORT:
		xdr_put_u32(&w->out, (uint32_t)leaf->u);
		return;
	case XDR_INT64:
		xdr_put_u64(&w->out, (uint64_t)leaf->i);
		return;
	case XDR_UINT64:
		xdr_put_u64(&w->out, leaf->u);
		return;
	case XDR_DOUBLE:
		memcpy(&bits, &leaf->d, sizeof(bits));
		xdr_put_u64(&w->out, bits);
		return;
	case XDR_UUID:
		xdr_put_raw(&w->out, leaf->bytes.data, leaf->bytes.len);
		return;
	case XDR_STRING:
		xdr_put_bytes(&w->out, leaf->bytes.data, leaf->bytes.len);
		return;
	case XDR_TYPED_VALUE:
	case XDR_STRUCT:
		w->bad = true;
		return;
	}
}

static void write_fields(struct writer *w, const struct xdr_field *fields, size_t depth);

static void
write_item(struct writer *w, const struct xdr_field *field, size_t depth)
{
	if (field->type->kind == XDR_STRUCT)
		write_fields(w, field->type->fields, depth);
	else
		write_scalar(w, field->type, depth);
}

/* How many items the array at `depth` has: leaves with its name and indexes that count up. */
static void
write_array(struct writer *w, const struct xdr_field *field, size_t depth)
{
	uint8_t *count_word = w->out.buf + w->out.len;
	uint32_t *index = &w->indexes[depth - 1];
	struct xdr_out patch;

	if (field->form == XDR_ARRAY)
		xdr_put_u32(&w->out, 0);
	for (*index = 0; leaf_here(w, depth) != NULL; (*index)++)
		write_item(w, field, depth);
	if (field->form == XDR_ARRAY && !w->out.failed) {
		xdr_out_init(&patch, count_word, 4);
		xdr_put_u32(&patch, *index);
	}
}

static void
write_field(struct writer *w, const struct xdr_field *field, size_t depth)
{
	const struct kept_leaf *kept;

	w->names[depth - 1] = field->name;
	w->indexes[depth - 1] = UINT32_MAX;
	switch (field->form) {
	case XDR_ARRAY:
	case XDR_FIXED:
		write_array(w, field, depth);
		return;
	case XDR_ONE:
		write_item(w, field, depth);
		return;
	case XDR_OPTIONAL:
		kept = leaf_here(w, depth);
		if (kept != NULL && kept->leaf.depth == depth && kept->leaf.absent) {
			w->next++;
			xdr_put_u32(&w->out, 0);
			return;
		}
		xdr_put_u32(&w->out, 1);
		write_item(w, field, depth);
		return;
	case XDR_BYTES:
		kept = leaf_here(w, depth);
		if (kept == NULL) {
			w->bad = true;
			return;
		}
		w->next++;
		xdr_put_bytes(&w->out, kept->leaf.bytes.data, kept->leaf.bytes.len);
		return;
	}
}

static void
write_fields(struct writer *w, const struct xdr_field *fields, size_t depth)
{
	for (; fields->name != NULL && !w->bad && !w->out.failed; fields++)
		write_field(w, fields, depth + 1);
}

uint8_t *
reference_reencode(const struct xdr_field *fields, const uint8_t *body, size_t len, size_t *out_len)
{
	struct leaves leaves = { NULL, 0, 0 };
	struct writer w = { .leaves = &leaves };
	uint8_t *buf = malloc(len + 4);

	if (buf == NULL)
		abort();
	xdr_walk(fields, body, len, keep_leaf, &leaves);
	xdr_out_init(&w.out, buf, len + 4);
	write_fields(&w, fields, 0);
	w.bad |= w.out.failed || w.next != leaves.count;
	free(leaves.list);
	*out_len = w.out.len;
	if (!w.bad)
		return buf;
	free(buf);
	return NULL;
}
