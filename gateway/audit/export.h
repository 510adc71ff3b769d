/*
 * export.h: records in the formats that other programs read, one line each. A format is one row in export.c and a function in a file of its own.
 * What a client chose cannot end a line, begin another field, or reach a terminal as a control character: each format escapes as its own
 * specification says, and what that has no escape for (controls, what turns text around, bytes that were no UTF-8) stands as \xHH or \uHHHH.
 */
#ifndef AUDIT_EXPORT_H
#define AUDIT_EXPORT_H

#include <stddef.h>

#include "gateway/audit/fields.h"
#include "gateway/core/buf.h"

struct audit_format {
	const char *name, *meaning;
	/* Adds the record and a newline. `line` is the record as it stands in the trail, `record` what was read of it. -1: out of memory. */
	int (*put)(struct buf *out, const struct audit_fields *record, const char *line, size_t len);
};

/* NULL: there is none of this name, or not so many. */
const struct audit_format *audit_format_find(const char *name);
const struct audit_format *audit_format_at(size_t index);

/* ---- for the formats ---- */

/* Adds text; each character of `special` gets a backslash before it, as the backslash that begins \xHH does. */
int export_text(struct buf *out, const char *text, const char *special);
/* Adds text as it is. */
int export_plain(struct buf *out, const char *text);
/* The last letter of the record's code: 'I', 'W' or 'E'. */
char export_severity(const struct audit_fields *record);
/* Milliseconds since the epoch; 0 when it has no time. */
long long export_milliseconds(const struct audit_fields *record);

int export_cef(struct buf *out, const struct audit_fields *record, const char *line, size_t len);
int export_ocsf(struct buf *out, const struct audit_fields *record, const char *line, size_t len);
int export_rfc5424(struct buf *out, const struct audit_fields *record, const char *line, size_t len);

#endif
