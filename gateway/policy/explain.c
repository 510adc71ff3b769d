/*
 * explain.c: the same steps as in decide.c, told to people.
 */
#include <stdio.h>

#include "gateway/policy/texts.h"
#include "gateway/policy/weigh.h"

/* A binding's own verdict. */
static const enum verdict verdicts[NUM_EFFECTS] = {
	[EFFECT_NONE] = VERDICT_DENY, [EFFECT_DENY] = VERDICT_DENY, [EFFECT_SOFT_DENY] = VERDICT_WOULD_DENY,
	[EFFECT_DOUBTFUL_DENY] = VERDICT_WOULD_DENY, [EFFECT_ALLOW] = VERDICT_ALLOW,
	[EFFECT_SOFT_NONE] = VERDICT_WOULD_DENY,
};

/* An object for people: "domain 'web-1'", "storage_vol 'pool/vol'", "every domain". */
static const char *
object_text(const struct request *request, char *buf, size_t size)
{
	const struct vg_object *object = request->object;
	const char *class = class_name(request->class);

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
    bool watched, char *why, size_t size)
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
		snprintf(why, size, "its role '%s' denies %s%s", role, permission, watched ? ", but the whole policy is permissive" : "");
		return;
	case EFFECT_SOFT_DENY:
		snprintf(why, size, "its role '%s' denies %s, but its mode is permissive", role, permission);
		return;
	case EFFECT_DOUBTFUL_DENY:
		snprintf(why, size, "its role '%s' denies %s, and it may be meant; its mode is permissive", role, permission);
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
	struct request request = request_make(identity, permission, object, now);
	struct weighing weighing = { 0 };
	char why[512];

	if (!is_well_formed(permission, object))
		return (struct decision){ VERDICT_DENY, NULL };
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum effect effect = binding_effect(binding, &request);
		enum finding finding = effect_look(&effect, binding, &request);
		enum verdict verdict = softened(policy, &request, verdicts[effect]);

		explain_finding(binding, &request, finding, effect, verdict != verdicts[effect], why, sizeof(why));
		if (finding == APPLIES && effect != EFFECT_NONE)
			weigh(&weighing, effect, binding);
		each(binding->id, finding == APPLIES && effect != EFFECT_NONE, verdict, why, arg);
	}
	return weighing_conclude(&weighing, policy, &request);
}

void
policy_who_can(const struct policy *policy, enum vg_permission permission, const struct vg_object *object, time_t now,
    policy_who_cb *each, void *arg)
{
	struct request request = request_make(NULL, permission, object, now);
	char conditions[1024], who[1024];

	if (!is_well_formed(permission, object))
		return;
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		enum effect effect = binding_effect(binding, &request);

		if (effect == EFFECT_NONE || (binding->when.ends && now >= binding->when.until) ||
		    !binding_covers(binding, &request, effect == EFFECT_DENY))
			continue;
		conditions_text(&binding->when, 0, conditions, sizeof(conditions));
		for (size_t j = 0; j < binding->num_who; j++) {
			who_text(&binding->who[j], who, sizeof(who));
			each(who, binding->id, softened(policy, &request, verdicts[effect]), conditions, arg);
		}
	}
}
