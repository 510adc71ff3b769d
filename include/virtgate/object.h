/*
 * object.h: the thing that a permission is asked for.
 */
#ifndef VIRTGATE_OBJECT_H
#define VIRTGATE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "virtgate/permission.h"

#define VG_UUID_LEN 16
#define VG_UUID_TEXT_LEN 36	/* without the terminator */

/*
 * One object as the gate knows it. All strings are borrowed.
 *
 * `any` stands for the whole class: it is granted only by a binding on "*" or "CLASS:*", and is what the
 * gate asks for where it cannot yet tell which objects a call touches.
 * A volume belongs to its pool and a port to its network: `parent` names it, and a pattern on the parent's
 * class that matches the parent also covers the child. Snapshots and checkpoints are their domain.
 */
struct vg_object {
	enum vg_class class;
	bool any;
	bool has_uuid;
	uint8_t uuid[VG_UUID_LEN];
	const char *name;		/* NULL when unknown; for a node device or interface the key itself */
	const char *parent;		/* name of the pool or network, else NULL */
	bool has_parent_uuid;
	uint8_t parent_uuid[VG_UUID_LEN];
};

#endif
