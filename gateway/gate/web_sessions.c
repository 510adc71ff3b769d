/*
 * web_sessions.c: the verbs about sessions. Everybody sees and ends his own; those of others take session:read and session:kill.
 */
#include <string.h>

#include "gateway/gate/sessions.h"
#include "gateway/gate/web_verbs.h"

/* {} -> {"sessions": [as on the control socket, with "own"], "all": bool: are those of others in it}. */
void
web_sessions(struct call *call, const json_t *request)
{
	struct session *session = call->session;
	bool all = web_may(session, VG_PERM_session_read);

	(void)request;
	web_answer(call, json_pack("{s:o, s:b}", "sessions", sessions_list(session->gate, all ? NULL : session->user, session), "all", (int)all));
}

/* {"id": ID} -> {"killed": 0 or 1}. Without session:kill one that is not there is denied as one that is somebody else's. */
void
web_kill(struct call *call, const json_t *request)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	struct session *session = call->session, *meant = id == NULL ? NULL : sessions_find(session->gate, id);

	if (id == NULL) {
		web_refuse(call, "kill needs \"id\"");
	} else if ((meant == NULL || meant->user != session->user) && !web_may(session, VG_PERM_session_kill)) {
		web_deny(call, VG_PERM_session_kill);
	} else if (meant == session) {
		web_answer(call, json_pack("{s:i}", "killed", 1));
		sessions_end(session, session, 0);
	} else {
		web_answer(call, json_pack("{s:I}", "killed", sessions_kill(session->gate, id, NULL, session, 0)));
	}
}
