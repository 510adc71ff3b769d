/*
 * call.c: one call from its arguments to libvirtd: decide, record, forward, in that order, each on the bytes that the
 * next one sees. take.c brings the calls, reply.c takes the answers.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "gateway/core/log.h"
#include "gateway/gate/argument.h"
#include "gateway/gate/class.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/filter.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/outside.h"
#include "gateway/gate/quota.h"
#include "gateway/gate/rights.h"
#include "gateway/gate/trail.h"
#include "gateway/gate/unusual.h"
#include "gateway/gate/user.h"

/* ---- the slots ---- */

struct call *
call_find(struct session *session, uint32_t serial)
{
	struct call *call = session->calls;

	while (call != NULL && call->header.serial != serial)
		call = call->next;
	return call;
}

struct call *
call_create(struct session *session, const struct rpc_proc *proc, const struct rpc_header *header)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->session = session;
	call->proc = proc;
	call->header = *header;
	call->next = session->calls;
	session->calls = call;
	session->num_calls++;
	session->user->calls++;
	session->calls_total++;
	clock_gettime(CLOCK_MONOTONIC, &call->started);
	return call;
}

bool
call_is_stream(const struct call *call)
{
	return call->state == CALL_STREAM || call->state == CALL_STREAM_ENDING;
}

void
call_destroy(struct call *call)
{
	struct session *session = call->session;
	struct call **link = &session->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	if (call->proc->kind == RPC_KIND_ACCESS && call->proc->stream != RPC_STREAM_NONE && call->state >= CALL_FORWARDED)
		record_stream_end(call);
	record_read_end(call, "unknown", 0, "the session ended before the answer");
	outside_end(call);
	quota_end(call);
	session->user->calls--;
	session->num_cuts -= (unsigned)__builtin_popcount(call->cuts);
	if (call_is_stream(call))
		session->num_streams--;
	else
		session->num_calls--;
	if (call->audit_ticket != 0)
		audit_forget(session->gate->audit, call->audit_ticket);
	if (call->lookup_ticket != 0)
		inventory_cancel(session->inventory, call->lookup_ticket);
	if (call->trail_ticket != 0)
		trail_forget(session->gate->trail, call->trail_ticket);
	for (unsigned i = 0; i < call->num_lookups; i++) {
		free(call->lookups[i].name);
		free(call->lookups[i].parent);
		free(call->lookups[i].text);
	}
	free(call->lookups);
	admit_forget(call);
	difference_destroy(call->difference);
	free(call->granted);
	free(call->stream_error);
	EVP_MD_CTX_free(call->stream_digest);
	json_decref(call->record);
	free(call->domain_name);
	free(call->pool_name);
	free(call->own_name);
	free(call->message);
	free(call);
}

/* The call waits for somebody else: its message must outlive the read buffer. */
static int
park(struct call *call, const uint8_t *message, size_t len)
{
	if (call->message != NULL)
		return 0;
	call->message = malloc(len);
	if (call->message == NULL)
		return -1;
	memcpy(call->message, message, len);
	call->message_len = len;
	return 0;
}

void
call_refuse(struct session *session, const struct rpc_header *header, int32_t code, int32_t origin, const char *format, ...)
{
	struct rpc_error error = { .code = code, .origin = origin };
	uint8_t reply[RPC_MAX_ERROR_LEN];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error.message, sizeof(error.message), format, args);
	va_end(args);
	end_send(&session->client, reply, rpc_put_error(reply, sizeof(reply), header, &error));
}

/* An answer of the gate's own: one int. */
void
call_answer_int(struct session *session, const struct rpc_header *header, int32_t value)
{
	struct rpc_header reply = *header;
	uint8_t message[RPC_HEADER_LEN + 4];
	struct xdr_out out;

	reply.length = sizeof(message);
	reply.type = RPC_REPLY;
	rpc_header_put(message, &reply);
	xdr_out_init(&out, message + RPC_HEADER_LEN, 4);
	xdr_put_i32(&out, value);
	end_send(&session->client, message, sizeof(message));
}

