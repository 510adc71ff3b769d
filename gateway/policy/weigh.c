/*
 * weigh.c: effects of single bindings, and their order of precedence.
 */
#include "gateway/policy/weigh.h"

/*
 * Does permissive mode have a say? Not for what must be granted by name, not for the gateway's own permissions, and
 * for the host's only when the binding is on everything: a trial on some domains must not open the host.
 */
static bool
is_soft(const struct binding *binding, enum vg_permission permission)
{
	enum vg_class class = permission_class(permission);

	return binding->permissive && !permission_by_name_only(permission) && !class_is_own(class) &&
	    (!class_is_host(class) || binding->everything);
}

enum effect
binding_effect(const struct binding *binding, enum vg_permission permission)
{
	if (permset_has(&binding->deny, permission))
		return is_soft(binding, permission) ? EFFECT_SOFT_DENY : EFFECT_DENY;
	if (permset_has(&binding->allow, permission))
		return EFFECT_ALLOW;
	return is_soft(binding, permission) ? EFFECT_SOFT_NONE : EFFECT_NONE;
}

enum finding
effect_look(enum effect *effect, const struct binding *binding, struct request *request)
{
	/* A deny needs no certainty about names, UUIDs and addresses that are not known; what lets through does. */
	enum finding finding = binding_look(binding, request, *effect == EFFECT_DENY);

	if (finding == APPLIES || *effect != EFFECT_SOFT_DENY || binding_look(binding, request, true) != APPLIES)
		return finding;
	*effect = EFFECT_DOUBTFUL_DENY;
	return APPLIES;
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

static struct decision
decision(enum verdict verdict, const struct binding *binding)
{
	return (struct decision){ verdict, binding->id };
}

struct decision
weighing_conclude(const struct weighing *weighing)
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
