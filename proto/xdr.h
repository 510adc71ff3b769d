/*
 * xdr.h: XDR (RFC 4506) as libvirt's remote protocol uses it, driven by const descriptions of types.
 *
 * Pure functions: bytes in, answers out; no allocation, no socket, no clock, no recursion on input.
 * Strict where libvirt is lenient (INVARIANTS I19): padding is zero, optional words are 0 or 1, strings hold no
 * NUL and stay below their limit, counts stay below theirs, narrow integers fit, and nothing trails. So a body
 * that passes xdr_check() has exactly one meaning, and re-encoding it gives the same bytes.
 */
#ifndef PROTO_XDR_H
#define PROTO_XDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgate/object.h"
#include "virtgate/result.h"

/* VIR_NET_MESSAGE_STRING_MAX, libvirt src/rpc/virnetprotocol.x: REMOTE_STRING_MAX is the same number. */
#define XDR_STRING_MAX 4194304u

enum xdr_kind {
	XDR_INT32, XDR_UINT32, XDR_INT64, XDR_UINT64, XDR_DOUBLE,
	XDR_CHAR,		/* one C char widened to a word: -128..255 */
	XDR_UCHAR,		/* 0..255 in a word */
	XDR_USHORT,		/* 0..65535 in a word */
	XDR_UUID,		/* 16 opaque bytes */
	XDR_STRING,		/* length word, bytes without NUL, zero padding */
	XDR_AUTH_TYPE,		/* enum remote_auth_type: 0..2 */
	XDR_TYPED_VALUE,	/* union remote_typed_param_value: discriminant 1..7, then its arm */
	XDR_STRUCT		/* `fields` in order */
};

/* How a field holds its type. */
enum xdr_form {
	XDR_ONE,
	XDR_OPTIONAL,		/* word 0 or 1, then the value when 1 */
	XDR_ARRAY,		/* count word <= max, then that many */
	XDR_FIXED,		/* exactly `max` items, no count */
	XDR_BYTES		/* opaque<max>: length word, bytes, zero padding; `type` is NULL */
};

struct xdr_type {
	enum xdr_kind kind;
	const char *name;
	const struct xdr_field *fields;		/* of a struct: ends with a row whose name is NULL */
	bool never_negative;			/* an XDR_INT32 that counts: below 0 is not valid (CVE-2024-2494) */
};

struct xdr_field {
	const char *name;
	const struct xdr_type *type;
	enum xdr_form form;
	uint32_t max;
};

/* A piece of somebody else's buffer. */
struct xdr_span {
	const uint8_t *data;
	size_t len;
};

/*
 * Is `body` exactly one value of `fields`, first byte to last? VG_OK or VG_BAD (never VG_MORE: the caller has the
 * whole message). Linear in len.
 */
enum vg_parse xdr_check(const struct xdr_field *fields, const uint8_t *body, size_t len);

/*
 * Finds one field by path: "flags", "dom", "dom.uuid", "snap.dom.name". The body must have passed xdr_check() with the
 * same fields. `span` becomes the encoded bytes of the field, with its length or optional word and its padding, so
 * that replacing the span replaces the field. False when the path is NULL or names nothing there, which is also how an
 * absent optional on the way is told. Paths do not go into arrays: for those there is the item walker; but of an array
 * of typed parameters "params[NAME]" is the string of the one so named (another type, or twice there: false).
 */
bool xdr_find(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path, struct xdr_span *span);
/* As xdr_find, and says what was found. `field` may be NULL. */
bool xdr_find_field(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path,
    struct xdr_span *span, const struct xdr_field **field);
/* As xdr_find, and of an optional field its value. False also when that is absent, and for an array. */
bool xdr_find_value(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path, struct xdr_span *value);

/* Reading a span that xdr_find gave. A string stays where it is: not terminated, `out` borrows from the body. */
uint32_t xdr_span_u32(struct xdr_span span);
int32_t xdr_span_i32(struct xdr_span span);
/* A whole number of 4 or 8 bytes; 0 when it is neither. */
uint64_t xdr_span_u64(struct xdr_span span);
bool xdr_span_string(struct xdr_span span, struct xdr_span *out);
/* The span of an XDR_OPTIONAL field: is it there, and its value without the optional word. */
bool xdr_span_present(struct xdr_span span, struct xdr_span *value);

