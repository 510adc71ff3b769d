/*
 * rfb.h: the Remote Framebuffer protocol as pure functions: the handshake of both sides, and what a client may send
 * behind it. Nothing here decides who may; it says what a message is, how long, and what it is good for.
 *
 * Sources of the numbers: RFC 6143; the community's rfbproto.rst (VeNCrypt, SASL, fence, continuous updates, extended
 * desktop size, QEMU messages, extended clipboard); QEMU's ui/vnc.h for the VeNCrypt subtypes.
 */
#ifndef PROTO_RFB_H
#define PROTO_RFB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgate/result.h"

/* ---- handshake ---- */

#define RFB_VERSION_LEN		12u
#define RFB_VERSION_TEXT	"RFB 003.008\n"

enum rfb_security { RFB_SECURITY_NONE = 1, RFB_SECURITY_VENCRYPT = 19, RFB_SECURITY_SASL = 20 };
/* Subtypes of VeNCrypt 0.2. 263 is X509SASL as QEMU and gtk-vnc have it; rfbproto.rst calls that number TLSSASL. */
enum rfb_vencrypt { RFB_VENCRYPT_X509_NONE = 260, RFB_VENCRYPT_X509_PLAIN = 262, RFB_VENCRYPT_X509_SASL = 263 };

/* A user name, a password or the data of one SASL step; a mechanism's name. QEMU takes 1 MiB of data; SASL needs none of it. */
#define RFB_MAX_NAME		1024u
#define RFB_MAX_MECH		100u
#define RFB_MAX_SASL_DATA	65536u

/* A piece of somebody else's buffer. `data` NULL: absent, which SASL tells from empty. */
struct rfb_span {
	const uint8_t *data;
	size_t len;
};

uint32_t rfb_load_u32(const uint8_t *data);
uint16_t rfb_load_u16(const uint8_t *data);
void rfb_store_u32(uint8_t *data, uint32_t value);

/* "RFB 003.NNN\n" from the first 12 bytes: the minor number. BAD as soon as a byte does not fit, or for another major number. */
enum vg_parse rfb_version_get(const uint8_t *buf, size_t len, unsigned *minor);

/*
 * What a client says within VeNCrypt and SASL. `used` is the length of the message; spans borrow from `buf`. BAD as soon
 * as a length is out of bounds, so that nothing long is waited for.
 */
enum vg_parse rfb_plain_get(const uint8_t *buf, size_t len, struct rfb_span *user, struct rfb_span *password, size_t *used);
enum vg_parse rfb_sasl_mech_get(const uint8_t *buf, size_t len, struct rfb_span *mech, size_t *used);
/* The byte that is sent behind data (zero, but gtk-vnc does not see to it) belongs to none of it; length 0: absent. */
enum vg_parse rfb_sasl_data_get(const uint8_t *buf, size_t len, struct rfb_span *data, size_t *used);

/* Writing: the length; `size` must be at least what the name says. */
#define RFB_MAX_REASON_LEN	512u
/* SecurityResult "failed" with its reason; text beyond 500 bytes is cut. */
size_t rfb_put_failed(uint8_t buf[RFB_MAX_REASON_LEN], const char *reason);
/* In place of the list of security types: none, and why. For 3.3 the same with its wider number. */
size_t rfb_put_no_security(uint8_t buf[RFB_MAX_REASON_LEN], unsigned minor, const char *reason);

/* ---- what a server says, as far as the gateway reads it ---- */

/* The list of security types: is `wanted` among them? BAD: none, or not. */
enum vg_parse rfb_security_list_get(const uint8_t *buf, size_t len, enum rfb_security wanted, size_t *used);
/* Length of ServerInit with the desktop's name, which may have RFB_MAX_NAME bytes. */
#define RFB_SERVER_INIT_LEN	24u
enum vg_parse rfb_server_init_get(const uint8_t *buf, size_t len, size_t *used);

/* ---- what a client says when the screen is open ---- */

/* What a message is good for. */
enum rfb_use {
	RFB_USE_VIEW,		/* to see: formats, encodings, update requests, flow control */
	RFB_USE_ENCODINGS,	/* the same, and its list is to be filtered: rfb_filter_encodings */
	RFB_USE_SOUND,		/* to hear */
	RFB_USE_EXTENDED,	/* the extended clipboard: to be made anew, not passed on as it is */
	RFB_USE_INPUT,		/* keys and pointer */
	RFB_USE_CLIPBOARD,	/* text into the guest */
	RFB_USE_RESIZE,		/* changes the guest's screen */
	RFB_USE_NOTHING		/* known, and never passed on: power (xvp) */
};

struct rfb_message {
	const char *name;	/* static */
	enum rfb_use use;
	size_t len;		/* all of it is in the buffer */
};

/* Longest message: text for the clipboard. */
#define RFB_MAX_TEXT		(256u * 1024u)
#define RFB_MAX_ENCODINGS	256u
#define RFB_MAX_SCREENS		16u
#define RFB_MAX_CLIENT_MESSAGE	(8u + RFB_MAX_TEXT)

/*
 * The first message in `buf`. BAD: a type that no row names, a length out of bounds, values that a server could
 * stumble over. On MORE nothing has changed, and the same bytes with more behind them give the same answer.
 */
enum vg_parse rfb_client_get(const uint8_t *buf, size_t len, struct rfb_message *message);

/*
 * A SetEncodings of this many bytes without what the gateway does not know: a pseudo-encoding it has never heard of could
 * change the form of what a client sends (extended mouse buttons do). xvp is left out too, and the extended clipboard (CVE-2022-3165,
 * CVE-2023-3255, CVE-2023-6683) unless *clipboard, which then says whether it was there. In place; returns the new length.
 */
size_t rfb_filter_encodings(uint8_t *message, size_t len, bool *clipboard);

/* Of an extended ClientCutText: the word behind its length, which is below zero. */
#define RFB_CLIENT_CUT_TEXT	6u
#define RFB_CLIPBOARD_FORMATS	0xffffu
enum {
	RFB_CLIPBOARD_TEXT = 1,
	RFB_CLIPBOARD_CAPS = 1 << 24, RFB_CLIPBOARD_REQUEST = 1 << 25, RFB_CLIPBOARD_PEEK = 1 << 26, RFB_CLIPBOARD_NOTIFY = 1 << 27,
	RFB_CLIPBOARD_PROVIDE = 1 << 28
};

#endif
