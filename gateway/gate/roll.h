/*
 * roll.h: the roll of what there is behind one URI: domains, networks, pools, filters and secrets, each with its state and the digest of its
 * definition, as they were when last looked at. When the gate starts, and when libvirtd is there again, all are looked at anew: what is not as it was, and
 * no record of the trail explains, was done meanwhile without the gateway, and becomes a record outside.away. While the gate runs, all are compared again every
 * inventory_interval seconds (roll_lap.c), for what libvirtd told nobody: records outside.host, with found_by "comparison".
 *
 * What was is kept by the audit reader from one run to the next (audit/census.h). That it is what was kept can be told after an orderly end: the
 * trail has its digest (record inventory.kept). While the gateway runs, each object that a call or an event was about is looked at again. The call and the event
 * have records of their own; what is told then is what they do not explain: another definition than the one that our change left, which roll_left() has,
 * and that it is started with the host, or not any more.
 *
 * Of volumes of pools that run, snapshots and checkpoints it has the names (roll_parts.c).
 *
 * Not seen: what runs where it is another than what is defined (so while the gateway runs, no change of a domain that has no definition), what is in volumes,
 * snapshots and checkpoints, and what was changed and changed back.
 */
#ifndef GATE_ROLL_H
#define GATE_ROLL_H

#include "gateway/gate/gate.h"

/* How a thing is not what it was: a set. */
enum roll_change {
	CHANGE_APPEARED = 1, CHANGE_GONE = 2, CHANGE_RENAMED = 4, CHANGE_DEFINITION = 8, CHANGE_ACTIVE = 16, CHANGE_PERSISTENT = 32, CHANGE_AUTOSTART = 64,
	CHANGE_PARTS = 128,	/* its volumes, snapshots or checkpoints */
	CHANGE_DEFINED = CHANGE_APPEARED | CHANGE_GONE | CHANGE_DEFINITION, CHANGE_MOST = 63, CHANGE_ALL = 255
};

struct roll *roll_create(struct gate *gate, struct inventory *inventory);	/* NULL: out of memory */
void roll_destroy(struct roll *roll);						/* before its inventory; NULL is fine */
/* Once a second, by gate_steady(). */
void roll_tick(struct roll *roll, time_t now);
/*
 * Something was done to an object, or libvirtd told of it: it is looked at again soon, and then `explained`, a set of changes, is not news. Without a UUID it
 * goes by its name, and nothing is; of a volume it is the name of its pool. NULL is fine.
 */
void roll_touch(struct roll *roll, enum vg_class class, const uint8_t *uuid, const char *name, size_t name_len, unsigned explained);
/*
 * A call of ours left this definition, and no other of ours was about the object meanwhile. What is found next is held against it. `text` is taken; false:
 * there is no room for it, and the definition is to be explained otherwise.
 */
bool roll_left(struct roll *roll, enum vg_class class, const uint8_t *uuid, char *text, size_t len);
/*
 * The record of an event that changed a definition: it is submitted, with the difference, when the object was looked at, which is at once. False: it cannot
 * be looked at now, and the record is still the caller's.
 */
bool roll_hold(struct roll *roll, enum vg_class class, const uint8_t *uuid, json_t *record);
/*
 * A definition as it is just before a call of ours changes it. Another than when it was last looked at: that was done without the gateway, and
 * without an event of libvirtd's (it has none for many of them), and becomes a record. NULL is fine.
 */
void roll_saw(struct roll *roll, enum vg_class class, const uint8_t *uuid, const char *text, size_t len);
/* The connection to libvirtd is lost, and it is there again. NULL is fine. */
void roll_lost(struct roll *roll);
void roll_back(struct roll *roll);
/* The gate ends: the trail is told the digest of what is kept. */
void roll_stop(struct roll *roll);

#endif
