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

static struct request
request_about(const struct vg_identity *identity, const struct vg_object *object, time_t now)
{
	struct request request = request_make(identity, VG_PERM_NONE, object, now);

	/* No permission is asked for: the class is the object's. */
	request.class = object->class;
	request.host = class_is_host(object->class);
	return request;
}

void
policy_admission(const struct policy *policy, const struct vg_identity *identity, const struct vg_object *object, time_t now,
    policy_row_cb *each, void *arg)
{
	struct request request = request_about(identity, object, now);

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

static const struct {
	const char *rule, *unit;
} amounts[VG_NUM_AMOUNTS] = { [VG_AMOUNT_GUESTS] = { "quota-guests", "guests" }, [VG_AMOUNT_VCPUS] = { "quota-vcpus", "processors" },
	[VG_AMOUNT_MEMORY] = { "quota-memory", "KiB of memory" }, [VG_AMOUNT_DISK] = { "quota-disk", "KiB of disk" } };

const char *
policy_amount_rule(enum vg_amount amount)
{
	return amounts[amount].rule;
}

const char *
policy_amount_unit(enum vg_amount amount)
{
	return amounts[amount].unit;
}

const struct policy_quota *
policy_quota_at(const struct policy *policy, size_t index)
{
	return index < policy->num_quotas ? &policy->quotas[index].quota : NULL;
}

bool
policy_quota_covers(const struct policy *policy, size_t index, const struct vg_object *object)
{
	struct request request = request_about(NULL, object, 0);

	return binding_covers(&policy->quotas[index].on, &request, object->name == NULL);
}

bool
policy_quota_binds(const struct policy *policy, size_t index, const struct vg_identity *identity, const struct vg_object *object, time_t now)
{
	const struct admission *people = &policy->quotas[index].people;
	struct request request = request_about(identity, object, now);

	return (people->everybody || binding_is_about(&people->who, &request, true) == APPLIES) && !is_excepted(policy, people, &request);
}
