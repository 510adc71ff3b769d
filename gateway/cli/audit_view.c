/*
 * audit_view.c: records as lines and in full.
 */
#include "gateway/cli/audit_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/audit_time.h"
#include "gateway/cli/harmless.h"
#include "virtgate/member.h"

/* ---- one line ---- */

static bool
is_intent(const struct audit_fields *record)
{
	return strcmp(record->text[FIELD_STAGE], "intent") == 0;
}

static const char *
status_of(const struct audit_view *view)
{
	const struct audit_fields *record = view->record;

	if (strcmp(record->text[FIELD_VERDICT], "would-deny") == 0)
		return "would-deny";
	/* One stage by itself: that its outcome is not shown does not make it unknown. */
	if (is_intent(record))
		return view->match.stage != NULL ? "intent" : "unknown";
	return record->text[FIELD_STATUS];
}

static void
add_labelled(struct buf *out, const char *label, const char *text)
{
	if (*text == '\0')
		return;
	(void)buf_add(out, label, strlen(label));
	(void)harmless_add(out, text, false);
	(void)buf_add(out, "  ", 2);
}

/* What an event that is no call has to tell, as JSON. */
static void
add_args(struct buf *out, const struct audit_fields *record)
{
	json_t *args = json_loadb(record->args, record->args_len, JSON_REJECT_DUPLICATES, NULL);
	char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);

	(void)harmless_add(out, text != NULL ? text : "", false);
	free(text);
	json_decref(args);
}

/* Behind the columns: who decided, and what there is to say. */
static void
add_rest(const struct audit_view *view, struct buf *out)
{
	const struct audit_fields *record = view->record;
	const char *message = record->text[FIELD_MESSAGE];

	add_labelled(out, "by ", record->text[FIELD_BINDING]);
	add_labelled(out, "rule ", record->text[FIELD_RULE]);
	if (is_intent(record))
		message = view->match.stage != NULL ? "its outcome is a record of its own" : "no outcome (yet)";
	if (*message != '\0')
		(void)harmless_add(out, message, false);
	else if (record->args != NULL && record->args[0] == '{' && *record->text[FIELD_CALL] == '\0')
		add_args(out, record);
}

static void
print_line(struct audit_view *view)
{
	const struct audit_fields *record = view->record;
	size_t number = strlen(record->text[FIELD_SEQ]), len;
	char time[AUDIT_TIME_SHOWN], object[256];
	struct buf *out = &view->out;

	audit_time_show(record->text[FIELD_TIME], view->utc, time);
	audit_fields_object(record, object, sizeof(object));
	(void)buf_add(out, "       ", number < 7 ? 7 - number : 0);
	harmless_column(out, record->text[FIELD_SEQ], number);
	harmless_column(out, time, 23);
	harmless_column(out, status_of(view), 7);
	harmless_column(out, record->text[FIELD_EVENT], 22);
	harmless_column(out, record->text[FIELD_USER], 20);
	harmless_column(out, object, 24);
	add_rest(view, out);
	len = buf_len(out);
	while (len > 0 && buf_head(out)[len - 1] == ' ')
		len--;
	(void)fwrite(buf_head(out), 1, len, stdout);
	putchar('\n');
	buf_drop(out, buf_len(out));
}

/* ---- the stream of records ---- */

/* One that is held back: its line, and behind it that of its intent where it has one. */
struct audit_view_row {
	STAILQ_ENTRY(audit_view_row) entry;
	size_t len, intent_len;
	char text[];
};

int
audit_view_init(struct audit_view *view)
{
	STAILQ_INIT(&view->waiting);
	view->num_waiting = view->shown = view->no_records = 0;
	view->open = json_object();
	view->record = malloc(sizeof(*view->record));
	return view->open != NULL && view->record != NULL ? 0 : -1;
}

static struct audit_view_row *
take_first(struct audit_view *view)
{
	struct audit_view_row *row = STAILQ_FIRST(&view->waiting);

	if (row != NULL) {
		STAILQ_REMOVE_HEAD(&view->waiting, entry);
		view->num_waiting--;
	}
	return row;
}

