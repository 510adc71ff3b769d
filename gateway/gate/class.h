/*
 * class.h: what the gate knows of each class of objects.
 */
#ifndef GATE_CLASS_H
#define GATE_CLASS_H

#include "proto/rpc.h"
#include "virtgate/permission.h"

/* The permission that makes an object of this class visible; VG_PERM_NONE for classes without objects. */
enum vg_permission class_getattr(enum vg_class class);
/* "storage volume"; NULL for classes without objects. */
const char *class_noun(enum vg_class class);
/* The error that libvirtd gives for an object that is not there; `key` is what was asked for, by `how` ("name", "uuid"). */
void class_missing(struct rpc_error *error, enum vg_class class, const char *how, const char *key);
/* The same of one that was named by its UUID, and by this name (may be NULL). */
void class_missing_uuid(struct rpc_error *error, enum vg_class class, const uint8_t uuid[VG_UUID_LEN], const char *name);

#endif
