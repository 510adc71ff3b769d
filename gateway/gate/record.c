/*
 * record.c: what the audit trail is told about a call: who, what, on what, why it was allowed or not, how it ended.
 * Its arguments are told by args.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/audit_names.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/inventory.h"

json_t *
record_object(const struct vg_object *object)
{
	json_t *json = json_object();
	char uuid[VG_UUID_TEXT_LEN + 1];

	(void)json_object_set_new(json, "class", json_string(class_name(object->class)));
	if (object->name != NULL)
		(void)json_object_set_new(json, "name", audit_text(object->name, strlen(object->name)));
	if (object->parent != NULL)
		(void)json_object_set_new(json, "parent", audit_text(object->parent, strlen(object->parent)));
	if (object->has_uuid) {
		uuid_text(object->uuid, uuid);
		(void)json_object_set_new(json, "uuid", json_string(uuid));
	}
	return json;
}

static const char *
verdict_text(const struct judgement *judgement)
{
	if (judgement->verdict != DECIDE_ALLOW)
		return "deny";
	return judgement->decision.verdict == VERDICT_WOULD_DENY ? "would-deny" : "allow";
}

/* The object that a permission was asked on, where it is not the record's own; NULL otherwise. */
static json_t *
lack_on(const struct lack *lack, const struct vg_object *about)
{
	const struct vg_object *object = &lack->object;
	json_t *json;

	if (object->class == about->class && object->any == about->any && object->has_uuid == about->has_uuid &&
	    (!object->has_uuid || memcmp(object->uuid, about->uuid, VG_UUID_LEN) == 0) &&
	    strcmp(object->name != NULL ? object->name : "", about->name != NULL ? about->name : "") == 0)
		return NULL;
	json = record_object(object);
	if (object->any)
		(void)json_object_set_new(json, "every", json_true());
	return json;
}

static void
add_lack(json_t *json, const char *member, const struct lack *lack, const struct vg_object *about)
{
	json_t *on = lack_on(lack, about);

	(void)json_object_set_new(json, member, json_string(permission_name(lack->permission)));
	if (on != NULL)
		(void)json_object_set_new(json, "on", on);
}

/* What was missing: "failed", the first; with "on" where it was asked on something else; "lacked" where there is more. */
static void
add_failed(json_t *json, const struct judgement *judgement)
{
	const struct vg_object *about = &judgement->about.object;
	const struct lacks *lacks = &judgement->lacks;
	json_t *list;

	if (judgement->verdict != DECIDE_ALLOW) {
		if (lacks->denied && lacks->last.permission == judgement->failed)
			add_lack(json, "failed", &lacks->last, about);
		else if (judgement->failed != VG_PERM_NONE)
			(void)json_object_set_new(json, "failed", json_string(permission_name(judgement->failed)));
		return;
	}
	if (lacks->num == 0)
		return;
	add_lack(json, "failed", &lacks->list[0], about);
	if (lacks->num == 1)
		return;
	list = json_array();
	for (size_t i = 0; i < lacks->num && i < MAX_LACKS; i++) {
		json_t *item = json_object();

		add_lack(item, "permission", &lacks->list[i], about);
		(void)json_array_append_new(list, item);
	}
	(void)json_object_set_new(json, "lacked", list);
}

static json_t *
decision_json(const struct judgement *judgement)
{
	json_t *json = json_object(), *permissions = json_array();
	const char *binding = judgement->decision.binding;

	for (size_t i = 0; i < judgement->num_permissions; i++)
		(void)json_array_append_new(permissions, json_string(permission_name(judgement->permissions[i])));
	(void)json_object_set_new(json, "verdict", json_string(verdict_text(judgement)));
	(void)json_object_set_new(json, "permissions", permissions);
	(void)json_object_set_new(json, "binding", binding == NULL ? json_null() : audit_text(binding, strlen(binding)));
	(void)json_object_set_new(json, "rule", judgement->rule == NULL ? json_null() : json_string(judgement->rule));
	add_failed(json, judgement);
	return json;
}

static json_t *
connection_json(const struct session *session)
{
	return json_pack("{s:s?, s:b}", "uri", session->uri, "readonly", session->open_readonly);
}

