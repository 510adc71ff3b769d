/*
 * call.c: from client to backend. Header first: what is never passed on ends here. Then check, decide, record, forward,
 * in that order, each on the bytes that the next one sees.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/inventory.h"

/* VIR_DRV_FEATURE_*, libvirt src/internal.h: what the gate answers itself. */
enum { FEATURE_FD_PASSING = 8, FEATURE_PROGRAM_KEEPALIVE = 10 };
/* virConnectFlags, libvirt include/libvirt/libvirt-host.h */
enum { CONNECT_RO = 1, CONNECT_NO_ALIASES = 2 };

/* A refused program or procedure is recorded at most once in so many seconds per session: virt-manager probes a lot. */
#define REFUSED_RECORD_SECONDS 10

/* Arguments above this are not even collected before the header says that the call may be allowed. */
#define LARGE_MESSAGE (64u * 1024u)

/* ---- the slots ---- */

struct call *
call_find(struct session *session, uint32_t serial)
{
	struct call *call = session->calls;

	while (call != NULL && call->header.serial != serial)
		call = call->next;
	return call;
}

static struct call *
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
	session->calls_total++;
	clock_gettime(CLOCK_MONOTONIC, &call->started);
	return call;
}

static bool
is_stream(const struct call *call)
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
	if (is_stream(call))
		session->num_streams--;
	else
		session->num_calls--;
	if (call->audit_ticket != 0)
		audit_forget(session->gate->audit, call->audit_ticket);
	if (call->lookup_ticket != 0)
		inventory_cancel(session->inventory, call->lookup_ticket);
	for (size_t i = 0; i < CALL_MAX_LOOKUPS; i++)
		free(call->lookups[i].name);
	json_decref(call->record);
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
static void
answer_int(struct session *session, const struct rpc_header *header, int32_t value)
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

/* The message as libvirtd shall see it: pieces replaced by the gate's own record. Returns a new allocation, or NULL with *len 0 when nothing is to be replaced. -1 in *len when memory is out. */
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
		memcpy(copy + to, judgement->patches[i].bytes, judgement->patches[i].len);
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

