/*
 * policy_say.c: decisions and objects in words.
 */
#include "gateway/cli/policy_say.h"

#include <stdio.h>
#include <string.h>

#include "gateway/cli/audit_view.h"
#include "gateway/cli/policy_load.h"

void
policy_say_decision(struct decision decision)
{
	static const char *const answers[] = {
		[VERDICT_DENY] = "no", [VERDICT_ALLOW] = "yes", [VERDICT_WOULD_DENY] = "yes, would be denied",
	};

	if (decision.binding != NULL)
		printf("%s: binding '%s'\n", answers[decision.verdict], decision.binding);
	else
		printf("%s: no binding allows it\n", answers[decision.verdict]);
}

json_t *
policy_decision_json(struct decision decision)
{
	return json_pack("{s:b, s:s, s:s?}", "allowed", decision.verdict != VERDICT_DENY, "verdict",
	    policy_verdict_name(decision.verdict), "binding", decision.binding);
}

void
policy_say_binding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	json_t *list = arg;

	if (list != NULL) {
		json_array_append_new(list, json_pack("{s:s, s:b, s:s?, s:s}", "binding", binding, "applies", applies,
		    "verdict", applies ? policy_verdict_name(verdict) : NULL, "why", why));
		return;
	}
	printf("  %-10s  %s: ", applies ? policy_verdict_name(verdict) : "-", binding);
	audit_view_put(stdout, why);	/* names an object that a record may have brought */
	putchar('\n');
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
