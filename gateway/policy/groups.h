/*
 * groups.h: who is in a group of a policy.
 */
#ifndef POLICY_GROUPS_H
#define POLICY_GROUPS_H

#include <jansson.h>

/* All members of a group, as keys of an object; groups in it replaced by theirs. `groups` is that part of the policy file. */
json_t *policy_group_members(json_t *groups, const char *name);

#endif
