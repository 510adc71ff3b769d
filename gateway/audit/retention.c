/*
 * retention.c: what of the trail may go, and its removal.
 */
#include "gateway/audit/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/audit/clock.h"
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

static void
later(char time[AUDIT_TIME_LEN + 1], const char *other)
{
	if (strcmp(other, time) > 0)
		memcpy(time, other, AUDIT_TIME_LEN + 1);
}

/* Ages of segments, from the first on. */
struct ages {
	const char *dir;
	unsigned last;			/* segment */
	char now[AUDIT_TIME_LEN + 1];
	char cutoff[AUDIT_TIME_LEN + 1];	/* what is younger stays; empty: all does */
	char youngest[AUDIT_TIME_LEN + 1];	/* time so far */
};

/* Records before this time have been kept for long enough. */
static void
find_cutoff(struct ages *ages, unsigned days, int64_t now_us, int64_t ahead)
{
	clock_text(now_us, ages->now);
	if (days > 0)
		clock_text(now_us - (ahead + (int64_t)days * 86400) * 1000000, ages->cutoff);
}

/* Is nothing in `segment` younger than that? `next`: the first record behind it. 1, 0, -1 with `error`. */
static int
is_old(struct ages *ages, unsigned segment, const struct scan_line *first, const struct scan_line *next, struct vg_error *error)
{
	struct scan_line behind = *next;

	if (ages->cutoff[0] == '\0')
		return 0;
	if (strcmp(first->time, ages->now) <= 0)
		later(ages->youngest, first->time);
	for (unsigned at = segment + 2; strcmp(behind.time, ages->now) > 0; at++) {
		if (at >= ages->last)		/* the last may have no record yet */
			return 0;
		if (first_record(ages->dir, at, &behind, error) == -1)
			return -1;
	}
	later(ages->youngest, behind.time);
	return strcmp(ages->youngest, ages->cutoff) <= 0;
}

int
retention_plan(const char *dir, const struct retention *retention, int64_t now_us, int64_t ahead, struct removal *removal, struct vg_error *error)
{
	struct ages ages = { .dir = dir };
	struct scan_line first, next;
	uint64_t bytes;
	int old;

	memset(removal, 0, sizeof(*removal));
	if (retention->days == 0 && retention->bytes == 0)
		return 0;
	if (audit_reader_range(dir, &removal->first, &ages.last, &bytes, error) == -1)
		return -1;
	bytes += pack_bytes(dir, ages.last);
	find_cutoff(&ages, retention->days, now_us, ahead);
	for (unsigned segment = removal->first; segment != 0 && segment + KEPT_SEGMENTS <= ages.last; segment++) {
		bool too_much = retention->bytes > 0 && bytes > retention->bytes;

		if (!too_much && ages.cutoff[0] == '\0')
			break;
		if ((removal->last == 0 && first_record(dir, segment, &first, error) == -1) ||
		    first_record(dir, segment + 1, &next, error) == -1)
			return -1;
		if (removal->last == 0) {
			removal->seq_from = first.seq;
			memcpy(removal->time_from, first.time, sizeof(removal->time_from));
		}
		old = too_much ? 1 : is_old(&ages, segment, &first, &next, error);
		if (old == -1)
			return -1;
		if (old == 0)
			break;
		removal->last = segment;
		removal->bytes += size_of(dir, segment);
		bytes -= size_of(dir, segment) < bytes ? size_of(dir, segment) : bytes;
		removal->seq_to = next.seq - 1;
		memcpy(removal->last_hash, next.prev, sizeof(removal->last_hash));
		memcpy(removal->time_until, next.time, sizeof(removal->time_until));
		first = next;
	}
	return removal->last > 0;
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
