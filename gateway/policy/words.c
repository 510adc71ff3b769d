/*
 * words.c: decisions and objects in words.
 */
#include "gateway/policy/words.h"

#include <stdio.h>

const char *
policy_verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_DENY] = "deny", [VERDICT_ALLOW] = "allow", [VERDICT_WOULD_DENY] = "would-deny",
	};

	return names[verdict];
}

const char *
policy_decision_text(struct decision decision, char buf[POLICY_DECISION_SIZE])
{
	static const char *const answers[] = {
		[VERDICT_DENY] = "no", [VERDICT_ALLOW] = "yes", [VERDICT_WOULD_DENY] = "yes, would be denied",
	};

	if (decision.binding != NULL)
		snprintf(buf, POLICY_DECISION_SIZE, "%s: binding '%s'", answers[decision.verdict], decision.binding);
	else
		snprintf(buf, POLICY_DECISION_SIZE, "%s: no binding allows it", answers[decision.verdict]);
	return buf;
}

const char *
policy_obstacle(const struct policy *policy, const struct vg_identity *identity, const struct vg_object *object, time_t now,
    char buf[POLICY_OBSTACLE_SIZE])
{
	enum vg_permission getattr;

	if (policy_decide(policy, identity, VG_PERM_connect_getattr, NULL, now).verdict == VERDICT_DENY)
		return "connect:getattr is denied: he cannot open a connection";
	snprintf(buf, POLICY_OBSTACLE_SIZE, "%s:getattr", class_name(object->class));
	getattr = permission_find(buf);
	if (getattr == VG_PERM_NONE || policy_decide(policy, identity, getattr, object, now).verdict != VERDICT_DENY)
		return NULL;
	snprintf(buf, POLICY_OBSTACLE_SIZE, "%s is denied: for him there is no such %s", permission_name(getattr), class_name(object->class));
	return buf;
}

const char *
policy_object_text(const struct vg_object *object, char buf[POLICY_OBJECT_SIZE])
{
	const char *class = class_name(object->class);
	const uint8_t *u = object->uuid;

	switch (object->class) {
	case VG_CLASS_connect:
	case VG_CLASS_audit:
	case VG_CLASS_session:
	case VG_CLASS_policy:
		snprintf(buf, POLICY_OBJECT_SIZE, "*");
		return buf;
	default:
		break;
	}
	if (object->any)
		snprintf(buf, POLICY_OBJECT_SIZE, "%s:*", class);
	else if (object->name != NULL)
		snprintf(buf, POLICY_OBJECT_SIZE, "%s:%s%s%s", class, object->parent != NULL ? object->parent : "",
		    object->parent != NULL ? "/" : "", object->name);
	else
		snprintf(buf, POLICY_OBJECT_SIZE, "%s:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", class, u[0],
		    u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return buf;
}
