/*
 * web_verbs.c: questions of the web front: from the message to the verb, and back.
 */
#include "gateway/gate/web_verbs.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/resolve.h"
#include "gateway/gate/user.h"

#define MAX_ARGUMENT	512u	/* bytes of a text that the trail is told; longer is a draft */

static const struct rpc_need no_needs[] = { { VG_PERM_NONE, RPC_TEST_ALWAYS, NULL, 0 } };

struct web_verb {
	const char *name;
	web_verb_fn *run;
	enum vg_permission needs[2];	/* of the gateway's own; VG_PERM_NONE: nothing, or the verb itself asks what it needs */
	bool open;			/* only behind CONNECT_OPEN: it looks at objects */
	struct rpc_proc proc;		/* what a call of it is to the rest of the gate, and to the trail */
};

#define VERB(number_, name_, call_, kind_, run_, needs_, also_, open_) { .name = name_, .run = run_, .needs = { VG_PERM_##needs_, VG_PERM_##also_ }, .open = open_, \
	.proc = { .program = RPC_PROGRAM_VIRTGATE, .number = number_, .name = call_, .kind = RPC_KIND_##kind_, .needs = no_needs } }

/* In order of their numbers. */
static const struct web_verb verbs[] = {
	VERB(1, "me", "me", READ, web_me, NONE, NONE, false),
	VERB(2, "may", "may", READ, web_may_objects, NONE, NONE, true),
	VERB(3, "can", "policy_can", READ, web_can, NONE, NONE, false),
	VERB(4, "sessions", "session_list", READ, web_sessions, NONE, NONE, false),
	VERB(5, "kill", "session_kill", ACCESS, web_kill, NONE, NONE, false),
	VERB(6, "audit.search", "audit_search", READ, web_audit, audit_read, NONE, false),
	VERB(7, "audit.show", "audit_show", READ, web_audit, audit_read, NONE, false),
	VERB(8, "audit.state", "audit_state", READ, web_audit, audit_read, NONE, false),
	VERB(9, "audit.export", "audit_export", READ, web_audit, audit_read, NONE, false),
	VERB(10, "policy.show", "policy_show", READ, web_policy_show, policy_read, NONE, false),
	VERB(11, "policy.check", "policy_check", READ, web_policy_draft, policy_read, NONE, false),
	VERB(12, "policy.diff", "policy_diff", READ, web_policy_draft, policy_read, NONE, false),
	VERB(13, "policy.replay", "policy_replay", READ, web_policy_draft, policy_read, audit_read, false),
	VERB(14, "who-can", "policy_who_can", READ, web_who_can, policy_read, NONE, false),
};

/* The row of its proc. */
static const struct web_verb *
verb_of(const struct call *call)
{
	return &verbs[call->proc->number - 1];
}

bool
web_may(struct session *session, enum vg_permission permission)
{
	const struct vg_object host = { .class = permission_class(permission) };

	return decide_one(session, permission, &host).verdict == VERDICT_ALLOW;
}

/* JSON that is text already. The end of the call. */
static void
answer_text(struct call *call, const char *text, size_t len)
{
	struct session *session = call->session;
	struct rpc_header header = call->header;
	size_t message_len = 0;
	uint8_t *message;

	header.type = RPC_REPLY;
	message = virtgate_put(&header, text, len, &message_len);
	if (message == NULL) {
		web_fail(call, len > VIRTGATE_MAX_JSON ? "the answer is longer than %u bytes: ask for less" : "out of memory (answers have at most %u bytes)",
		    VIRTGATE_MAX_JSON);
		return;
	}
	record_read_end(call, "ok", 0, "");
	call_destroy(call);
	end_send(&session->client, message, message_len);
	free(message);
}

void
web_answer(struct call *call, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text == NULL)
		web_fail(call, "out of memory");
	else
		answer_text(call, text, strlen(text));
	free(text);
}

__attribute__((format(printf, 4, 0))) static void
end_with(struct call *call, int32_t code, const char *before, const char *format, va_list args)
{
	struct rpc_header header = call->header;
	struct session *session = call->session;
	char text[400];

	(void)vsnprintf(text, sizeof(text), format, args);
	record_read_end(call, "error", code, text);
	call_destroy(call);
	call_refuse(session, &header, code, RPC_ORIGIN_RPC, "%s%s", before, text);
}

