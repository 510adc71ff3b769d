/*
 * reader.h: reads the trail: segments audit-000001.jsonl, audit-000002.jsonl, … of one directory, line by line. Nothing
 * in a line is believed: a line may be anything. Also while the writer is at work.
 */
#ifndef AUDIT_READER_H
#define AUDIT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/audit/scan.h"
#include "gateway/core/link.h"
#include "virtgate/result.h"

/* The longest line that the writer writes; a longer one is no record. */
#define AUDIT_LINE_MAX (LINK_MAX_BODY + 1024u)
#define AUDIT_NAME_MAX 32
#define AUDIT_HEAD_FILE "audit-head"
#define AUDIT_LOCK_FILE "audit-lock"
#define AUDIT_KEYS_FILE "audit-keys"		/* checkpoints that ended an epoch, one a line: also those of removed segments */

/* A file beside the trail that belongs to a segment: "audit-000007.SUFFIX", and back; 0 when the name is none. */
void audit_file_name(char name[AUDIT_NAME_MAX], unsigned segment, const char *suffix);
unsigned audit_file_number(const char *name, const char *suffix);
/* "audit-000007.jsonl" and back; 0 when the name is no segment's. */
void audit_segment_name(char name[AUDIT_NAME_MAX], unsigned segment);
unsigned audit_segment_number(const char *name);

struct audit_line {
	unsigned segment;
	char file[AUDIT_NAME_MAX];
	uint64_t number;		/* in its file, from 1 */
	uint64_t offset;		/* of its first byte */
	const char *text;		/* without the newline; borrowed until the next call */
	size_t len;
	bool whole;			/* ended by a newline */
	bool too_long;			/* `text` is only its beginning */
};

struct audit_reader;

/* Starts at segment `first` (0: the first there is). NULL with `error`; a directory without segments reads as empty. */
struct audit_reader *audit_reader_open(const char *dir, unsigned first, struct vg_error *error);
void audit_reader_close(struct audit_reader *reader);
/* Before the first line is read: begins in the middle of a segment, where a line begins. Line numbers count from there. */
void audit_reader_seek(struct audit_reader *reader, unsigned segment, uint64_t offset);
/*
 * 1 and a line, 0 at the end, -1 with `error`. At the end a later call goes on when there is more; an unfinished line
 * there is not given, but one at the end of any other segment is (not `whole`).
 */
int audit_reader_next(struct audit_reader *reader, struct audit_line *line, struct vg_error *error);
/* At the end: bytes of a line that is not finished. */
uint64_t audit_reader_left(const struct audit_reader *reader);
/* Goes on with the next segment, whatever is left of this one; returns how many bytes are left. */
uint64_t audit_reader_skip(struct audit_reader *reader);
/* First and last segment, 0 and 0 when there is none, and bytes in all (may be NULL). */
int audit_reader_range(const char *dir, unsigned *first, unsigned *last, uint64_t *bytes, struct vg_error *error);

/* The last record that was made durable, as the writer noted it beside the trail. False: there is no such note. */
bool audit_head_read(const char *dir, uint64_t *seq, char hash[AUDIT_HASH_LEN + 1]);

/* ---- the chain ---- */

struct audit_verdict {
	bool whole;
	uint64_t records, segments, bytes;
	uint64_t last_seq;
	char last_hash[AUDIT_HASH_LEN + 1];
	/* the first bad record, when not whole */
	char file[AUDIT_NAME_MAX];
	uint64_t line;
	uint64_t seq;			/* that the line says, or was expected */
	char what[256];
	uint64_t removed;		/* records that are not kept any more, as one that is here says */
	/* how much of it is vouched for; all 0 when nothing is */
	uint64_t checkpoints, signed_seq;	/* how many, and the last record that they vouch for */
	char signed_time[AUDIT_TIME_LEN + 1];	/* of that checkpoint */
	char root[AUDIT_HASH_LEN + 1];		/* the first key */
	uint64_t confirmed_seq;			/* the last record that a checkpoint from another place confirms */
	/* changes */
	uint64_t open_intents;			/* without an outcome: under way, or the gateway does not run */
	uint64_t refused_intents;		/* outcomes "not forwarded" of intents that never became durable */
	uint64_t clock_steps, clock_seq;	/* records that the host's clock stepped, and the last of them */
	/* what is not bad but worth knowing: an unfinished line at the very end, bytes behind a failed write */
	unsigned num_notes;
	char note[256];			/* the last one */
};
typedef void audit_progress_cb(uint64_t done, uint64_t all, void *arg);

struct checkpoints;

struct audit_verify_options {
	const char *const *roots;	/* keys that the signing may begin with; none: the first in the trail */
	size_t num_roots;
	const struct checkpoints *outside;	/* from another place; NULL: none */
};

/* Reads all of it. 0 when it could be read (see `verdict`), -1 with `error`. `options` and `progress` may be NULL. */
int audit_verify(const char *dir, const struct audit_verify_options *options, struct audit_verdict *verdict,
    audit_progress_cb *progress, void *arg, struct vg_error *error);

/*
 * The same in steps, for who has other things to do. `verdict` is filled when it is over, and must stay until then.
 * NULL with `error`.
 */
struct audit_check;
struct audit_check *audit_check_begin(const char *dir, struct audit_verdict *verdict, struct vg_error *error);
/* Some `bytes` more of the trail. 1: goes on; 0: `verdict` says it; -1 with `error`: it could not be read. */
int audit_check_step(struct audit_check *check, uint64_t bytes, struct vg_error *error);
void audit_check_progress(const struct audit_check *check, uint64_t *done, uint64_t *all);
void audit_check_end(struct audit_check *check);

#endif
