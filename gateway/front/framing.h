/*
 * framing.h: where the RPC messages in a stream of bytes end. Knows the length word and nothing else.
 */
#ifndef FRONT_FRAMING_H
#define FRONT_FRAMING_H

#include <stddef.h>
#include <stdint.h>

struct framing {
	uint32_t left;		/* bytes of the current message still to come, once its length is known */
	uint8_t word[4];	/* the length word, as far as it has come */
	uint8_t have;
};

/*
 * How many of the `len` (> 0) bytes at `data` belong to the message under way: up to its end or all of them; they
 * count as passed on. 0: this is no RPC message.
 */
size_t framing_piece(struct framing *framing, const uint8_t *data, size_t len);

#endif
