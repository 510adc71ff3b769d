/*
 * weigh.c: effects of single bindings, and their order of precedence.
 */
#include "gateway/policy/weigh.h"

enum effect
permissive_effect(const struct binding *binding, const struct request *request)
{
	enum effect firm = enforced_effect(binding, request->permission);

	/*
	 * Permissive mode has no say on what must be granted by name, nor on the gateway's own permissions, and on the host's
	 * only when the binding is on everything: a trial on some domains must not open the host.
	 */
	if (never_softened(request) || (class_is_host(request->class) && !binding->everything))
		return firm;
	return firm == EFFECT_DENY ? EFFECT_SOFT_DENY : firm == EFFECT_NONE ? EFFECT_SOFT_NONE : firm;
}

static bool
effect_applies(enum effect *effect, const struct binding *binding, struct request *request)
{
	/* A deny needs no certainty about names, UUIDs and addresses that are not known; what lets through does. */
	if (binding_applies(binding, request, *effect == EFFECT_DENY))
		return true;
	if (*effect != EFFECT_SOFT_DENY || !binding_applies(binding, request, true))
		return false;
	*effect = EFFECT_DOUBTFUL_DENY;
	return true;
}

enum finding
effect_look(enum effect *effect, const struct binding *binding, struct request *request)
{
	enum finding finding = binding_look(binding, request, *effect == EFFECT_DENY);

	return finding != APPLIES && effect_applies(effect, binding, request) ? APPLIES : finding;
}

bool
is_well_formed(enum vg_permission permission, const struct vg_object *object)
{
	if ((unsigned)permission >= VG_NUM_PERMISSIONS || permission == VG_PERM_NONE)
		return false;
	return object == NULL || class_is_host(permission_class(permission)) || object->class == permission_class(permission);
}

void
weigh(struct weighing *weighing, enum effect effect, const struct binding *binding)
{
	if (weighing->first[effect] == NULL)
		weighing->first[effect] = binding;
}

bool
weigh_binding(struct weighing *weighing, const struct binding *binding, struct request *request)
{
	enum effect effect = binding_effect(binding, request);

	if (effect == EFFECT_NONE || weighing->first[effect] != NULL || !effect_applies(&effect, binding, request))
		return false;
	weigh(weighing, effect, binding);
	return effect == EFFECT_DENY;
}

static struct decision
decision(enum verdict verdict, const struct binding *binding)
{
	return (struct decision){ verdict, binding->id };
}

static struct decision
by_bindings(const struct weighing *weighing)
{
	const struct binding *const *first = weighing->first;
	const struct binding *lets_through = first[EFFECT_ALLOW] != NULL ? first[EFFECT_ALLOW] : first[EFFECT_SOFT_NONE];

	if (first[EFFECT_DENY] != NULL)
		return decision(VERDICT_DENY, first[EFFECT_DENY]);
	if (first[EFFECT_SOFT_DENY] != NULL)
		return decision(VERDICT_WOULD_DENY, first[EFFECT_SOFT_DENY]);
	if (first[EFFECT_DOUBTFUL_DENY] != NULL && lets_through != NULL)
		return decision(VERDICT_WOULD_DENY, first[EFFECT_DOUBTFUL_DENY]);
	if (first[EFFECT_ALLOW] != NULL)
		return decision(VERDICT_ALLOW, first[EFFECT_ALLOW]);
	if (first[EFFECT_SOFT_NONE] != NULL)
		return decision(VERDICT_WOULD_DENY, first[EFFECT_SOFT_NONE]);
	return (struct decision){ VERDICT_DENY, NULL };
}

struct decision
weighing_conclude(const struct weighing *weighing, const struct policy *policy, const struct request *request)
{
	struct decision decided = by_bindings(weighing);

	decided.verdict = softened(policy, request, decided.verdict);
	return decided;
}
