/*
 * decide.c: from bindings to verdicts. policy_explain runs the same steps and tells them, so it cannot say something
 * else than what policy_decide does.
 */
#include <stdio.h>

#include "gateway/policy/match.h"

/* What a binding says about a permission, should it apply. */
enum effect {
	EFFECT_NONE,
	EFFECT_DENY,		/* its role denies */
	EFFECT_SOFT_DENY,	/* the same, in permissive mode */
	EFFECT_ALLOW,		/* its role allows */
	EFFECT_SOFT_NONE,	/* its role says nothing, and the mode is permissive: let through, recorded */
	NUM_EFFECTS
};

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

static enum effect
binding_effect(const struct binding *binding, enum vg_permission permission)
{
	if (permset_has(&binding->deny, permission))
		return is_soft(binding, permission) ? EFFECT_SOFT_DENY : EFFECT_DENY;
	if (permset_has(&binding->allow, permission))
		return EFFECT_ALLOW;
	return is_soft(binding, permission) ? EFFECT_SOFT_NONE : EFFECT_NONE;
}

/* A deny needs no certainty about names, UUIDs and addresses that are not known; an allow does. */
static bool
falls_on_doubt(enum effect effect)
{
	return effect == EFFECT_DENY || effect == EFFECT_SOFT_DENY;
}

/* An object that is not of the permission's class is the caller's mistake: nothing is granted on it. */
static bool
is_well_formed(enum vg_permission permission, const struct vg_object *object)
{
	if ((unsigned)permission >= VG_NUM_PERMISSIONS || permission == VG_PERM_NONE)
		return false;
	return object == NULL || class_is_host(permission_class(permission)) || object->class == permission_class(permission);
}

/* The first applying binding of each effect. */
struct weighing {
	const struct binding *first[NUM_EFFECTS];
};

static void
weigh(struct weighing *weighing, enum effect effect, const struct binding *binding)
{
	if (weighing->first[effect] == NULL)
		weighing->first[effect] = binding;
}

static struct decision
conclude(const struct weighing *weighing)
{
	static const struct {
		enum effect effect;
		enum verdict verdict;
	} order[] = {
		{ EFFECT_DENY, VERDICT_DENY }, { EFFECT_SOFT_DENY, VERDICT_WOULD_DENY }, { EFFECT_ALLOW, VERDICT_ALLOW },
		{ EFFECT_SOFT_NONE, VERDICT_WOULD_DENY },
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const struct binding *binding = weighing->first[order[i].effect];

		if (binding != NULL)
			return (struct decision){ order[i].verdict, binding->id };
	}
	return (struct decision){ VERDICT_DENY, NULL };
}

struct decision
policy_decide(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now)
{
	struct request request = { .identity = identity, .permission = permission, .object = object, .now = now };
	struct weighing weighing = { 0 };

	if (!is_well_formed(permission, object))
		return (struct decision){ VERDICT_DENY, NULL };
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum effect effect = binding_effect(binding, permission);

		if (effect == EFFECT_NONE || weighing.first[effect] != NULL)
			continue;
		if (binding_look(binding, &request, falls_on_doubt(effect)) != APPLIES)
			continue;
		weigh(&weighing, effect, binding);
		if (effect == EFFECT_DENY)
			break;
	}
	return conclude(&weighing);
}

bool
policy_may_ever(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission, time_t now)
{
	struct request request = { .identity = identity, .permission = permission, .now = now };
	enum vg_class class = permission_class(permission);
	bool some = false;

	if (!is_well_formed(permission, NULL))
		return false;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum effect effect = binding_effect(binding, permission);
		bool deny = effect == EFFECT_DENY;

		/* A soft deny lets through what it covers, as a silent permissive binding does. */
		if (effect == EFFECT_NONE || (some && !deny) || binding_is_about(binding, &request, deny) != APPLIES ||
		    !binding_is_now(binding, &request, deny))
			continue;
		if (!deny)
			some = binding_covers_some(binding, class);
		else if (binding_covers(binding, &request, false))	/* all of the class */
			return false;
	}
	return some;
}

