/*
 * class.c: what the gate knows of each class of objects.
 */
#include "gateway/gate/class.h"

#include <stdio.h>

#include "gateway/gate/gate.h"

/* Per class: what makes an object visible, and what libvirt says of one that is not there (its drivers and src/util/virerror.c). */
static const struct class_facts {
	enum vg_permission getattr;
	int32_t code, origin;
	const char *missing, *noun;
} class_facts[VG_NUM_CLASSES] = {
	[VG_CLASS_domain] = { VG_PERM_domain_getattr, RPC_ERR_NO_DOMAIN, RPC_ORIGIN_QEMU, "Domain not found: no domain", "domain" },
	[VG_CLASS_network] = { VG_PERM_network_getattr, RPC_ERR_NO_NETWORK, RPC_ORIGIN_NETWORK, "Network not found: no network", "network" },
	[VG_CLASS_network_port] = { VG_PERM_network_port_getattr, RPC_ERR_NO_NETWORK_PORT, RPC_ORIGIN_NETWORK,
	    "network port not found: Network port", "network port" },
	[VG_CLASS_storage_pool] = { VG_PERM_storage_pool_getattr, RPC_ERR_NO_STORAGE_POOL, RPC_ORIGIN_STORAGE,
	    "Storage pool not found: no storage pool", "storage pool" },
	[VG_CLASS_storage_vol] = { VG_PERM_storage_vol_getattr, RPC_ERR_NO_STORAGE_VOL, RPC_ORIGIN_STORAGE,
	    "Storage volume not found: no storage vol", "storage volume" },
	[VG_CLASS_secret] = { VG_PERM_secret_getattr, RPC_ERR_NO_SECRET, RPC_ORIGIN_SECRET, "Secret not found: no secret", "secret" },
	[VG_CLASS_node_device] = { VG_PERM_node_device_getattr, RPC_ERR_NO_NODE_DEVICE, RPC_ORIGIN_NODEDEV,
	    "Node device not found: no node device", "node device" },
	[VG_CLASS_interface] = { VG_PERM_interface_getattr, RPC_ERR_NO_INTERFACE, RPC_ORIGIN_INTERFACE,
	    "Interface not found: no interface", "interface" },
	[VG_CLASS_nwfilter] = { VG_PERM_nwfilter_getattr, RPC_ERR_NO_NWFILTER, RPC_ORIGIN_NWFILTER,
	    "Network filter not found: no nwfilter", "network filter" },
	[VG_CLASS_nwfilter_binding] = { VG_PERM_nwfilter_binding_getattr, RPC_ERR_NO_NWFILTER_BINDING, RPC_ORIGIN_NWFILTER,
	    "Network filter binding not found: no nwfilter binding", "network filter binding" },
};

void
class_missing(struct rpc_error *error, enum vg_class class, const char *how, const char *key)
{
	const struct class_facts *facts = &class_facts[class];

	error->code = facts->code;
	error->origin = facts->origin;
	if (class == VG_CLASS_network_port)
		(void)snprintf(error->message, sizeof(error->message), "%s with UUID %s does not exist", facts->missing, key);
	else
		(void)snprintf(error->message, sizeof(error->message), "%s with matching %s %s", facts->missing, how, key);
}

void
class_missing_uuid(struct rpc_error *error, enum vg_class class, const uint8_t uuid[VG_UUID_LEN], const char *name)
{
	char text[VG_UUID_TEXT_LEN + 1], key[VG_UUID_TEXT_LEN + 300];

	uuid_text(uuid, text);
	(void)snprintf(key, sizeof(key), class == VG_CLASS_network_port ? "%s" : class == VG_CLASS_secret ? "'%s'" : "'%s' (%s)", text,
	    name == NULL ? "" : name);
	class_missing(error, class, "uuid", key);
}

enum vg_permission
class_getattr(enum vg_class class)
{
	return class_facts[class].getattr;
}

const char *
class_noun(enum vg_class class)
{
	return class_facts[class].noun;
}
