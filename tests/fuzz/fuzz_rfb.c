/*
 * fuzz_rfb.c: what a viewer and a guest's VNC server may say. Targets: everything in rfb.h that reads, and console_clipboard_take(). The first byte says
 * which, the rest is what arrived. A verdict on a piece never differs from that on the whole, and what is eaten was there.
 */
#include <string.h>

#include "gateway/gate/console_clipboard.h"
#include "proto/rfb.h"
#include "tests/fuzz/fuzz.h"

static enum vg_parse
get_version(const uint8_t *buf, size_t len, size_t *used)
{
	unsigned minor;

	*used = RFB_VERSION_LEN;
	return rfb_version_get(buf, len, &minor);
}

static void
check_span(struct rfb_span span, const uint8_t *buf, size_t used)
{
	FUZZ_ASSERT(span.data == NULL ? span.len == 0 : span.data >= buf && span.len <= used && span.data + span.len <= buf + used);
}

static enum vg_parse
get_plain(const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span user, password;
	enum vg_parse parse = rfb_plain_get(buf, len, &user, &password, used);

	if (parse == VG_OK) {
		check_span(user, buf, *used);
		check_span(password, buf, *used);
	}
	return parse;
}

static enum vg_parse
get_mech(const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span mech;
	enum vg_parse parse = rfb_sasl_mech_get(buf, len, &mech, used);

	if (parse == VG_OK)
		check_span(mech, buf, *used);
	return parse;
}

static enum vg_parse
get_data(const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span data;
	enum vg_parse parse = rfb_sasl_data_get(buf, len, &data, used);

	if (parse == VG_OK)
		check_span(data, buf, *used);
	return parse;
}

static enum vg_parse
get_security(const uint8_t *buf, size_t len, size_t *used)
{
	return rfb_security_list_get(buf, len, RFB_SECURITY_NONE, used);
}

/* A list that was filtered is a message again, no longer than before, and filtering it once more changes nothing. */
static void
check_encodings(const uint8_t *buf, size_t len)
{
	uint8_t copy[4 + 4 * RFB_MAX_ENCODINGS], again[sizeof(copy)];
	struct rfb_message message;
	bool clipboard = len % 8 == 0, had;
	size_t kept;

	memcpy(copy, buf, len);
	kept = rfb_filter_encodings(copy, len, &clipboard);
	FUZZ_ASSERT(kept <= len && rfb_client_get(copy, kept, &message) == VG_OK && message.len == kept);
	memcpy(again, copy, kept);
	had = clipboard;
	FUZZ_ASSERT(rfb_filter_encodings(again, kept, &clipboard) == kept && memcmp(again, copy, kept) == 0 && clipboard == had);
}

/* What is made of a message is one, and made of itself again. */
static void
check_clipboard(const uint8_t *buf, size_t len)
{
	static uint8_t copy[RFB_MAX_CLIENT_MESSAGE + 4096];
	struct console_clipboard clipboard = { .on = true };
	struct rfb_message message;
	const uint8_t *made;
	size_t made_len = console_clipboard_take(&clipboard, buf, len, true, true, 1, &made), copy_len = made_len;

	if (made_len == 0)
		return;
	FUZZ_ASSERT(made_len <= sizeof(copy));
	memcpy(copy, made, made_len);
	FUZZ_ASSERT(made_len > RFB_MAX_CLIENT_MESSAGE || (rfb_client_get(copy, copy_len, &message) == VG_OK && message.len == copy_len &&
	    message.use == RFB_USE_EXTENDED));
	made_len = console_clipboard_take(&clipboard, copy, copy_len, true, true, 1, &made);
	FUZZ_ASSERT(made_len == copy_len && memcmp(made, copy, copy_len) == 0);
}

static enum vg_parse
get_client(const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_message message;
	enum vg_parse parse = rfb_client_get(buf, len, &message);

	if (parse != VG_OK)
		return parse;
	FUZZ_ASSERT(message.name != NULL && message.use <= RFB_USE_NOTHING && message.len > 0);
	FUZZ_ASSERT(message.len <= RFB_MAX_CLIENT_MESSAGE);
	if (message.use == RFB_USE_ENCODINGS)
		check_encodings(buf, message.len);
	if (message.use == RFB_USE_EXTENDED)
		check_clipboard(buf, message.len);
	*used = message.len;
	return parse;
}

static enum vg_parse (*const readers[])(const uint8_t *buf, size_t len, size_t *used) = {
	get_client, get_version, get_plain, get_mech, get_data, get_security, rfb_server_init_get,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum vg_parse (*reader)(const uint8_t *buf, size_t len, size_t *used);
	size_t used = 0, early_used = 0;
	enum vg_parse verdict;

	if (len < 1)
		return 0;
	reader = readers[data[0] % (sizeof(readers) / sizeof(readers[0]))];
	data++;
	len--;
	verdict = reader(data, len, &used);
	FUZZ_ASSERT(verdict != VG_OK || used <= len);
	for (size_t cut = 0; cut < len && cut < 512; cut++) {
		enum vg_parse early = reader(data, cut, &early_used);

		FUZZ_ASSERT(early == VG_MORE || early == verdict);
		FUZZ_ASSERT(early != VG_OK || early_used == used);
	}
	/* A stream of messages is eaten to its end, or to where it is not valid. */
	while (reader == get_client && verdict == VG_OK) {
		data += used;
		len -= used;
		verdict = reader(data, len, &used);
	}
	return 0;
}
