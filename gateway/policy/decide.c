/*
 * decide.c: questions to a policy that answer in one pass over its bindings.
 */
#include "gateway/policy/weigh.h"

struct decision
policy_decide(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now)
{
	struct request request = request_make(identity, permission, object, now);
	struct weighing weighing = { 0 };

	if (!is_well_formed(permission, object))
		return (struct decision){ VERDICT_DENY, NULL };
	for (size_t i = 0; i < policy->num_bindings; i++) {
		if (weigh_binding(&weighing, &policy->bindings[i], &request))
			break;
	}
	return weighing_conclude(&weighing, policy, &request);
}

bool
policy_only_watches(const struct policy *policy)
{
	return policy->permissive;
}

bool
policy_may_ever(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission, time_t now)
{
	struct request request = request_make(identity, permission, NULL, now);
	bool some = false;

	if (!is_well_formed(permission, NULL))
		return false;
	if (softened(policy, &request, VERDICT_DENY) != VERDICT_DENY)
		return true;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum effect effect = binding_effect(binding, &request);
		bool deny = effect == EFFECT_DENY;

		/* A soft deny lets through what it covers, as a silent permissive binding does. */
		if (effect == EFFECT_NONE || (some && !deny) || binding_is_about(binding, &request, deny) != APPLIES ||
		    !binding_is_now(binding, &request, deny))
			continue;
		if (!deny)
			some = binding_covers_some(binding, request.class);
		else if (binding_covers(binding, &request, false))	/* all of the class */
			return false;
	}
	return some;
}

/* The hours are left out: they may begin while the session lasts, and every call is decided anew anyway. */
bool
policy_only_reads(const struct policy *policy, const struct vg_identity *identity, time_t now)
{
	struct request request = request_make(identity, VG_PERM_NONE, NULL, now);

	if (policy->permissive)
		return false;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		struct permset more = binding->allow;

		permset_remove_all(&more, &policy->reads);
		if (!binding->permissive && permset_is_empty(&more))
			continue;
		if (binding_is_about(binding, &request, true) == APPLIES)
			return false;
	}
	return true;
}

bool
policy_knows(const struct policy *policy, const struct vg_identity *identity, time_t now)
{
	struct request request = request_make(identity, VG_PERM_NONE, NULL, now);

	if (policy->permissive && identity->proofs != 0)
		return true;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		if (binding_is_about(&policy->bindings[i], &request, false) == APPLIES)
			return true;
	}
	return false;
}

time_t
policy_next_change(const struct policy *policy, time_t now)
{
	time_t next = 0;

	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct when *when = &policy->bindings[i].when;

		if (when->ends && when->until > now && (next == 0 || when->until < next))
			next = when->until;
		/* Hours are minutes of the week, and zones are whole minutes apart. */
		if (when->week != NULL && (next == 0 || now / 60 * 60 + 60 < next))
			next = now / 60 * 60 + 60;
	}
	return next;
}

void
policy_bindings_of(const struct policy *policy, const struct vg_identity *identity, time_t now, policy_binding_cb *each, void *arg)
{
	struct request request = request_make(identity, VG_PERM_NONE, NULL, now);

	for (size_t i = 0; i < policy->num_bindings; i++) {
		if (binding_is_about(&policy->bindings[i], &request, false) == APPLIES && binding_is_now(&policy->bindings[i], &request, false))
			each(policy->bindings[i].id, arg);
	}
}
