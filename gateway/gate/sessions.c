/*
 * sessions.c: who is connected, and ending him.
 */
#include "gateway/gate/sessions.h"

#include <string.h>

#include "gateway/core/handover.h"
#include "gateway/gate/console.h"

const char *
sessions_mode(const struct gate *gate)
{
	return policy_only_watches(gate->policy) ? "permissive" : "enforce";
}

static json_t *
session_json(const struct session *session)
{
	const struct vg_identity *identity = &session->identity;
	const char *name = identity_name(identity);
	json_t *json = json_object();

	(void)json_object_set_new(json, "id", json_string(session->id));
	(void)json_object_set_new(json, "user", audit_text(name, strlen(name)));
	(void)json_object_set_new(json, "address", json_string(identity->address));
	(void)json_object_set_new(json, "port", json_integer(identity->port));
	(void)json_object_set_new(json, "via", json_string(vg_via_name(identity->via)));
	(void)json_object_set_new(json, "state", json_string(session_state_name(session->state)));
	(void)json_object_set_new(json, "uri", session->uri == NULL ? json_null() : json_string(session->uri));
	(void)json_object_set_new(json, "readonly", json_boolean(session->open_readonly));
	(void)json_object_set_new(json, "calls", json_integer((json_int_t)session->calls_total));
	(void)json_object_set_new(json, "in_flight", json_integer((json_int_t)session->num_calls));
	(void)json_object_set_new(json, "streams", json_integer((json_int_t)session->num_streams));
	(void)json_object_set_new(json, "silent_seconds", json_integer((json_int_t)(gate_steady() - session->heard)));
	console_describe(session, json);
	return json;
}

json_t *
sessions_list(struct gate *gate, const struct user *only, const struct session *reader)
{
	json_t *list = json_array(), *json;
	struct session *session;

	TAILQ_FOREACH(session, &gate->sessions, entry) {
		if (only != NULL && session->user != only)
			continue;
		json = session_json(session);
		if (reader != NULL)
			(void)json_object_set_new(json, "own", json_boolean(session->user == reader->user));
		(void)json_array_append_new(list, json);
	}
	return list;
}

struct session *
sessions_find(struct gate *gate, const char *id)
{
	struct session *session;

	TAILQ_FOREACH(session, &gate->sessions, entry)
		if (strcmp(session->id, id) == 0)
			return session;
	return NULL;
}

/* Is this the session, or one of the user, that is named? Users by their name, or as the policy writes them. */
static bool
is_meant(const struct session *session, const char *id, const char *user)
{
	const struct vg_identity *identity = &session->identity;

	if (id != NULL)
		return strcmp(session->id, id) == 0;
	if (strncmp(user, "sasl:", 5) == 0)
		return identity->sasl_name != NULL && strcmp(identity->sasl_name, user + 5) == 0;
	if (strncmp(user, "x509:", 5) == 0)
		return identity->x509_dn != NULL && strcmp(identity->x509_dn, user + 5) == 0;
	if (strncmp(user, "unix:", 5) == 0)
		return identity->unix_user != NULL && strcmp(identity->unix_user, user + 5) == 0;
	return strcmp(identity_name(identity), user) == 0;
}

void
sessions_end(struct session *session, const struct session *by, uint32_t uid)
{
	const char *name = by == NULL ? NULL : identity_name(&by->identity);

	if (by == NULL)
		record_session_by(session, AUDIT_KILL, json_pack("{s:s, s:I}", "via", vg_via_name(VG_VIA_CONTROL), "uid", (json_int_t)uid), "ended on the control socket");
	else
		record_session_by(session, AUDIT_KILL, json_pack("{s:o, s:s, s:s, s:s}", "name", audit_text(name, strlen(name)), "via",
		    vg_via_name(by->identity.via), "address", by->identity.address, "session", by->id), "ended in the browser");
	if (by != NULL)
		session_blame(session, by);
	session_close(session, CLOSE_KILLED);
}

json_int_t
sessions_kill(struct gate *gate, const char *id, const char *user, const struct session *by, uint32_t uid)
{
	struct session *session, *next;
	json_int_t killed = 0;

	for (session = TAILQ_FIRST(&gate->sessions); session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		if (session == by || session->state > SESSION_OPEN || !is_meant(session, id, user))
			continue;
		sessions_end(session, by, uid);
		killed++;
	}
	return killed;
}
