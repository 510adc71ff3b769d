/*
 * admission.c: whose documents are judged by which rows. Doubt falls on the side of being judged.
 */
#include <string.h>

#include "gateway/policy/match.h"

/* Is this role bound to him on the object, now, by a binding that is no trial? */
static bool
has_role(const struct policy *policy, const struct role *role, struct request *request)
{
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];

		if (binding->role == role && !binding->permissive && binding_applies(binding, request, false))
			return true;
	}
	return false;
}

static bool
is_excepted(const struct policy *policy, const struct admission *row, struct request *request)
{
	if (row->except.num_who > 0 && binding_is_about(&row->except, request, false) == APPLIES)
		return true;
	for (size_t i = 0; i < row->num_roles; i++)
		if (has_role(policy, row->roles[i], request))
			return true;
	return false;
}

void
policy_admission(const struct policy *policy, const struct vg_identity *identity, const struct vg_object *object, time_t now,
    policy_row_cb *each, void *arg)
{
	struct request request = request_make(identity, VG_PERM_NONE, object, now);

	/* No permission is asked for: the class is the object's. */
	request.class = object->class;
	request.host = class_is_host(object->class);
	for (size_t i = 0; i < policy->num_admission + policy->num_rules; i++) {
		const struct admission *row = i < policy->num_admission ? &policy->admission[i] : &policy->rules[i - policy->num_admission];

		if ((row->everybody || binding_is_about(&row->who, &request, row->row.profile != VG_PROFILE_PRIVILEGED) == APPLIES) &&
		    !is_excepted(policy, row, &request))
			each(&row->row, arg);
	}
}

const struct vg_rule *
policy_rule_at(const struct policy *policy, size_t index)
{
	return index < policy->num_rules ? policy->rules[index].row.rule : NULL;
}