void
call_forward(struct call *call, const uint8_t *message, size_t len)
{
	call->state = CALL_FORWARDED;
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

static void
on_intent(bool durable, void *arg)
{
	struct call *call = arg;
	struct session *session = call->session;

	call->audit_ticket = 0;
	if (durable) {
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
	answer_int(call->session, &call->header, supported);
	call_destroy(call);
	return true;
}

/* Allowed: record what must be recorded first, then pass it on. `message` is the one to forward. */
static void
proceed(struct call *call, const struct judgement *judgement, const uint8_t *message, size_t len)
{
	struct session *session = call->session;
	const uint8_t *body = message + RPC_HEADER_LEN;
	bool would_deny = judgement->decision.verdict == VERDICT_WOULD_DENY;

	if (call->proc->kind == RPC_KIND_CHANGE || call->proc->kind == RPC_KIND_ACCESS || would_deny) {
		call->record = record_call(call, judgement, body, len - RPC_HEADER_LEN);
		if (call->record == NULL) {
			call_refuse(session, &call->header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "out of memory");
			call_destroy(call);
			return;
		}
	}
	if (call->proc->kind != RPC_KIND_CHANGE) {
		if (call->record == NULL && answer_feature(call, body, len - RPC_HEADER_LEN))
			return;
		if (call->record != NULL)
			record_access(call);
		call_forward(call, message, len);
		return;
	}
	call->state = CALL_INTENT;
	if (park(call, message, len) == 0)
		call->audit_ticket = record_intent(call, on_intent);
	if (call->audit_ticket == 0)
		on_intent(false, call);
}

static void
settle(struct call *call, const struct judgement *judgement, const uint8_t *message, size_t len)
{
	struct session *session = call->session;
	const uint8_t *body = message + RPC_HEADER_LEN;
	size_t body_len = len - RPC_HEADER_LEN;
	char op[ID_LEN + 1];

	switch (judgement->verdict) {
	case DECIDE_DENY:
		record_denial(call, judgement, body, body_len, op);
		call_refuse(session, &call->header, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "%s (decision %s)", judgement->error.message, op);
		break;
	case DECIDE_CONFLICT:
		record_denial(call, judgement, body, body_len, op);
		call_refuse(session, &call->header, judgement->error.code, judgement->error.origin, "%s", judgement->error.message);
		break;
	case DECIDE_MISSING:
		call_refuse(session, &call->header, judgement->error.code, judgement->error.origin, "%s", judgement->error.message);
		break;
	default:
		record_session(session, AUDIT_PROTOCOL, "%s: %s", call->proc->name, judgement->error.message);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;		/* which destroyed the call */
	}
	call_destroy(call);
}

/* Decides a call whose whole message is at hand; it may be parked for a look-up and come here again. */
static void
judge(struct call *call, const uint8_t *message, size_t len)
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
		settle(call, &judgement, message, len);
		return;
	}
	if (apply_patches(&judgement, message, len, &patched, &patched_len) < 0) {
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	if (patched != NULL) {
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

	/* judge() may park, forward or destroy the call: the message is held here meanwhile. */
	call->message = NULL;
	call->message_len = 0;
	judge(call, message, len);
	free(message);
	session_update_reading(session);
}

/* ---- calls that the gate answers or drives itself ---- */

static const char *
allowed_uri(const struct session *session, struct xdr_span name)
{
	const struct gate *gate = session->gate;

	for (size_t i = 0; i < gate->num_inventories; i++) {
		const char *uri = inventory_uri(gate->inventories[i]);

		if (strlen(uri) == name.len && memcmp(uri, name.data, name.len) == 0)
			return uri;
	}
	return NULL;
}

static struct inventory *
inventory_of(const struct gate *gate, const char *uri)
{
	for (size_t i = 0; i < gate->num_inventories; i++)
		if (inventory_uri(gate->inventories[i]) == uri)
			return gate->inventories[i];
	return NULL;
}

/* The CONNECT_OPEN that libvirtd gets: our own text of the URI, and the read-only flag where his roles only read. */
static int
build_open(struct call *call)
{
	struct session *session = call->session;
	size_t size = RPC_HEADER_LEN + 16 + strlen(session->uri) + 4;
	struct rpc_header header = call->header;
	struct xdr_out out;

	call->message = malloc(size);
	if (call->message == NULL)
		return -1;
	xdr_out_init(&out, call->message + RPC_HEADER_LEN, size - RPC_HEADER_LEN);
	xdr_put_optional_string(&out, session->uri);
	xdr_put_u32(&out, session->open_readonly ? CONNECT_RO : 0);
	call->message_len = RPC_HEADER_LEN + out.len;
	header.length = (uint32_t)call->message_len;
	rpc_header_put(call->message, &header);
	return 0;
}

static void
take_open(struct session *session, const struct rpc_proc *proc, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	const struct vg_object host = { .class = VG_CLASS_connect };
	struct xdr_span span, name = { NULL, 0 };
	uint32_t flags = 0;
	struct call *call;

	if (session->state != SESSION_NEW) {
		call_refuse(session, header, RPC_ERR_INTERNAL, RPC_ORIGIN_RPC, "connection already open");
		return;
	}
	(void)rpc_arg_u32(proc, body, len, "flags", &flags);
	if (xdr_find(proc->args, body, len, "name", &span) && xdr_span_u32(span) == 1) {
		span.data += 4;
		span.len -= 4;
		(void)xdr_span_string(span, &name);
	}
	session->uri = name.data == NULL ? NULL : allowed_uri(session, name);
	if (session->uri == NULL || (flags & ~(uint32_t)(CONNECT_RO | CONNECT_NO_ALIASES)) != 0) {
		record_session(session, AUDIT_REFUSED_PROGRAM, "URI '%.*s' with flags %#x is not allowed", (int)(name.len > 200 ? 200 : name.len),
		    name.data == NULL ? "" : (const char *)name.data, flags);
		call_refuse(session, header, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "access denied: this gateway does not open '%.*s'",
		    (int)(name.len > 200 ? 200 : name.len), name.data == NULL ? "" : (const char *)name.data);
		session->uri = NULL;
		return;
	}
	call = call_create(session, proc, header);
	if (call == NULL) {
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	session->inventory = inventory_of(session->gate, session->uri);
	if (decide_one(session, VG_PERM_connect_getattr, &host).verdict == VERDICT_DENY) {
		struct judgement judgement = { .verdict = DECIDE_DENY, .failed = VG_PERM_connect_getattr, .num_permissions = 1,
			.permissions = { VG_PERM_connect_getattr }, .about = { .object = host } };

		(void)snprintf(judgement.error.message, sizeof(judgement.error.message), "access denied: 'connect:getattr' on this host");
		settle(call, &judgement, body - RPC_HEADER_LEN, len + RPC_HEADER_LEN);
		return;
	}
	session->readonly = policy_only_reads(session->gate->policy, &session->identity, gate_now(session->gate));
	session->open_readonly = session->readonly || (flags & CONNECT_RO) != 0;
	if (build_open(call) < 0) {
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	session_set_state(session, SESSION_INVENTORY);
	session_dial(session);
}

static void
refuse_never(struct session *session, const struct rpc_header *header, const struct rpc_proc *proc)
{
	time_t now = gate_now(session->gate);
	const char *name = proc == NULL ? "unknown" : proc->name;

	if (now - session->refused_at >= REFUSED_RECORD_SECONDS) {
		session->refused_at = now;
		record_session(session, AUDIT_REFUSED_PROGRAM, "program %#x procedure %d (%s) is never passed on", header->program,
		    header->procedure, name);
	}
	/* Clients take this code with this text for "too old" and fall back to another call. */
	call_refuse(session, header, RPC_ERR_RPC, RPC_ORIGIN_RPC, "unknown procedure: %d", header->procedure);
}

/* Calls that are handled here, whatever the policy says. True when it was one. */
static bool
take_own(struct session *session, const struct rpc_proc *proc, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	uint32_t feature;

	if (proc->before_auth) {
		struct rpc_header reply = *header;
		uint8_t message[RPC_HEADER_LEN + 8];
		struct xdr_out out;

		if (strcmp(proc->name, "auth_list") != 0) {
			call_refuse(session, header, RPC_ERR_AUTH_FAILED, RPC_ORIGIN_RPC, "authentication failed: already authenticated");
			session_close(session, CLOSE_CLIENT_PROTOCOL);
			return true;
		}
		reply.length = sizeof(message);
		reply.type = RPC_REPLY;
		rpc_header_put(message, &reply);
		xdr_out_init(&out, message + RPC_HEADER_LEN, 8);
		xdr_put_u32(&out, 1);
		xdr_put_u32(&out, 0);		/* REMOTE_AUTH_NONE: the front did it */
		end_send(&session->client, message, sizeof(message));
		return true;
	}
	if (strcmp(proc->name, "connect_open") == 0) {
		take_open(session, proc, header, body, len);
		return true;
	}
	if (strcmp(proc->name, "connect_supports_feature") == 0 && rpc_arg_u32(proc, body, len, "feature", &feature) &&
	    (feature == FEATURE_PROGRAM_KEEPALIVE || feature == FEATURE_FD_PASSING)) {
		/* Keepalive is between client and gate; descriptors do not pass. */
		session->keepalive = session->keepalive || feature == FEATURE_PROGRAM_KEEPALIVE;
		answer_int(session, header, feature == FEATURE_PROGRAM_KEEPALIVE);
		return true;
	}
	return false;
}

/* ---- taking messages ---- */

static bool
never_passed(const struct rpc_proc *proc)
{
	return proc == NULL || proc->kind == RPC_KIND_EVENT || proc->program == RPC_PROGRAM_LXC || proc->descriptors ||
	    strcmp(proc->name, "connect_set_identity") == 0;
}

static void
take_call(struct session *session, const struct rpc_header *header, const uint8_t *message)
{
	const struct rpc_proc *proc = header->version == RPC_VERSION ? rpc_proc_find(header->program, (uint32_t)header->procedure) : NULL;
	const uint8_t *body = message + RPC_HEADER_LEN;
	size_t len = header->length - RPC_HEADER_LEN;
	struct call *call;

	if (call_find(session, header->serial) != NULL) {
		record_session(session, AUDIT_PROTOCOL, "serial %u is in flight already", header->serial);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;
	}
	if (never_passed(proc)) {
		refuse_never(session, header, proc);
		return;
	}
	if (xdr_check(proc->args, body, len) != VG_OK) {
		record_session(session, AUDIT_PROTOCOL, "arguments of %s do not decode", proc->name);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;
	}
	if (take_own(session, proc, header, body, len))
		return;
	if (session->state != SESSION_OPEN) {
		call_refuse(session, header, RPC_ERR_INTERNAL, RPC_ORIGIN_RPC, "connection not open");
		return;
	}
	if (proc->stream != RPC_STREAM_NONE && session->num_streams >= SESSION_MAX_STREAMS) {
		call_refuse(session, header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "too many open streams: %d is the limit of one session",
		    SESSION_MAX_STREAMS);
		return;
	}
	call = call_create(session, proc, header);
	if (call == NULL)
		session_close(session, CLOSE_NO_MEMORY);
	else
		judge(call, message, header->length);
}

static void
take_message(struct session *session, const struct rpc_header *header, const uint8_t *message)
{
	uint8_t pong[RPC_HEADER_LEN];

	if (header->program != RPC_PROGRAM_KEEPALIVE) {
		take_call(session, header, message);
	} else if (header->procedure == RPC_KEEPALIVE_PING) {
		rpc_put_keepalive(pong, RPC_KEEPALIVE_PONG);
		end_send(&session->client, pong, sizeof(pong));
	}
}

/* virNetStreamHole: int64 length, uint32 flags; libvirt src/rpc/virnetprotocol.x. No flag is defined. */
#define HOLE_LEN 12

static bool
hole_is_sane(const uint8_t body[HOLE_LEN])
{
	const struct xdr_span flags = { body + 8, 4 };

	return (body[0] & 0x80) == 0 && xdr_span_u32(flags) == 0;
}

/* A stream packet: judged by its header against the open streams, then passed through as it comes. -1: broke the rules. */
static int
take_stream_packet(struct session *session, const struct rpc_header *header, const uint8_t *message, size_t len)
{
	struct call *call = call_find(session, header->serial);
	bool hole = header->type == RPC_STREAM_HOLE;

	if (call == NULL || !is_stream(call) || call->proc->program != header->program ||
	    call->proc->number != (uint32_t)header->procedure) {
		/* libvirtd ended the stream while this was under way: it would drop it as silently. */
		session->client.skip = header->length;
		return 0;
	}
	if (call->state == CALL_STREAM_ENDING)
		return -1;
	if (header->status != RPC_STATUS_CONTINUE) {
		if (hole || header->length != RPC_HEADER_LEN)
			return -1;
		call->state = CALL_STREAM_ENDING;
	} else {
		if (call->proc->stream == RPC_STREAM_READ || (hole && !call->sparse))
			return -1;
		if (hole && header->length != RPC_HEADER_LEN + HOLE_LEN)
			return -1;
		if (hole && len < header->length)
			return 1;
		if (hole && !hole_is_sane(message + RPC_HEADER_LEN))
			return -1;
		call->stream_bytes += header->length - RPC_HEADER_LEN;
	}
	session->client.pass = header->length;
	return 0;
}

/* Before a large message is collected: could it be allowed at all? Otherwise it is refused by its header. */
static bool
worth_collecting(struct session *session, const struct rpc_header *header)
{
	const struct rpc_proc *proc = rpc_proc_find(header->program, (uint32_t)header->procedure);

	if (header->length <= LARGE_MESSAGE || header->type != RPC_CALL || proc == NULL || session->state != SESSION_OPEN)
		return header->length <= LARGE_MESSAGE || session->state == SESSION_OPEN;
	for (const struct rpc_need *need = proc->needs; need->permission != VG_PERM_NONE; need++)
		if (need->test == RPC_TEST_ALWAYS &&
		    !policy_may_ever(session->gate->policy, &session->identity, need->permission, gate_now(session->gate)))
			return false;
	return true;
}

static void
refuse_uncollected(struct session *session, const struct rpc_header *header)
{
	const struct rpc_proc *proc = rpc_proc_find(header->program, (uint32_t)header->procedure);

	session->client.skip = header->length;
	call_refuse(session, header, RPC_ERR_ACCESS_DENIED, RPC_ORIGIN_ACCESS, "access denied: '%s' on any object",
	    proc == NULL || proc->needs[0].permission == VG_PERM_NONE ? "connect:getattr" : permission_name(proc->needs[0].permission));
}

static bool
may_go_on(const struct session *session)
{
	return (session->state == SESSION_NEW || session->state == SESSION_OPEN) &&
	    session->num_calls < (unsigned)session->gate->settings->max_client_requests &&
	    buf_len(&session->client.out) <= END_HIGH_WATER && buf_len(&session->backend.out) <= END_HIGH_WATER + END_READ_SIZE;
}

size_t
call_consume(struct session *session, const uint8_t *data, size_t len)
{
	struct end *client = &session->client;
	size_t at = 0, run = 0;		/* data[run..at) goes on unchanged, in one write */

	while (at < len && may_go_on(session)) {
		struct rpc_header header;
		enum vg_parse parse;
		size_t n;
		int r;

		if (client->pass > 0) {
			n = client->pass < len - at ? client->pass : len - at;
			client->pass -= n;
			at += n;
			continue;
		}
		if (client->skip > 0) {
			end_send(&session->backend, data + run, at - run);
			n = client->skip < len - at ? client->skip : len - at;
			client->skip -= n;
			at += n;
			run = at;
			continue;
		}
		parse = rpc_header_get(data + at, len - at, &header);
		if (parse == VG_MORE)
			break;
		if (parse == VG_OK && header.type != RPC_STREAM && header.type != RPC_STREAM_HOLE) {
			end_send(&session->backend, data + run, at - run);
			run = at;
		}
		if (parse == VG_BAD || rpc_check_client(&header) == VG_BAD) {
			record_session(session, AUDIT_PROTOCOL, "message header is not one that a client may send");
			session_close(session, CLOSE_CLIENT_PROTOCOL);
			break;
		}
		if (header.type == RPC_STREAM || header.type == RPC_STREAM_HOLE) {
			r = take_stream_packet(session, &header, data + at, len - at);
			if (r > 0)
				break;
			if (r < 0) {
				record_session(session, AUDIT_PROTOCOL, "stream packet that the stream does not allow");
				session_close(session, CLOSE_CLIENT_PROTOCOL);
			}
			continue;
		}
		if (header.length > len - at) {
			if (worth_collecting(session, &header))
				break;
			refuse_uncollected(session, &header);
			continue;
		}
		take_message(session, &header, data + at);
		at += header.length;
		run = at;
	}
	if (session->state <= SESSION_OPEN)
		end_send(&session->backend, data + run, at - run);
	return at;
}
