/*
 * retention.c: what of the trail may go, and its removal.
 */
#include "gateway/audit/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit/pack.h"
#include "gateway/audit/reader.h"

#define KEPT_SEGMENTS 2u

/* The first record of a segment. -1 with `error` when there is none. */
static int
first_record(const char *dir, unsigned segment, struct scan_line *facts, struct vg_error *error)
{
	struct audit_reader *reader = audit_reader_open(dir, segment, error);
	struct audit_line line;
	int result;

	if (reader == NULL)
		return -1;
	result = audit_reader_next(reader, &line, error);
	if (result == 1 && line.segment == segment && line.whole && scan_line(line.text, line.len, facts))
		result = 0;
	else if (result != -1)
		result = vg_fail(error, "audit-%06u.jsonl does not begin with a record; it is not removed", segment);
	audit_reader_close(reader);
	return result;
}

static uint64_t
size_of(const char *dir, unsigned segment)
{
	char path[4096], name[AUDIT_NAME_MAX];
	struct stat st;

	struct stat documents;

	audit_segment_name(name, segment);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) || lstat(path, &st) == -1)
		return 0;
	pack_file_name(name, segment);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return (uint64_t)st.st_size + (lstat(path, &documents) == -1 ? 0 : (uint64_t)documents.st_size);
}

/* Records before this time have been kept for long enough; empty: none has. */
static void
find_cutoff(unsigned days, char text[AUDIT_TIME_LEN + 1])
{
	time_t then = time(NULL) - (time_t)days * 86400;
	struct tm tm;
	char seconds[32];

	text[0] = '\0';
	if (days == 0 || gmtime_r(&then, &tm) == NULL)
		return;
	(void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, AUDIT_TIME_LEN + 1, "%.19s.000000Z", seconds);
}

int
retention_plan(const char *dir, const struct retention *retention, struct removal *removal, struct vg_error *error)
{
	char cutoff[AUDIT_TIME_LEN + 1];
	struct scan_line first, next;
	uint64_t bytes;
	unsigned last;

	memset(removal, 0, sizeof(*removal));
	if (retention->days == 0 && retention->bytes == 0)
		return 0;
	if (audit_reader_range(dir, &removal->first, &last, &bytes, error) == -1)
		return -1;
	bytes += pack_bytes(dir, last);
	find_cutoff(retention->days, cutoff);
	for (unsigned segment = removal->first; segment != 0 && segment + KEPT_SEGMENTS <= last; segment++) {
		bool too_much = retention->bytes > 0 && bytes > retention->bytes;

		if (!too_much && cutoff[0] == '\0')
			break;
		if ((removal->last == 0 && first_record(dir, segment, &first, error) == -1) ||
		    first_record(dir, segment + 1, &next, error) == -1)
			return -1;
		/* Nothing in it is younger than what the next one begins with. */
		if (!too_much && strcmp(next.time, cutoff) > 0)
			break;
		removal->last = segment;
		removal->bytes += size_of(dir, segment);
		bytes -= size_of(dir, segment) < bytes ? size_of(dir, segment) : bytes;
		removal->seq_to = next.seq - 1;
		memcpy(removal->last_hash, next.prev, sizeof(removal->last_hash));
		memcpy(removal->time_until, next.time, sizeof(removal->time_until));
	}
	if (removal->last == 0)
		return 0;
	removal->seq_from = first.seq;
	memcpy(removal->time_from, first.time, sizeof(removal->time_from));
	return 1;
}

int
retention_remove(const char *dir, const struct removal *removal, struct vg_error *error)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	char name[AUDIT_NAME_MAX];

	if (dir_fd == -1)
		return vg_fail(error, "%s: %s", dir, strerror(errno));
	/* The oldest first: what a crash leaves is the end of the range. */
	for (unsigned segment = removal->first; result == 0 && segment <= removal->last; segment++) {
		audit_segment_name(name, segment);
		if (unlinkat(dir_fd, name, 0) == -1 && errno != ENOENT)
			result = vg_fail(error, "%s/%s cannot be removed: %s", dir, name, strerror(errno));
	}
	/* A crash must not bring a segment back without what it names. */
	if (result == 0 && fsync(dir_fd) == -1)
		result = vg_fail(error, "%s: %s", dir, strerror(errno));
	/* Then what they named, and what an end in the middle of this left behind. */
	if (result == 0)
		result = pack_remove(dir, removal->last, error);
	if (result == 0 && fsync(dir_fd) == -1)
		result = vg_fail(error, "%s: %s", dir, strerror(errno));
	close(dir_fd);
	return result;
}
