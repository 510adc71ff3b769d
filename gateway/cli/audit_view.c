/*
 * audit_view.c: records as lines and in full.
 */
#include "gateway/cli/audit_time.h"
#include "gateway/cli/audit_view.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- text on a terminal ---- */

/* One character of text that jansson has checked to be UTF-8. */
static uint32_t
next_character(const unsigned char **at)
{
	const unsigned char *p = *at;
	unsigned more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
	uint32_t point = more == 0 ? p[0] : p[0] & (0x3fu >> more);

	for (p++; more > 0 && *p != '\0'; more--, p++)
		point = point << 6 | (*p & 0x3fu);
	*at = p;
	return point;
}

/* Controls, and what turns the direction of the text around. */
static bool
harmful(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f || point == 0x2028 ||
	    point == 0x2029 || (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* Writes at most `size` bytes with their terminator; returns how many characters wide it is. */
static size_t
harmless(const char *text, bool newlines, FILE *out)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t width = 0;

	while (*at != '\0') {
		const unsigned char *from = at;
		uint32_t point = next_character(&at);

		if (point >= 0x10fe00 && point <= 0x10feff) {
			fprintf(out, "\\x%02x", point - 0x10fe00);
			width += 4;
		} else if (harmful(point) && !(newlines && point == '\n')) {
			width += (size_t)fprintf(out, point < 0x100 ? "\\x%02x" : "\\u%04x", point);
		} else {
			fwrite(from, 1, (size_t)(at - from), out);
			width++;
		}
	}
	return width;
}

void
audit_view_put(FILE *out, const char *text)
{
	(void)harmless(text, false, out);
}

void
audit_view_text(const char *text, bool newlines)
{
	(void)harmless(text, newlines, stdout);
}

/* A column: what is longer is not cut, the line is only no longer aligned. */
static void
column(FILE *out, const char *text, size_t width)
{
	size_t is = harmless(*text != '\0' ? text : "-", false, out);

	fprintf(out, "%*s", is < width ? (int)(width - is) + 1 : 1, "");
}

/* ---- one line ---- */

static const char *
status_of(json_t *record)
{
	const char *status = audit_member(record, "result", "status");

	if (strcmp(audit_member(record, "decision", "verdict"), "would-deny") == 0)
		return "would-deny";
	if (*status != '\0')
		return status;
	return strcmp(audit_member(record, "stage", NULL), "intent") == 0 ? "unknown" : "";
}

static void
put_object(FILE *out, json_t *record)
{
	const char *class = audit_member(record, "object", "class"), *name = audit_member(record, "object", "name");
	char text[256];

	if (*name == '\0')
		name = audit_member(record, "object", "uuid");
	(void)snprintf(text, sizeof(text), "%s%s%s", class, *class != '\0' && *name != '\0' ? ":" : "", name);
	column(out, text, 24);
}

/* Behind the columns: who decided, and what there is to say. */
static void
put_rest(FILE *out, json_t *record)
{
	const char *binding = audit_member(record, "decision", "binding"), *rule = audit_member(record, "decision", "rule");
	const char *message = audit_member(record, "result", "message");
	json_t *args = json_object_get(record, "args");

	if (*binding != '\0') {
		fprintf(out, "by ");
		(void)harmless(binding, false, out);
		fprintf(out, "  ");
	}
	if (*rule != '\0') {
		fprintf(out, "rule ");
		(void)harmless(rule, false, out);
		fprintf(out, "  ");
	}
	if (*message != '\0') {
		(void)harmless(message, false, out);
	} else if (strcmp(audit_member(record, "stage", NULL), "intent") == 0) {
		fprintf(out, "no outcome (yet)");
	} else if (json_is_object(args) && json_object_get(record, "call") == NULL) {
		char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);

		(void)harmless(text != NULL ? text : "", false, out);
		free(text);
	}
}

static void
print_line(json_t *record, bool utc)
{
	char time[AUDIT_TIME_SHOWN], *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return;
	audit_time_show(audit_member(record, "time", NULL), utc, time);
	column(out, time, 23);
	column(out, status_of(record), 7);
	column(out, audit_member(record, "event", NULL), 22);
	column(out, audit_member(record, "user", "name"), 20);
	put_object(out, record);
	put_rest(out, record);
	fclose(out);
	while (len > 0 && text[len - 1] == ' ')
		len--;
	printf("%.*s\n", (int)len, text);
	free(text);
}

