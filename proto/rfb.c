/* rfb.c: lengths, bounds and the table of client messages. */
#include "proto/rfb.h"

#include <string.h>

uint16_t
rfb_load_u16(const uint8_t *data)
{
	return (uint16_t)((unsigned)data[0] << 8 | data[1]);
}

uint32_t
rfb_load_u32(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

void
rfb_store_u32(uint8_t *data, uint32_t value)
{
	data[0] = (uint8_t)(value >> 24);
	data[1] = (uint8_t)(value >> 16);
	data[2] = (uint8_t)(value >> 8);
	data[3] = (uint8_t)value;
}

/* ---- handshake ---- */

enum vg_parse
rfb_version_get(const uint8_t *buf, size_t len, unsigned *minor)
{
	static const char form[RFB_VERSION_LEN + 1] = "RFB 003.ddd\n";
	unsigned value = 0;

	for (size_t i = 0; i < RFB_VERSION_LEN && i < len; i++) {
		if (form[i] != 'd' && buf[i] != (uint8_t)form[i])
			return VG_BAD;
		if (form[i] == 'd' && (buf[i] < '0' || buf[i] > '9'))
			return VG_BAD;
		if (form[i] == 'd')
			value = value * 10 + (buf[i] - (unsigned)'0');
	}
	if (len < RFB_VERSION_LEN)
		return VG_MORE;
	*minor = value;
	return VG_OK;
}

/* A length word at `at` and that many bytes, at most `max`. */
static enum vg_parse
get_counted(const uint8_t *buf, size_t len, size_t at, size_t max, struct rfb_span *span)
{
	uint32_t length;

	if (len < at || len - at < 4)
		return VG_MORE;
	length = rfb_load_u32(buf + at);
	if (length > max)
		return VG_BAD;
	if (len - at - 4 < length)
		return VG_MORE;
	*span = (struct rfb_span){ buf + at + 4, length };
	return VG_OK;
}

enum vg_parse
rfb_plain_get(const uint8_t *buf, size_t len, struct rfb_span *user, struct rfb_span *password, size_t *used)
{
	uint32_t user_len, password_len;

	if (len >= 4 && rfb_load_u32(buf) > RFB_MAX_NAME)
		return VG_BAD;
	if (len >= 8 && rfb_load_u32(buf + 4) > RFB_MAX_NAME)
		return VG_BAD;
	if (len < 8)
		return VG_MORE;
	user_len = rfb_load_u32(buf);
	password_len = rfb_load_u32(buf + 4);
	if (len - 8 < (size_t)user_len + password_len)
		return VG_MORE;
	*user = (struct rfb_span){ buf + 8, user_len };
	*password = (struct rfb_span){ buf + 8 + user_len, password_len };
	*used = 8 + (size_t)user_len + password_len;
	return VG_OK;
}

enum vg_parse
rfb_sasl_mech_get(const uint8_t *buf, size_t len, struct rfb_span *mech, size_t *used)
{
	enum vg_parse parse = get_counted(buf, len, 0, RFB_MAX_MECH, mech);

	if (parse != VG_OK)
		return parse;
	if (mech->len == 0)
		return VG_BAD;
	*used = 4 + mech->len;
	return VG_OK;
}

enum vg_parse
rfb_sasl_data_get(const uint8_t *buf, size_t len, struct rfb_span *data, size_t *used)
{
	enum vg_parse parse = get_counted(buf, len, 0, RFB_MAX_SASL_DATA, data);

	if (parse != VG_OK)
		return parse;
	*used = 4 + data->len;
	if (data->len == 0)
		data->data = NULL;
	else
		data->len--;
	return VG_OK;
}

/* Length word and text at `buf`; the bytes written. */
static size_t
put_reason(uint8_t *buf, size_t size, const char *reason)
{
	size_t len = strnlen(reason, size - 4);

	rfb_store_u32(buf, (uint32_t)len);
	memcpy(buf + 4, reason, len);
	return 4 + len;
}

size_t
rfb_put_failed(uint8_t buf[RFB_MAX_REASON_LEN], const char *reason)
{
	rfb_store_u32(buf, 1);
	return 4 + put_reason(buf + 4, RFB_MAX_REASON_LEN - 4, reason);
}

size_t
rfb_put_no_security(uint8_t buf[RFB_MAX_REASON_LEN], unsigned minor, const char *reason)
{
	size_t head = minor < 7 ? 4 : 1;

	memset(buf, 0, head);
	return head + put_reason(buf + head, RFB_MAX_REASON_LEN - head, reason);
}

enum vg_parse
rfb_security_list_get(const uint8_t *buf, size_t len, enum rfb_security wanted, size_t *used)
{
	size_t num;

	if (len < 1)
		return VG_MORE;
	num = buf[0];
	if (num == 0)
		return VG_BAD;
	if (len - 1 < num)
		return VG_MORE;
	if (memchr(buf + 1, (int)wanted, num) == NULL)
		return VG_BAD;
	*used = 1 + num;
	return VG_OK;
}

enum vg_parse
rfb_server_init_get(const uint8_t *buf, size_t len, size_t *used)
{
	struct rfb_span name;
	enum vg_parse parse = get_counted(buf, len, RFB_SERVER_INIT_LEN - 4, RFB_MAX_NAME, &name);

	if (parse == VG_OK)
		*used = RFB_SERVER_INIT_LEN + name.len;
	return parse;
}

/* ---- client messages ---- */

/* Length of a message whose first `head` bytes are at hand; 0: not valid. May change what it is good for. */
typedef size_t rfb_measure(const uint8_t *buf, struct rfb_message *message);

/* The values that a server's arithmetic depends on (QEMU divides by and shifts with them). */
static size_t
measure_pixel_format(const uint8_t *buf, struct rfb_message *message)
{
	unsigned bits = buf[4], depth = buf[5];

	(void)message;
	if ((bits != 8 && bits != 16 && bits != 32) || depth == 0 || depth > bits || buf[6] > 1 || buf[7] > 1)
		return 0;
	for (size_t i = 0; buf[7] == 1 && i < 3; i++)
		if (rfb_load_u16(buf + 8 + 2 * i) == 0 || buf[14 + i] >= bits)
			return 0;
	return 20;
}

static size_t
measure_encodings(const uint8_t *buf, struct rfb_message *message)
{
	size_t num = rfb_load_u16(buf + 2);

	(void)message;
	return num <= RFB_MAX_ENCODINGS ? 4 + 4 * num : 0;
}

/* A negative length: the extended clipboard, with as many bytes as its absolute value. */
static size_t
measure_text(const uint8_t *buf, struct rfb_message *message)
{
	uint32_t len = rfb_load_u32(buf + 4);

	if (len >= 0x80000000u) {
		message->name = "extended clipboard";
		message->use = RFB_USE_EXTENDED;
		len = 0u - len;
		if (len < 4)
			return 0;
	}
	return len <= RFB_MAX_TEXT ? 8 + (size_t)len : 0;
}

static size_t
measure_fence(const uint8_t *buf, struct rfb_message *message)
{
	(void)message;
	return buf[8] <= 64 ? 9 + (size_t)buf[8] : 0;
}

static size_t
measure_desktop_size(const uint8_t *buf, struct rfb_message *message)
{
	(void)message;
	return buf[6] <= RFB_MAX_SCREENS ? 8 + 16 * (size_t)buf[6] : 0;
}

enum { QEMU_KEY = 0, QEMU_AUDIO = 1 };
enum { AUDIO_ENABLE = 0, AUDIO_DISABLE = 1, AUDIO_FORMAT = 2 };

/* `head` of the row is what the shortest of them has. */
static size_t
measure_qemu(const uint8_t *buf, struct rfb_message *message)
{
	if (buf[1] == QEMU_KEY) {
		message->name = "extended key event";
		message->use = RFB_USE_INPUT;
		return 12;
	}
	if (buf[1] != QEMU_AUDIO)
		return 0;
	switch (rfb_load_u16(buf + 2)) {
	case AUDIO_ENABLE:
	case AUDIO_DISABLE:
		return 4;
	case AUDIO_FORMAT:
		return 10;
	}
	return 0;
}

static const struct rfb_row {
	uint8_t type;
	enum rfb_use use;
	size_t head;		/* bytes that tell the length; all of it when there is no `measure` */
	rfb_measure *measure;
	const char *name;
} rows[] = {
	{ 0, RFB_USE_VIEW, 20, measure_pixel_format, "SetPixelFormat" },
	{ 2, RFB_USE_ENCODINGS, 4, measure_encodings, "SetEncodings" },
	{ 3, RFB_USE_VIEW, 10, NULL, "FramebufferUpdateRequest" },
	{ 4, RFB_USE_INPUT, 8, NULL, "KeyEvent" },
	{ 5, RFB_USE_INPUT, 6, NULL, "PointerEvent" },
	{ RFB_CLIENT_CUT_TEXT, RFB_USE_CLIPBOARD, 8, measure_text, "ClientCutText" },
	{ 150, RFB_USE_VIEW, 10, NULL, "EnableContinuousUpdates" },
	{ 248, RFB_USE_VIEW, 9, measure_fence, "ClientFence" },
	{ 250, RFB_USE_NOTHING, 4, NULL, "xvp" },
	{ 251, RFB_USE_RESIZE, 8, measure_desktop_size, "SetDesktopSize" },
	{ 255, RFB_USE_SOUND, 4, measure_qemu, "QEMU audio" },
};

static const struct rfb_row *
find_row(uint8_t type)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

enum vg_parse
rfb_client_get(const uint8_t *buf, size_t len, struct rfb_message *message)
{
	const struct rfb_row *row;

	if (len == 0)
		return VG_MORE;
	row = find_row(buf[0]);
	if (row == NULL)
		return VG_BAD;
	if (len < row->head)
		return VG_MORE;
	*message = (struct rfb_message){ .name = row->name, .use = row->use, .len = row->head };
	if (row->measure != NULL)
		message->len = row->measure(buf, message);
	if (message->len == 0)
		return VG_BAD;
	return len < message->len ? VG_MORE : VG_OK;
}

/* From and to, both included. What is not here is not passed on. */
static const struct {
	int32_t from, to;
} known_encodings[] = {
	{ 0, 2 },		/* Raw, CopyRect, RRE */
	{ 4, 8 },		/* CoRRE, Hextile, Zlib, Tight, ZlibHex */
	{ 15, 17 },		/* TRLE, ZRLE, ZYWRLE */
	{ 21, 21 },		/* JPEG */
	{ 50, 50 },		/* H.264 */
	{ -32, -23 },		/* JPEG quality */
	{ -224, -223 },		/* LastRect, DesktopSize */
	{ -232, -232 },		/* PointerPos */
	{ -240, -239 },		/* XCursor, Cursor */
	{ -256, -247 },		/* compression level */
	{ -261, -257 },		/* QEMU: LED state, Tight PNG, audio, extended key event, pointer motion change */
	{ -308, -307 },		/* ExtendedDesktopSize, DesktopName */
	{ -314, -312 },		/* Cursor with alpha, ContinuousUpdates, Fence */
	{ -512, -412 },		/* JPEG fine-grained quality */
	{ -768, -763 },		/* JPEG subsampling */
	{ 0x574d5664, 0x574d5669 },	/* VMware cursors and modes */
};

enum { EXTENDED_CLIPBOARD = -1063131698 };

static bool
is_known(int32_t encoding)
{
	for (size_t i = 0; i < sizeof(known_encodings) / sizeof(known_encodings[0]); i++)
		if (encoding >= known_encodings[i].from && encoding <= known_encodings[i].to)
			return true;
	return false;
}

size_t
rfb_filter_encodings(uint8_t *message, size_t len, bool *clipboard)
{
	bool may = *clipboard;
	size_t kept = 0;

	*clipboard = false;
	for (size_t at = 4; at + 4 <= len; at += 4) {
		int32_t encoding = (int32_t)rfb_load_u32(message + at);

		if (may && encoding == EXTENDED_CLIPBOARD)
			*clipboard = true;
		else if (!is_known(encoding))
			continue;
		memmove(message + 4 + 4 * kept, message + at, 4);
		kept++;
	}
	message[2] = (uint8_t)(kept >> 8);
	message[3] = (uint8_t)kept;
	return 4 + 4 * kept;
}
