/*
 * permset.h: a set of permissions, and what sorts of permission there are.
 */
#ifndef POLICY_PERMSET_H
#define POLICY_PERMSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtgate/permission.h"

#define PERMSET_WORDS (((size_t)VG_NUM_PERMISSIONS + 63) / 64)
#define PERMISSION_MAX_NAME 64

struct permset {
	uint64_t words[PERMSET_WORDS];
};

static inline void
permset_add(struct permset *set, enum vg_permission permission)
{
	set->words[(size_t)permission / 64] |= UINT64_C(1) << ((unsigned)permission % 64);
}

static inline bool
permset_has(const struct permset *set, enum vg_permission permission)
{
	return (set->words[(size_t)permission / 64] >> ((unsigned)permission % 64) & 1) != 0;
}

static inline void
permset_add_all(struct permset *set, const struct permset *more)
{
	for (size_t i = 0; i < PERMSET_WORDS; i++)
		set->words[i] |= more->words[i];
}

static inline void
permset_remove_all(struct permset *set, const struct permset *less)
{
	for (size_t i = 0; i < PERMSET_WORDS; i++)
		set->words[i] &= ~less->words[i];
}

static inline bool
permset_is_empty(const struct permset *set)
{
	for (size_t i = 0; i < PERMSET_WORDS; i++) {
		if (set->words[i] != 0)
			return false;
	}
	return true;
}

/* Raw ways into QEMU and the guest: a glob, a built-in role or a permissive binding never grants them. */
static inline bool
permission_by_name_only(enum vg_permission permission)
{
	return permission == VG_PERM_domain_monitor || permission == VG_PERM_domain_agent;
}

/* The gateway's own classes guard the gateway itself. */
static inline bool
class_is_own(enum vg_class class)
{
	return class == VG_CLASS_audit || class == VG_CLASS_session || class == VG_CLASS_policy;
}

/* Classes without objects: a permission of theirs holds for the host, whatever a binding's `on` says. */
static inline bool
class_is_host(enum vg_class class)
{
	return class == VG_CLASS_connect || class_is_own(class);
}

/* Parts (permissions.def): of an allow, also the parts of each whole in it; of a deny, also the whole of each part in it. */
void permset_add_parts(struct permset *set);
void permset_add_wholes(struct permset *set);

/*
 * Adds what the name, polkit name or glob matches and returns how many matched. Unless `exact_too`, a glob matches
 * permissions that need their exact name without adding them.
 */
size_t permset_add_matching(struct permset *set, const char *pattern, bool exact_too);

#endif
