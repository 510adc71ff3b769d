/*
 * settle.h: what became of changes whose outcome nobody told, because the gateway ended in the middle of them. The trail says "unknown" of
 * each; at its start the gate asks the reader for these, looks at libvirtd's state, and a record change.settled says of each what can be known:
 * made, not made, or that it cannot be known. How, is one row a call in settle.def.
 *
 * What is known is what is there now: a domain that runs, an object that is gone, a document that is another than the one before the
 * change. That somebody else did it meanwhile cannot be told apart.
 */
#ifndef GATE_SETTLE_H
#define GATE_SETTLE_H

#include "gateway/gate/gate.h"

struct settle *settle_create(struct gate *gate);	/* NULL: out of memory */
void settle_destroy(struct settle *settle);		/* NULL is fine */
/* Once a second. */
void settle_tick(struct settle *settle, time_t now);

#endif
