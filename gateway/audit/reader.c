/*
 * reader.c: lines of the segments of a trail, in order.
 */
#include "gateway/audit/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u * 1024u)

struct audit_reader {
	char *dir;
	int dir_fd;
	unsigned segment;		/* that is read, or comes next */
	int fd;				/* -1: not open */
	uint64_t number, offset;	/* of the line that comes next */
	uint64_t start;			/* offset of the first line, in the first segment */
	char *buf;			/* of 2 * CHUNK: what was read and is not yet given out */
	size_t head, tail;
	bool in_long_line;		/* its beginning was given out, the rest is skipped */
};

void
audit_file_name(char name[AUDIT_NAME_MAX], unsigned segment, const char *suffix)
{
	(void)snprintf(name, AUDIT_NAME_MAX, "audit-%06u.%s", segment, suffix);
}

unsigned
audit_file_number(const char *name, const char *suffix)
{
	char again[AUDIT_NAME_MAX];
	unsigned segment;

	if (sscanf(name, "audit-%9u", &segment) != 1)
		return 0;
	audit_file_name(again, segment, suffix);
	return strcmp(name, again) == 0 ? segment : 0;
}

void
audit_segment_name(char name[AUDIT_NAME_MAX], unsigned segment)
{
	audit_file_name(name, segment, "jsonl");
}

unsigned
audit_segment_number(const char *name)
{
	return audit_file_number(name, "jsonl");
}

int
audit_reader_range(const char *dir, unsigned *first, unsigned *last, uint64_t *bytes, struct vg_error *error)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	struct stat st;

	*first = *last = 0;
	if (bytes != NULL)
		*bytes = 0;
	if (stream == NULL)
		return vg_fail(error, "%s: %s", dir, strerror(errno));
	while ((entry = readdir(stream)) != NULL) {
		unsigned segment = audit_segment_number(entry->d_name);

		if (segment == 0)
			continue;
		if (*first == 0 || segment < *first)
			*first = segment;
		if (segment > *last)
			*last = segment;
		if (bytes != NULL && fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			*bytes += (uint64_t)st.st_size;
	}
	closedir(stream);
	return 0;
}

bool
audit_head_read(const char *dir, uint64_t *seq, char hash[AUDIT_HASH_LEN + 1])
{
	char path[4096], text[20 + 1 + AUDIT_HASH_LEN + 2], *end;
	ssize_t got;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, AUDIT_HEAD_FILE) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1)
		return false;
	got = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	if (got != 20 + 1 + AUDIT_HASH_LEN + 1)
		return false;
	text[got] = '\0';
	if (strspn(text, "0123456789") != 20 || text[got - 1] != '\n')
		return false;
	*seq = strtoull(text, &end, 10);
	/* A number that no trail reaches: somebody wrote it, and lines behind it would not be read again. */
	if (*seq >= 100000000000000000u)
		return false;
	if (end != text + 20 || *end != ' ' || strspn(end + 1, "0123456789abcdef") != AUDIT_HASH_LEN)
		return false;
	memcpy(hash, end + 1, AUDIT_HASH_LEN);
	hash[AUDIT_HASH_LEN] = '\0';
	return true;
}

struct audit_reader *
audit_reader_open(const char *dir, unsigned first, struct vg_error *error)
{
	struct audit_reader *reader = calloc(1, sizeof(*reader));
	unsigned least, last;

	if (reader == NULL || (reader->dir = strdup(dir)) == NULL || (reader->buf = malloc(2 * CHUNK)) == NULL) {
		if (reader != NULL)
			free(reader->dir);
		free(reader);
		vg_fail(error, "out of memory");
		return NULL;
	}
	reader->fd = -1;
	reader->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reader->dir_fd == -1) {
		vg_fail(error, "%s: %s", dir, strerror(errno));
		vg_hint(error, "--dir names the directory of the audit trail, --config the settings that have audit_dir");
		goto fail;
	}
	if (audit_reader_range(dir, &least, &last, NULL, error) == -1)
		goto fail;
	reader->segment = first > least ? first : least;
	if (reader->segment == 0)
		reader->segment = 1;
	return reader;
fail:
	audit_reader_close(reader);
	return NULL;
}

void
audit_reader_close(struct audit_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->fd != -1)
		close(reader->fd);
	if (reader->dir_fd != -1)
		close(reader->dir_fd);
	free(reader->buf);
	free(reader->dir);
	free(reader);
}

void
audit_reader_seek(struct audit_reader *reader, unsigned segment, uint64_t offset)
{
	if (reader->segment == segment)		/* else that one is gone */
		reader->start = offset;
}

