/*
 * verify.c: is the trail whole? Each line must hold the right hash of itself, the hash of the line before and the next
 * number; segments must follow one another; and what the writer noted as durable must be there.
 *
 * One gap is lawful: when writing a segment failed, the writer cuts it back to what was durable and goes on in the
 * next with an "audit.retired" record. If cutting failed too, bytes that nobody got an answer for are left behind there. They
 * are told, not believed.
 */
#include "gateway/audit/reader.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/core/audit_wire.h"

#define CODE_RETIRED "VG1007E"
#define PROGRESS_STEP (4u * 1024u * 1024u)

struct verify {
	const char *dir;
	struct audit_reader *reader;
	struct audit_verdict *verdict;
	unsigned segment;		/* that the last line was in */
	unsigned last_segment;		/* when we began */
	char hash[AUDIT_HASH_LEN + 1];	/* of the last record */
	char time[AUDIT_TIME_LEN + 1];
	bool has_head;
	uint64_t head_seq;
	char head_hash[AUDIT_HASH_LEN + 1];
	char cut[AUDIT_HASH_LEN + 1];	/* where the next segment says that this one ends; empty: it does not say */
};

__attribute__((format(printf, 4, 5)))
static void
bad(struct verify *verify, const struct audit_line *line, uint64_t seq, const char *format, ...)
{
	struct audit_verdict *verdict = verify->verdict;
	va_list args;

	verdict->whole = false;
	(void)snprintf(verdict->file, sizeof(verdict->file), "%s", line->file);
	verdict->line = line->number;
	verdict->seq = seq;
	va_start(args, format);
	(void)vsnprintf(verdict->what, sizeof(verdict->what), format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3)))
static void
note(struct verify *verify, const char *format, ...)
{
	va_list args;

	verify->verdict->num_notes++;
	va_start(args, format);
	(void)vsnprintf(verify->verdict->note, sizeof(verify->verdict->note), format, args);
	va_end(args);
}

/* Does the segment after `segment` begin by retiring this one? Then that is where this one ends. */
static void
look_ahead(struct verify *verify, unsigned segment)
{
	struct audit_reader *next = NULL;
	struct audit_line line;
	struct scan_line facts;

	verify->cut[0] = '\0';
	if (segment >= verify->last_segment)
		return;
	next = audit_reader_open(verify->dir, segment + 1, NULL);
	if (next != NULL && audit_reader_next(next, &line, NULL) == 1 && line.segment == segment + 1 &&
	    scan_line(line.text, line.len, &facts) && strcmp(facts.code, CODE_RETIRED) == 0)
		memcpy(verify->cut, facts.prev, sizeof(verify->cut));
	audit_reader_close(next);
}

/* Is this where the segment was retired? Then the rest of it is skipped. */
static bool
retired_here(struct verify *verify)
{
	uint64_t left;

	if (verify->cut[0] == '\0' || strcmp(verify->cut, verify->hash) != 0)
		return false;
	left = audit_reader_skip(verify->reader);
	if (left > 0)
		note(verify, "audit-%06u.jsonl: %llu bytes behind a failed write are not part of the trail", verify->segment,
		    (unsigned long long)left);
	return true;
}

static bool
enter_segment(struct verify *verify, const struct audit_line *line)
{
	unsigned expected = verify->segment + 1;

	if (line->segment != expected) {
		bad(verify, line, verify->verdict->last_seq + 1, "audit-%06u.jsonl is missing", expected);
		return false;
	}
	verify->segment = line->segment;
	verify->verdict->segments++;
	look_ahead(verify, line->segment);
	return true;
}

