/* framing.c: the length word counts itself. */
#include "gateway/front/framing.h"

#include "proto/rpc.h"

size_t
framing_piece(struct framing *framing, const uint8_t *data, size_t len)
{
	size_t piece = 0, rest;

	while (framing->have < RPC_LEN_BYTES && piece < len) {
		framing->word[framing->have++] = data[piece++];
		if (framing->have < RPC_LEN_BYTES)
			continue;
		framing->left = (uint32_t)framing->word[0] << 24 | (uint32_t)framing->word[1] << 16 |
		    (uint32_t)framing->word[2] << 8 | framing->word[3];
		if (framing->left < RPC_HEADER_LEN || framing->left > RPC_MAX_LEN)
			return 0;
		framing->left -= RPC_LEN_BYTES;
	}
	if (framing->have < RPC_LEN_BYTES)
		return piece;
	rest = len - piece < framing->left ? len - piece : framing->left;
	framing->left -= (uint32_t)rest;
	if (framing->left == 0)
		framing->have = 0;
	return piece + rest;
}
