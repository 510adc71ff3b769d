/*
 * audit_export.c: verbs that make something of the trail: audit export, summary, index.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/export.h"
#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_open.h"
#include "gateway/cli/audit_source.h"
#include "gateway/cli/audit_time.h"
#include "gateway/cli/harmless.h"
#include "virtgate/member.h"

/* ---- export ---- */

struct exporting {
	const struct audit_format *format;
	size_t num;
};

static int
export_one(const char *line, size_t len, const struct audit_fields *record, void *arg)
{
	struct exporting *exporting = arg;
	struct buf out = { .data = NULL };
	int result = exporting->format->put(&out, record, line, len);

	if (result == 0)
		(void)fwrite(buf_head(&out), 1, buf_len(&out), stdout);
	buf_free(&out);
	exporting->num++;
	return result == 0 && !ferror(stdout) ? 0 : -1;
}

static int
read_format(const struct cli *cli, struct exporting *exporting, struct vg_error *error)
{
	const char *name = cli_option(cli, "format", 0);
	const struct audit_format *format;

	exporting->format = audit_format_find(name == NULL ? "jsonl" : name);
	if (exporting->format != NULL)
		return 0;
	vg_fail(error, "--format: '%s' is none that there is", name);
	vg_hint(error, "one of:");
	for (size_t i = 0; (format = audit_format_at(i)) != NULL; i++) {
		size_t len = strlen(error->hint);

		(void)snprintf(error->hint + len, sizeof(error->hint) - len, " %s", format->name);
	}
	return -1;
}

int
verb_audit_export(const struct cli *cli)
{
	struct exporting exporting = { .num = 0 };
	struct audit_source source = { .dir = NULL };
	struct vg_error error = { "", "" };
	struct audit_match match;
	int result = -1;

	if (read_format(cli, &exporting, &error) == 0 && audit_match_read(&match, cli, &error) == 0 && audit_source_open(&source, cli, &error) == 0)
		result = audit_source_each(&source, &match, export_one, &exporting, &error);
	audit_source_tell(&source);
	audit_source_close(&source);
	if (result < 0 && error.what[0] == '\0')
		return CLI_USAGE;	/* standard output: main() says so */
	return result < 0 ? cli_fail(&error, CLI_USAGE) : exporting.num > 0 ? CLI_DONE : CLI_NO;
}

/* ---- summary ---- */

/* What is counted of each user, object, …: its members, in order of the columns. */
static const char *const counts[] = { "records", "changes", "refused", "failed" };
enum { RECORDS, CHANGES, REFUSED, FAILED, NUM_COUNTS };

struct summary {
	const char *by;
	bool utc;			/* days and times for people; of JSON always */
	json_t *rows;			/* by name: {"records": N, …, "first": time, "last": time} */
};

static void
add_one(json_t *row, int count, bool yes)
{
	json_int_t number = json_integer_value(json_object_get(row, counts[count]));

	(void)json_object_set_new(row, counts[count], json_integer(number + yes));
}

static void
name_day(const struct summary *summary, const struct audit_fields *record, char *name, size_t size)
{
	char time[AUDIT_TIME_SHOWN];

	audit_time_show(record->text[FIELD_TIME], summary->utc, time);
	(void)snprintf(name, size, "%.10s", time);
}

static void
name_row(const struct summary *summary, const struct audit_fields *record, char *name, size_t size)
{
	if (strcmp(summary->by, "user") == 0)
		(void)snprintf(name, size, "%s", record->text[FIELD_USER]);
	else if (strcmp(summary->by, "object") == 0)
		audit_fields_object(record, name, size);
	else if (strcmp(summary->by, "day") == 0)
		name_day(summary, record, name, size);
	else
		(void)snprintf(name, size, "%s", record->text[FIELD_EVENT]);
	if (name[0] == '\0')
		(void)snprintf(name, size, "-");
}

/* An intent is told by its outcome: only that is counted. */
static int
sum_up(const char *line, size_t len, const struct audit_fields *record, void *arg)
{
	struct summary *summary = arg;
	const char *stage = record->text[FIELD_STAGE], *status = record->text[FIELD_STATUS];
	char name[700];
	json_t *row;

	(void)line;
	(void)len;
	if (strcmp(stage, "intent") == 0)
		return 0;
	name_row(summary, record, name, sizeof(name));
	row = json_object_get(summary->rows, name);
	if (row == NULL) {
		row = json_pack("{s:s}", "first", record->text[FIELD_TIME]);
		if (json_object_set_new_nocheck(summary->rows, name, row) < 0)
			return -1;
	}
	add_one(row, RECORDS, true);
	add_one(row, CHANGES, strcmp(stage, "outcome") == 0);
	add_one(row, REFUSED, strcmp(status, "denied") == 0);
	add_one(row, FAILED, strcmp(status, "error") == 0 || strcmp(status, "unknown") == 0);
	(void)json_object_set_new(row, "last", json_string(record->text[FIELD_TIME]));
	return 0;
}

struct line {
	const char *name;
	json_t *row;
	bool by_name;
};

