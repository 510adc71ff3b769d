/*
 * permission.c: the vocabulary as tables, and the ways a person may spell it.
 */
#include <string.h>

#include "gateway/policy/permset.h"
#include "gateway/policy/policy.h"
#include "virtgate/glob.h"

#define POLKIT_PREFIX "org.libvirt.api."

static const struct {
	enum vg_class class;
	const char *name, *meaning;
} permissions[VG_NUM_PERMISSIONS] = {
	[VG_PERM_NONE] = { VG_CLASS_none, "none", "no permission" },
#define PERM(class_, name_, meaning_) [VG_PERM_##class_##_##name_] = { VG_CLASS_##class_, #class_ ":" #name_, meaning_ },
#include "virtgate/permissions.def"
#undef PERM
};

static const enum vg_permission wholes[VG_NUM_PERMISSIONS] = {
#define PERM(class_, name_, meaning_)
#define PART(class_, name_, whole_, meaning_) [VG_PERM_##class_##_##name_] = VG_PERM_##class_##_##whole_,
#include "virtgate/permissions.def"
#undef PERM
};

static const char *const classes[VG_NUM_CLASSES] = {
	[VG_CLASS_none] = "none",
	[VG_CLASS_connect] = "connect",
	[VG_CLASS_domain] = "domain",
	[VG_CLASS_interface] = "interface",
	[VG_CLASS_network] = "network",
	[VG_CLASS_network_port] = "network_port",
	[VG_CLASS_node_device] = "node_device",
	[VG_CLASS_nwfilter] = "nwfilter",
	[VG_CLASS_nwfilter_binding] = "nwfilter_binding",
	[VG_CLASS_secret] = "secret",
	[VG_CLASS_storage_pool] = "storage_pool",
	[VG_CLASS_storage_vol] = "storage_vol",
	[VG_CLASS_audit] = "audit",
	[VG_CLASS_session] = "session",
	[VG_CLASS_policy] = "policy",
};

const char *
permission_name(enum vg_permission permission)
{
	return (unsigned)permission < VG_NUM_PERMISSIONS ? permissions[permission].name : "?";
}

const char *
permission_meaning(enum vg_permission permission)
{
	return (unsigned)permission < VG_NUM_PERMISSIONS ? permissions[permission].meaning : "?";
}

enum vg_class
permission_class(enum vg_permission permission)
{
	return (unsigned)permission < VG_NUM_PERMISSIONS ? permissions[permission].class : VG_CLASS_none;
}

enum vg_permission
permission_whole(enum vg_permission permission)
{
	return (unsigned)permission < VG_NUM_PERMISSIONS ? wholes[permission] : VG_PERM_NONE;
}

const char *
class_name(enum vg_class class)
{
	return (unsigned)class < VG_NUM_CLASSES ? classes[class] : "?";
}

enum vg_class
class_find(const char *name)
{
	for (unsigned class = VG_CLASS_none + 1; class < VG_NUM_CLASSES; class++) {
		if (strcmp(classes[class], name) == 0)
			return (enum vg_class)class;
	}
	return VG_CLASS_none;
}

/* "org.libvirt.api.storage-pool.search-storage-vols" to "storage_pool:search_storage_vols"; -1 when it is not polkit's. */
static int
from_polkit(const char *name, char *buf, size_t size)
{
	size_t len, prefix = strlen(POLKIT_PREFIX);
	char *dot;

	if (strncmp(name, POLKIT_PREFIX, prefix) != 0)
		return -1;
	len = strlen(name + prefix);
	if (len >= size || strpbrk(name + prefix, "_:") != NULL)
		return -1;
	memcpy(buf, name + prefix, len + 1);
	dot = strchr(buf, '.');
	if (dot == NULL || strchr(dot + 1, '.') != NULL)
		return -1;
	*dot = ':';
	for (char *c = buf; *c != '\0'; c++) {
		if (*c == '-')
			*c = '_';
	}
	return 0;
}

enum vg_permission
permission_find(const char *name)
{
	char ours[PERMISSION_MAX_NAME];

	if (from_polkit(name, ours, sizeof(ours)) == 0)
		name = ours;
	for (unsigned permission = VG_PERM_NONE + 1; permission < VG_NUM_PERMISSIONS; permission++) {
		if (strcmp(permissions[permission].name, name) == 0)
			return (enum vg_permission)permission;
	}
	return VG_PERM_NONE;
}

void
permset_add_parts(struct permset *set)
{
	for (unsigned permission = VG_PERM_NONE + 1; permission < VG_NUM_PERMISSIONS; permission++) {
		if (wholes[permission] != VG_PERM_NONE && permset_has(set, wholes[permission]))
			permset_add(set, (enum vg_permission)permission);
	}
}

void
permset_add_wholes(struct permset *set)
{
	for (unsigned permission = VG_PERM_NONE + 1; permission < VG_NUM_PERMISSIONS; permission++) {
		if (wholes[permission] != VG_PERM_NONE && permset_has(set, (enum vg_permission)permission))
			permset_add(set, wholes[permission]);
	}
}

size_t
permset_add_matching(struct permset *set, const char *pattern, bool exact_too)
{
	char ours[PERMISSION_MAX_NAME];
	size_t num = 0;

	if (from_polkit(pattern, ours, sizeof(ours)) == 0)
		pattern = ours;
	for (unsigned permission = VG_PERM_NONE + 1; permission < VG_NUM_PERMISSIONS; permission++) {
		if (!glob_match(pattern, permissions[permission].name))
			continue;
		num++;
		if (exact_too || !permission_by_name_only((enum vg_permission)permission) ||
		    strcmp(pattern, permissions[permission].name) == 0)
			permset_add(set, (enum vg_permission)permission);
	}
	return num;
}
