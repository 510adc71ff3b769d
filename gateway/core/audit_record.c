/*
 * audit_record.c: building audit records with jansson. See audit_client.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "gateway/core/audit_client.h"
#include "gateway/core/audit_wire.h"
#include "gateway/core/handover.h"
#include "gateway/core/ids.h"
#include "virtgate/utf8.h"

static const struct {
	const char *code, *event;
} events[AUDIT_NUM_EVENTS] = {
#define AUDIT_EVENT(name, code, event, meaning) [AUDIT_##name] = { code, event },
#include "gateway/core/audit_events.def"
#undef AUDIT_EVENT
};

/* ---- any bytes as a JSON string ---- */

static bool
stays(uint32_t point)
{
	return point != 0 && point != 0x7f && (point < 0x10fe00 || point > 0x10feff);
}

bool
audit_utf8_valid(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + len;
	uint32_t point;

	while (p < end) {
		size_t seq = utf8_len(p, (size_t)(end - p), &point);

		if (seq == 0)
			return false;
		p += seq;
	}
	return true;
}

json_t *
audit_text(const void *bytes, size_t len)
{
	const uint8_t *p = bytes, *end = p + len;
	json_t *string;
	char *text, *out;

	if (len > SIZE_MAX / 4 - 1)
		return NULL;
	out = text = malloc(len * 4 + 1);
	if (text == NULL)
		return NULL;
	while (p < end) {
		uint32_t point = 0;
		size_t seq = utf8_len(p, (size_t)(end - p), &point);

		if (seq != 0 && stays(point)) {
			memcpy(out, p, seq);
			out += seq;
			p += seq;
			continue;
		}
		/* U+10FE00 + byte in UTF-8 */
		*out++ = (char)0xf4;
		*out++ = (char)0x8f;
		*out++ = (char)(0xb8 | *p >> 6);
		*out++ = (char)(0x80 | (*p & 0x3f));
		p++;
	}
	string = json_stringn(text, (size_t)(out - text));
	free(text);
	return string;
}

json_t *
audit_text_bounded(const void *bytes, size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char hex[65];

	if (len <= AUDIT_TEXT_MAX)
		return audit_text(bytes, len);
	if (EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return NULL;
	for (int i = 0; i < 32; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return json_pack("{s:I, s:s}", "cut_bytes", (json_int_t)len, "cut_sha256", hex);
}

/* ---- records ---- */

json_t *
audit_record_call(const char *stage, const char *op, const char *code, const char *event)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "stage", stage, "op", op, "code", code, "event", event);
}

json_t *
audit_record_event(enum audit_event event)
{
	char op[ID_LEN + 1];

	id_make(op);
	return audit_record_call("event", op, events[event].code, events[event].event);
}

void
audit_set_event(json_t *record, enum audit_event event)
{
	(void)json_object_set_new(record, "code", json_string(events[event].code));
	(void)json_object_set_new(record, "event", json_string(events[event].event));
}

static void
add_text(json_t *object, const char *key, const char *text)
{
	if (text != NULL)
		(void)json_object_set_new(object, key, audit_text(text, strlen(text)));
}

static void
add_texts(json_t *object, const char *key, char *const *texts, size_t num)
{
	json_t *list = num == 0 ? NULL : json_array();

	for (size_t i = 0; i < num; i++)
		(void)json_array_append_new(list, audit_text(texts[i], strlen(texts[i])));
	if (num > 0)
		(void)json_object_set_new(object, key, list);
}

void
audit_add_identity(json_t *record, const struct vg_identity *identity, const char *session)
{
	json_t *user = json_object(), *source = json_object();

	add_text(user, "name", identity_name(identity));
	add_text(user, "sasl", identity->sasl_name);
	add_text(user, "mech", identity->sasl_mech);
	add_text(user, "x509", identity->x509_dn);
	add_text(user, "x509_sha256", identity->x509_sha256);
	add_texts(user, "x509_sans", identity->x509_sans, identity->num_x509_sans);
	add_text(user, "unix", identity->unix_user);
	add_texts(user, "unix_groups", identity->unix_groups, identity->num_unix_groups);
	(void)json_object_set_new(record, "user", user);

	if (identity->address[0] != '\0') {
		add_text(source, "address", identity->address);
		(void)json_object_set_new(source, "port", json_integer(identity->port));
	}
	add_text(source, "via", vg_via_name(identity->via));
	(void)json_object_set_new(record, "source", source);
	add_text(record, "session", session);
}

void
audit_add_result(json_t *record, const char *status, int code, const char *message)
{
	json_t *result = json_object();

	add_text(result, "status", status);
	(void)json_object_set_new(result, "code", json_integer(code));
	add_text(result, "message", message != NULL ? message : "");
	(void)json_object_set_new(record, "result", result);
}