/* ---- deciding and forwarding ---- */

/* The message as libvirtd shall see it, in a new allocation; `out` stays NULL when nothing is to be replaced. -1: out of memory. */
static int
apply_patches(const struct judgement *judgement, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct rpc_header header;
	size_t size = len, at = 0, to = 0;
	uint8_t *copy;

	*out = NULL;
	if (judgement->num_patches == 0)
		return 0;
	for (size_t i = 0; i < judgement->num_patches; i++)
		size = size - judgement->patches[i].span.len + judgement->patches[i].len;
	if (size > RPC_MAX_LEN || (copy = malloc(size)) == NULL)
		return -1;
	for (size_t i = 0; i < judgement->num_patches; i++) {
		size_t before = (size_t)(judgement->patches[i].span.data - message) - at;

		memcpy(copy + to, message + at, before);
		to += before;
		memcpy(copy + to, judgement->patches[i].data != NULL ? judgement->patches[i].data : judgement->patches[i].bytes,
		    judgement->patches[i].len);
		to += judgement->patches[i].len;
		at += before + judgement->patches[i].span.len;
	}
	memcpy(copy + to, message + at, len - at);
	(void)rpc_header_get(copy, size, &header);
	header.length = (uint32_t)size;
	rpc_header_put(copy, &header);
	*out = copy;
	*out_len = size;
	return 0;
}

/* Sends the call on, as libvirtd shall see it. */
static void
call_forward(struct call *call, const uint8_t *message, size_t len)
{
	call->state = CALL_FORWARDED;
	call->asked = inventory_clock(call->session->inventory);
	if (strcmp(call->proc->name, "connect_close") == 0)
		call->session->closing = true;
	end_send(&call->session->backend, message, len);
	if (decide_by_reply(call->proc)) {
		(void)park(call, message, len);		/* what was asked for, should the answer be "not found" */
		return;
	}
	free(call->message);
	call->message = NULL;
	call->message_len = 0;
}

/* Another policy came while the intent was made durable: asked again, of what is about to be forwarded. */
static bool
still_allowed(struct call *call)
{
	struct judgement judgement;

	if (call->policy == call->session->gate->num_policies)
		return true;
	decide_call(call, call->message + RPC_HEADER_LEN, call->message_len - RPC_HEADER_LEN, &judgement);
	if (judgement.verdict == DECIDE_ALLOW)
		return true;
	if (call->lookup_ticket != 0)		/* it is not asked a third time */
		inventory_cancel(call->session->inventory, call->lookup_ticket);
	call->lookup_ticket = 0;
	usage_forget_call(inventory_usage(call->session->inventory), call);
	if (judgement.verdict == DECIDE_DENY || judgement.verdict == DECIDE_WAIT)
		reply_denied(call, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "access denied: the policy has changed meanwhile (decision %s)", call->op);
	else
		reply_denied(call, judgement.error.code, judgement.error.origin, "%s", judgement.error.message);
	return false;
}

static void
on_intent(bool durable, void *arg)
{
	struct call *call = arg;
	struct session *session = call->session;

	call->audit_ticket = 0;
	if (durable) {
		if (still_allowed(call))
			call_forward(call, call->message, call->message_len);
	} else {
		call_refuse(session, &call->header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC,
		    "the audit trail cannot be written: '%s' was refused and nothing was changed", call->proc->name);
		call_destroy(call);
	}
	session_update_reading(session);
}

/* What libvirtd said to somebody else a moment ago spares it the question: each client asks several at its start. */
static bool
answer_feature(struct call *call, const uint8_t *body, size_t len)
{
	int32_t supported;

	if (strcmp(call->proc->name, "connect_supports_feature") != 0)
		return false;
	call->asks_feature = rpc_arg_u32(call->proc, body, len, "feature", &call->feature);
	if (!call->asks_feature || !inventory_feature(call->session->inventory, call->feature, &supported))
		return false;
	call_answer_int(call->session, &call->header, supported);
	call_destroy(call);
	return true;
}

