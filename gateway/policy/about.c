/*
 * about.c: what stands in the policy about one person.
 */
#include "gateway/policy/about.h"

#include "gateway/policy/weigh.h"
#include "gateway/policy/texts.h"

void
policy_each_about(const struct policy *policy, const struct vg_identity *identity, time_t now, policy_about_cb *each, void *arg)
{
	struct request request = request_make(identity, VG_PERM_NONE, NULL, now);

	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum finding finding = binding_is_about(binding, &request, false);

		if (finding != NOT_WHO)
			each(binding, finding == APPLIES, finding == APPLIES && binding_is_now(binding, &request, false), arg);
	}
}

const struct binding *
policy_outside_hours(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission, const struct vg_object *object,
    time_t now)
{
	struct request request = request_make(identity, permission, object, now);

	if (!is_well_formed(permission, object))
		return NULL;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];

		if (binding->when.week != NULL && binding_effect(binding, &request) == EFFECT_ALLOW && binding_is_about(binding, &request, false) == APPLIES &&
		    !binding_is_now(binding, &request, false) && binding_covers(binding, &request, false))
			return binding;
	}
	return NULL;
}

const char *
policy_binding_id(const struct binding *binding)
{
	return binding->id;
}

const char *
policy_binding_role(const struct binding *binding)
{
	return binding->role->name;
}

const char *
policy_binding_until(const struct binding *binding)
{
	return binding->when.until_text;
}

const char *
policy_binding_hours(const struct binding *binding)
{
	return binding->when.hours_text;
}

bool
policy_binding_permissive(const struct binding *binding)
{
	return binding->permissive;
}

bool
policy_binding_on(const struct binding *binding, size_t index, char *buf, size_t size)
{
	if (index >= binding->num_on)
		return false;
	pattern_text(&binding->on[index], buf, size);
	return true;
}
