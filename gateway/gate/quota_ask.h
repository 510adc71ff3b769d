/*
 * quota_ask.h: what a call would make of an object, as a quota counts it. Of quota.c alone.
 */
#ifndef GATE_QUOTA_ASK_H
#define GATE_QUOTA_ASK_H

#include "gateway/gate/resolve.h"

/* What a call makes of an object. */
struct reservation {
	TAILQ_ENTRY(reservation) entry;		/* in quota.c's list, once it is made */
	bool made;
	const struct inventory *inventory;
	struct vg_object object;		/* its names are below */
	char name[256], parent[256];
	struct vg_amounts totals;		/* it has at most that much then, or has now */
	struct vg_amounts adds;			/* on top of what it has then */
};

/* To the larger of both, each. */
void quota_raise(struct vg_amounts *amounts, const struct vg_amounts *other);
/* Is it a call that could make more of something that a quota counts? */
bool quota_may_ask(const struct call *call, const struct vg_object *object);
/* Fills `asked`, which is zeros: of an object of class none there is nothing to count. As the steps of resolve.h. */
enum decide_verdict quota_ask(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len,
    struct reservation *asked);

#endif