/* A row of the policy in mode warn: the first finding; all of them are in the record. */
static void
warn_of_findings(const struct call *call, const struct judgement *judgement)
{
	const json_t *first = json_array_get(call->findings, 0);

	log_warn("session %s: %s of '%.200s': admission finds %u that row '%s' would refuse; rule '%s' at %.200s", call->session->id,
	    call->proc->name, judgement->about.object.name == NULL ? "" : judgement->about.object.name, call->warned,
	    json_string_value(json_object_get(first, "row")), json_string_value(json_object_get(first, "rule")),
	    json_string_value(json_object_get(first, "path")));
}

/* Allowed: record what must be recorded first, then pass it on. `message` is the one to forward. */
static void
proceed(struct call *call, const struct judgement *judgement, const uint8_t *message, size_t len)
{
	struct session *session = call->session;
	const uint8_t *body = message + RPC_HEADER_LEN;
	bool would_deny = judgement->decision.verdict == VERDICT_WOULD_DENY;

	session->gate->counters.would_refuse_calls += would_deny || call->warned > 0;
	if (call->warned > 0)
		warn_of_findings(call, judgement);

	if (call->proc->kind == RPC_KIND_CHANGE || call->proc->kind == RPC_KIND_ACCESS || would_deny) {
		call->record = record_call(call, judgement, body, len - RPC_HEADER_LEN);
		if (call->record == NULL) {
			call_refuse(session, &call->header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "out of memory");
			call_destroy(call);
			return;
		}
	}
	if (call->proc->kind != RPC_KIND_CHANGE) {
		if (!would_deny)
			record_read_begin(call, judgement, body, len - RPC_HEADER_LEN);
		if (call->record == NULL && answer_feature(call, body, len - RPC_HEADER_LEN))
			return;
		/* A stream is on record from its opening; what has one answer, with that answer. */
		if (call->record != NULL && !call->tells_read && call->proc->stream != RPC_STREAM_NONE)
			record_access(call);
		else
			call->tells_read = call->record != NULL;
		call_forward(call, message, len);
		return;
	}
	call->state = CALL_INTENT;
	call->held_since = gate_steady();
	if (park(call, message, len) == 0)
		call->audit_ticket = record_intent(call, on_intent);
	if (call->audit_ticket == 0)
		on_intent(false, call);
}

void
call_settle(struct call *call, const struct judgement *judgement, const uint8_t *message, size_t len)
{
	struct session *session = call->session;
	const uint8_t *body = message == NULL ? NULL : message + RPC_HEADER_LEN;
	size_t body_len = message == NULL ? 0 : len - RPC_HEADER_LEN;
	char op[ID_LEN + 1];

	switch (judgement->verdict) {
	case DECIDE_DENY:
		session->gate->counters.refused_calls++;
		if (call->proc->kind == RPC_KIND_READ && record_reads(call, judgement) == POLICY_READS_NONE) {
			call_refuse(session, &call->header, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "%s", judgement->error.message);
			break;
		}
		record_denial(call, judgement, body, body_len, op);
		call_refuse(session, &call->header, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "%s (decision %s)", judgement->error.message, op);
		if (judgement->lacks.denied && judgement->lacks.last.permission == judgement->failed && judgement->decision.binding == NULL)
			unusual_hours(session, judgement->failed, &judgement->lacks.last.object, op);
		break;
	case DECIDE_INVALID:
		session->gate->counters.refused_calls++;
		/* fall through */
	case DECIDE_CONFLICT:
		record_denial(call, judgement, body, body_len, op);
		call_refuse(session, &call->header, judgement->error.code, judgement->error.origin, "%s", judgement->error.message);
		break;
	case DECIDE_MISSING:
		record_read_begin(call, judgement, body, body_len);
		record_read_end(call, "error", judgement->error.code, judgement->error.message);
		if (judgement->hidden) {
			unusual_hidden(call, judgement->error.message);
			unusual_hours(session, class_getattr(judgement->about.object.class), &judgement->about.object, NULL);
		}
		call_refuse(session, &call->header, judgement->error.code, judgement->error.origin, "%s", judgement->error.message);
		break;
	default:
		record_session(session, AUDIT_PROTOCOL, "%s: %s", call->proc->name, judgement->error.message);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;		/* which destroyed the call */
	}
	call_destroy(call);
}