/*
 * Walks the items of the array at `path` (an XDR_ARRAY field): item spans one after the other. A path may go on behind
 * the array, "retStats.dom": xdr_item_member() then gives that member of an item, and otherwise the item itself.
 */
struct xdr_items {
	const struct xdr_field *field;
	struct xdr_span whole;		/* the array with its count word: what a filtered array replaces */
	struct xdr_field item;		/* one item, as a field of form XDR_ONE */
	const char *member;		/* path within an item, or NULL */
	uint32_t count;			/* items in all */
	uint32_t next;			/* index of the item that xdr_items_next gives next */
	const uint8_t *at, *end;
};
bool xdr_items(const struct xdr_field *fields, const uint8_t *body, size_t len, const char *path,
    struct xdr_items *items);
bool xdr_items_next(struct xdr_items *items, struct xdr_span *item);
bool xdr_item_member(const struct xdr_items *items, struct xdr_span item, struct xdr_span *member);

/*
 * The object structs of the protocol, decoded from a span; strings borrow. `class` says which struct the span
 * holds (form XDR_ONE: see xdr_span_present() for an optional one). A field that the struct lacks stays zero.
 * A bare name decodes as VG_CLASS_node_device.
 */
struct xdr_object {
	enum vg_class class;
	struct xdr_span name;		/* node device, interface: the key; secret: usageID; binding: portdev */
	struct xdr_span parent;		/* volume: name of the pool; port: name of the network */
	struct xdr_span extra;		/* volume: key; interface: MAC; binding: filter name */
	const uint8_t *uuid;		/* NULL where the struct has none */
	const uint8_t *parent_uuid;	/* port: of the network */
	int32_t id;			/* domain: id or -1; secret: usageType */
};
bool xdr_get_object(enum vg_class class, struct xdr_span span, struct xdr_object *object);

/* Each leaf of a value in order, for turning a body into audit arguments. */
struct xdr_leaf {
	const char *const *names;	/* names of the fields on the way, outermost first; array items add none */
	const uint32_t *indexes;	/* per name: index in an array, UINT32_MAX when the field is not one */
	size_t depth;
	const struct xdr_field *field;
	enum xdr_kind kind;		/* for a typed value: that of its arm; meaningless when absent or XDR_BYTES */
	bool absent;			/* an optional that is not there */
	bool boolean;			/* typed value of VIR_TYPED_PARAM_BOOLEAN */
	int64_t i;			/* XDR_INT32, _INT64, _CHAR, _AUTH_TYPE */
	uint64_t u;			/* XDR_UINT32, _UINT64, _UCHAR, _USHORT */
	double d;
	struct xdr_span bytes;		/* XDR_STRING (content), XDR_UUID, or XDR_BYTES (form) content */
};
/*
 * Calls `leaf` for each; a false from it stops the walk. The body must have passed xdr_check(). Depth is bounded by
 * the table. An array without items has no leaf.
 */
#define XDR_MAX_DEPTH 8
void xdr_walk(const struct xdr_field *fields, const uint8_t *body, size_t len,
    bool (*leaf)(const struct xdr_leaf *leaf, void *arg), void *arg);

/* Writing. The caller gives the room; `failed` sticks when it was too small, so that one check at the end is enough. */
struct xdr_out {
	uint8_t *buf;
	size_t len, size;
	bool failed;
};
void xdr_out_init(struct xdr_out *out, uint8_t *buf, size_t size);
void xdr_put_u32(struct xdr_out *out, uint32_t value);
void xdr_put_i32(struct xdr_out *out, int32_t value);
void xdr_put_u64(struct xdr_out *out, uint64_t value);
void xdr_put_raw(struct xdr_out *out, const void *data, size_t len);		/* as it is, no padding */
void xdr_put_bytes(struct xdr_out *out, const void *data, size_t len);		/* length, bytes, padding */
void xdr_put_string(struct xdr_out *out, const char *text);			/* terminated */
void xdr_put_optional_string(struct xdr_out *out, const char *text);		/* NULL: absent */

extern const struct xdr_type xdr_type_int32, xdr_type_uint32, xdr_type_int64, xdr_type_uint64, xdr_type_double,
    xdr_type_char, xdr_type_uchar, xdr_type_ushort, xdr_type_uuid, xdr_type_nonnull_string, xdr_type_auth_type,
    xdr_type_typed_param_value, xdr_type_count /* an int32 that is never negative */;

#endif
