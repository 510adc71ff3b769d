/*
 * roles.c: the roles of a loaded policy, for those who show them to people.
 */
#include <string.h>

#include "gateway/policy/compiled.h"

const struct role *
policy_role(const struct policy *policy, const char *name)
{
	for (const struct role *role = policy->roles; role != NULL; role = role->next) {
		if (strcmp(role->name, name) == 0)
			return role;
	}
	return NULL;
}

const struct role *
policy_role_at(const struct policy *policy, size_t index)
{
	const struct role *role = policy->roles;
	size_t num = 0;

	for (const struct role *one = role; one != NULL; one = one->next)
		num++;
	if (index >= num)
		return NULL;
	/* The list has the last one first. */
	for (size_t i = num - 1; i > index; i--)
		role = role->next;
	return role;
}

const char *
policy_role_name(const struct role *role)
{
	return role->name;
}

bool
policy_role_is_builtin(const struct role *role)
{
	return role->builtin;
}

bool
policy_role_allows(const struct role *role, enum vg_permission permission)
{
	return permset_has(&role->allow, permission);
}

bool
policy_role_denies(const struct role *role, enum vg_permission permission)
{
	return permset_has(&role->deny, permission);
}
