/*
 * retention.h: which files of the trail are kept for how long. There is no other way to remove anything.
 *
 * Whole segments go, the oldest first, never the last two: they tell the next start which intents are open. Before one
 * goes, a record in the trail says what it held and the hash of its last record; `verify` begins there. A segment that
 * does not begin with a record is not removed: somebody will want to look at it. The documents that its records name go with it, and
 * count with its bytes.
 *
 * A segment is as old as the youngest time that it and those before it, and the next, begin with. A time that is still to come cannot be true (the clock
 * ran ahead): then the next one that can is taken. Too young a time keeps a segment for longer; too old a one removes it earlier only where all before it
 * is gone and the next begins with such a time too.
 */
#ifndef AUDIT_RETENTION_H
#define AUDIT_RETENTION_H

#include <stdint.h>

#include "gateway/audit/scan.h"
#include "virtgate/result.h"

#define RETENTION_SECONDS 3600		/* between two looks when no segment begins */

struct retention {
	unsigned days;			/* since the last record of a segment; 0: for ever */
	uint64_t bytes;			/* of all segments together; 0: any */
};

struct removal {
	unsigned first, last;		/* segments */
	uint64_t seq_from, seq_to;
	uint64_t bytes;
	char last_hash[AUDIT_HASH_LEN + 1];
	char time_from[AUDIT_TIME_LEN + 1], time_until[AUDIT_TIME_LEN + 1];	/* until: the first record that stays */
};

/* What may go, by a clock that shows `now_us` and may be `ahead` seconds ahead (clock.h). 1, 0 when nothing may, -1 with `error`. */
int retention_plan(const char *dir, const struct retention *retention, int64_t now_us, int64_t ahead, struct removal *removal, struct vg_error *error);
/* Removes them; the record about it is durable. -1 with `error`: what is left is found by the next plan. */
int retention_remove(const char *dir, const struct removal *removal, struct vg_error *error);

#endif
