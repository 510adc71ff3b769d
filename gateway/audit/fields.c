/*
 * fields.c: a walk over the members of a line, which takes those that have a row.
 */
#include "gateway/audit/fields.h"

#include <stdio.h>
#include <string.h>

static const struct row {
	const char *member, *part;
	size_t member_len, part_len;
	bool number;
} rows[AUDIT_NUM_FIELDS] = {
#define TEXT(name, member, part) [FIELD_##name] = { member, part, sizeof(member) - 1, sizeof(part) - 1, false },
#define NUMBER(name, member, part) [FIELD_##name] = { member, part, sizeof(member) - 1, sizeof(part) - 1, true },
#include "gateway/audit/fields.def"
#undef TEXT
#undef NUMBER
};

_Static_assert(AUDIT_NUM_FIELDS <= 32, "a bit each");

/* ---- text ---- */

static size_t
put_character(char *out, unsigned point)
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xc0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xe0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}

static unsigned
unit_at(const char *hex)
{
	unsigned value = 0;

	for (size_t i = 0; i < 4; i++)
		value = value << 4 | (unsigned)(hex[i] <= '9' ? hex[i] - '0' : (hex[i] | 0x20) - 'a' + 10);
	return value;
}

/* The escape at `text`, which scan_value() has found to be one; returns its length. */
static size_t
unescape_one(const char *text, char *out, size_t *out_len)
{
	static const char names[] = "bfnrt", means[] = "\b\f\n\r\t";
	const char *name = strchr(names, text[1]);
	unsigned point;

	if (text[1] != 'u') {
		out[(*out_len)++] = name != NULL ? means[name - names] : text[1];
		return 2;
	}
	point = unit_at(text + 2);
	if (point >= 0xd800 && point <= 0xdbff)
		point = 0x10000 + ((point - 0xd800) << 10) + (unit_at(text + 8) - 0xdc00);
	*out_len += put_character(out + *out_len, point);
	return point >= 0x10000 ? 12 : 6;
}

/* A text is never longer than it stands in the line. */
static const char *
store(struct audit_fields *fields, const char *raw, size_t len)
{
	char *out = fields->store + fields->used;
	size_t out_len = 0;

	if (fields->used + len + 1 > sizeof(fields->store))
		return "";
	if (memchr(raw, '\\', len) == NULL) {
		memcpy(out, raw, len);
		out_len = len;
	} else {
		for (size_t i = 0; i < len;) {
			if (raw[i] == '\\')
				i += unescape_one(raw + i, out, &out_len);
			else
				out[out_len++] = raw[i++];
		}
	}
	out[out_len] = '\0';
	fields->used += out_len + 1;
	return out;
}

/* ---- members ---- */

/* False: it was there before. */
static bool
take(struct audit_fields *fields, size_t row, const struct scan_member *member)
{
	bool text = member->value[0] == '"';

	if ((fields->rows >> row & 1) != 0)
		return false;
	fields->rows |= UINT32_C(1) << row;
	if (text && !rows[row].number)
		fields->text[row] = store(fields, member->value + 1, member->value_len - 2);
	else if (!text && rows[row].number && member->value[0] != '{' && member->value[0] != '[')
		fields->text[row] = store(fields, member->value, member->value_len);
	return true;
}

/* The rows [first, end) are of one member, which is an object when it has parts. */
static bool
take_parts(struct audit_fields *fields, size_t first, size_t end, const struct scan_member *member)
{
	struct scan_member part;
	struct scan scan;

	if (rows[first].part_len == 0)
		return take(fields, first, member);
	if (member->value[0] != '{')
		return true;
	scan_begin(&scan, member->value, member->value_len);
	while (scan_next(&scan, &part))
		for (size_t row = first; row < end; row++)
			if (part.key_len == rows[row].part_len && scan_is(&part, rows[row].part) && !take(fields, row, &part))
				return false;
	return !scan.bad;
}

/* Members of which there are rows, by the number of their first one; `had` of them are there already. */
static bool
take_member(struct audit_fields *fields, uint32_t had, uint32_t *seen, const struct scan_member *member)
{
	size_t first = 0, end;

	while (first < AUDIT_NUM_FIELDS && !(member->key_len == rows[first].member_len && scan_is(member, rows[first].member)))
		first++;
	if (first == AUDIT_NUM_FIELDS)
		return true;
	if ((*seen >> first & 1) != 0)
		return false;
	*seen |= UINT32_C(1) << first;
	for (end = first + 1; end < AUDIT_NUM_FIELDS && strcmp(rows[end].member, rows[first].member) == 0; end++)
		;
	return (had >> first & 1) != 0 || take_parts(fields, first, end, member);
}

bool
audit_fields_add(struct audit_fields *fields, const char *line, size_t len)
{
	bool had_args = fields->args != NULL;
	uint32_t had = fields->members, seen = 0;
	struct scan_member member;
	struct scan scan;

	scan_begin(&scan, line, len);
	while (scan_next(&scan, &member)) {
		if (!take_member(fields, had, &seen, &member))
			return false;
		if (!had_args && scan_is(&member, "args")) {
			fields->args = member.value;
			fields->args_len = member.value_len;
		}
	}
	fields->members = had | seen;
	fields->has_by = (fields->members >> FIELD_BY_NAME & 1) != 0;
	return !scan.bad;
}

bool
audit_fields_read(struct audit_fields *fields, const char *line, size_t len)
{
	for (size_t i = 0; i < AUDIT_NUM_FIELDS; i++)
		fields->text[i] = "";
	fields->args = NULL;
	fields->args_len = fields->used = 0;
	fields->rows = fields->members = 0;
	return audit_fields_add(fields, line, len);
}

/* ---- what they say ---- */

void
audit_fields_object(const struct audit_fields *fields, char *buf, size_t size)
{
	const char *class = fields->text[FIELD_CLASS], *name = fields->text[*fields->text[FIELD_OBJECT] != '\0' ? FIELD_OBJECT : FIELD_UUID];

	(void)snprintf(buf, size, "%s%s%s", class, *class != '\0' && *name != '\0' ? ":" : "", name);
}

bool
audit_fields_id(const struct audit_fields *fields, const char *id)
{
	return *id != '\0' && (strcmp(id, fields->text[FIELD_SEQ]) == 0 || strcmp(id, fields->text[FIELD_OP]) == 0 ||
	    strcmp(id, fields->text[FIELD_OF]) == 0);
}
