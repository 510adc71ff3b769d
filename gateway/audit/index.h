/*
 * index.h: finds records of the trail without reading all of it: an SQLite database beside it, in state_dir, made by the audit reader and
 * read by the command line too. It holds where each record stands and which user, object and kind of event it names; what a record says
 * is always read from the trail, at that place. It is never believed: what is found is checked against the record, one that does not fit the
 * trail is thrown away and made anew, and `audit verify` does not look at it.
 *
 *	word	each distinct user, object and event once, as the part of a record that names it
 *	record	seq -> place (segment and offset), length, second, words, stage and result, and the beginning of its op
 *	later	op -> seq of a record that tells afterwards what became of that operation
 *	turn	seq of each record that is earlier than the one before: the host's clock was set back (clock.h)
 *	meta	which trail it is about and how far it has come
 *
 * Between two turns times rise with seq (the chain sees to it), so that a time is found by halving.
 */
#ifndef AUDIT_INDEX_H
#define AUDIT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "gateway/audit/reader.h"
#include "virtgate/result.h"

/* In settings_index_dir(). */
#define AUDIT_INDEX_FILE "index.db"

/* Kinds of word: the members that a filter may be about. */
enum index_kind { INDEX_USER, INDEX_OBJECT, INDEX_WHAT, INDEX_NUM_KINDS };

/* The word of a member that is too long to be one: the record must be read. */
#define INDEX_LONG_WORD (-1)

/* Where a record stands. */
struct audit_place {
	uint64_t seq;
	unsigned segment;
	uint64_t offset;
	size_t len;			/* without the newline */
};

struct audit_index_state {
	uint64_t last_seq;		/* of the newest record in it; 0: none */
	unsigned segment;		/* what comes next: segment and offset */
	uint64_t offset;
	uint64_t lag_bytes;		/* of the trail, not in it yet */
	bool rebuilt;			/* thrown away and begun anew since it was opened */
	char why[512];			/* the last time; empty: never */
};

struct audit_index;

/* Is there nothing yet at `file`, or an index? Anything else must not be replaced; `error` says so. For a file that a person names. */
bool audit_index_may_replace(const char *file, struct vg_error *error);
/*
 * The index in `file` of the trail in `dir`. To write: makes it where there is none, or none that fits. To read: NULL with `error` then. The
 * trail itself is only read.
 */
struct audit_index *audit_index_open(const char *file, const char *dir, bool writes, struct vg_error *error);
void audit_index_close(struct audit_index *index);
/*
 * Takes in what the trail has more, for about so many milliseconds. 1: more is left; 0: all is in; -1 with `error`: it cannot be written now, and
 * is begun anew at the next call.
 */
int audit_index_update(struct audit_index *index, unsigned budget_ms, struct vg_error *error);
/* A place was wrong: it is begun anew at the next update. */
void audit_index_spoiled(struct audit_index *index, const char *why);
/* Will the next update begin it anew? Then no cursor may be open. */
bool audit_index_is_spoiled(const struct audit_index *index);
void audit_index_state(struct audit_index *index, struct audit_index_state *state);
sqlite3 *audit_index_db(struct audit_index *index);

/* The beginning of an op as a number, as `record.op` has it. */
int64_t audit_index_op(const char *op);
/* `record.mark`: a stage, the status of a result, and whether it would have been denied. */
enum { MARK_STAGE = 3, MARK_STATUS_SHIFT = 2, MARK_STATUS = 7 << MARK_STATUS_SHIFT, MARK_WOULD_DENY = 1 << 5 };
/* The status in a mark: 0 none, 7 one that is not known here. */
unsigned audit_index_status(const char *status, size_t len);

/* "PLACE" of record: both ways. */
int64_t audit_place_pack(unsigned segment, uint64_t offset);
void audit_place_unpack(int64_t packed, struct audit_place *place);

/* ---- lines of the trail by their place: of places side by side, in either direction, a piece of the segment is read at once ---- */

struct audit_lines;
struct audit_lines *audit_lines_open(const char *dir, struct vg_error *error);
void audit_lines_close(struct audit_lines *lines);
/*
 * 1 and the line, place->len bytes and not terminated, borrowed until the next call; 0: its segment is not there any more; -1: what stands there
 * is not this record.
 */
int audit_lines_get(struct audit_lines *lines, const struct audit_place *place, const char **text);

#endif