json_t *
record_call(struct call *call, const struct judgement *judgement, const uint8_t *body, size_t len)
{
	struct session *session = call->session;
	json_t *record = json_object();

	if (record == NULL)
		return NULL;
	audit_add_identity(record, &session->identity, session->id);
	(void)json_object_set_new(record, "connection", connection_json(session));
	(void)json_object_set_new(record, "call", json_string(call->proc->name));
	(void)json_object_set_new(record, "object", record_object(&judgement->about.object));
	if (body != NULL)
		(void)json_object_set_new(record, "args", record_args(call->proc, body, len));
	(void)json_object_set_new(record, "decision", decision_json(judgement));
	if (call->findings != NULL)
		(void)json_object_set(record, "admission", call->findings);
	return record;
}

/* The shared members with stage, op, code and event in front. */
static json_t *
stage_record(const struct call *call, const char *stage, char severity)
{
	char code[AUDIT_CODE_LEN + 1], event[96];
	json_t *record;

	audit_call_code(code, call->proc->program, call->proc->number, severity);
	audit_call_event(event, sizeof(event), call->proc->name);
	record = audit_record_call(stage, call->op, code, event);
	if (record != NULL && call->record != NULL)
		(void)json_object_update_missing(record, call->record);
	return record;
}

void
record_denial(struct call *call, const struct judgement *judgement, const uint8_t *body, size_t len, char op[ID_LEN + 1])
{
	json_t *record;

	id_make(call->op);
	memcpy(op, call->op, ID_LEN + 1);
	json_decref(call->record);
	call->record = record_call(call, judgement, body, len);
	record = stage_record(call, "event", 'W');
	if (record != NULL && judgement->verdict == DECIDE_CONFLICT)
		audit_set_event(record, AUDIT_IDENTITY_CONFLICT);
	if (record != NULL)
		audit_add_result(record, "denied", judgement->verdict == DECIDE_DENY ? RPC_ERR_ACCESS_DENIED : judgement->error.code,
		    judgement->error.message);
	(void)audit_submit(call->session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

uint64_t
record_intent(struct call *call, audit_done_cb *done)
{
	struct audit_client *audit = call->session->gate->audit;
	struct documents documents = { .packed = { 0 } };
	json_t *record;

	id_make(call->op);
	record = stage_record(call, "intent", 'I');
	difference_put_documents(call, &documents);
	documents_put_asked(&documents, call);
	documents_add(&documents, record, audit, AUDIT_OR_REFUSE);
	return audit_submit_with(audit, record, &documents.packed, AUDIT_OR_REFUSE, done, call);
}

void
record_access(struct call *call)
{
	json_t *record;

	id_make(call->op);
	record = stage_record(call, "event", 'I');
	if (record != NULL)
		audit_add_result(record, "ok", 0, "");
	(void)audit_submit(call->session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

enum policy_reads
record_reads(const struct call *call, const struct judgement *judgement)
{
	enum vg_class class = call->proc->list.form != RPC_LIST_NONE ? call->proc->list.class : judgement->about.object.class;

	return policy_reads(call->session->gate->policy, class);
}

void
record_read_begin(struct call *call, const struct judgement *judgement, const uint8_t *body, size_t len)
{
	enum policy_reads level = record_reads(call, judgement);

	if (call->proc->kind != RPC_KIND_READ || level < POLICY_READS_METADATA)
		return;
	json_decref(call->record);
	call->record = record_call(call, judgement, level == POLICY_READS_FULL ? body : NULL, len);
	call->tells_read = call->record != NULL;
}

static int64_t
microseconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)(now.tv_sec - then->tv_sec) * 1000000 + (now.tv_nsec - then->tv_nsec) / 1000;
}

void
record_read_end(struct call *call, const char *status, int code, const char *message)
{
	json_t *record;

	if (!call->tells_read)
		return;
	call->tells_read = false;
	id_make(call->op);
	record = stage_record(call, "event", strcmp(status, "ok") == 0 ? 'I' : 'E');
	if (record != NULL) {
		audit_add_result(record, status, code, message);
		(void)json_object_set_new(record, "duration_us", json_integer((json_int_t)microseconds_since(&call->started)));
	}
	(void)audit_submit(call->session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

/* Why a stream is over: libvirtd's word, or that its session is, or its right. */
static const char *
stream_reason(const struct call *call)
{
	if (call->stream_error != NULL)
		return call->stream_error->message;
	if (call->was_cut)
		return "the right ended while the stream was open: it was cut";
	if (call->stream_aborted)
		return "aborted by the client";
	if (call->stream_over)
		return call->state == CALL_STREAM_ENDING ? "closed" : "closed by the other side";
	return close_reason_name(call->session->reason);
}

void
record_stream_end(struct call *call)
{
	json_t *record = audit_record_event(AUDIT_STREAM_CLOSE);
	const struct rpc_error *error = call->stream_error;

	if (record == NULL)
		return;
	if (call->record != NULL)
		(void)json_object_update_missing(record, call->record);
	(void)json_object_set_new(record, "opened", json_string(call->op));
	stream_add(call, record);
	(void)json_object_set_new(record, "bytes_to_client", json_integer((json_int_t)(call->stream_bytes - call->stream_from_client)));
	(void)json_object_set_new(record, "bytes_to_guest", json_integer((json_int_t)call->stream_from_client));
	(void)json_object_set_new(record, "duration_us", json_integer((json_int_t)microseconds_since(&call->started)));
	audit_add_result(record, error != NULL ? "error" : "ok", error != NULL ? error->code : 0, stream_reason(call));
	(void)audit_submit(call->session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

/* A look-up's record is about the object; a list's about its class, with how many there were. */
void
record_would_hide(struct call *call, const struct lacks *lacks)
{
	const struct lack *first = &lacks->list[0];
	struct judgement judgement = { .verdict = DECIDE_ALLOW, .num_permissions = 1, .permissions = { first->permission },
		.decision = first->decision };
	bool list = call->proc->list.form != RPC_LIST_NONE;
	const uint8_t *body = call->message == NULL ? NULL : call->message + RPC_HEADER_LEN;
	json_t *kept = call->record;
	char op[ID_LEN + 1];

	memcpy(op, call->op, sizeof(op));

	judgement.about.object = list ? (struct vg_object){ .class = first->object.class } : first->object;
	call->record = record_call(call, &judgement, body, body == NULL ? 0 : call->message_len - RPC_HEADER_LEN);
	if (call->record != NULL) {
		json_t *decision = json_object_get(call->record, "decision");

		(void)json_object_set_new(decision, "failed", json_string(permission_name(first->permission)));
		if (list)
			(void)json_object_set_new(decision, "would_hide", json_integer((json_int_t)lacks->num));
	}
	record_access(call);
	call->session->gate->counters.would_refuse_calls++;
	json_decref(call->record);
	call->record = kept;
	memcpy(call->op, op, sizeof(op));
}

uint64_t
record_outcome(struct call *call, const char *status, int code, const char *message, audit_done_cb *done)
{
	struct audit_client *audit = call->session->gate->audit;
	json_t *record = stage_record(call, "outcome", strcmp(status, "ok") == 0 ? 'I' : 'E');
	struct documents documents = { .packed = { 0 } };

	if (record != NULL) {
		audit_add_result(record, status, code, message);
		(void)json_object_set_new(record, "duration_us", json_integer((json_int_t)microseconds_since(&call->started)));
		if (call->proc->stream != RPC_STREAM_NONE)
			stream_add(call, record);
		difference_add(call, record);
	}
	/* What failed left what was. */
	if (strcmp(status, "ok") == 0)
		difference_put_documents(call, &documents);
	documents_add(&documents, record, audit, AUDIT_KEEP);
	return audit_submit_with(audit, record, &documents.packed, AUDIT_KEEP, done, call);
}

/* `text` may be NULL; `by` is taken, and may be too. */
static void
send_session_event(struct session *session, enum audit_event event, json_t *by, const char *text)
{
	json_t *record = audit_record_event(event);

	if (record == NULL) {
		json_decref(by);
		return;
	}
	audit_add_identity(record, &session->identity, session->id);
	if (by != NULL)
		(void)json_object_set_new(record, "by", by);
	if (session->uri != NULL)
		(void)json_object_set_new(record, "connection", connection_json(session));
	if (text != NULL)
		audit_add_result(record, event == AUDIT_LOGOUT ? "ok" : event == AUDIT_BACKEND_LOST ? "error" : "denied", 0, text);
	(void)audit_submit(session->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
record_session(struct session *session, enum audit_event event, const char *format, ...)
{
	char text[512] = "";
	va_list args;

	if (format != NULL) {
		va_start(args, format);
		(void)vsnprintf(text, sizeof(text), format, args);
		va_end(args);
	}
	send_session_event(session, event, NULL, format == NULL ? NULL : text);
}

void
record_session_by(struct session *session, enum audit_event event, json_t *by, const char *what)
{
	send_session_event(session, event, by, what);
}

void
uuid_text(const uint8_t uuid[VG_UUID_LEN], char text[VG_UUID_TEXT_LEN + 1])
{
	(void)snprintf(text, VG_UUID_TEXT_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", uuid[0], uuid[1], uuid[2],
	    uuid[3], uuid[4], uuid[5], uuid[6], uuid[7], uuid[8], uuid[9], uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]);
}
