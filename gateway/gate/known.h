/*
 * known.h: the UUIDs of the networks and storage pools of one libvirtd by their names, for replies that only name them: legacy lists
 * of names, and volumes that were looked up by key or path. Listed once, then kept fresh by events. Only an addition: of what is
 * not known here, no UUID is known, and nothing that is granted by UUID is seen.
 */
#ifndef GATE_KNOWN_H
#define GATE_KNOWN_H

#include "gateway/gate/upstream.h"

struct known {
	struct known_object *objects;
	bool deaf[VG_NUM_CLASSES];	/* libvirtd sends no events of these */
	bool listed[VG_NUM_CLASSES];	/* the list has come */
	const char *uri;		/* borrowed, for the log */
};

/* Registers for events and asks for the lists. What the driver does not have is left out. */
void known_start(struct known *known, struct upstream *upstream);
/* Any event of libvirtd's. */
void known_event(struct known *known, const struct rpc_proc *proc, const uint8_t *body, size_t len);
void known_forget_all(struct known *known);
/* False: not all are known. */
bool known_each(const struct known *known, enum vg_class class, void (*each)(const char *name, const uint8_t uuid[VG_UUID_LEN], void *arg), void *arg);
/* NULL: not known. Borrowed until the next event. */
const uint8_t *known_uuid(const struct known *known, enum vg_class class, const char *name);

#endif
