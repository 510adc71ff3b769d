#include "gateway/auth/utf8.h"

#include "virtgate/utf8.h"

bool
utf8_is_name(const uint8_t *data, size_t len)
{
	uint32_t point;

	for (size_t at = 0, step; at < len; at += step) {
		step = utf8_len(data + at, len - at, &point);
		if (step == 0 || point < 0x20 || (point >= 0x7f && point < 0xa0))
			return false;
	}
	return true;
}