/* One record against the one before. */
static bool
check(struct verify *verify, const struct audit_line *line)
{
	struct audit_verdict *verdict = verify->verdict;
	uint64_t expected = verdict->last_seq + 1;
	struct scan_line facts;

	if (line->too_long) {
		bad(verify, line, expected, "longer than any record");
	} else if (!line->whole) {
		bad(verify, line, expected, "the file ends in the middle of a record");
	} else if (!scan_line(line->text, line->len, &facts)) {
		bad(verify, line, expected, "not a record");
	} else if (!scan_hash_right(line->text, line->len, &facts)) {
		bad(verify, line, facts.seq, "changed: its hash is not the hash of what it says");
	} else if (facts.seq != expected) {
		bad(verify, line, facts.seq, "number %llu where %llu was expected: records were removed, added or moved",
		    (unsigned long long)facts.seq, (unsigned long long)expected);
	} else if (strcmp(facts.prev, verify->hash) != 0) {
		bad(verify, line, facts.seq, "does not follow the record before: one of the two was replaced");
	} else if (strcmp(facts.time, verify->time) < 0) {
		bad(verify, line, facts.seq, "earlier than the record before");
	} else if (verify->has_head && facts.seq == verify->head_seq && strcmp(facts.hash, verify->head_hash) != 0) {
		bad(verify, line, facts.seq, "not the record that %s notes as durable", AUDIT_HEAD_FILE);
	} else {
		verdict->records++;
		verdict->last_seq = facts.seq;
		memcpy(verify->hash, facts.hash, sizeof(verify->hash));
		memcpy(verify->time, facts.time, sizeof(verify->time));
		return true;
	}
	return false;
}

/* At the end: is anything missing there? */
static void
check_end(struct verify *verify)
{
	struct audit_verdict *verdict = verify->verdict;
	struct audit_line end = { .segment = verify->segment, .number = 0 };
	uint64_t left = audit_reader_left(verify->reader);

	audit_segment_name(end.file, verify->segment > 0 ? verify->segment : 1);
	if (left > 0)
		note(verify, "%s: an unfinished record of %llu bytes at the end (the writer is at work, or was stopped there)",
		    end.file, (unsigned long long)left);
	/* The last segment may hold no record yet; the writer leaves no other one empty. */
	if (verify->last_segment > verify->segment + 1)
		bad(verify, &end, verdict->last_seq + 1, "audit-%06u.jsonl holds no record, and others follow it", verify->segment + 1);
	else if (verify->has_head && verify->head_seq > verdict->last_seq)
		bad(verify, &end, verdict->last_seq + 1, "records were cut from the end: %s notes %llu as durable, the trail "
		    "ends at %llu", AUDIT_HEAD_FILE, (unsigned long long)verify->head_seq,
		    (unsigned long long)verdict->last_seq);
	else if (!verify->has_head && verdict->records > 0)
		bad(verify, &end, verdict->last_seq, "%s is missing or unreadable: cut records at the end would not show",
		    AUDIT_HEAD_FILE);
}

int
audit_verify(const char *dir, struct audit_verdict *verdict, audit_progress_cb *progress, void *arg,
    struct vg_error *error)
{
	struct verify verify = { .dir = dir, .verdict = verdict };
	struct audit_line line;
	uint64_t all, done = 0, told = 0;
	unsigned first;
	int result;

	memset(verdict, 0, sizeof(*verdict));
	verdict->whole = true;
	memcpy(verify.hash, AUDIT_HASH_ZERO, sizeof(verify.hash));
	/* The note first: it may only be behind of what is read later. */
	verify.has_head = audit_head_read(dir, &verify.head_seq, verify.head_hash);
	if (audit_reader_range(dir, &first, &verify.last_segment, &all, error) == -1)
		return -1;
	verify.reader = audit_reader_open(dir, 0, error);
	if (verify.reader == NULL)
		return -1;
	while ((result = audit_reader_next(verify.reader, &line, error)) == 1) {
		if (line.segment != verify.segment) {
			if (!enter_segment(&verify, &line))
				break;
			if (retired_here(&verify))	/* with nothing durable in it */
				continue;
		}
		if (!check(&verify, &line))
			break;
		done += line.len + 1;
		if (progress != NULL && done - told >= PROGRESS_STEP)
			progress(told = done, all, arg);
		(void)retired_here(&verify);
	}
	if (result == 0 && verdict->whole)
		check_end(&verify);
	verdict->bytes = done;
	memcpy(verdict->last_hash, verify.hash, sizeof(verdict->last_hash));
	audit_reader_close(verify.reader);
	return result == -1 ? -1 : 0;
}
