/*
 * unusual.c: counting by person, over all his sessions, so that nobody starts anew with each connection.
 */
#include "gateway/gate/unusual.h"

#include <stdio.h>
#include <string.h>

#include "gateway/gate/user.h"
#include "gateway/policy/about.h"

static json_t *
make_record(const struct session *session, enum audit_event event, const char *call)
{
	json_t *record = audit_record_event(event);

	if (record == NULL)
		return NULL;
	audit_add_identity(record, &session->identity, session->id);
	if (session->uri != NULL)
		(void)json_object_set_new(record, "connection", json_pack("{s:s, s:b}", "uri", session->uri, "readonly", session->open_readonly));
	if (call != NULL)
		(void)json_object_set_new(record, "call", json_string(call));
	return record;
}

void
unusual_hidden(struct call *call, const char *missing)
{
	struct session *session = call->session;
	struct user *user = session->user;
	time_t now = gate_steady();
	char text[512];
	json_t *record;

	if (now - user->hidden_since >= UNUSUAL_SECONDS) {
		user->hidden_since = now;
		user->hidden = 0;
	}
	if (++user->hidden != UNUSUAL_SERIES || (record = make_record(session, AUDIT_HIDDEN_SERIES, call->proc->name)) == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%u requests within %lld s for objects that he does not see; the last was answered: %s", user->hidden,
	    (long long)(now - user->hidden_since + 1), missing);
	audit_add_result(record, "denied", 0, text);
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
unusual_hours(struct session *session, enum vg_permission permission, const struct vg_object *object, const char *op)
{
	struct user *user = session->user;
	time_t now = gate_steady();
	const struct binding *binding;
	char text[400];
	json_t *record;

	if (permission == VG_PERM_NONE || now - user->hours_told < UNUSUAL_SECONDS)
		return;
	binding = policy_outside_hours(session->gate->policy, &session->identity, permission, object, gate_now(session->gate));
	if (binding == NULL || (record = make_record(session, AUDIT_OUTSIDE_HOURS, NULL)) == NULL)
		return;
	user->hours_told = now;
	if (op != NULL)
		(void)json_object_set_new(record, "of", json_string(op));
	(void)json_object_set_new(record, "object", record_object(object));
	(void)json_object_set_new(record, "decision", json_pack("{s:s, s:[s], s:o, s:n}", "verdict", "deny", "permissions",
	    permission_name(permission), "binding", audit_text(policy_binding_id(binding), strlen(policy_binding_id(binding))), "rule"));
	(void)snprintf(text, sizeof(text), "'%s' is granted at other hours only: %s", permission_name(permission), policy_binding_hours(binding));
	audit_add_result(record, "denied", 0, text);
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}
