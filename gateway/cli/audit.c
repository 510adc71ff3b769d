/*
 * audit.c: verbs that read the audit trail: audit search, show, tail, verify. They read the files themselves, so they
 * work also when the gateway does not run; nothing here writes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_open.h"
#include "gateway/cli/audit_view.h"
#include "gateway/cli/cli.h"

#define DEFAULT_TAIL 20

/* All that is there now. -1 with `error`. */
static int
read_lines(struct audit_reader *reader, struct audit_view *view, struct vg_error *error)
{
	struct audit_line line;
	int result;

	while ((result = audit_reader_next(reader, &line, error)) == 1) {
		if (line.whole)
			audit_view_line(view, line.text, line.len);
		else
			view->no_records++;
	}
	return result;
}

static int
read_number(const struct cli *cli, const char *option, size_t otherwise, size_t *number, struct vg_error *error)
{
	const char *text = cli_option(cli, option, 0);
	char *end;
	unsigned long value;

	*number = otherwise;
	if (text == NULL)
		return 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0 || value > 10000000)
		return vg_fail(error, "--%s: '%s' is no number from 1 to 10000000", option, text);
	*number = value;
	return 0;
}

static void
tell_no_records(const struct audit_view *view)
{
	if (view->no_records > 0)
		fprintf(stderr, "virtgate: %zu lines are no records; `virtgate audit verify` tells where the first bad one "
		    "is\n", view->no_records);
}

int
verb_audit_search(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_view view = { .json = cli->json };
	struct audit_reader *reader = NULL;
	char *dir = audit_open_dir(cli, &error);
	int status = CLI_USAGE;

	if (dir == NULL || audit_match_read(&view.match, cli, &error) == -1 ||
	    read_number(cli, "limit", 0, &view.limit, &error) == -1 || audit_view_init(&view) == -1)
		goto out;
	reader = audit_open(dir, 0, &error);
	if (reader == NULL || read_lines(reader, &view, &error) == -1)
		goto out;
	audit_view_flush(&view, true);
	tell_no_records(&view);
	status = view.shown > 0 ? CLI_DONE : CLI_NO;
	if (status == CLI_NO)
		fprintf(stderr, "virtgate: no record matches in %s\n", dir);
out:
	if (error.what[0] != '\0')
		status = cli_fail(&error, CLI_USAGE);
	audit_reader_close(reader);
	audit_view_free(&view);
	free(dir);
	return status;
}

int
verb_audit_show(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_reader *reader = NULL;
	struct audit_line line;
	char *dir = audit_open_dir(cli, &error);
	size_t found = 0;
	int result = -1;

	reader = dir != NULL ? audit_open(dir, 0, &error) : NULL;
	if (reader == NULL)
		goto out;
	while ((result = audit_reader_next(reader, &line, &error)) == 1) {
		json_t *record = line.whole ? json_loadb(line.text, line.len, 0, NULL) : NULL;

		if (record != NULL && audit_has_id(record, cli->args[0])) {
			found++;
			if (cli->json)
				printf("%.*s\n", (int)line.len, line.text);
			else
				audit_view_record(record);
		}
		json_decref(record);
	}
	if (result == 0 && found == 0)
		fprintf(stderr, "virtgate: no record has the operation id or number '%s'\n", cli->args[0]);
out:
	audit_reader_close(reader);
	free(dir);
	if (result == -1)
		return cli_fail(&error, CLI_USAGE);
	return found > 0 ? CLI_DONE : CLI_NO;
}