void
web_refuse(struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end_with(call, RPC_ERR_INVALID_ARG, "invalid argument: ", format, args);
	va_end(args);
}

void
web_fail(struct call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	end_with(call, RPC_ERR_INTERNAL, "internal error: ", format, args);
	va_end(args);
}

void
web_deny(struct call *call, enum vg_permission permission)
{
	const struct vg_object host = { .class = permission_class(permission) };
	struct judgement judgement = { .num_permissions = 1, .permissions = { permission }, .about = { .object = host } };

	(void)decide_deny(&judgement, permission, &host, decide_one(call->session, permission, &host), "");
	call_settle(call, &judgement, NULL, 0);
}

/* VG_PERM_NONE: he has what the verb needs. */
static enum vg_permission
missing(struct session *session, const struct web_verb *verb)
{
	for (size_t i = 0; i < sizeof(verb->needs) / sizeof(verb->needs[0]); i++)
		if (verb->needs[i] != VG_PERM_NONE && !web_may(session, verb->needs[i]))
			return verb->needs[i];
	return VG_PERM_NONE;
}

void
web_take_answer(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct call *call = arg;
	struct session *session = call->session;
	enum vg_permission lacks = missing(session, verb_of(call));	/* a right may have ended meanwhile */

	call->trail_ticket = 0;
	if (lacks != VG_PERM_NONE)
		web_deny(call, lacks);
	else if (result == TRAIL_ANSWERED)
		answer_text(call, text, len);
	else if (result == TRAIL_REFUSED)
		web_refuse(call, "%s", text);
	else
		web_fail(call, "%s", text);
	session_update_reading(session);
}

static const struct web_verb *
find_verb(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* What was asked for, but for drafts of a policy. */
static json_t *
args_of(const json_t *request)
{
	json_t *args = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)request, key, value)
		if (strcmp(key, "verb") != 0 && (!json_is_string(value) || json_string_length(value) <= MAX_ARGUMENT))
			(void)json_object_set(args, key, value);
	return args;
}

/* Who reads the trail, the policy or the list of sessions is on record where the policy asks for it. */
static void
begin(struct call *call, const struct web_verb *verb, const json_t *request)
{
	struct judgement judgement = { .verdict = DECIDE_ALLOW, .decision = { VERDICT_ALLOW, NULL } };

	for (size_t i = 0; i < sizeof(verb->needs) / sizeof(verb->needs[0]) && verb->needs[i] != VG_PERM_NONE; i++)
		judgement.permissions[judgement.num_permissions++] = verb->needs[i];
	judgement.about.object.class = permission_class(verb->needs[0]);
	record_read_begin(call, &judgement, NULL, 0);
	if (call->tells_read && record_reads(call, &judgement) == POLICY_READS_FULL)
		(void)json_object_set_new(call->record, "args", args_of(request));
	verb->run(call, request);
}

static void
run(struct session *session, const struct rpc_header *header, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "verb"));
	const struct web_verb *verb = find_verb(name);
	enum vg_permission lacks;
	struct call *call;

	if (verb == NULL) {
		call_refuse(session, header, RPC_ERR_INVALID_ARG, RPC_ORIGIN_RPC, name == NULL ? "invalid argument: expected one JSON object with \"verb\"%s" :
		    "invalid argument: unknown verb '%.80s'", name == NULL ? "" : name);
		return;
	}
	if (verb->open && session->state != SESSION_OPEN) {
		call_refuse(session, header, RPC_ERR_INTERNAL, RPC_ORIGIN_RPC, "connection not open");
		return;
	}
	lacks = missing(session, verb);
	call = call_create(session, &verb->proc, header);
	if (call == NULL)
		session_close(session, CLOSE_NO_MEMORY);
	else if (lacks != VG_PERM_NONE)
		web_deny(call, lacks);
	else
		begin(call, verb, request);
}

void
web_take(struct session *session, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	struct xdr_span text;
	json_t *request;
	char why[400];

	if (!user_may_call(session, why, sizeof(why))) {
		user_record_limit(session, why);
		call_refuse(session, header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "%s", why);
		return;
	}
	if (!virtgate_get(body, len, &text)) {
		record_session(session, AUDIT_PROTOCOL, "a question that does not decode, or of more than %u bytes", VIRTGATE_MAX_JSON);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;
	}
	request = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
	run(session, header, request);
	json_decref(request);
}
