/*
 * outside.h: changes behind the gateway's back. What libvirtd tells in an event, and no call that went through the gateway
 * explains, was done by somebody on the host, by another host, or by the guest itself: each becomes a record of its own.
 *
 * An event is explained by a change of ours on the same object that libvirtd is working on, or answered a moment ago, and of which it tells such
 * things: a connection of its own brings the event, so it may come after the answer. What is only begun by a call (a shutdown, a device that
 * the guest must let go of) explains for longer. The definition that a change of ours left is known: another one that is found behind it is somebody
 * else's, whatever event told of it (roll.h). A state that somebody on the host changes in the moment after our own change of state is not told apart.
 */
#ifndef GATE_OUTSIDE_H
#define GATE_OUTSIDE_H

#include "gateway/gate/gate.h"

struct upstream;

struct outside *outside_create(struct gate *gate);	/* NULL: out of memory */
void outside_destroy(struct outside *outside);

/* A change that was allowed, and what it is about: it explains events from now on. -1: out of memory. */
int outside_begin(struct call *call, const struct vg_object *object);
/* It is over, however it ended. A call that began nothing is fine. */
void outside_end(struct call *call);
/* Forgets what explains nothing any more. Once a second. */
void outside_tick(struct outside *outside, time_t now);

/* Asks libvirtd for the events that inventory.c and known.c do not ask for themselves. */
void outside_subscribe(struct upstream *upstream);
/* Can this call change whether something is started with the host? An undefined object is not. */
bool outside_may_autostart(const char *call);
/* And the snapshots or checkpoints of a domain? */
bool outside_may_change_parts(const char *call);
/* Any event that came on the connection of an inventory: recorded, unless it is explained. */
void outside_event(struct outside *outside, const struct inventory *inventory, const struct rpc_proc *proc, const uint8_t *body, size_t len);
/* What changes of ours, under way or over a moment ago, explain of what is found of this object: a set of enum roll_change. */
unsigned outside_explains(struct outside *outside, const struct inventory *inventory, const struct xdr_object *object);

#endif
