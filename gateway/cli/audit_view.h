/*
 * audit_view.h: records for people: one line each, an intent and its outcome together as one.
 */
#ifndef CLI_AUDIT_VIEW_H
#define CLI_AUDIT_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/queue.h>

#include <jansson.h>

#include "gateway/cli/audit_match.h"
#include "gateway/core/buf.h"

struct audit_view {
	struct audit_match match;
	bool json;			/* lines as they stand in the trail, intent and outcome apart */
	bool utc;			/* times for people are UTC, not of the reader's zone */
	size_t limit;			/* only the newest so many; 0: all, as they come */
	json_t *open;			/* intents without an outcome so far: their lines, by op */
	STAILQ_HEAD(, audit_view_row) waiting;	/* at most `limit`, oldest first */
	size_t num_waiting;
	struct audit_fields *record;	/* the one at hand */
	struct buf out;			/* a line under way */
	size_t shown;
	size_t no_records;		/* lines that were none */
};

/* The options stay as they are. -1: out of memory. */
int audit_view_init(struct audit_view *view);
void audit_view_free(struct audit_view *view);
/* One line of the trail. */
void audit_view_line(struct audit_view *view, const char *line, size_t len);
/* Shows what was held back for the limit; with `intents`, also those that have no outcome. */
void audit_view_flush(struct audit_view *view, bool intents);

/* One record in full; its difference below it, line by line, in colours on a terminal (not with NO_COLOR in the environment). */
void audit_view_record(json_t *record);

#endif
