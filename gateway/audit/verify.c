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
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gateway/audit/checkpoint.h"
#include "gateway/audit/clock.h"
#include "gateway/audit/pack.h"
#include "gateway/audit/verify_parts.h"
#include "gateway/core/audit_wire.h"

#define CODE_RETIRED "VG1007E"
#define CODE_REMOVED "VG1013I"
#define PROGRESS_STEP (4u * 1024u * 1024u)

struct audit_check {
	char *dir;
	const struct audit_verify_options *options;
	struct audit_reader *reader;
	struct audit_verdict *verdict;
	struct verify_keys keys;
	struct verify_pairs *pairs;
	struct pack_check pack;		/* documents of the segment at hand */
	size_t next_outside;		/* of options->outside */
	unsigned segment;		/* that the last line was in */
	unsigned last_segment;		/* when we began */
	char hash[AUDIT_HASH_LEN + 1];	/* of the last record */
	char time[AUDIT_TIME_LEN + 1];
	bool is_tail;			/* it does not begin at 1: intents may be among what was before */
	bool removal_told;		/* … and a record says that it was removed */
	struct audit_line first;	/* where it begins */
	char first_prev[AUDIT_HASH_LEN + 1];
	bool has_head;
	uint64_t head_seq;
	char head_hash[AUDIT_HASH_LEN + 1];
	uint64_t done, all;		/* bytes; `all` when it began */
	char cut[AUDIT_HASH_LEN + 1];	/* where the next segment says that this one ends; empty: it does not say */
};

