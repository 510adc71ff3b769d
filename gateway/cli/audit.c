/*
 * audit.c: verbs that read the audit trail: audit search, show, tail. They read the files themselves, so they
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
