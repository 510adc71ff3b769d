/*
 * export_cef.c: ArcSight Common Event Format, version 0 (Micro Focus, "Implementing ArcSight Common Event Format", revision 25):
 *
 *	CEF:0|vendor|product|version|code|event|severity|key=value key=value
 *
 * In the header '|' and '\' are escaped, in the extension '=' and '\'; there a newline could stand as \n, but stands as \\x0a like every control.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/audit/export.h"

#define IN_HEADER "\\|"
#define IN_EXTENSION "\\="

/* Keys of CEF's dictionary, and which field each is. Of its free strings each has a label. */
static const struct {
	const char *key;
	enum audit_field field;
	const char *label;
} keys[] = {
	{ "cn1", FIELD_SEQ, "seq" },
	{ "externalId", FIELD_OP, NULL },
	{ "suser", FIELD_USER, NULL },
	{ "src", FIELD_ADDRESS, NULL },
	{ "spt", FIELD_PORT, NULL },
	{ "app", FIELD_VIA, NULL },
	{ "act", FIELD_CALL, NULL },
	{ "outcome", FIELD_STATUS, NULL },
	{ "msg", FIELD_MESSAGE, NULL },
	{ "reason", FIELD_VERDICT, NULL },
	{ "cs1", FIELD_STAGE, "stage" },
	{ "cs2", FIELD_BINDING, "binding" },
	{ "cs3", FIELD_USER_X509, "x509" },
	{ "cs4", FIELD_UUID, "uuid" },
	{ "cs5", FIELD_SESSION, "session" },
	{ "cs6", FIELD_HASH, "hash" },
};

static int
put_pair(struct buf *out, const char *key, const char *value)
{
	if (*value == '\0')
		return 0;
	return export_plain(out, " ") == 0 && export_plain(out, key) == 0 && export_plain(out, "=") == 0 ? export_text(out, value, IN_EXTENSION) : -1;
}

static int
put_header(struct buf *out, const struct audit_fields *record)
{
	char severity = export_severity(record);

	if (export_plain(out, "CEF:0|virtgate|virtgate|" PACKAGE_VERSION "|") < 0 || export_text(out, record->text[FIELD_CODE], IN_HEADER) < 0 ||
	    export_plain(out, "|") < 0 || export_text(out, record->text[FIELD_EVENT], IN_HEADER) < 0)
		return -1;
	return export_plain(out, severity == 'E' ? "|8|" : severity == 'W' ? "|6|" : "|3|");
}

int
export_cef(struct buf *out, const struct audit_fields *record, const char *line, size_t len)
{
	char object[700], text[32];

	(void)line;
	(void)len;
	audit_fields_object(record, object, sizeof(object));
	(void)snprintf(text, sizeof(text), "rt=%lld", export_milliseconds(record));
	if (put_header(out, record) < 0 || export_plain(out, text) < 0 || put_pair(out, "destinationServiceName", object) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = record->text[keys[i].field];

		if (put_pair(out, keys[i].key, value) < 0)
			return -1;
		(void)snprintf(text, sizeof(text), "%sLabel", keys[i].key);
		if (keys[i].label != NULL && *value != '\0' && put_pair(out, text, keys[i].label) < 0)
			return -1;
	}
	return export_plain(out, "\n");
}
