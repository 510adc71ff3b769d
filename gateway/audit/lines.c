/*
 * lines.c: records by their place in the trail.
 */
#include "gateway/audit/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who asks for a record so near to the one before will ask for its neighbours. */
#define NEAR		(32u * 1024u)
#define FIRST_PIECE	4096u		/* is read at once; twice as much each time that the next one was near */

struct audit_lines {
	int dir_fd, fd;			/* fd: of `segment`; -1: none */
	unsigned segment;
	struct audit_place last;	/* that was asked for before; seq 0: none */
	size_t piece;			/* how much is read at once */
	uint64_t from;			/* what is in `text`: bytes of the segment from here, */
	size_t len;			/* so many */
	char text[2 * (AUDIT_LINE_MAX + 1)];
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
	lines->last.seq = 0;
	lines->len = 0;
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
	lines->len = 0;
	lines->fd = openat(lines->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return lines->fd != -1 ? 1 : errno == ENOENT ? 0 : -1;
}

static bool
has(const struct audit_lines *lines, const struct audit_place *place)
{
	return place->offset >= lines->from && place->offset + place->len + 1 <= lines->from + lines->len;
}

/* Reads the line with some that follow, or where somebody goes back, some that are before it. */
static bool
read_piece(struct audit_lines *lines, const struct audit_place *place)
{
	const struct audit_place *last = &lines->last;
	bool same = last->seq != 0 && last->segment == place->segment, back = last->seq > place->seq;
	uint64_t from = place->offset, far = back ? last->offset - from : from - last->offset;
	size_t want;
	ssize_t got;

	if (!same || far > NEAR)
		lines->piece = FIRST_PIECE;
	else if (lines->piece < sizeof(lines->text))
		lines->piece *= 2;
	want = lines->piece > place->len + 1 ? lines->piece : place->len + 1;
	if (want > sizeof(lines->text))
		want = sizeof(lines->text);
	if (back) {
		from += place->len + 1;
		want = from < want ? (size_t)from : want;
		from -= want;
	}
	got = pread(lines->fd, lines->text, want, (off_t)from);
	lines->from = from;
	lines->len = got < 0 ? 0 : (size_t)got;
	return has(lines, place);
}

static bool
is_record(const char *text, const struct audit_place *place)
{
	struct scan_line facts;

	return text[place->len] == '\n' && scan_line(text, place->len, &facts) && facts.seq == place->seq;
}

int
audit_lines_get(struct audit_lines *lines, const struct audit_place *place, const char **text)
{
	int is_open;

	if (place->len == 0 || place->len > AUDIT_LINE_MAX)
		return -1;
	is_open = open_segment(lines, place->segment);
	if (is_open != 1)
		return is_open;
	/* Of what was read before, the end may have been a line that was torn, and is another now. */
	if (!has(lines, place) || !is_record(lines->text + (place->offset - lines->from), place)) {
		if (!read_piece(lines, place) || !is_record(lines->text + (place->offset - lines->from), place))
			return -1;
	}
	lines->last = *place;
	*text = lines->text + (place->offset - lines->from);
	return 1;
}
