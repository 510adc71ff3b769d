/*
 * take.c: what a client sends. Header first: what is never passed on ends here, what the gate answers itself is answered,
 * stream packets go through as they come. Everything else becomes a call (call.c).
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/inventory.h"
#include "gateway/gate/rights.h"
#include "gateway/gate/user.h"
#include "gateway/gate/rules.h"
#include "gateway/gate/web_verbs.h"

/* VIR_DRV_FEATURE_*, libvirt src/internal.h: what the gate answers itself. */
enum { FEATURE_FD_PASSING = 8, FEATURE_PROGRAM_KEEPALIVE = 10 };
/* virConnectFlags, libvirt include/libvirt/libvirt-host.h */
enum { CONNECT_RO = 1, CONNECT_NO_ALIASES = 2 };

/* A refused program or procedure is recorded at most once in so many seconds per session: virt-manager probes a lot. */
#define REFUSED_RECORD_SECONDS 10

/* Arguments above this are not even collected before the header says that the call may be allowed. */
#define LARGE_MESSAGE (64u * 1024u)

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

/* connect:getattr on this host; otherwise the call is answered and gone. */
static bool
may_open(struct call *call, const uint8_t *body, size_t len)
{
	struct judgement judgement = { .verdict = DECIDE_DENY, .failed = VG_PERM_connect_getattr, .num_permissions = 1,
		.permissions = { VG_PERM_connect_getattr }, .about = { .object = { .class = VG_CLASS_connect } } };

	call->session->lacks = &judgement.lacks;
	judgement.decision = decide_one(call->session, VG_PERM_connect_getattr, &judgement.about.object);
	call->session->lacks = NULL;
	if (judgement.decision.verdict == VERDICT_DENY) {
		(void)snprintf(judgement.error.message, sizeof(judgement.error.message), "access denied: 'connect:getattr' on this host");
		call_settle(call, &judgement, body - RPC_HEADER_LEN, len + RPC_HEADER_LEN);
		return false;
	}
	if (judgement.decision.verdict == VERDICT_WOULD_DENY) {
		judgement.verdict = DECIDE_ALLOW;
		call->session->gate->counters.would_refuse_calls++;
		call->record = record_call(call, &judgement, body, len);
		record_access(call);
	}
	return true;
}

static void
take_open(struct session *session, const struct rpc_proc *proc, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	struct xdr_span span, name = { NULL, 0 };
	uint32_t flags = 0;
	struct call *call;
	char why[400];

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
	if (!user_may_open(session, why, sizeof(why))) {
		user_record_limit(session, why);
		call_refuse(session, header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "%s", why);
		session_close(session, CLOSE_TOO_MANY);
		return;
	}
	call = call_create(session, proc, header);
	if (call == NULL) {
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	session->inventory = inventory_of(session->gate, session->uri);
	if (!may_open(call, body, len))
		return;
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
	time_t now = gate_steady();
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
		call_answer_int(session, header, feature == FEATURE_PROGRAM_KEEPALIVE);
		return true;
	}
	return false;
}

/* ---- taking messages ---- */

