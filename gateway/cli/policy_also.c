/*
 * policy_also.c: by the procedure table, as the gate decides.
 */
#include "gateway/cli/policy_also.h"

#include <string.h>

#include "gateway/cli/calls.h"
#include "gateway/policy/record.h"

/* One person on one object, today and with the suggested binding. */
struct stand {
	const struct policy *today, *more;	/* more NULL: without it */
	const struct record_question *question;
};

static bool
is_of_host(enum vg_class class)
{
	return class == VG_CLASS_connect || class == VG_CLASS_audit || class == VG_CLASS_session || class == VG_CLASS_policy;
}

/* On the object where it is of that class; otherwise on everything, as the gate asks. */
static bool
holds(enum vg_permission permission, void *arg)
{
	const struct stand *stand = arg;
	enum vg_class class = permission_class(permission);
	const struct vg_object whole = { .class = class, .any = !is_of_host(class) };
	const struct vg_object *object = class == stand->question->object.class ? &stand->question->object : &whole;

	struct decision decision = { VERDICT_DENY, NULL };

	if (stand->today != NULL)
		decision = policy_decide(stand->today, &stand->question->identity, permission, object, stand->question->when);
	if (decision.verdict == VERDICT_ALLOW || stand->more == NULL || decision.binding != NULL)	/* a deny stays one */
		return decision.verdict == VERDICT_ALLOW;
	return policy_decide(stand->more, &stand->question->identity, permission, object, stand->question->when).verdict == VERDICT_ALLOW;
}

static bool
is_listed(json_t *list, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

/* Does any of the permissions count for this call? The others cannot change by them. */
static bool
is_touched(const struct rpc_proc *proc, json_t *permissions, json_t *more)
{
	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++) {
		if (is_listed(permissions, permission_name(need->permission)) || is_listed(more, permission_name(need->permission)))
			return true;
	}
	return false;
}

static json_t *
other_permissions(struct stand *before, struct stand *after, json_t *permissions)
{
	json_t *list = json_array();

	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_permission permission = (enum vg_permission)i;

		if (!is_listed(permissions, permission_name(permission)) && holds(permission, after) && !holds(permission, before))
			json_array_append_new(list, json_string(permission_name(permission)));
	}
	return list;
}

json_t *
policy_also(const struct policy *today, const struct policy *with, const struct want *want, json_t *permissions, json_t *calls)
{
	const struct record_lack lack = { .permission = want->permission, .object = want->object, .every = want->whole };
	struct record_question question;
	struct stand then = { today, NULL, &question }, now = { today, with, &question };
	json_t *list = json_array(), *more;
	const struct rpc_proc *proc;
	char name[CALL_NAME_SIZE];

	record_question(want->record, &lack, &question);
	more = other_permissions(&then, &now, permissions);
	for (size_t i = 0; (proc = rpc_proc_at(i)) != NULL; i++) {
		const char *public_name;

		if (!call_is_decided(proc) || !is_touched(proc, permissions, more) || json_object_get(calls, proc->name) != NULL ||
		    (call_needs_everything(proc) && !question.object.any) || call_may(proc, holds, &now) == CALL_NEVER ||
		    call_may(proc, holds, &then) != CALL_NEVER)
			continue;
		public_name = call_public_name(proc, name);
		if (public_name == NULL)
			public_name = call_made_by(proc);
		if (!is_listed(list, public_name))
			json_array_append_new(list, json_string(public_name));
	}
	return json_pack("{s:o, s:o}", "calls", list, "permissions", more);
}