/* 1 when the segment is open now, 0 when there is none of that number (yet). */
static int
open_segment(struct audit_reader *reader, struct vg_error *error)
{
	char name[AUDIT_NAME_MAX];

	if (reader->fd != -1)
		return 1;
	audit_segment_name(name, reader->segment);
	reader->fd = openat(reader->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (reader->fd == -1) {
		if (errno == ENOENT)
			return 0;
		return vg_fail(error, "%s/%s: %s", reader->dir, name, strerror(errno));
	}
	reader->number = 1;
	reader->offset = reader->start;
	if (reader->start > 0 && lseek(reader->fd, (off_t)reader->start, SEEK_SET) == -1)
		return vg_fail(error, "%s/%s: %s", reader->dir, name, strerror(errno));
	reader->start = 0;
	reader->head = reader->tail = 0;
	reader->in_long_line = false;
	return 1;
}

static void
next_segment(struct audit_reader *reader)
{
	close(reader->fd);
	reader->fd = -1;
	reader->segment++;
}

/* The next number that is there: one may be missing, which verify tells. */
static bool
has_later_segment(struct audit_reader *reader, unsigned *later)
{
	unsigned first, last;

	if (audit_reader_range(reader->dir, &first, &last, NULL, NULL) == -1 || last <= reader->segment)
		return false;
	for (*later = reader->segment + 1; *later < last; (*later)++) {
		char name[AUDIT_NAME_MAX];

		audit_segment_name(name, *later);
		if (faccessat(reader->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			break;
	}
	return true;
}

/* Reads more behind what is there. Bytes, 0 at the end of the file, -1. */
static ssize_t
fill(struct audit_reader *reader, struct vg_error *error)
{
	ssize_t got;

	if (reader->head > 0) {
		memmove(reader->buf, reader->buf + reader->head, reader->tail - reader->head);
		reader->tail -= reader->head;
		reader->head = 0;
	}
	do {
		got = read(reader->fd, reader->buf + reader->tail, 2 * CHUNK - reader->tail);
	} while (got == -1 && errno == EINTR);
	if (got == -1)
		return vg_fail(error, "%s/audit-%06u.jsonl: %s", reader->dir, reader->segment, strerror(errno));
	reader->tail += (size_t)got;
	return got;
}

static void
give(struct audit_reader *reader, struct audit_line *line, size_t len, size_t eat, bool whole, bool too_long)
{
	line->segment = reader->segment;
	audit_segment_name(line->file, reader->segment);
	line->number = reader->number;
	line->offset = reader->offset;
	line->text = reader->buf + reader->head;
	line->len = len;
	line->whole = whole;
	line->too_long = too_long;
	reader->head += eat;
	reader->offset += eat;
	if (whole)
		reader->number++;
}

/* Past the rest of a line whose beginning was given out. False: more bytes are wanted. */
static bool
skip_long_line(struct audit_reader *reader)
{
	char *from = reader->buf + reader->head, *newline;
	size_t left = reader->tail - reader->head, eat;

	if (!reader->in_long_line)
		return true;
	newline = memchr(from, '\n', left);
	eat = newline != NULL ? (size_t)(newline - from) + 1 : left;
	reader->head += eat;
	reader->offset += eat;
	if (newline == NULL)
		return false;
	reader->in_long_line = false;
	reader->number++;
	return true;
}

/* A line from what was read. False: more bytes are wanted. */
static bool
take_line(struct audit_reader *reader, struct audit_line *line)
{
	char *from, *newline;
	size_t left, len;

	if (!skip_long_line(reader))
		return false;
	from = reader->buf + reader->head;
	left = reader->tail - reader->head;
	newline = memchr(from, '\n', left);
	len = newline != NULL ? (size_t)(newline - from) : left;
	if (len > AUDIT_LINE_MAX) {
		give(reader, line, AUDIT_LINE_MAX, AUDIT_LINE_MAX, false, true);
		reader->in_long_line = true;
		return true;
	}
	if (newline == NULL)
		return false;
	give(reader, line, len, len + 1, true, false);
	return true;
}

uint64_t
audit_reader_left(const struct audit_reader *reader)
{
	return reader->fd == -1 ? 0 : reader->tail - reader->head;
}

int
audit_reader_next(struct audit_reader *reader, struct audit_line *line, struct vg_error *error)
{
	for (;;) {
		int is_open = open_segment(reader, error);
		unsigned later = 0;
		ssize_t got;

		if (is_open <= 0)
			return is_open;
		if (take_line(reader, line))
			return 1;
		got = fill(reader, error);
		if (got == 0 && has_later_segment(reader, &later))
			got = fill(reader, error);	/* the writer may have added lines before it went on to the next */
		if (got == -1)
			return -1;
		if (got > 0)
			continue;
		if (later == 0)
			return 0;
		if (reader->tail > reader->head && !reader->in_long_line) {
			size_t left = reader->tail - reader->head;

			give(reader, line, left, left, false, false);
			return 1;
		}
		next_segment(reader);
		reader->segment = later;
	}
}

uint64_t
audit_reader_skip(struct audit_reader *reader)
{
	struct stat st;
	uint64_t left = 0;
	unsigned later;

	if (reader->fd == -1)
		return 0;
	if (fstat(reader->fd, &st) == 0 && (uint64_t)st.st_size > reader->offset)
		left = (uint64_t)st.st_size - reader->offset;
	if (has_later_segment(reader, &later)) {
		next_segment(reader);
		reader->segment = later;
	}
	return left;
}
