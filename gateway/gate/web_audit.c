/*
 * web_audit.c: the verbs about the audit trail: audit.search, audit.show, audit.state, audit.export. The audit reader answers them (answers_search.c and
 * answers_state.c say what they take and give); here it is asked whether he may, before and again when the answer is there, and the call waits.
 */
#include <string.h>

#include "gateway/gate/web_verbs.h"

/* Who takes the trail away is on record, once: at the first page. */
static void
record_export(struct call *call, const json_t *request)
{
	const struct vg_object host = { .class = VG_CLASS_audit };
	struct judgement judgement = { .verdict = DECIDE_ALLOW, .num_permissions = 1, .permissions = { VG_PERM_audit_read }, .about = { .object = host } };
	json_t *args;

	if (json_object_get(request, "after") != NULL)
		return;
	judgement.decision = decide_one(call->session, VG_PERM_audit_read, &host);
	call->record = record_call(call, &judgement, NULL, 0);
	args = json_deep_copy(request);
	(void)json_object_del(args, "verb");
	if (call->record != NULL)
		(void)json_object_set(call->record, "args", args);
	json_decref(args);
	record_access(call);
}

void
web_audit(struct call *call, const json_t *request)
{
	bool export = strcmp(json_string_value(json_object_get(request, "verb")), "audit.export") == 0;

	call->trail_ticket = trail_ask(call->session->gate->trail, request, web_take_answer, call);
	if (call->trail_ticket == 0)
		web_fail(call, "the audit reader is away, or the question is too long: ask again");
	else if (export)
		record_export(call, request);
}
