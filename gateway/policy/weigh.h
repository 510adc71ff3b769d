/*
 * weigh.h: what single bindings say about a permission, and what follows from all of them. Private to this folder; the
 * order of precedence is told in policy.h.
 */
#ifndef POLICY_WEIGH_H
#define POLICY_WEIGH_H

#include "gateway/policy/match.h"

/* What a binding says about a permission, should it apply. */
enum effect {
	EFFECT_NONE,
	EFFECT_DENY,		/* its role denies */
	EFFECT_SOFT_DENY,	/* the same, in permissive mode */
	EFFECT_DOUBTFUL_DENY,	/* the same, but whether it covers the object is not certain: it lets nothing through by itself */
	EFFECT_ALLOW,		/* its role allows */
	EFFECT_SOFT_NONE,	/* its role says nothing, and the mode is permissive: let through, recorded */
	NUM_EFFECTS
};

/* The first applying binding of each effect. Start with zeroes. */
struct weighing {
	const struct binding *first[NUM_EFFECTS];
};

/* What permissive mode never softens: what must be granted by name, and the gateway's own permissions. */
static inline bool
never_softened(const struct request *request)
{
	return permission_by_name_only(request->permission) || class_is_own(request->class);
}

/* The verdict where the whole policy is permissive: what it denies is let through, for everybody who is authenticated. */
static inline enum verdict
softened(const struct policy *policy, const struct request *request, enum verdict verdict)
{
	return policy->permissive && verdict == VERDICT_DENY && !never_softened(request) &&
	    (request->identity == NULL || request->identity->proofs != 0) ? VERDICT_WOULD_DENY : verdict;
}

enum effect permissive_effect(const struct binding *binding, const struct request *request);

static inline enum effect
enforced_effect(const struct binding *binding, enum vg_permission permission)
{
	return permset_has(&binding->deny, permission) ? EFFECT_DENY :
	    permset_has(&binding->allow, permission) ? EFFECT_ALLOW : EFFECT_NONE;
}

/* What it says about the request's permission. */
static inline enum effect
binding_effect(const struct binding *binding, const struct request *request)
{
	return binding->permissive ? permissive_effect(binding, request) : enforced_effect(binding, request->permission);
}

/* Does the binding apply to the request? A permissive deny that may only be meant becomes EFFECT_DOUBTFUL_DENY. */
enum finding effect_look(enum effect *effect, const struct binding *binding, struct request *request);
void weigh(struct weighing *weighing, enum effect effect, const struct binding *binding);
struct decision weighing_conclude(const struct weighing *weighing, const struct policy *policy, const struct request *request);
/* Weighs one binding, should it apply. True: it settles the matter. */
bool weigh_binding(struct weighing *weighing, const struct binding *binding, struct request *request);
/* An object that is not of the permission's class is the caller's mistake: nothing is granted on it. */
bool is_well_formed(enum vg_permission permission, const struct vg_object *object);

#endif
