/*
 * quota.h: what the guests and volumes of a tenant may have together, by rows "quotas" of the policy.
 *
 * A call that could make it more is judged last of all: what libvirtd tells of everything that counts (usage.h), what calls
 * under way will have made of it, and what this one would. Decision and reservation are one step of one thread: of two calls of which only one
 * fits, one passes. A reservation is of an object, by what it will have at most, and lasts as long as its call: from then on libvirtd tells.
 * So that nothing is counted twice, an object counts with the larger of what it has and what is reserved for it.
 */
#ifndef GATE_QUOTA_H
#define GATE_QUOTA_H

#include "gateway/gate/gate.h"

/* As the steps of resolve.h; on DECIDE_ALLOW it is reserved. */
enum decide_verdict quota_check(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len);
/* The call is over: gives back what it had reserved, and what it may have changed is counted anew. */
void quota_end(struct call *call);

#endif
