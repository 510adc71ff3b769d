/*
 * ops.h: what the writer remembers of operations: which records came lately, so that one that is sent again is not
 * written twice, and which intents still lack their outcome, so that each gets exactly one (I58).
 */
#ifndef AUDIT_OPS_H
#define AUDIT_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "gateway/audit/chain.h"
#include "gateway/core/buf.h"

/* ---- records that came lately ---- */

#define RECENT_MAX 16384u	/* more than a sender can have without an answer */

struct recent;

struct recent *recent_create(void);
void recent_destroy(struct recent *recent);
bool recent_has(const struct recent *recent, const char *op, unsigned stage);
void recent_add(struct recent *recent, const char *op, unsigned stage);
/* Forgets the `num` that were added last: their group failed. */
void recent_take_back(struct recent *recent, size_t num);

/* ---- intents without an outcome ---- */

enum intent_state {
	INTENT_OPEN,		/* its sender lives and will tell */
	INTENT_ORPHAN,		/* read from the trail at the start: nobody has claimed it yet */
	INTENT_DUE,		/* nobody can tell any more: "unknown" is to be written */
	INTENT_CLOSING		/* its outcome is in the group that is being written */
};

struct intent {
	TAILQ_ENTRY(intent) entry;
	char op[ID_LEN + 1];
	enum intent_state state, before;	/* before: what CLOSING goes back to when the group fails */
	const void *owner;			/* the link that it came on */
	struct buf outcome;			/* body of LINK_RECORD: its outcome, were it unknown */
};

TAILQ_HEAD(intents, intent);

/* From a record on its way into the trail, or a line read back from it. Out of memory costs only its "unknown". */
void intents_add_record(struct intents *intents, const struct record *record, const void *owner);
void intents_add_line(struct intents *intents, const char *op, const char *line, size_t len);
/* The outcome of `op` is in the group. */
void intents_close(struct intents *intents, const char *op);
/* The group is durable: the closing ones go. Or it is not: they are what they were. */
void intents_group_done(struct intents *intents, bool durable);
/* Those of `owner` are due: it is gone. */
void intents_owner_gone(struct intents *intents, const void *owner);
/* Orphans from the id `first` (ID_LEN characters) on belong to `owner`. Those before it, or all when it is NULL, are due. */
void intents_adopt(struct intents *intents, const void *owner, const char *first);
void intents_clear(struct intents *intents);
/* How many there are. */
size_t intents_num(const struct intents *intents);

#endif
