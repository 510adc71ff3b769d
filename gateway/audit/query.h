/*
 * query.h: which places of the trail may hold what somebody looks for, by the index. They are candidates: whoever asks reads the record there
 * and matches it (match.h). None that matches is left out, as far as the index goes.
 */
#ifndef AUDIT_QUERY_H
#define AUDIT_QUERY_H

#include "gateway/audit/index.h"
#include "gateway/audit/match.h"

struct audit_query {
	const struct audit_match *match;
	uint64_t after, before;		/* only records with after < seq < before; before 0: without end */
	bool newest_first;
	bool any_code, any_result;	/* leaves these filters to whoever matches: of an intent that meets one its outcome need not */
};

struct audit_cursor;

/* NULL with `error`. What `match` points to must stay; the index must not be updated while the cursor is open. */
struct audit_cursor *audit_query_open(struct audit_index *index, const struct audit_query *query, struct vg_error *error);
void audit_query_close(struct audit_cursor *cursor);
/* 1 and a place, in order of seq; 0: that was all; 2: so many rows were looked at that others may want a turn: call again; -1 with `error`. */
int audit_query_next(struct audit_cursor *cursor, struct audit_place *place, struct vg_error *error);

/* Places of records that may be of this operation, or tell afterwards what became of it, oldest first; at most `max`. -1 with `error`. */
int audit_query_op(struct audit_index *index, const char *op, struct audit_place *places, size_t max, struct vg_error *error);
/* 1: there it is; 0: no record has this number; -1 with `error`. */
int audit_query_seq(struct audit_index *index, uint64_t seq, struct audit_place *place, struct vg_error *error);

#endif
