/*
 * export.c: the formats, and what they share.
 */
#include "gateway/audit/export.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "gateway/core/harmless.h"

static int
export_jsonl(struct buf *out, const struct audit_fields *record, const char *line, size_t len)
{
	(void)record;
	return buf_add(out, line, len) == 0 ? buf_add(out, "\n", 1) : -1;
}

static const struct audit_format formats[] = {
	{ "jsonl", "the records as they stand in the trail, with their hashes", export_jsonl },
	{ "cef", "ArcSight Common Event Format, version 0", export_cef },
	{ "ocsf", "Open Cybersecurity Schema Framework 1.3.0, class API Activity (6003)", export_ocsf },
	{ "rfc5424", "syslog with structured data, facility \"log audit\"", export_rfc5424 },
};

const struct audit_format *
audit_format_at(size_t index)
{
	return index < sizeof(formats) / sizeof(formats[0]) ? &formats[index] : NULL;
}

const struct audit_format *
audit_format_find(const char *name)
{
	const struct audit_format *format = NULL;

	for (size_t i = 0; (format = audit_format_at(i)) != NULL; i++)
		if (strcmp(format->name, name) == 0)
			break;
	return format;
}

/* ---- text ---- */

int
export_plain(struct buf *out, const char *text)
{
	return buf_add(out, text, strlen(text));
}

int
export_text(struct buf *out, const char *text, const char *special)
{
	const char *begin = strchr(special, '\\') != NULL ? "\\\\" : "\\";
	uint32_t point;

	for (size_t len; *text != '\0'; text += len) {
		size_t printable = harmless_plain(text);
		char escaped[16];

		len = strcspn(text, special);
		len = printable < len ? printable : len;
		if (len > 0) {
			if (buf_add(out, text, len) < 0)
				return -1;
			continue;
		}
		len = harmless_character(text, &point);
		if (point >= 0x10fe00 && point <= 0x10feff)
			(void)snprintf(escaped, sizeof(escaped), "%sx%02x", begin, point - 0x10fe00);
		else if (harmless_not(point))
			(void)snprintf(escaped, sizeof(escaped), point < 0x80 ? "%sx%02x" : "%su%04x", begin, point);
		else if (len == 1)
			(void)snprintf(escaped, sizeof(escaped), "\\%c", (int)point);	/* one of `special` */
		else
			(void)snprintf(escaped, sizeof(escaped), "%.*s", (int)len, text);
		if (export_plain(out, escaped) < 0)
			return -1;
	}
	return 0;
}

/* ---- what a record says ---- */

char
export_severity(const struct audit_fields *record)
{
	const char *code = record->text[FIELD_CODE];

	return *code == '\0' ? 'I' : code[strlen(code) - 1];
}

long long
export_milliseconds(const struct audit_fields *record)
{
	const char *time = record->text[FIELD_TIME], *fraction = strchr(time, '.');
	int64_t second = scan_second(time);
	int ms = 0;

	if (second == -1)
		return 0;
	if (fraction != NULL)
		(void)sscanf(fraction, ".%3d", &ms);
	return (long long)second * 1000 + ms;
}
