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
#include "gateway/audit/match.h"

#define IN_HEADER "\\|"
#define IN_EXTENSION "\\="

/* Keys of CEF's dictionary, and where their values stand in a record. Of its free strings each has a label. */
static const struct {
	const char *key, *first, *second, *label;
} keys[] = {
	{ "externalId", "op", NULL, NULL },
	{ "suser", "user", "name", NULL },
	{ "src", "source", "address", NULL },
	{ "app", "source", "via", NULL },
	{ "act", "call", NULL, NULL },
	{ "outcome", "result", "status", NULL },
	{ "msg", "result", "message", NULL },
	{ "reason", "decision", "verdict", NULL },
	{ "cs1", "stage", NULL, "stage" },
	{ "cs2", "decision", "binding", "binding" },
	{ "cs3", "user", "x509", "x509" },
	{ "cs4", "object", "uuid", "uuid" },
	{ "cs5", "session", NULL, "session" },
	{ "cs6", "hash", NULL, "hash" },
};

static int
put_pair(struct buf *out, const char *key, const char *value)
{
	if (*value == '\0')
		return 0;
	return export_plain(out, " ") == 0 && export_plain(out, key) == 0 && export_plain(out, "=") == 0 ? export_text(out, value, IN_EXTENSION) : -1;
}

static int
put_number(struct buf *out, const char *key, long long value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", value);
	return put_pair(out, key, text);
}

static int
put_header(struct buf *out, json_t *record)
{
	char severity = export_severity(record);

	if (export_plain(out, "CEF:0|virtgate|virtgate|" PACKAGE_VERSION "|") < 0 || export_text(out, audit_member(record, "code", NULL), IN_HEADER) < 0 ||
	    export_plain(out, "|") < 0 || export_text(out, audit_member(record, "event", NULL), IN_HEADER) < 0)
		return -1;
	return export_plain(out, severity == 'E' ? "|8|" : severity == 'W' ? "|6|" : "|3|");
}

int
export_cef(struct buf *out, json_t *record, const char *line, size_t len)
{
	long long port = json_integer_value(json_object_get(json_object_get(record, "source"), "port"));
	char object[700], label[16];

	(void)line;
	(void)len;
	export_object(record, object, sizeof(object));
	if (put_header(out, record) < 0 || export_plain(out, "rt=") < 0)
		return -1;
	(void)snprintf(label, sizeof(label), "%lld", export_milliseconds(record));
	if (export_plain(out, label) < 0 || put_number(out, "cn1", json_integer_value(json_object_get(record, "seq"))) < 0 ||
	    put_pair(out, "cn1Label", "seq") < 0 || (port != 0 && put_number(out, "spt", port) < 0) || put_pair(out, "destinationServiceName", object) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = audit_member(record, keys[i].first, keys[i].second);

		if (put_pair(out, keys[i].key, value) < 0)
			return -1;
		(void)snprintf(label, sizeof(label), "%sLabel", keys[i].key);
		if (keys[i].label != NULL && *value != '\0' && put_pair(out, label, keys[i].label) < 0)
			return -1;
	}
	return export_plain(out, "\n");
}
