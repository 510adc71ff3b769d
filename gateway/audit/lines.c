/*
 * lines.c: records by their place in the trail.
 */
#include "gateway/audit/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct audit_lines {
	int dir_fd, fd;			/* fd: of `segment`; -1: none */
	unsigned segment;
	char text[AUDIT_LINE_MAX + 2];
};

struct audit_lines *
audit_lines_open(const char *dir, struct vg_error *error)
{
	struct audit_lines *lines = malloc(sizeof(*lines));

	if (lines == NULL) {
		vg_fail(error, "out of memory");
		return NULL;
	}
	lines->fd = -1;
	lines->segment = 0;
	lines->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lines->dir_fd == -1) {
		vg_fail(error, "%s: %s", dir, strerror(errno));
		free(lines);
		return NULL;
	}
	return lines;
}

void
audit_lines_close(struct audit_lines *lines)
{
	if (lines == NULL)
		return;
	if (lines->fd != -1)
		close(lines->fd);
	close(lines->dir_fd);
	free(lines);
}

static int
open_segment(struct audit_lines *lines, unsigned segment)
{
	char name[AUDIT_NAME_MAX];

	if (lines->fd != -1 && lines->segment == segment)
		return 1;
	if (lines->fd != -1)
		close(lines->fd);
	audit_segment_name(name, segment);
	lines->segment = segment;
	lines->fd = openat(lines->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return lines->fd != -1 ? 1 : errno == ENOENT ? 0 : -1;
}

int
audit_lines_get(struct audit_lines *lines, const struct audit_place *place, const char **text)
{
	struct scan_line facts;
	int is_open;

	if (place->len == 0 || place->len > AUDIT_LINE_MAX)
		return -1;
	is_open = open_segment(lines, place->segment);
	if (is_open != 1)
		return is_open;
	if (pread(lines->fd, lines->text, place->len + 1, (off_t)place->offset) != (ssize_t)place->len + 1 ||
	    lines->text[place->len] != '\n')
		return -1;
	lines->text[place->len] = '\0';
	if (!scan_line(lines->text, place->len, &facts) || facts.seq != place->seq)
		return -1;
	*text = lines->text;
	return 1;
}
