/*
 * hpack.h: where fields of an HTTP/2 header block begin and end (RFC 7541, 6), without reading them. libwebsockets 4.1 never frees what comes into its
 * header table once a block has made that table smaller than an entry: whoever did so again and again would take all memory there is. The table has
 * the standard's size (loop.c), so that nobody has to change it. Pure.
 */
#ifndef WEB_HPACK_H
#define WEB_HPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hpack_part { HPACK_FIELD, HPACK_SIZE, HPACK_INDEX, HPACK_LEN, HPACK_LEN_MORE, HPACK_TEXT };

struct hpack {
	enum hpack_part part;		/* what the next byte is of */
	uint8_t texts;			/* of the field at hand that are still to come */
	uint8_t shift;			/* of the next seven bits of a length */
	uint32_t left;			/* of a text; of a size, what was there */
};

/* A block begins: all zero. The next bytes of it; NULL, or what is wrong with them. */
const char *hpack_take(struct hpack *hpack, const uint8_t *bytes, size_t len);
/* Is it at the end of a field? */
bool hpack_is_whole(const struct hpack *hpack);

#endif