/* Shows what is added, until somebody ends it. */
static int
follow(const char *dir, struct audit_reader *reader, struct audit_view *view, struct vg_error *error)
{
	char events[4096];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd wait = { fd, POLLIN, 0 };

	if (fd == -1 || inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE) == -1) {
		vg_fail(error, "%s: cannot be watched: %s", dir, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	/* The second is for file systems that tell nothing. */
	while (read_lines(reader, view, error) == 0) {
		audit_view_flush(view, false);
		if (ferror(stdout))
			break;
		(void)poll(&wait, 1, 1000);
		while (read(fd, events, sizeof(events)) > 0)
			;
	}
	close(fd);
	return error->what[0] != '\0' ? -1 : 0;
}

int
verb_audit_tail(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_view view = { .json = cli->json };
	struct audit_reader *reader = NULL;
	bool follows = cli_option(cli, "follow", 0) != NULL;
	char *dir = audit_open_dir(cli, &error);

	if (cli->num_args > 0 && strcmp(cli->args[0], "-f") != 0)
		vg_fail(&error, "'%s' is neither -f nor an option", cli->args[0]);
	else if (cli->num_args > 0)
		follows = true;
	if (error.what[0] != '\0' || read_number(cli, "lines", DEFAULT_TAIL, &view.limit, &error) == -1 ||
	    audit_view_init(&view) == -1)
		goto out;
	reader = audit_open(dir, 1, &error);
	if (reader == NULL || read_lines(reader, &view, &error) == -1)
		goto out;
	audit_view_flush(&view, !follows);
	view.limit = 0;
	if (follows)
		(void)follow(dir, reader, &view, &error);
out:
	audit_reader_close(reader);
	audit_view_free(&view);
	free(dir);
	return error.what[0] != '\0' ? cli_fail(&error, CLI_USAGE) : CLI_DONE;
}

static void
show_progress(uint64_t done, uint64_t all, void *arg)
{
	(void)arg;
	fprintf(stderr, "\r%3u %%", all > 0 ? (unsigned)(done * 100 / all) : 100);
}

static json_t *
verdict_json(const struct audit_verdict *verdict)
{
	json_t *json = json_pack("{s:b, s:I, s:I, s:I, s:I, s:s}", "whole", (int)verdict->whole, "records",
	    (json_int_t)verdict->records, "segments", (json_int_t)verdict->segments, "bytes", (json_int_t)verdict->bytes,
	    "last_seq", (json_int_t)verdict->last_seq, "last_hash", verdict->last_hash);

	if (json != NULL && verdict->num_notes > 0)
		(void)json_object_set_new(json, "note", json_string(verdict->note));
	if (json != NULL && !verdict->whole)
		(void)json_object_set_new(json, "bad", json_pack("{s:s, s:I, s:I, s:s}", "file", verdict->file, "line",
		    (json_int_t)verdict->line, "seq", (json_int_t)verdict->seq, "what", verdict->what));
	return json;
}

static void
print_verdict(const char *dir, const struct audit_verdict *verdict)
{
	if (verdict->num_notes > 0)
		fprintf(stderr, "virtgate: %s\n", verdict->note);
	if (!verdict->whole) {
		printf("%s/%s:%llu: record %llu: %s\n", dir, verdict->file, (unsigned long long)verdict->line,
		    (unsigned long long)verdict->seq, verdict->what);
		return;
	}
	printf("whole: %llu records in %llu files, the last is %llu with hash %s\n", (unsigned long long)verdict->records,
	    (unsigned long long)verdict->segments, (unsigned long long)verdict->last_seq, verdict->last_hash);
}

int
verb_audit_verify(const struct cli *cli)
{
	struct vg_error error = { "", "" };
	struct audit_verdict verdict;
	bool terminal = isatty(STDERR_FILENO) && !cli->json;
	char *dir = cli->num_args > 0 ? strdup(cli->args[0]) : audit_open_dir(cli, &error);
	int status;

	if (dir == NULL || audit_verify(dir, &verdict, terminal ? show_progress : NULL, NULL, &error) == -1) {
		free(dir);
		return cli_fail(&error, CLI_USAGE);
	}
	if (terminal)
		fprintf(stderr, "\r     \r");
	status = verdict.whole ? CLI_DONE : CLI_NO;
	if (cli->json)
		status = cli_print_json(verdict_json(&verdict), status);
	else
		print_verdict(dir, &verdict);
	free(dir);
	return status;
}