static json_int_t
number(const json_t *row, int count)
{
	return json_integer_value(json_object_get(row, counts[count]));
}

/* Days in their order, everything else by how much there is of it. */
static int
compare_lines(const void *a, const void *b)
{
	const struct line *left = a, *right = b;
	json_int_t more = left->by_name ? 0 : number(right->row, RECORDS) - number(left->row, RECORDS);

	return more != 0 ? (more > 0 ? 1 : -1) : strcmp(left->name, right->name);
}

static void
print_line(const struct line *line, json_t *list, bool utc)
{
	char first[AUDIT_TIME_SHOWN], last[AUDIT_TIME_SHOWN];

	if (list != NULL) {
		(void)json_object_set_new(line->row, "name", json_string(line->name));
		(void)json_array_append(list, line->row);
		return;
	}
	for (int i = 0; i < NUM_COUNTS; i++)
		printf("%8lld ", (long long)number(line->row, i));
	audit_time_show(audit_member(line->row, "first", NULL), utc, first);
	audit_time_show(audit_member(line->row, "last", NULL), utc, last);
	first[10] = last[10] = 'T';
	printf(" %.16s  %.16s  ", first, last);
	harmless_put(stdout, line->name);
	putchar('\n');
}

/* Prints them; 0, or -1 when memory is out. */
static int
print_summary(const struct summary *summary, json_t *list)
{
	size_t num = json_object_size(summary->rows), i = 0;
	struct line *lines = calloc(num + 1, sizeof(*lines));
	const char *name;
	json_t *row;

	if (lines == NULL)
		return -1;
	json_object_foreach(summary->rows, name, row)
		lines[i++] = (struct line){ name, row, strcmp(summary->by, "day") == 0 };
	qsort(lines, num, sizeof(*lines), compare_lines);
	if (list == NULL)
		printf("%8s %8s %8s %8s  %-16s  %-16s  %s\n", counts[RECORDS], counts[CHANGES], counts[REFUSED], counts[FAILED], "first", "last",
		    summary->by);
	for (i = 0; i < num; i++)
		print_line(&lines[i], list, summary->utc);
	free(lines);
	return 0;
}

int
verb_audit_summary(const struct cli *cli)
{
	const char *by = cli_option(cli, "by", 0);
	struct summary summary = { .by = by == NULL ? "user" : by, .utc = cli->json || cli_option(cli, "utc", 0) != NULL, .rows = json_object() };
	json_t *list = cli->json ? json_array() : NULL;
	struct audit_source source = { .dir = NULL };
	struct vg_error error = { "", "" };
	struct audit_match match;
	int result = -1, status;

	if (strcmp(summary.by, "user") != 0 && strcmp(summary.by, "object") != 0 && strcmp(summary.by, "day") != 0 && strcmp(summary.by, "event") != 0) {
		vg_fail(&error, "--by: '%s' is none of them", summary.by);
		vg_hint(&error, "one of: user object day event");
	} else if (audit_match_read(&match, cli, &error) == 0 && audit_source_open(&source, cli, &error) == 0) {
		result = audit_source_each(&source, &match, sum_up, &summary, &error);
	}
	if (result == 0 && json_object_size(summary.rows) > 0)
		result = print_summary(&summary, list);
	status = result < 0 ? CLI_USAGE : json_object_size(summary.rows) > 0 ? CLI_DONE : CLI_NO;
	audit_source_tell(&source);
	if (result < 0)
		status = cli_fail(&error, CLI_USAGE);
	else if (cli->json)
		status = cli_print_json(json_incref(list), status);
	else if (status == CLI_NO)
		fprintf(stderr, "virtgate: no record matches in %s\n", source.dir);
	audit_source_close(&source);
	json_decref(summary.rows);
	json_decref(list);
	return status;
}

/* ---- index ---- */

int
verb_audit_index(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_index_state state;
	struct audit_index *index = NULL;
	char *dir = audit_open_dir(cli, &error);
	int result = -1;

	if (dir != NULL && audit_index_may_replace(cli->args[0], &error))
		index = audit_index_open(cli->args[0], dir, true, &error);
	while (index != NULL && (result = audit_index_update(index, 1000, &error)) == 1) {
		audit_index_state(index, &state);
		if (isatty(STDERR_FILENO) && !cli->json)
			fprintf(stderr, "\r%llu records, %llu MiB to go ", (unsigned long long)state.last_seq, (unsigned long long)state.lag_bytes >> 20);
	}
	if (result < 0) {
		audit_index_close(index);
		free(dir);
		return cli_fail(&error, CLI_USAGE);
	}
	audit_index_state(index, &state);
	if (isatty(STDERR_FILENO) && !cli->json)
		fprintf(stderr, "\r%40s\r", "");
	audit_index_close(index);
	free(dir);
	if (cli->json)
		return cli_print_json(json_pack("{s:s, s:I, s:b}", "file", cli->args[0], "records", (json_int_t)state.last_seq, "made", (int)state.rebuilt),
		    CLI_DONE);
	printf("%s: up to record %llu\n", cli->args[0], (unsigned long long)state.last_seq);
	return CLI_DONE;
}