void
audit_view_free(struct audit_view *view)
{
	struct audit_view_row *row;

	while (view->num_waiting > 0 && (row = take_first(view)) != NULL)
		free(row);
	json_decref(view->open);
	free(view->record);
	buf_free(&view->out);
	view->open = NULL;
	view->record = NULL;
}

static void
hold_back(struct audit_view *view, const char *line, size_t len, const char *intent, size_t intent_len)
{
	struct audit_view_row *row = view->num_waiting == view->limit ? take_first(view) : NULL;

	free(row);
	row = malloc(sizeof(*row) + len + intent_len);
	if (row == NULL)
		return;
	row->len = len;
	row->intent_len = intent_len;
	memcpy(row->text, line, len);
	if (intent_len > 0)
		memcpy(row->text + len, intent, intent_len);
	STAILQ_INSERT_TAIL(&view->waiting, row, entry);
	view->num_waiting++;
}

/* Shows the record at hand, which stands in `line` and what only its intent tells in `intent`. */
static void
show(struct audit_view *view, const char *line, size_t len, const char *intent, size_t intent_len)
{
	view->shown++;
	if (view->limit > 0) {
		hold_back(view, line, len, intent, intent_len);
	} else if (view->json) {
		(void)fwrite(line, 1, len, stdout);
		putchar('\n');
	} else {
		print_line(view);
	}
}

/* An intent waits for its outcome; the outcome is shown with what only the intent tells. */
static void
pair(struct audit_view *view, const char *line, size_t len)
{
	const char *stage = view->record->text[FIELD_STAGE], *op = view->record->text[FIELD_OP], *text;
	json_t *intent = NULL;

	if (strcmp(stage, "intent") == 0) {
		(void)json_object_set_new_nocheck(view->open, op, json_stringn_nocheck(line, len));
		return;
	}
	if (strcmp(stage, "outcome") == 0) {
		intent = json_incref(json_object_get(view->open, op));
		(void)json_object_del(view->open, op);
	}
	text = json_string_value(intent);
	if (text != NULL)
		(void)audit_fields_add(view->record, text, json_string_length(intent));
	if (audit_match(&view->match, view->record))
		show(view, line, len, text, json_string_length(intent));
	json_decref(intent);
}

void
audit_view_line(struct audit_view *view, const char *line, size_t len)
{
	if (!audit_fields_read(view->record, line, len)) {
		view->no_records++;
	} else if (!view->json && view->match.stage == NULL) {
		pair(view, line, len);
	} else if (audit_match(&view->match, view->record)) {
		show(view, line, len, NULL, 0);
	}
}

void
audit_view_flush(struct audit_view *view, bool intents)
{
	size_t limit = view->limit;
	struct audit_view_row *row;
	const char *op;
	json_t *intent;

	if (intents) {
		json_object_foreach(view->open, op, intent) {
			const char *line = json_string_value(intent);

			if (audit_fields_read(view->record, line, json_string_length(intent)) && audit_match(&view->match, view->record))
				show(view, line, json_string_length(intent), NULL, 0);
		}
		json_object_clear(view->open);
	}
	view->limit = 0;
	while ((row = take_first(view)) != NULL) {
		if (audit_fields_read(view->record, row->text, row->len) &&
		    (row->intent_len == 0 || audit_fields_add(view->record, row->text + row->len, row->intent_len))) {
			view->shown--;		/* counted already */
			show(view, row->text, row->len, NULL, 0);
		}
		free(row);
	}
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
		harmless_text(stdout, line != NULL ? line : "out of memory", false);
		printf("%s\n", coloured && *colour != '\0' ? "\033[0m" : "");
		free(line);
		diff += len + (diff[len] == '\n');
	}
}

void
audit_view_record(json_t *record)
{
	static const char *const order[] = { "seq", "time", "op", "of", "stage", "code", "event", "user", "source", "session",
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
	harmless_text(stdout, text != NULL ? text : "out of memory", true);
	putchar('\n');
	print_diff(diff);
	free(text);
	json_decref(sorted);
}
