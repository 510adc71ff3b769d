/*
 * seal.h: when there is a checkpoint: after CHECKPOINT_RECORDS records, CHECKPOINT_BYTES bytes or CHECKPOINT_SECONDS
 * seconds, at the stop, and at the start when the stop was none. Without records there is none.
 *
 * The chain of keys has no hole, whatever fails and for however long. A checkpoint that ends an epoch must be in AUDIT_KEYS_FILE by the time its
 * segment is removed, so:
 *
 *	1. It is listed once it is durable in the trail, and until then there is no other checkpoint: one at most waits.
 *	2. No segment begins while one waits (seal_list() is asked before): it stands in the last segment.
 *	3. A start reads the last segment, finds there what waits, and is bound by 1 and 2 like the process before it.
 *
 * When the list cannot be written, records go on to the end of the segment; then changes are refused, as on any disk that is full or fails.
 */
#ifndef AUDIT_SEAL_H
#define AUDIT_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "gateway/audit/chain.h"
#include "gateway/audit/signer.h"
#include "gateway/audit/store.h"

struct seal {
	int keys_fd;			/* AUDIT_KEYS_FILE */
	const struct store_calls *calls;	/* it is written by */
	struct signer *signer;		/* NULL: the trail is not signed */
	struct event *timer;
	bool due, pending;		/* pending: one is in the group that is being written */
	uint64_t covered;		/* the record of the last checkpoint */
	uint64_t bytes;			/* of records since then */
	bool has_last;
	struct checkpoint last;		/* that was read from the trail at the start, or is being written */
	struct checkpoint listed;	/* the last of AUDIT_KEYS_FILE */
	struct checkpoint unlisted;	/* waits to be added to it */
	bool waits;
	bool told, forgot;		/* told: that it fails; forgot: one that waited, for another that the trail shows */
};

/* Takes `key_fd`; -1: the trail is not signed. Checkpoints that end an epoch are listed in `dir` too. `due` is called when a minute is over. */
int seal_open(struct seal *seal, struct event_base *base, int key_fd, unsigned epoch_seconds, const char *dir,
    const struct store_calls *calls, event_callback_fn due, void *arg, struct vg_error *error);
void seal_close(struct seal *seal);
/* A line of the trail as it is read at the start. */
void seal_take_line(struct seal *seal, const struct scan_line *facts, const char *line, size_t len);
/* Lists the checkpoint that waits, if one does. -1 with errno: it still waits, and no segment may begin. */
int seal_list(struct seal *seal);
/* All lines were read. False: a list that lacks several keys that the trail shows (somebody removed it) could not be written. Going on, one would be forgotten. */
bool seal_all_listed(const struct seal *seal);
/* All lines were read, and are durable. False with `what`: key and trail do not belong together. */
bool seal_settle(struct seal *seal, const struct chain *chain, char *what, size_t size);

/* Has the trail never heard of the root? A start that was stopped early may have made it. */
bool seal_root_untold(const struct seal *seal);

/* Is it time for one, at the end of this chain? */
bool seal_wanted(struct seal *seal, const struct chain *chain);
/* The text of one about the last record of `chain`. -1: it cannot be made. */
int seal_make(struct seal *seal, const struct chain *chain, char text[CHECKPOINT_TEXT_MAX]);
/* It did not get into the group. */
void seal_forget(struct seal *seal);
/* A group of `bytes` is durable, or failed; `chain` is the end of the trail now. */
void seal_group_done(struct seal *seal, const struct chain *chain, size_t bytes, bool durable);

#endif
