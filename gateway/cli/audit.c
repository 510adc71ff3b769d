/*
 * audit.c: `virtgate audit tail`. It reads the files itself, so it works also when the gateway does not run; nothing here writes.
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

/* Shows what is added, until somebody ends it. */
static int
follow(const char *dir, struct audit_reader *reader, struct audit_view *view, struct vg_error *error)
{
	char events[4096];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd wait[] = { { fd, POLLIN, 0 }, { STDOUT_FILENO, 0, 0 } };

	if (fd == -1 || inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE) == -1) {
		vg_fail(error, "%s: cannot be watched: %s", dir, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	/* The second is for file systems that tell nothing. */
	while (read_lines(reader, view, error) == 0) {
		audit_view_flush(view, false);
		if (ferror(stdout) || (wait[1].revents & (POLLERR | POLLHUP)) != 0)	/* nobody reads any more */
			break;
		(void)poll(wait, sizeof(wait) / sizeof(wait[0]), 1000);
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
	struct audit_view view = { .json = cli->json, .utc = cli_option(cli, "utc", 0) != NULL };
	struct audit_reader *reader = NULL;
	bool follows = cli_option(cli, "follow", 0) != NULL;
	char *dir = audit_open_dir(cli, &error);

	if (cli->num_args > 0 && strcmp(cli->args[0], "-f") != 0)
		vg_fail(&error, "'%s' is neither -f nor an option", cli->args[0]);
	else if (cli->num_args > 0)
		follows = true;
	if (error.what[0] != '\0' || audit_open_number(cli, "lines", DEFAULT_TAIL, &view.limit, &error) == -1 ||
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