/* Which domain it was decided on, by which name; or the pool whose volumes the reply will list; or what else. -1: out of memory. */
static int
remember_object(struct call *call, const struct vg_object *object)
{
	if (object->class == VG_CLASS_storage_pool && object->has_uuid && object->name != NULL && call->pool_name == NULL) {
		memcpy(call->pool_uuid, object->uuid, VG_UUID_LEN);
		call->pool_name = strdup(object->name);
		return call->pool_name == NULL ? -1 : 0;
	}
	if (object->class != VG_CLASS_domain || !object->has_uuid) {
		if (object->name == NULL || call->own_name != NULL)
			return 0;
		call->own_name = strdup(object->name);
		return call->own_name == NULL ? -1 : 0;
	}
	if (object->name == NULL)
		return 0;
	memcpy(call->domain_uuid, object->uuid, VG_UUID_LEN);
	call->domain_name = strdup(object->name);
	return call->domain_name == NULL ? -1 : 0;
}

/* Decides a call whose whole message is at hand; it may be parked for a look-up and come here again. */
void
call_judge(struct call *call, const uint8_t *message, size_t len)
{
	struct session *session = call->session;
	struct judgement judgement;
	uint8_t *patched = NULL;
	size_t patched_len = 0;

	decide_call(call, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, &judgement);
	if (judgement.verdict == DECIDE_WAIT) {
		call->state = CALL_RESOLVING;
		if (park(call, message, len) < 0)
			session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	if (judgement.verdict != DECIDE_ALLOW) {
		call_settle(call, &judgement, message, len);
		return;
	}
	if (difference_before(call, &judgement.about.object, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN)) {
		call->state = CALL_RESOLVING;
		if (park(call, message, len) < 0)
			session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	call->policy = session->gate->num_policies;
	if (remember_object(call, &judgement.about.object) < 0 ||
	    (call->proc->kind == RPC_KIND_CHANGE && outside_begin(call, &judgement.about.object) < 0) || rights_remember(call, &judgement) < 0 || stream_begin_digest(call) < 0 ||
	    apply_patches(&judgement, message, len, &patched, &patched_len) < 0) {
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	if (decide_counts_list(session, call->proc)) {
		if (filter_ask_list(call, message, len, &patched, &patched_len) < 0)
			session_close(session, CLOSE_NO_MEMORY);
		else
			proceed(call, &judgement, patched, patched_len);
		free(patched);
	} else if (patched != NULL) {
		/* What was checked is the record that replaced the bytes; the result must still be a whole message. */
		if (xdr_check(call->proc->args, patched + RPC_HEADER_LEN, patched_len - RPC_HEADER_LEN) != VG_OK)
			session_close(session, CLOSE_CLIENT_PROTOCOL);
		else
			proceed(call, &judgement, patched, patched_len);
		free(patched);
	} else {
		proceed(call, &judgement, message, len);
	}
}

void
call_looked_up(struct call *call)
{
	struct session *session = call->session;
	uint8_t *message = call->message;
	size_t len = call->message_len;

	/* call_judge() may park, forward or destroy the call: the message is held here meanwhile. */
	call->message = NULL;
	call->message_len = 0;
	call_judge(call, message, len);
	free(message);
	session_update_reading(session);
}
