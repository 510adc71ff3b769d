/*
 * export_rfc5424.c: syslog as RFC 5424 has it, one message a line:
 *
 *	<PRI>1 TIME HOST virtgate - CODE [virtgate@32473 seq="41" …] TEXT
 *
 * Facility 13, "log audit". The number behind the '@' is the one that RFC 5612 keeps for examples: virtgate has none of its own. In values
 * '"', '\' and ']' are escaped (section 6.3.3). The syslog of audit_sinks (sink_format.c) has the whole record in place of the text, to be verified;
 * this one has fields, to be searched. What both have goes by the same names.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/export.h"
#include "gateway/audit/match.h"

#define IN_VALUE "\\\"]"
#define FACILITY 13

static const struct {
	const char *name, *first, *second;
} params[] = {
	{ "op", "op", NULL }, { "stage", "stage", NULL }, { "event", "event", NULL }, { "user", "user", "name" }, { "sasl", "user", "sasl" },
	{ "x509", "user", "x509" }, { "unix", "user", "unix" }, { "address", "source", "address" }, { "via", "source", "via" },
	{ "session", "session", NULL }, { "call", "call", NULL }, { "class", "object", "class" }, { "object", "object", "name" },
	{ "uuid", "object", "uuid" }, { "verdict", "decision", "verdict" }, { "binding", "decision", "binding" }, { "rule", "decision", "rule" },
	{ "result", "result", "status" }, { "message", "result", "message" }, { "hash", "hash", NULL },
};

/* PRINTUSASCII without blanks, at most `max`; "-" for nothing (section 6). */
static int
put_name(struct buf *out, const char *text, size_t max)
{
	char name[256];
	size_t len = 0;

	for (; *text != '\0' && len < max && len < sizeof(name) - 1; text++)
		name[len++] = *text > ' ' && *text < 0x7f ? *text : '?';
	name[len] = '\0';
	return export_plain(out, len == 0 ? "-" : name);
}

static int
put_head(struct buf *out, json_t *record)
{
	char severity = export_severity(record), text[64], host[256] = "";
	const char *time = audit_member(record, "time", NULL);

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(text, sizeof(text), "<%d>1 ", FACILITY * 8 + (severity == 'E' ? 3 : severity == 'W' ? 4 : 6));
	if (export_plain(out, text) < 0 || put_name(out, time, 32) < 0 || export_plain(out, " ") < 0 || put_name(out, host, 255) < 0 ||
	    export_plain(out, " virtgate - ") < 0)
		return -1;
	return put_name(out, audit_member(record, "code", NULL), 32);
}

int
export_rfc5424(struct buf *out, json_t *record, const char *line, size_t len)
{
	char text[700];

	(void)line;
	(void)len;
	(void)snprintf(text, sizeof(text), " [virtgate@32473 seq=\"%lld\"", (long long)json_integer_value(json_object_get(record, "seq")));
	if (put_head(out, record) < 0 || export_plain(out, text) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		const char *value = audit_member(record, params[i].first, params[i].second);

		if (*value != '\0' && (export_plain(out, " ") < 0 || export_plain(out, params[i].name) < 0 || export_plain(out, "=\"") < 0 ||
		    export_text(out, value, IN_VALUE) < 0 || export_plain(out, "\"") < 0))
			return -1;
	}
	export_object(record, text, sizeof(text));
	/* The text is UTF-8: section 6.4 has it begin with the byte order mark. */
	if (export_plain(out, "] \xef\xbb\xbf") < 0 || export_text(out, audit_member(record, "user", "name"), "") < 0 || export_plain(out, " ") < 0 ||
	    export_text(out, audit_member(record, "event", NULL), "") < 0 || export_plain(out, " ") < 0 || export_text(out, text, "") < 0 ||
	    export_plain(out, " ") < 0 || export_text(out, audit_member(record, "result", "status"), "") < 0)
		return -1;
	return export_plain(out, "\n");
}
