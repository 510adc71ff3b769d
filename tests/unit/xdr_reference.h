/*
 * xdr_reference.h: a second, plain reading of a body by its description, recursive and slow, to judge proto/xdr_*.c by; and
 * the way back from the leaves that xdr_walk() tells to bytes. Shared by tests and fuzz targets.
 */
#ifndef TESTS_UNIT_XDR_REFERENCE_H
#define TESTS_UNIT_XDR_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/xdr.h"

/* What a byte range of a body is; for breaking it on purpose. */
enum piece_kind { PIECE_PADDING, PIECE_OPTIONAL, PIECE_COUNT, PIECE_LENGTH, PIECE_TEXT, PIECE_NARROW, PIECE_NATURAL };

struct piece {
	enum piece_kind kind;
	size_t offset, len;
	uint32_t max;		/* of a count or length */
};

struct pieces {
	struct piece *list;
	size_t count, size;
};

/* Is `body` one value of `fields`? Where `pieces` is not NULL, what it is made of is appended to it. */
bool reference_check(const struct xdr_field *fields, const uint8_t *body, size_t len, struct pieces *pieces);
void pieces_free(struct pieces *pieces);

/* Walks a valid body and writes it again from its leaves: heap memory of *out_len bytes, or NULL when it cannot. */
uint8_t *reference_reencode(const struct xdr_field *fields, const uint8_t *body, size_t len, size_t *out_len);

#endif
