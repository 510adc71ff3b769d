/* utf8.c: RFC 3629, strictly. */
#include "gateway/auth/utf8.h"

/* Bytes that follow a first byte, or -1; `low` and `high` bound the second byte (no overlong forms, no surrogates). */
static int
followers(uint8_t first, uint8_t *low, uint8_t *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (first < 0x80)
		return 0;
	if (first >= 0xc2 && first <= 0xdf) {
		if (first == 0xc2)
			*low = 0xa0;	/* U+0080..U+009F are controls */
		return 1;
	}
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*low = 0xa0;
		if (first == 0xed)
			*high = 0x9f;
		return 2;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*low = 0x90;
		if (first == 0xf4)
			*high = 0x8f;
		return 3;
	}
	return -1;
}

bool
utf8_is_name(const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint8_t low, high;
		int more = followers(data[i], &low, &high);

		if (more < 0 || data[i] < 0x20 || data[i] == 0x7f)
			return false;
		i++;
		for (; more > 0; more--, i++) {
			if (i >= len || data[i] < low || data[i] > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}
