/*
 * libvirt.h: what libvirtd tells of its guests, over its local read-only socket: a small client that waits for each answer.
 */
#ifndef CLI_LIBVIRT_H
#define CLI_LIBVIRT_H

#include <stddef.h>

#include "virtgate/result.h"

/*
 * The definition of every guest of the driver behind `uri`, also of those that only run, without what belongs to the run. `xml` is borrowed and not
 * terminated; NULL: libvirtd does not tell it. -1 with error text; guests may have been told before.
 */
typedef void libvirt_guest_cb(const char *name, const char *xml, size_t len, void *arg);
int libvirt_guests(const char *socket, const char *uri, libvirt_guest_cb *each, void *arg, struct vg_error *error);

#endif
