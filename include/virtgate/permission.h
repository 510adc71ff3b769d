/*
 * permission.h: the vocabulary of permissions and object classes, shared by the procedure table
 * (proto/), the policy and the gate. Names are libvirt's own, so that an admin who knows libvirt's
 * acl.html knows ours; the rows are in permissions.def.
 */
#ifndef VIRTGATE_PERMISSION_H
#define VIRTGATE_PERMISSION_H

/* libvirt's eleven object classes, then the gateway's own (audit, session, policy). */
enum vg_class {
	VG_CLASS_none,
	VG_CLASS_connect,
	VG_CLASS_domain,
	VG_CLASS_interface,
	VG_CLASS_network,
	VG_CLASS_network_port,
	VG_CLASS_node_device,
	VG_CLASS_nwfilter,
	VG_CLASS_nwfilter_binding,
	VG_CLASS_secret,
	VG_CLASS_storage_pool,
	VG_CLASS_storage_vol,
	VG_CLASS_audit,
	VG_CLASS_session,
	VG_CLASS_policy,
	VG_NUM_CLASSES
};

enum vg_permission {
	VG_PERM_NONE,
#define PERM(class, name, meaning) VG_PERM_##class##_##name,
#include "virtgate/permissions.def"
#undef PERM
	VG_NUM_PERMISSIONS
};

#endif
