/*
 * about.h: the bindings about one identity, for showing a person what stands about him in the policy.
 */
#ifndef POLICY_ABOUT_H
#define POLICY_ABOUT_H

#include "gateway/policy/policy.h"

struct binding;

/*
 * Every binding whose `who` is this identity, in order of the file. `holds`: proof, address and end are as it asks for; `now`: its hours too,
 * so that it is in force.
 */
typedef void policy_about_cb(const struct binding *binding, bool holds, bool now, void *arg);
void policy_each_about(const struct policy *policy, const struct vg_identity *identity, time_t now, policy_about_cb *each, void *arg);

/* The first binding that would allow it were it not for its hours; NULL: there is none. For what was denied because nothing allows it. */
const struct binding *policy_outside_hours(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now);

/* What stands in it; borrowed from the policy. NULL where it does not say. */
const char *policy_binding_id(const struct binding *binding);
const char *policy_binding_role(const struct binding *binding);
const char *policy_binding_until(const struct binding *binding);
const char *policy_binding_hours(const struct binding *binding);
bool policy_binding_permissive(const struct binding *binding);
/* Its objects, sets replaced: "domain:web-*", "*". False: there are not so many. */
bool policy_binding_on(const struct binding *binding, size_t index, char *buf, size_t size);

#endif
