/*
 * fields.h: what filters, lists and exports look at in a record, taken from its line without building the rest of it: of ten million records a
 * day is to be read in less than a second. What a field is stands in one row of fields.def.
 */
#ifndef AUDIT_FIELDS_H
#define AUDIT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/reader.h"

enum audit_field {
#define TEXT(name, member, part) FIELD_##name,
#define NUMBER(name, member, part) FIELD_##name,
#include "gateway/audit/fields.def"
#undef TEXT
#undef NUMBER
	AUDIT_NUM_FIELDS
};

/* Large: static, or on the heap. */
struct audit_fields {
	const char *text[AUDIT_NUM_FIELDS];	/* as UTF-8; "" where the record has none */
	const char *args;			/* that member as it stands, borrowed from the line; not terminated, NULL: none */
	size_t args_len;
	bool has_by;
	/* within */
	uint32_t rows, members;			/* that were found: a bit each; a member by its first row */
	size_t used;
	char store[2 * (AUDIT_LINE_MAX + AUDIT_NUM_FIELDS)];
};

/* False: the line is no object in canonical form, or has one of these members twice. */
bool audit_fields_read(struct audit_fields *fields, const char *line, size_t len);
/* Adds what another record has, of the members that this one has not: the intent of an outcome. */
bool audit_fields_add(struct audit_fields *fields, const char *line, size_t len);
/* "domain:web-1", "" without an object; cut when `size` is too small. */
void audit_fields_object(const struct audit_fields *fields, char *buf, size_t size);
/* Is it what an ID means: an operation, or a record's number? Also a record that tells afterwards what became of that operation. */
bool audit_fields_id(const struct audit_fields *fields, const char *id);

#endif
