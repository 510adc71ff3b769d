/* console_record.c: opening, refusal, change and end of a console, one event each. */
#include "gateway/gate/console_record.h"

#include <string.h>

#include "gateway/gate/console_share.h"

const char *
console_mode_name(enum console_mode mode)
{
	static const char *const names[CONSOLE_NUM_MODES] = { [CONSOLE_INPUT] = "input", [CONSOLE_VIEW] = "view" };

	return names[mode];
}

struct vg_object
console_object(const struct console *console)
{
	struct vg_object object = { .class = VG_CLASS_domain, .has_uuid = console->found, .name = console->name };

	memcpy(object.uuid, console->uuid, VG_UUID_LEN);
	return object;
}

static json_t *
decision_json(const struct console *console)
{
	static const char *const verdicts[] = { [VERDICT_DENY] = "deny", [VERDICT_ALLOW] = "allow", [VERDICT_WOULD_DENY] = "would-deny" };
	const char *binding = console->decision.binding;

	return json_pack("{s:s, s:[s], s:o, s:n}", "verdict", verdicts[console->decision.verdict], "permissions",
	    permission_name(console->permission), "binding", binding == NULL ? json_null() : audit_text(binding, strlen(binding)), "rule");
}

/* What all of them have. */
static json_t *
make_record(const struct session *session, enum audit_event event)
{
	const struct vg_object object = console_object(session->console);
	json_t *record = audit_record_event(event);

	if (record == NULL)
		return NULL;
	audit_add_identity(record, &session->identity, session->id);
	if (session->uri != NULL)
		(void)json_object_set_new(record, "connection", json_pack("{s:s, s:b}", "uri", session->uri, "readonly", 0));
	(void)json_object_set_new(record, "object", record_object(&object));
	return record;
}

uint64_t
console_record_open(struct session *session, audit_done_cb *done)
{
	json_t *record = make_record(session, AUDIT_CONSOLE_OPEN);

	if (record == NULL)
		return 0;
	(void)json_object_set_new(record, "args", json_pack("{s:s, s:I}", "mode", console_mode_name(session->console->mode), "others",
	    (json_int_t)console_share_others(session)));
	(void)json_object_set_new(record, "decision", decision_json(session->console));
	audit_add_result(record, "ok", 0, "");
	return audit_submit(session->gate->audit, record, AUDIT_OR_REFUSE, done, session);
}

void
console_record_refusal(struct session *session, const char *why, char op[ID_LEN + 1])
{
	json_t *record = make_record(session, AUDIT_CONSOLE_REFUSED);
	const char *made = json_string_value(json_object_get(record, "op"));

	(void)snprintf(op, ID_LEN + 1, "%s", made != NULL ? made : "");
	if (record == NULL)
		return;
	if (session->console->decision.verdict == VERDICT_DENY)
		session->console->permission = VG_PERM_domain_open_graphics;
	(void)json_object_set_new(record, "decision", decision_json(session->console));
	audit_add_result(record, "denied", RPC_ERR_ACCESS_DENIED, why);
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
console_record_takeover(struct session *session, unsigned ended)
{
	json_t *record = make_record(session, AUDIT_CONSOLE_TAKEOVER);

	if (record == NULL)
		return;
	(void)json_object_set_new(record, "args", json_pack("{s:I}", "ended", (json_int_t)ended));
	audit_add_result(record, "ok", 0, "");
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
console_record_narrow(struct session *session)
{
	json_t *record = make_record(session, AUDIT_CONSOLE_NARROW);

	if (record == NULL)
		return;
	(void)json_object_set_new(record, "args", json_pack("{s:s}", "mode", console_mode_name(session->console->mode)));
	(void)json_object_set_new(record, "decision", decision_json(session->console));
	audit_add_result(record, "ok", 0, "input is no longer granted");
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
console_record_close(struct session *session)
{
	const struct console *console = session->console;
	json_t *record = make_record(session, AUDIT_CONSOLE_CLOSE);
	struct timespec now;

	if (record == NULL)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)json_object_set_new(record, "args", json_pack("{s:s, s:I, s:I, s:I}", "mode", console_mode_name(console->mode),
	    "bytes_to_viewer", (json_int_t)console->bytes_to_client, "bytes_to_guest", (json_int_t)console->bytes_to_backend,
	    "dropped_messages", (json_int_t)console->dropped));
	(void)json_object_set_new(record, "duration_us", json_integer((json_int_t)(now.tv_sec - console->started.tv_sec) * 1000000 +
	    (now.tv_nsec - console->started.tv_nsec) / 1000));
	audit_add_result(record, "ok", 0, close_reason_name(session->reason));
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}
