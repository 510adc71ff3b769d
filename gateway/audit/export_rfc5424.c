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

#define IN_VALUE "\\\"]"
#define FACILITY 13

static const struct {
	const char *name;
	enum audit_field field;
} params[] = {
	{ "seq", FIELD_SEQ }, { "op", FIELD_OP }, { "stage", FIELD_STAGE }, { "event", FIELD_EVENT }, { "user", FIELD_USER }, { "sasl", FIELD_USER_SASL },
	{ "x509", FIELD_USER_X509 }, { "unix", FIELD_USER_UNIX }, { "address", FIELD_ADDRESS }, { "via", FIELD_VIA }, { "session", FIELD_SESSION },
	{ "call", FIELD_CALL }, { "class", FIELD_CLASS }, { "object", FIELD_OBJECT }, { "uuid", FIELD_UUID }, { "verdict", FIELD_VERDICT },
	{ "binding", FIELD_BINDING }, { "rule", FIELD_RULE }, { "result", FIELD_STATUS }, { "message", FIELD_MESSAGE }, { "hash", FIELD_HASH },
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
put_head(struct buf *out, const struct audit_fields *record)
{
	char severity = export_severity(record), text[64], host[256] = "";

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(text, sizeof(text), "<%d>1 ", FACILITY * 8 + (severity == 'E' ? 3 : severity == 'W' ? 4 : 6));
	if (export_plain(out, text) < 0 || put_name(out, record->text[FIELD_TIME], 32) < 0 || export_plain(out, " ") < 0 || put_name(out, host, 255) < 0 ||
	    export_plain(out, " virtgate - ") < 0)
		return -1;
	return put_name(out, record->text[FIELD_CODE], 32);
}

static int
put_word(struct buf *out, const char *text)
{
	return export_text(out, *text == '\0' ? "-" : text, "");
}

int
export_rfc5424(struct buf *out, const struct audit_fields *record, const char *line, size_t len)
{
	char text[700];

	(void)line;
	(void)len;
	if (put_head(out, record) < 0 || export_plain(out, " [virtgate@32473") < 0)
		return -1;
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		const char *value = record->text[params[i].field];

		if (*value != '\0' && (export_plain(out, " ") < 0 || export_plain(out, params[i].name) < 0 || export_plain(out, "=\"") < 0 ||
		    export_text(out, value, IN_VALUE) < 0 || export_plain(out, "\"") < 0))
			return -1;
	}
	audit_fields_object(record, text, sizeof(text));
	/* The text is UTF-8: section 6.4 has it begin with the byte order mark. */
	return export_plain(out, "] \xef\xbb\xbf") < 0 || put_word(out, record->text[FIELD_USER]) < 0 || export_plain(out, " ") < 0 ||
	    put_word(out, record->text[FIELD_EVENT]) < 0 || export_plain(out, " ") < 0 || put_word(out, text) < 0 || export_plain(out, " ") < 0 ||
	    put_word(out, record->text[FIELD_STATUS]) < 0 ? -1 : export_plain(out, "\n");
}
