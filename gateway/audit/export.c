/*
 * export.c: the formats, and what they share.
 */
#include "gateway/audit/export.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/audit/match.h"

static int
export_jsonl(struct buf *out, json_t *record, const char *line, size_t len)
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

/* One character of valid UTF-8; how many bytes it has. */
static size_t
character(const char *text, uint32_t *point)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	*point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] == '\0')
			return i;
		*point = *point << 6 | (p[i] & 0x3fu);
	}
	return len;
}

/* Controls, and what turns the direction of the text around. */
static bool
harmful(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f || point == 0x2028 || point == 0x2029 ||
	    (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

int
export_text(struct buf *out, const char *text, const char *special)
{
	const char *begin = strchr(special, '\\') != NULL ? "\\\\" : "\\";
	uint32_t point;

	for (size_t len; *text != '\0'; text += len) {
		char escaped[16];

		len = character(text, &point);
		if (point >= 0x10fe00 && point <= 0x10feff)
			(void)snprintf(escaped, sizeof(escaped), "%sx%02x", begin, point - 0x10fe00);
		else if (harmful(point))
			(void)snprintf(escaped, sizeof(escaped), point < 0x80 ? "%sx%02x" : "%su%04x", begin, point);
		else if (point < 0x80 && strchr(special, (int)point) != NULL)
			(void)snprintf(escaped, sizeof(escaped), "\\%c", (int)point);
		else
			(void)snprintf(escaped, sizeof(escaped), "%.*s", (int)len, text);
		if (export_plain(out, escaped) < 0)
			return -1;
	}
	return 0;
}

/* ---- what a record says ---- */

char
export_severity(json_t *record)
{
	const char *code = audit_member(record, "code", NULL);

	return *code == '\0' ? 'I' : code[strlen(code) - 1];
}

long long
export_milliseconds(json_t *record)
{
	struct tm tm = { .tm_isdst = 0 };
	int ms = 0;

	if (sscanf(audit_member(record, "time", NULL), "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
	    &tm.tm_min, &tm.tm_sec, &ms) < 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (long long)timegm(&tm) * 1000 + ms;
}

void
export_object(json_t *record, char *buf, size_t size)
{
	const char *class = audit_member(record, "object", "class"), *name = audit_member(record, "object", "name");

	if (*name == '\0')
		name = audit_member(record, "object", "uuid");
	(void)snprintf(buf, size, "%s%s%s", class, *class != '\0' && *name != '\0' ? ":" : "", name);
}