/* The hours are left out: they may begin while the session lasts, and every call is decided anew anyway. */
bool
policy_only_reads(const struct policy *policy, const struct vg_identity *identity, time_t now)
{
	struct request request = { .identity = identity, .now = now };

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
	struct request request = { .identity = identity, .now = now };

	for (size_t i = 0; i < policy->num_bindings; i++) {
		if (binding_is_about(&policy->bindings[i], &request, false) == APPLIES)
			return true;
	}
	return false;
}

/* An object for people: "domain 'web-1'", "storage_vol 'pool/vol'", "every domain". */
static const char *
object_text(const struct request *request, char *buf, size_t size)
{
	const struct vg_object *object = request->object;
	const char *class = class_name(permission_class(request->permission));

	if (object == NULL || object->any)
		snprintf(buf, size, "every %s", class);
	else
		snprintf(buf, size, "%s '%s%s%s'", class, object->parent != NULL ? object->parent : "",
		    object->parent != NULL ? "/" : "", object->name != NULL ? object->name : "(name not known)");
	return buf;
}

/* Why a binding does not apply, or what it says when it does. */
static void
explain_finding(const struct binding *binding, const struct request *request, enum finding finding, enum effect effect,
    char *why, size_t size)
{
	const char *permission = permission_name(request->permission);
	const char *role = binding->role->name;
	char object[256];

	switch (finding) {
	case NOT_WHO:
		snprintf(why, size, "it is about somebody else");
		return;
	case NOT_PROOF:
		snprintf(why, size, "it asks for proof by%s%s%s", (binding->when.proofs & VG_PROOF_X509) != 0 ? " certificate" : "",
		    (binding->when.proofs & VG_PROOF_SASL) != 0 ? " SASL" : "",
		    (binding->when.proofs & VG_PROOF_UNIX) != 0 ? " local socket" : "");
		return;
	case NOT_FROM:
		snprintf(why, size, "it holds only from %s; this is from %s", binding->when.from_text,
		    request->identity->address[0] != '\0' ? request->identity->address : "a local socket");
		return;
	case ENDED:
		snprintf(why, size, "it ended at %s", binding->when.until_text);
		return;
	case NOT_NOW:
		snprintf(why, size, "it is outside its hours: %s", binding->when.hours_text);
		return;
	case NOT_ON:
		snprintf(why, size, "it is not on %s", object_text(request, object, sizeof(object)));
		return;
	case APPLIES:
		break;
	}
	switch (effect) {
	case EFFECT_DENY:
		snprintf(why, size, "its role '%s' denies %s", role, permission);
		return;
	case EFFECT_SOFT_DENY:
		snprintf(why, size, "its role '%s' denies %s, but its mode is permissive", role, permission);
		return;
	case EFFECT_ALLOW:
		snprintf(why, size, "its role '%s' allows %s", role, permission);
		return;
	case EFFECT_SOFT_NONE:
		snprintf(why, size, "its role '%s' does not allow %s, but its mode is permissive", role, permission);
		return;
	case EFFECT_NONE:
	case NUM_EFFECTS:
		snprintf(why, size, "its role '%s' does not allow %s", role, permission);
		return;
	}
}

struct decision
policy_explain(const struct policy *policy, const struct vg_identity *identity, enum vg_permission permission,
    const struct vg_object *object, time_t now, policy_explain_cb *each, void *arg)
{
	static const enum verdict verdicts[NUM_EFFECTS] = {
		[EFFECT_NONE] = VERDICT_DENY, [EFFECT_DENY] = VERDICT_DENY, [EFFECT_SOFT_DENY] = VERDICT_WOULD_DENY,
		[EFFECT_ALLOW] = VERDICT_ALLOW, [EFFECT_SOFT_NONE] = VERDICT_WOULD_DENY,
	};
	struct request request = { .identity = identity, .permission = permission, .object = object, .now = now };
	struct weighing weighing = { 0 };
	char why[512];

	if (!is_well_formed(permission, object))
		return (struct decision){ VERDICT_DENY, NULL };
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum effect effect = binding_effect(binding, permission);
		enum finding finding = binding_look(binding, &request, falls_on_doubt(effect));

		explain_finding(binding, &request, finding, effect, why, sizeof(why));
		if (finding == APPLIES && effect != EFFECT_NONE)
			weigh(&weighing, effect, binding);
		each(binding->id, finding == APPLIES && effect != EFFECT_NONE, verdicts[effect], why, arg);
	}
	return conclude(&weighing);
}
