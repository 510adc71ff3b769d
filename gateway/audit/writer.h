/*
 * writer.h: the audit process's work: records of all links go into the trail, group by group. Strictly write, then
 * sync, then answer.
 *
 * Whatever arrives while the disk is busy becomes the next group: one write and one sync for all of it. With many changes in flight it waits a
 * little for those that are on their way (pace.h). A group that fails is answered AUDIT_FAILED as a whole, as is everything after it until a new
 * segment could be begun.
 */
#ifndef AUDIT_WRITER_H
#define AUDIT_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "gateway/audit/retention.h"
#include "gateway/audit/signer.h"
#include "gateway/audit/store.h"
#include "gateway/core/link.h"
#include "virtgate/result.h"

/* Priorities of the loop: records are read before the group is closed. */
#define WRITER_PRIORITIES 3

struct writer;

struct writer_options {
	const char *dir;		/* stays the caller's, as long as the writer lives */
	const struct store_calls *calls;
	uint64_t segment_bytes;
	struct retention retention;
	int key_fd;			/* of the key that signs checkpoints (signer.h), which the writer takes; -1: none */
	unsigned retry_ms;		/* first wait before a new segment is tried; doubles up to 16 times that */
	unsigned epoch_seconds;		/* how long a key signs */
};
#define WRITER_DEFAULTS(dir_) { (dir_), &store_real_calls, STORE_SEGMENT_BYTES, { 0, 0 }, -1, 250, SIGNER_EPOCH_SECONDS }

/* `base` needs event_base_priority_init(base, WRITER_PRIORITIES). NULL with `error`. */
struct writer *writer_create(struct event_base *base, const struct writer_options *options, struct vg_error *error);
/* Writes what has arrived, then lets go of everything. */
void writer_destroy(struct writer *writer);
/* A sender; takes `fd`. -1 with errno. */
int writer_add(struct writer *writer, int fd, enum process_kind kind);

/* Of the life of this writer. */
struct writer_counts {
	uint64_t records, groups, repeats, rejected, failures;
};
const struct writer_counts *writer_counts(const struct writer *writer);
bool writer_healthy(const struct writer *writer);
/* The root of the keys that sign the trail; NULL when it is not signed. `*is_new`: this writer made it. */
const char *writer_root(const struct writer *writer, bool *is_new);

#endif
