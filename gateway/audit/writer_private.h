/*
 * writer_private.h: the writer as its two files see it: writer.c has senders, groups and answers, writer_own.c the records
 * that the writer makes itself.
 */
#ifndef AUDIT_WRITER_PRIVATE_H
#define AUDIT_WRITER_PRIVATE_H

#include <sys/queue.h>

#include "gateway/audit/clock.h"
#include "gateway/audit/ops.h"
#include "gateway/audit/pace.h"
#include "gateway/audit/seal.h"
#include "gateway/audit/writer.h"

struct sender {
	LIST_ENTRY(sender) entry;
	struct writer *writer;
	struct link *link;
	enum process_kind kind;
	uint64_t received, answered;	/* records on this link */
	struct buf documents;		/* that its next record names */
};

struct writer {
	struct event_base *base;
	struct store *store;
	struct chain chain;		/* with the group; store_append makes it true */
	struct chain durable;		/* without it */
	struct buf group;
	struct buf documents;		/* that its records name */
	size_t group_records;
	struct recent *recent;
	struct intents intents;
	struct seal seal;
	const char *dir;
	struct clock_watch clock;
	struct event *clock_timer;
	struct retention retention;
	struct event *retention_timer;
	bool retention_due, removing;	/* removing: the record about `removal` is in the group */
	struct removal removal;
	unsigned segment;		/* when retention was last looked at */
	LIST_HEAD(sender_list, sender) senders;
	struct event *flush;		/* runs when no link has anything to read */
	struct event *wait;		/* the group is closed then at the latest, whoever may still come */
	uint64_t wait_ends;		/* us, monotonic */
	struct pace pace;
	struct event *retry;
	bool broken;			/* nothing is taken until a new segment was begun */
	unsigned retry_ms, next_retry_ms;
	struct writer_counts counts;
};

/* ---- writer.c ---- */

/* Into the group. False when memory is out: then the group is closed as failed. */
bool writer_add_to_group(struct writer *writer, const struct record *record);
/* When all that has arrived is in it. */
void writer_close_group_later(struct writer *writer);

/* ---- writer_own.c ---- */

/* An "unknown" for each intent that nobody can tell the outcome of any more. */
void own_add_due_outcomes(struct writer *writer);
/* If it is time for one. */
void own_add_checkpoint(struct writer *writer);
/* If the host's clock stepped. Before what is recorded behind it. */
void own_add_clock_step(struct writer *writer);
/* If something is to be removed; and, with the group written or not, its removal. */
void own_add_removal(struct writer *writer);
void own_finish_removal(struct writer *writer, bool durable);
/* Why a new segment begins. */
void own_add_retired(struct writer *writer);
/* What was found at the start, and a root that was not told yet. */
void own_add_found(struct writer *writer, const struct store_found *found);

#endif
