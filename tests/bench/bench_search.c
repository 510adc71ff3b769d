/*
 * bench_search.c: how long does it take to find a day, a user, an object in a trail of many records? Makes the trail and its index, and prints one
 * JSON object: what making the index costs, how large it is, and each search with the number of records it found; `scan` is the same search by
 * reading all of the trail.
 *
 * bench_search RECORDS [DIR]: DIR is where it is made, /var/tmp unless told otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit/query.h"
#include "tests/bench/trail.h"

static struct audit_fields record;	/* the one at hand */

static double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((noreturn))
static void
die(const char *what)
{
	fprintf(stderr, "bench_search: %s\n", what);
	exit(1);
}

/* Finds, reads and matches, newest first; at most `limit` (0: all). */
static size_t
search(struct audit_index *index, const char *dir, const struct audit_match *match, size_t limit)
{
	struct audit_query query = { .match = match, .newest_first = true };
	struct vg_error error;
	struct audit_lines *lines = audit_lines_open(dir, &error);
	struct audit_cursor *cursor = lines == NULL ? NULL : audit_query_open(index, &query, &error);
	struct audit_place place;
	const char *text;
	size_t num = 0;
	int result;

	if (cursor == NULL)
		die(error.what);
	while ((limit == 0 || num < limit) && (result = audit_query_next(cursor, &place, &error)) != 0) {
		if (result < 0)
			die(error.what);
		if (result == 2)
			continue;
		if (audit_lines_get(lines, &place, &text) != 1)
			die("a place was wrong");
		num += audit_fields_read(&record, text, place.len) && audit_match(match, &record);
	}
	audit_query_close(cursor);
	audit_lines_close(lines);
	return num;
}

static size_t
scan(const char *dir, const struct audit_match *match)
{
	struct audit_reader *reader = audit_reader_open(dir, 0, NULL);
	struct audit_line line;
	size_t num = 0;

	while (reader != NULL && audit_reader_next(reader, &line, NULL) == 1) {
		num += audit_fields_read(&record, line.text, line.len) && audit_match(match, &record);
	}
	audit_reader_close(reader);
	return num;
}

static void
remove_all(const char *dir)
{
	unsigned first, last;
	char path[4200], name[AUDIT_NAME_MAX];
	static const char *const others[] = { AUDIT_HEAD_FILE, AUDIT_INDEX_FILE, AUDIT_INDEX_FILE "-journal" };

	if (audit_reader_range(dir, &first, &last, NULL, NULL) == 0) {
		for (unsigned segment = first; segment != 0 && segment <= last; segment++) {
			audit_segment_name(name, segment);
			(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
			(void)unlink(path);
		}
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, others[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

int
main(int argc, char **argv)
{
	struct trail_plan plan = { .users = 500, .objects = 20000, .segment_bytes = 64u * 1024u * 1024u };
	static const struct { const char *name; struct audit_match match; size_t limit; } rows[] = {
		{ "a user", { .user = "user-7" }, 0 },
		{ "a user, the newest 500", { .user = "user-7" }, 500 },
		{ "an object", { .object = "domain:guest-77" }, 0 },
		{ "a day, the newest 500", { .since = "2026-01-15", .until = "2026-01-15" }, 500 },
		{ "a day", { .since = "2026-01-15", .until = "2026-01-15" }, 0 },
		{ "a user on a day", { .user = "sasl:user-7", .since = "2026-01-15", .until = "2026-01-15" }, 0 },
		{ "refused, the newest 500", { .result = "denied" }, 500 },
		{ "a user on an object", { .user = "user-7", .object = "guest-7?" }, 0 },
	};
	char dir[4096], file[4200];
	struct audit_index_state state;
	struct audit_index *index;
	struct vg_error error;
	struct stat st;
	uint64_t bytes;
	unsigned first, last;
	double from, all;
	int result;

	if (argc < 2)
		die("usage: bench_search RECORDS [DIR]");
	plan.records = strtoull(argv[1], NULL, 10);
	plan.per_day = plan.records / 90 + 1;
	(void)snprintf(dir, sizeof(dir), "%s/virtgate-bench-XXXXXX", argc > 2 ? argv[2] : "/var/tmp");
	if (plan.records == 0 || mkdtemp(dir) == NULL)
		die("no records, or no directory");
	trail_make(dir, &plan);
	(void)audit_reader_range(dir, &first, &last, &bytes, &error);
	(void)snprintf(file, sizeof(file), "%s/%s", dir, AUDIT_INDEX_FILE);
	from = now();
	index = audit_index_open(file, dir, true, &error);
	while (index != NULL && (result = audit_index_update(index, 50, &error)) > 0)
		;
	if (index == NULL || result < 0)
		die(error.what);
	all = now() - from;
	audit_index_state(index, &state);
	if (stat(file, &st) < 0 || state.last_seq != plan.records)
		die("the index is not whole");
	printf("{\"records\": %llu, \"trail_mib\": %llu, \"index_mib\": %lld, \"index_seconds\": %.1f, \"searches\": [", (unsigned long long)plan.records,
	    (unsigned long long)bytes >> 20, (long long)st.st_size >> 20, all);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t num;

		from = now();
		num = search(index, dir, &rows[i].match, rows[i].limit);
		printf("%s\n  {\"what\": \"%s\", \"found\": %zu, \"ms\": %.1f}", i == 0 ? "" : ",", rows[i].name, num, (now() - from) * 1000);
	}
	audit_index_close(index);
	from = now();
	printf("],\n \"scan\": {\"what\": \"a user\", \"found\": %zu,", scan(dir, &rows[0].match));
	printf(" \"ms\": %.1f}}\n", (now() - from) * 1000);
	remove_all(dir);
	return 0;
}