/* ---- the stream of records ---- */

int
audit_view_init(struct audit_view *view)
{
	view->open = json_object();
	view->waiting = json_array();
	return view->open != NULL && view->waiting != NULL ? 0 : -1;
}

void
audit_view_free(struct audit_view *view)
{
	json_decref(view->open);
	json_decref(view->waiting);
}

/* Takes `shown`: a record, or the text of a line. */
static void
show(struct audit_view *view, json_t *shown)
{
	view->shown++;
	if (view->limit > 0) {
		if (json_array_size(view->waiting) == view->limit)
			(void)json_array_remove(view->waiting, 0);
		(void)json_array_append_new(view->waiting, shown);
		return;
	}
	if (json_is_string(shown))
		puts(json_string_value(shown));
	else
		print_line(shown, view->utc);
	json_decref(shown);
}

/* An intent waits for its outcome; the outcome is shown with what only the intent tells. */
static void
pair(struct audit_view *view, json_t *record)
{
	const char *stage = audit_member(record, "stage", NULL), *op = audit_member(record, "op", NULL);

	if (strcmp(stage, "intent") == 0) {
		(void)json_object_set(view->open, op, record);
		return;
	}
	if (strcmp(stage, "outcome") == 0) {
		json_t *intent = json_object_get(view->open, op);

		if (intent != NULL)
			(void)json_object_update_missing(record, intent);
		(void)json_object_del(view->open, op);
	}
	if (audit_match(&view->match, record))
		show(view, json_incref(record));
}

void
audit_view_line(struct audit_view *view, const char *line, size_t len)
{
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(record)) {
		view->no_records++;
		json_decref(record);
		return;
	}
	if (view->json || view->match.stage != NULL) {
		if (audit_match(&view->match, record)) {
			/* One stage by itself: that its outcome is not shown does not make it unknown. */
			if (!view->json && strcmp(audit_member(record, "stage", NULL), "intent") == 0)
				(void)json_object_set_new(record, "result", json_pack("{s:s, s:s}", "status", "intent",
				    "message", "its outcome is a record of its own"));
			show(view, view->json ? json_stringn(line, len) : json_incref(record));
		}
	} else {
		pair(view, record);
	}
	json_decref(record);
}

void
audit_view_flush(struct audit_view *view, bool intents)
{
	size_t limit = view->limit, i;
	const char *op;
	json_t *record;

	if (intents) {
		json_object_foreach(view->open, op, record)
			if (audit_match(&view->match, record))
				show(view, json_incref(record));
		json_object_clear(view->open);
	}
	view->limit = 0;
	json_array_foreach(view->waiting, i, record) {
		view->shown--;		/* counted already */
		show(view, json_incref(record));
	}
	json_array_clear(view->waiting);
	view->limit = limit;
	fflush(stdout);
}

/* ---- in full ---- */

/* A difference line by line, as it would be read in a terminal: what was taken out red, what was put in green. */
static void
print_diff(const char *diff)
{
	bool coloured = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;

	while (*diff != '\0') {
		size_t len = strcspn(diff, "\n");
		const char *colour = *diff == '-' ? "\033[31m" : *diff == '+' ? "\033[32m" : *diff == '@' ? "\033[36m" : "";
		char *line = strndup(diff, len);

		printf("%s", coloured ? colour : "");
		audit_view_text(line != NULL ? line : "out of memory", false);
		printf("%s\n", coloured && *colour != '\0' ? "\033[0m" : "");
		free(line);
		diff += len + (diff[len] == '\n');
	}
}

void
audit_view_record(json_t *record)
{
	static const char *const order[] = { "seq", "time", "op", "stage", "code", "event", "user", "source", "session",
	    "connection", "call", "object", "args", "decision", "result", "duration_us" };
	const char *diff = audit_member(record, "diff", NULL);
	json_t *sorted = json_object();
	char *text;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (json_object_get(record, order[i]) != NULL)
			(void)json_object_set(sorted, order[i], json_object_get(record, order[i]));
	(void)json_object_update_missing(sorted, record);
	if (*diff != '\0')
		(void)json_object_del(sorted, "diff");
	text = json_dumps(sorted, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	audit_view_text(text != NULL ? text : "out of memory", true);
	putchar('\n');
	print_diff(diff);
	free(text);
	json_decref(sorted);
}
