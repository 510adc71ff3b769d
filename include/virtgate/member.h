/*
 * member.h: a text in a record of the audit trail.
 */
#ifndef VIRTGATE_MEMBER_H
#define VIRTGATE_MEMBER_H

#include <stddef.h>

#include <jansson.h>

/* The string at record.first.second (second may be NULL), "" when there is none. Borrowed. */
static inline const char *
audit_member(const json_t *record, const char *first, const char *second)
{
	const json_t *value = json_object_get(record, first);
	const char *text = json_string_value(second != NULL ? json_object_get(value, second) : value);

	return text != NULL ? text : "";
}

#endif
