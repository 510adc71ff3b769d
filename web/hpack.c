#include "web/hpack.h"

/* The size that the table has, 4096, as a field: libraries say it once more when they have read it in our SETTINGS. */
static const uint8_t same_size[] = { 0x3f, 0xe1, 0x1f };

#define LEN_SHIFT_MAX	14u	/* lengths of up to 2 MiB: no block is as long (wire.c) */

static const char *
take_size(struct hpack *hpack, uint8_t byte)
{
	if (byte != same_size[hpack->left])
		return "another size of the header table, which nobody asked for";
	hpack->part = ++hpack->left < sizeof(same_size) ? HPACK_SIZE : HPACK_FIELD;
	return NULL;
}

/* The first byte of a field (RFC 7541, 6.1 to 6.3): an index alone, or texts behind it, or a size. */
static const char *
take_first(struct hpack *hpack, uint8_t byte)
{
	uint8_t mask = (byte & 0x80) != 0 ? 0x7f : (byte & 0x40) != 0 ? 0x3f : 0x0f;

	if ((byte & 0xe0) == 0x20) {
		hpack->left = 0;
		return take_size(hpack, byte);
	}
	hpack->texts = (byte & 0x80) != 0 ? 0 : (byte & mask) == 0 ? 2 : 1;
	if ((byte & mask) == mask)
		hpack->part = HPACK_INDEX;
	else
		hpack->part = hpack->texts > 0 ? HPACK_LEN : HPACK_FIELD;
	return NULL;
}

/* Behind a text, or the length of an empty one. */
static void
end_text(struct hpack *hpack)
{
	hpack->part = --hpack->texts > 0 ? HPACK_LEN : HPACK_FIELD;
}

static void
take_len(struct hpack *hpack, uint8_t byte)
{
	hpack->left = byte & 0x7f;		/* the eighth: Huffman's code */
	hpack->shift = 0;
	hpack->part = hpack->left == 0x7f ? HPACK_LEN_MORE : HPACK_TEXT;
	if (hpack->left == 0)
		end_text(hpack);
}

static const char *
take_len_more(struct hpack *hpack, uint8_t byte)
{
	if (hpack->shift > LEN_SHIFT_MAX)
		return "a header without an end";
	hpack->left += (uint32_t)(byte & 0x7f) << hpack->shift;
	hpack->shift = (uint8_t)(hpack->shift + 7);
	if ((byte & 0x80) == 0)
		hpack->part = HPACK_TEXT;
	return NULL;
}

const char *
hpack_take(struct hpack *hpack, const uint8_t *bytes, size_t len)
{
	const char *wrong = NULL;
	size_t n;

	for (size_t at = 0; at < len && wrong == NULL; at += n) {
		n = 1;
		switch (hpack->part) {
		case HPACK_FIELD:
			wrong = take_first(hpack, bytes[at]);
			break;
		case HPACK_SIZE:
			wrong = take_size(hpack, bytes[at]);
			break;
		case HPACK_INDEX:
			if ((bytes[at] & 0x80) == 0)
				hpack->part = hpack->texts > 0 ? HPACK_LEN : HPACK_FIELD;
			break;
		case HPACK_LEN:
			take_len(hpack, bytes[at]);
			break;
		case HPACK_LEN_MORE:
			wrong = take_len_more(hpack, bytes[at]);
			break;
		case HPACK_TEXT:
			n = hpack->left < len - at ? hpack->left : len - at;
			hpack->left -= (uint32_t)n;
			if (hpack->left == 0)
				end_text(hpack);
			break;
		}
	}
	return wrong;
}

bool
hpack_is_whole(const struct hpack *hpack)
{
	return hpack->part == HPACK_FIELD;
}