static void
take_call(struct session *session, const struct rpc_header *header, const uint8_t *message)
{
	const struct rpc_proc *proc = header->version == RPC_VERSION ? rpc_proc_find(header->program, (uint32_t)header->procedure) : NULL;
	const uint8_t *body = message + RPC_HEADER_LEN;
	size_t len = header->length - RPC_HEADER_LEN;
	char why[400];
	struct call *call;

	if (call_find(session, header->serial) != NULL) {
		record_session(session, AUDIT_PROTOCOL, "serial %u is in flight already", header->serial);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;
	}
	if (session->identity.via == VG_VIA_WEB && virtgate_proc(header) != NULL) {
		web_take(session, header, body, len);
		return;
	}
	if (proc == NULL || rule_never_passed(proc)) {
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
	if (!user_may_call(session, why, sizeof(why))) {
		user_record_limit(session, why);
		call_refuse(session, header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "%s", why);
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
		call_judge(call, message, header->length);
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

	if (call == NULL || !call_is_stream(call) || call->proc->program != header->program ||
	    call->proc->number != (uint32_t)header->procedure) {
		/* libvirtd ended the stream while this was under way: it would drop it as silently. */
		session->client.skip = header->length;
		return 0;
	}
	if (call->was_cut) {
		session->client.skip = header->length;
		return 0;
	}
	if (call->state == CALL_STREAM_ENDING)
		return -1;
	if (header->status != RPC_STATUS_CONTINUE) {
		if (hole || header->length != RPC_HEADER_LEN)
			return -1;
		call->state = CALL_STREAM_ENDING;
		call->stream_aborted = header->status == RPC_STATUS_ERROR;
	} else {
		if (call->proc->stream == RPC_STREAM_READ || (hole && !call->sparse))
			return -1;
		if (hole && header->length != RPC_HEADER_LEN + HOLE_LEN)
			return -1;
		if (hole && len < header->length)
			return 1;
		if (hole && !hole_is_sane(message + RPC_HEADER_LEN))
			return -1;
	}
	stream_pass(&session->client, call, header->length);
	return 0;
}

/* Refused by its header, and on record like any other refusal; its arguments are dropped as they come. */
static void
refuse_uncollected(struct session *session, const struct rpc_header *header, const struct rpc_proc *proc, enum vg_permission failed)
{
	struct judgement judgement = { .verdict = DECIDE_DENY, .failed = failed, .num_permissions = 1, .permissions = { failed },
		.about = { .object = { .class = proc->about.class, .any = true } } };
	struct call *call = call_find(session, header->serial) != NULL ? NULL : call_create(session, proc, header);

	if (call == NULL) {
		record_session(session, AUDIT_PROTOCOL, "serial %u is in flight already, or out of memory", header->serial);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return;
	}
	session->client.skip = header->length;
	(void)snprintf(judgement.error.message, sizeof(judgement.error.message), "access denied: '%s' on any object", permission_name(failed));
	call_settle(call, &judgement, NULL, 0);
}

/*
 * A message whose end has not come. True: it is worth waiting for. A large one is so only when it may be allowed at all,
 * and before CONNECT_OPEN none is.
 */
static bool
worth_collecting(struct session *session, const struct rpc_header *header)
{
	const struct rpc_proc *proc = rpc_proc_find(header->program, (uint32_t)header->procedure);
	enum vg_permission failed;
	char why[400];

	if (header->length <= LARGE_MESSAGE)
		return true;
	if (session->state != SESSION_OPEN) {
		record_session(session, AUDIT_PROTOCOL, "a message of %u bytes before CONNECT_OPEN", header->length);
		session_close(session, CLOSE_CLIENT_PROTOCOL);
		return false;
	}
	if (!user_may_buffer(session, header->length, why, sizeof(why))) {
		user_record_limit(session, why);
		session_close(session, CLOSE_TOO_MANY);
		return false;
	}
	failed = header->type != RPC_CALL || proc == NULL ? VG_PERM_NONE : decide_hopeless(session, proc);
	if (failed == VG_PERM_NONE)
		return true;
	refuse_uncollected(session, header, proc, failed);
	return false;
}

static bool
may_go_on(const struct session *session)
{
	return (session->state == SESSION_NEW || session->state == SESSION_OPEN) &&
	    session->num_calls < (unsigned)session->gate->settings->max_client_requests &&
	    buf_len(&session->client.out) <= END_HIGH_WATER && buf_len(&session->client.later) <= END_HIGH_WATER && buf_len(&session->backend.out) <= END_HIGH_WATER + END_READ_SIZE;
}

size_t
take_consume(struct session *session, const uint8_t *data, size_t len)
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
			stream_passed(client, data + at, n);
			at += n;
			continue;
		}
		if (client->skip > 0) {
			end_pass(client, data + run, at - run);
			n = client->skip < len - at ? client->skip : len - at;
			client->skip -= n;
			at += n;
			run = at;
			continue;
		}
		if (session->num_cuts > 0) {
			end_pass(client, data + run, at - run);
			run = at;
			rights_cut_backend(session);
		}
		parse = rpc_header_get(data + at, len - at, &header);
		if (parse == VG_MORE)
			break;
		if (parse == VG_OK && header.type != RPC_STREAM && header.type != RPC_STREAM_HOLE) {
			end_pass(client, data + run, at - run);
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
			continue;
		}
		take_message(session, &header, data + at);
		at += header.length;
		run = at;
	}
	if (session->state <= SESSION_OPEN)
		end_pass(client, data + run, at - run);
	return at;
}