__attribute__((format(printf, 4, 5)))
static void
bad(struct audit_check *check, const struct audit_line *line, uint64_t seq, const char *format, ...)
{
	struct audit_verdict *verdict = check->verdict;
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
note(struct audit_check *check, const char *format, ...)
{
	va_list args;

	check->verdict->num_notes++;
	va_start(args, format);
	(void)vsnprintf(check->verdict->note, sizeof(check->verdict->note), format, args);
	va_end(args);
}

/* Does the segment after `segment` begin by retiring this one? Then that is where this one ends. */
static void
look_ahead(struct audit_check *check, unsigned segment)
{
	struct audit_reader *next = NULL;
	struct audit_line line;
	struct scan_line facts;

	check->cut[0] = '\0';
	if (segment >= check->last_segment)
		return;
	next = audit_reader_open(check->dir, segment + 1, NULL);
	if (next != NULL && audit_reader_next(next, &line, NULL) == 1 && line.segment == segment + 1 &&
	    scan_line(line.text, line.len, &facts) && strcmp(facts.code, CODE_RETIRED) == 0)
		memcpy(check->cut, facts.prev, sizeof(check->cut));
	audit_reader_close(next);
}

/* Is this where the segment was retired? Then the rest of it is skipped. */
static bool
retired_here(struct audit_check *check)
{
	uint64_t left;

	if (check->cut[0] == '\0' || strcmp(check->cut, check->hash) != 0)
		return false;
	left = audit_reader_skip(check->reader);
	if (left > 0)
		note(check, "audit-%06u.jsonl: %llu bytes behind a failed write are not part of the trail", check->segment,
		    (unsigned long long)left);
	return true;
}

/* The trail does not begin at its beginning. That is right if a record further on says so; until then it is believed. */
static bool
begin_behind_removed(struct audit_check *check, const struct audit_line *line)
{
	struct scan_line facts;
	char why[sizeof(check->verdict->what)];

	if (!line->whole || !scan_line(line->text, line->len, &facts) || facts.seq < 2) {
		bad(check, line, 1, "not a record");
		return false;
	}
	check->is_tail = true;
	check->first = *line;
	check->segment = line->segment - 1;
	check->verdict->last_seq = check->verdict->removed = facts.seq - 1;
	memcpy(check->hash, facts.prev, sizeof(check->hash));
	memcpy(check->first_prev, facts.prev, sizeof(check->first_prev));
	if (verify_keys_read(&check->keys, check->dir, facts.seq, why, sizeof(why)))
		return true;
	bad(check, line, facts.seq, "%s: %s", AUDIT_KEYS_FILE, why);
	return false;
}

/* Of what this record says to be removed, is the last what our first follows? It may also tell of more: then we were stopped. */
static void
take_removal(struct audit_check *check, const struct audit_line *line)
{
	json_t *record = json_loadb(line->text, line->len, 0, NULL), *args = json_object_get(record, "args");
	const char *hash = json_string_value(json_object_get(args, "last_hash"));
	uint64_t from = (uint64_t)json_integer_value(json_object_get(args, "seq_from"));
	uint64_t to = (uint64_t)json_integer_value(json_object_get(args, "seq_to"));

	if (hash != NULL && to == check->verdict->removed && strcmp(hash, check->first_prev) == 0)
		check->removal_told = true;
	else if (from <= check->verdict->removed && to > check->verdict->removed)
		check->removal_told = true;
	json_decref(record);
}

static bool
enter_segment(struct audit_check *check, const struct audit_line *line)
{
	unsigned expected = check->segment + 1;

	if (check->segment == 0 && line->segment > 1) {
		if (!begin_behind_removed(check, line))
			return false;
		expected = line->segment;
	}
	if (line->segment != expected) {
		bad(check, line, check->verdict->last_seq + 1, "audit-%06u.jsonl is missing", expected);
		return false;
	}
	check->segment = line->segment;
	check->verdict->segments++;
	look_ahead(check, line->segment);
	return true;
}

/* A checkpoint against the record before it, and its key against the key before it. */
static bool
check_checkpoint(struct audit_check *check, const struct audit_line *line, const struct scan_line *facts)
{
	struct audit_verdict *verdict = check->verdict;
	struct checkpoint checkpoint;
	char why[sizeof(verdict->what)] = "its checkpoint cannot be read";

	if (!checkpoint_in_line(line->text, line->len, &checkpoint) ||
	    !verify_keys_take(&check->keys, &checkpoint, facts->seq, facts->prev, why, sizeof(why))) {
		bad(check, line, facts->seq, "%s", why);
		return false;
	}
	if (verdict->checkpoints++ == 0)
		memcpy(verdict->root, checkpoint.key, sizeof(checkpoint.key));
	verdict->signed_seq = checkpoint.seq;
	memcpy(verdict->signed_time, facts->time, sizeof(verdict->signed_time));
	return true;
}

static bool
check_pair(struct audit_check *check, const struct audit_line *line, const struct scan_line *facts)
{
	switch (verify_pairs_take(check->pairs, facts->stage, facts->op)) {
	case PAIR_GOOD:
		return true;
	case PAIR_TWICE:
		bad(check, line, facts->seq, "the intent %s is there twice", facts->op);
		return false;
	case PAIR_ALONE:		/* of an intent that could not be made durable, or was told before the trail begins */
		if (facts->ok && !check->is_tail) {
			bad(check, line, facts->seq, "the change %s succeeded and has no intent", facts->op);
			return false;
		}
		check->verdict->refused_intents++;
		return true;
	case PAIR_NO_MEMORY:
		break;
	}
	bad(check, line, facts->seq, "out of memory for the intents without an outcome");
	return false;
}

/* What was kept in another place about this record must be true. */
static bool
check_outside(struct audit_check *check, const struct audit_line *line, const struct scan_line *facts)
{
	const struct checkpoints *outside = check->options->outside;

	while (outside != NULL && check->next_outside < outside->num) {
		const struct checkpoint *checkpoint = &outside->items[check->next_outside];

		if (checkpoint->seq > facts->seq)
			return true;
		if (checkpoint->seq == facts->seq && strcmp(checkpoint->hash, facts->hash) != 0) {
			bad(check, line, facts->seq, "not the record that the checkpoint from outside signs: the trail was written anew");
			return false;
		}
		if (checkpoint->seq == facts->seq)
			check->verdict->confirmed_seq = facts->seq;
		check->next_outside++;
	}
	return true;
}

/* Are the documents that it names there, as they were? */
static bool
check_documents(struct audit_check *check, const struct audit_line *line, const struct scan_line *facts)
{
	char names[VERIFY_MAX_DOCUMENTS][DOCUMENT_NAME_LEN + 1];
	int num = verify_documents(line->text, line->len, names);

	if (num == -1)
		bad(check, line, facts->seq, "its documents cannot be told");
	for (int i = 0; i < num; i++) {
		if (pack_check_has(&check->pack, check->dir, line->segment, names[i]))
			continue;
		bad(check, line, facts->seq, "audit-%06u.documents does not hold the document %s as it was", line->segment, names[i]);
		return false;
	}
	return num >= 0;
}

/* One record against the one before. */
static bool
check_line(struct audit_check *check, const struct audit_line *line)
{
	struct audit_verdict *verdict = check->verdict;
	uint64_t expected = verdict->last_seq + 1;
	struct scan_line facts;

	if (line->too_long) {
		bad(check, line, expected, "longer than any record");
	} else if (!line->whole) {
		bad(check, line, expected, "the file ends in the middle of a record");
	} else if (!scan_line(line->text, line->len, &facts)) {
		bad(check, line, expected, "not a record");
	} else if (!scan_hash_right(line->text, line->len, &facts)) {
		bad(check, line, facts.seq, "changed: its hash is not the hash of what it says");
	} else if (facts.seq != expected) {
		bad(check, line, facts.seq, "number %llu where %llu was expected: records were removed, added or moved",
		    (unsigned long long)facts.seq, (unsigned long long)expected);
	} else if (strcmp(facts.prev, check->hash) != 0) {
		bad(check, line, facts.seq, "does not follow the record before: one of the two was replaced");
	} else if (strcmp(facts.time, check->time) < 0 && strcmp(facts.code, CLOCK_STEP_CODE) != 0) {
		bad(check, line, facts.seq, "earlier than the record before, and no record of the host's clock");
	} else if (check->has_head && facts.seq == check->head_seq && strcmp(facts.hash, check->head_hash) != 0) {
		bad(check, line, facts.seq, "not the record that %s notes as durable", AUDIT_HEAD_FILE);
	} else if ((strcmp(facts.code, CHECKPOINT_CODE) != 0 || check_checkpoint(check, line, &facts)) &&
	    check_pair(check, line, &facts) && check_outside(check, line, &facts) && check_documents(check, line, &facts)) {
		if (check->is_tail && strcmp(facts.code, CODE_REMOVED) == 0)
			take_removal(check, line);
		if (strcmp(facts.code, CLOCK_STEP_CODE) == 0) {
			verdict->clock_steps++;
			verdict->clock_seq = facts.seq;
		}
		verdict->records++;
		verdict->last_seq = facts.seq;
		memcpy(check->hash, facts.hash, sizeof(check->hash));
		memcpy(check->time, facts.time, sizeof(check->time));
		return true;
	}
	return false;
}

/* At the end: is anything missing there? */
static void
check_end(struct audit_check *check)
{
	struct audit_verdict *verdict = check->verdict;
	struct audit_line end = { .segment = check->segment, .number = 0 };
	uint64_t left = audit_reader_left(check->reader);

	audit_segment_name(end.file, check->segment > 0 ? check->segment : 1);
	if (left > 0)
		note(check, "%s: an unfinished record of %llu bytes at the end (the writer is at work, or was stopped there)",
		    end.file, (unsigned long long)left);
	if (check->is_tail && !check->removal_told) {
		bad(check, &check->first, 1, "audit-000001.jsonl is missing, and no record tells that what was before was removed");
		return;
	}
	/* The last segment may hold no record yet; the writer leaves no other one empty. */
	if (check->last_segment > check->segment + 1)
		bad(check, &end, verdict->last_seq + 1, "audit-%06u.jsonl holds no record, and others follow it", check->segment + 1);
	else if (check->has_head && check->head_seq > verdict->last_seq)
		bad(check, &end, verdict->last_seq + 1, "records were cut from the end: %s notes %llu as durable, the trail "
		    "ends at %llu", AUDIT_HEAD_FILE, (unsigned long long)check->head_seq,
		    (unsigned long long)verdict->last_seq);
	else if (!check->has_head && verdict->records > 0)
		bad(check, &end, verdict->last_seq, "%s is missing or unreadable: cut records at the end would not show",
		    AUDIT_HEAD_FILE);
	else if (check->options->outside != NULL && check->next_outside < check->options->outside->num)
		bad(check, &end, verdict->last_seq + 1, "records were cut from the end: the checkpoint from outside signs record "
		    "%llu, the trail ends at %llu",
		    (unsigned long long)check->options->outside->items[check->options->outside->num - 1].seq,
		    (unsigned long long)verdict->last_seq);
}

struct audit_check *
audit_check_begin(const char *dir, struct audit_verdict *verdict, struct vg_error *error)
{
	static const struct audit_verify_options none = { .outside = NULL };
	struct audit_check *check = calloc(1, sizeof(*check));
	unsigned first;

	memset(verdict, 0, sizeof(*verdict));
	verdict->whole = true;
	if (check == NULL || (check->dir = strdup(dir)) == NULL) {
		vg_fail(error, "out of memory");
		goto bad;
	}
	check->verdict = verdict;
	pack_check_init(&check->pack);
	check->options = check->keys.options = &none;
	check->pairs = verify_pairs_create();
	if (check->pairs == NULL) {
		vg_fail(error, "out of memory");
		goto bad;
	}
	memcpy(check->hash, AUDIT_HASH_ZERO, sizeof(check->hash));
	/* The note first: it may only be behind of what is read later. */
	check->has_head = audit_head_read(dir, &check->head_seq, check->head_hash);
	if (audit_reader_range(dir, &first, &check->last_segment, &check->all, error) == -1)
		goto bad;
	check->reader = audit_reader_open(dir, 0, error);
	if (check->reader != NULL)
		return check;
bad:
	audit_check_end(check);
	return NULL;
}

int
audit_check_step(struct audit_check *check, uint64_t bytes, struct vg_error *error)
{
	struct audit_line line;
	uint64_t until = check->done + bytes;
	int result;

	while ((result = audit_reader_next(check->reader, &line, error)) == 1) {
		if (line.segment != check->segment) {
			if (!enter_segment(check, &line))
				break;
			if (retired_here(check))	/* with nothing durable in it */
				continue;
		}
		if (!check_line(check, &line))
			break;
		check->done += line.len + 1;
		(void)retired_here(check);
		if (check->done >= until)
			return 1;
	}
	if (result == 0 && check->verdict->whole)
		check_end(check);
	check->verdict->bytes = check->done;
	check->verdict->open_intents = verify_pairs_open(check->pairs);
	memcpy(check->verdict->last_hash, check->hash, sizeof(check->verdict->last_hash));
	return result == -1 ? -1 : 0;
}

void
audit_check_progress(const struct audit_check *check, uint64_t *done, uint64_t *all)
{
	*done = check->done;
	*all = check->all;
}

void
audit_check_end(struct audit_check *check)
{
	if (check == NULL)
		return;
	audit_reader_close(check->reader);
	verify_pairs_free(check->pairs);
	if (check->verdict != NULL)
		pack_check_end(&check->pack);
	free(check->dir);
	free(check);
}

int
audit_verify(const char *dir, const struct audit_verify_options *options, struct audit_verdict *verdict,
    audit_progress_cb *progress, void *arg, struct vg_error *error)
{
	struct audit_check *check = audit_check_begin(dir, verdict, error);
	int result = -1;

	if (check != NULL && options != NULL)
		check->options = check->keys.options = options;
	while (check != NULL && (result = audit_check_step(check, PROGRESS_STEP, error)) == 1)
		if (progress != NULL)
			progress(check->done, check->all, arg);
	audit_check_end(check);
	return result;
}
