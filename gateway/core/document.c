/*
 * document.c: packing and unpacking. Lengths are checked before anything is allocated or inflated.
 */
#include "gateway/core/document.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <zlib.h>

/* Offsets of the fields. */
enum { AT_CRC = DOCUMENT_MAGIC_LEN, AT_LEN = 8, AT_RAW = 12, AT_DIGEST = 16 };

static void
put_u32(uint8_t *at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t
get_u32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t
crc_of(const uint8_t *packed, size_t len)
{
	return (uint32_t)crc32(0, packed + AT_LEN, (uInt)(len - AT_LEN));
}

void
document_name(const uint8_t digest[DOCUMENT_DIGEST], char name[DOCUMENT_NAME_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < DOCUMENT_DIGEST; i++) {
		name[2 * i] = digits[digest[i] >> 4];
		name[2 * i + 1] = digits[digest[i] & 15];
	}
	name[DOCUMENT_NAME_LEN] = '\0';
}

int
document_pack(struct buf *out, const char *text, size_t len, char name[DOCUMENT_NAME_LEN + 1])
{
	uLongf room = compressBound((uLong)len);
	uint8_t *packed = len > DOCUMENT_MAX ? NULL : buf_room(out, DOCUMENT_HEAD + room);
	size_t packed_len;

	/* Definitions have the same words again and again: the fastest level finds nearly all of them. */
	if (packed == NULL || compress2(packed + DOCUMENT_HEAD, &room, (const Bytef *)text, (uLong)len, Z_BEST_SPEED) != Z_OK ||
	    EVP_Digest(text, len, packed + AT_DIGEST, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	packed_len = DOCUMENT_HEAD + room;
	put_u32(packed + AT_LEN, (uint32_t)(packed_len - AT_RAW));
	put_u32(packed + AT_RAW, (uint32_t)len);
	memcpy(packed, DOCUMENT_MAGIC, DOCUMENT_MAGIC_LEN);
	put_u32(packed + AT_CRC, crc_of(packed, packed_len));
	document_name(packed + AT_DIGEST, name);
	buf_added(out, packed_len);
	return 0;
}

size_t
document_packed_len(const uint8_t *packed, size_t len)
{
	uint32_t rest;

	if (len < DOCUMENT_HEAD || memcmp(packed, DOCUMENT_MAGIC, DOCUMENT_MAGIC_LEN) != 0)
		return 0;
	rest = get_u32(packed + AT_LEN);
	if (rest < DOCUMENT_HEAD - AT_RAW || rest > DOCUMENT_PACKED_MAX - AT_RAW || get_u32(packed + AT_RAW) > DOCUMENT_MAX)
		return 0;
	return AT_RAW + (size_t)rest;
}

const uint8_t *
document_digest(const uint8_t *packed)
{
	return packed + AT_DIGEST;
}

bool
document_crc_right(const uint8_t *packed, size_t len)
{
	return len >= DOCUMENT_HEAD && document_packed_len(packed, len) == len && get_u32(packed + AT_CRC) == crc_of(packed, len);
}

char *
document_unpack(const uint8_t *packed, size_t len, size_t *text_len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uLongf raw;
	char *text;

	if (!document_crc_right(packed, len))
		return NULL;
	raw = get_u32(packed + AT_RAW);
	text = malloc((size_t)raw + 1);
	if (text == NULL)
		return NULL;
	if (uncompress((Bytef *)text, &raw, packed + DOCUMENT_HEAD, (uLong)(len - DOCUMENT_HEAD)) != Z_OK || raw != get_u32(packed + AT_RAW) ||
	    EVP_Digest(text, raw, digest, NULL, EVP_sha256(), NULL) != 1 || memcmp(digest, packed + AT_DIGEST, DOCUMENT_DIGEST) != 0) {
		free(text);
		return NULL;
	}
	text[raw] = '\0';
	*text_len = raw;
	return text;
}
