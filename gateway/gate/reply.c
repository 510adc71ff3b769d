/*
 * reply.c: from backend to client. Every message of libvirtd is checked against the table before it is relayed; what
 * does not decode ends the session. Replies are matched by serial, events judged at delivery, stream data passed
 * through.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/filter.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/rights.h"

/* Sends the last message of a call, or holds it until the outcome of the change is durable. */
static void
on_outcome(bool durable, void *arg)
{
	struct call *call = arg;
	struct session *session = call->session;

	(void)durable;		/* AUDIT_KEEP: only told once it is */
	call->audit_ticket = 0;
	end_send(&session->client, call->message, call->message_len);
	call_destroy(call);
	if (session->state == SESSION_LINGERING && session->calls == NULL)
		session_set_state(session, SESSION_CLOSED);
	else
		session_update_reading(session);
}

static void
record_end(struct call *call, const char *status, int code, const char *message)
{
	call->audit_ticket = record_outcome(call, status, code, message, on_outcome);
	if (call->audit_ticket != 0)
		return;
	call_refuse(call->session, &call->header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "the outcome of '%s' could not be recorded", call->proc->name);
	call_destroy(call);
}

void
reply_outcome(struct call *call)
{
	record_end(call, "ok", 0, "");
}

/* The answer of a change waits until its outcome is durable. `error` is NULL when it went well. */
static void
hold(struct call *call, const char *status, const struct rpc_error *error, const uint8_t *message, size_t len)
{
	struct session *session = call->session;

	free(call->message);
	call->message_len = len;
	call->message = malloc(len);
	if (call->message == NULL) {
		session_close(session, CLOSE_NO_MEMORY);
		return;
	}
	memcpy(call->message, message, len);
	if (call->state == CALL_STREAM || call->state == CALL_STREAM_ENDING) {
		session->num_streams--;
		session->num_calls++;
	}
	call->state = CALL_OUTCOME;
	call->held_since = gate_steady();
	if (error == NULL && difference_after(call, call->message + RPC_HEADER_LEN, len - RPC_HEADER_LEN))
		return;
	record_end(call, status, error != NULL ? error->code : 0, error != NULL ? error->message : "");
}

/* By what the client is told: what is hidden is missing in the trail too, with a record of its own where that is unusual. */
static void
read_ended(struct call *call, const uint8_t *message, size_t len)
{
	struct rpc_error error = { .code = 0 };
	struct rpc_header header;

	if (rpc_header_get(message, len, &header) == VG_OK && header.status == RPC_STATUS_ERROR)
		rpc_get_error(message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, &error);
	record_read_end(call, error.code == 0 ? "ok" : "error", error.code, error.message);
}

static void
finish(struct call *call, bool failed, const struct rpc_error *error, const uint8_t *message, size_t len)
{
	static const struct rpc_error aborted = { .code = RPC_ERR_OPERATION_ABORTED, .message = "aborted by the client" };

	if (call->proc->kind == RPC_KIND_CHANGE) {
		/* libvirtd confirms an abort as it does a good end. */
		if (!failed && call->stream_aborted)
			error = &aborted;
		else if (!failed)
			error = NULL;
		hold(call, error != NULL ? "error" : "ok", error, message, len);
		return;
	}
	read_ended(call, message, len);
	call->stream_over = call->proc->stream != RPC_STREAM_NONE;
	if (failed && call->stream_over && (call->stream_error = malloc(sizeof(*error))) != NULL)
		*call->stream_error = *error;
	end_send(&call->session->client, message, len);
	call_destroy(call);
}

void
reply_denied(struct call *call, int32_t code, int32_t origin, const char *format, ...)
{
	struct rpc_error error = { .code = code, .origin = origin };
	uint8_t reply[RPC_MAX_ERROR_LEN];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error.message, sizeof(error.message), format, args);
	va_end(args);
	hold(call, "denied", &error, reply, rpc_put_error(reply, sizeof(reply), &call->header, &error));
}

/* What the reply tells of domains goes to the inventory before the client can act on it. */
static void
learn(struct call *call, const uint8_t *body, size_t len)
{
	const struct rpc_object *returns = &call->proc->returns;
	struct xdr_object object;
	struct xdr_span span;

	if (call->asks_feature && xdr_find(call->proc->ret, body, len, "supported", &span))
		inventory_learn_feature(call->session->inventory, call->feature, xdr_span_i32(span));
	if (returns->from == RPC_FROM_ARG && returns->class == VG_CLASS_domain &&
	    xdr_find_value(call->proc->ret, body, len, returns->path, &span) && xdr_get_object(VG_CLASS_domain, span, &object))
		inventory_learn_reply(call->session->inventory, &object, call->asked);
}

/* The answer to CONNECT_OPEN: the session is open, or over. */
static void
opened(struct call *call, bool failed, const uint8_t *message, size_t len)
{
	struct session *session = call->session;

	end_send(&session->client, message, len);
	call_destroy(call);
	if (failed)
		session_close(session, CLOSE_BACKEND_REFUSED);
	else
		session_set_state(session, SESSION_OPEN);
}

/* A reply whose call is known. -1: does not decode. */
static int
take_reply(struct call *call, const struct rpc_header *header, const uint8_t *message, size_t len)
{
	struct session *session = call->session;
	const uint8_t *body = message + RPC_HEADER_LEN;
	bool failed = header->status != RPC_STATUS_OK;
	struct lacks would_hide = { .of_reply = true };
	struct rpc_error error;
	uint8_t *filtered = NULL;
	size_t filtered_len = 0;
	int r;

	if (xdr_check(failed ? rpc_error_fields : call->sent != NULL ? call->sent->ret : call->proc->ret, body, len - RPC_HEADER_LEN) != VG_OK)
		return -1;
	if (session->state == SESSION_OPENING) {
		opened(call, failed, message, len);
		return 0;
	}
	if (failed) {
		rpc_get_error(body, len - RPC_HEADER_LEN, &error);
		if (filter_error(call, &error, message, len, &filtered, &filtered_len) < 0)
			return -1;
		if (filtered != NULL)
			finish(call, true, &error, filtered, filtered_len);
		else
			finish(call, true, &error, message, len);
		free(filtered);
		return 0;
	}
	if (call->proc->stream != RPC_STREAM_NONE) {
		if (call->state != CALL_FORWARDED)
			return -1;
		call->state = CALL_STREAM;
		session->num_calls--;
		session->num_streams++;
		end_send(&session->client, message, len);
		return 0;
	}
	learn(call, body, len - RPC_HEADER_LEN);
	session->lacks = &would_hide;
	r = filter_reply(call, message, len, &filtered, &filtered_len);
	session->lacks = NULL;
	if (r < 0)
		return -1;
	if (would_hide.num > 0)
		record_would_hide(call, &would_hide);
	if (filtered != NULL)
		finish(call, false, NULL, filtered, filtered_len);
	else
		finish(call, false, NULL, message, len);
	free(filtered);
	return 0;
}

/* An event goes on only when its object is visible now. Returns whether; -1: does not decode. */
static int
take_event(struct session *session, const struct rpc_header *header, const uint8_t *message, size_t len)
{
	const struct rpc_proc *proc = rpc_proc_find(header->program, (uint32_t)header->procedure);
	const uint8_t *body = message + RPC_HEADER_LEN;
	struct xdr_span span;

	if (proc == NULL || proc->kind != RPC_KIND_EVENT || xdr_check(proc->args, body, len - RPC_HEADER_LEN) != VG_OK)
		return -1;
	if (proc->about.from != RPC_FROM_ARG)
		return 1;		/* about the connection itself */
	if (!xdr_find_value(proc->args, body, len - RPC_HEADER_LEN, proc->about.path, &span))
		return 0;
	return filter_sees(session, proc->filter, proc->about.class, span);
}

/* libvirtd says that a stream is over whose right had ended: its client knows, the trail is told. */
static void
end_cut(struct call *call)
{
	struct session *session = call->session;

	if (call->proc->kind == RPC_KIND_CHANGE)
		(void)record_outcome(call, "denied", RPC_ERR_ACCESS_DENIED, "the right ended while the stream was open: it was cut", NULL);
	if ((call->cuts & CUT_CLIENT) != 0)
		rights_cut_client(session);
	call_destroy(call);
}

/* The end of a stream, or its error, as libvirtd says it. -1: does not decode. */
static int
take_stream_end(struct call *call, const struct rpc_header *header, const uint8_t *message, size_t len)
{
	const uint8_t *body = message + RPC_HEADER_LEN;
	bool failed = header->status == RPC_STATUS_ERROR;
	struct rpc_error error;

	if (failed) {
		if (xdr_check(rpc_error_fields, body, len - RPC_HEADER_LEN) != VG_OK)
			return -1;
		rpc_get_error(body, len - RPC_HEADER_LEN, &error);
	} else if (len != RPC_HEADER_LEN) {
		return -1;
	}
	if (call->was_cut) {
		end_cut(call);
		return 0;
	}
	finish(call, failed, &error, message, len);
	return 0;
}

static bool
is_stream_data(const struct rpc_header *header)
{
	return (header->type == RPC_STREAM || header->type == RPC_STREAM_HOLE) && header->status == RPC_STATUS_CONTINUE;
}

/* A piece of a stream: passed through as it comes. -1: no such stream, or not in that direction. */
static int
take_stream_data(struct session *session, const struct rpc_header *header)
{
	struct call *call = call_find(session, header->serial);

	if (session->state == SESSION_LINGERING) {
		session->backend.skip = header->length;
		return 0;
	}
	/* libvirtd's first data may overtake its reply to the call that opens the stream; its client expects that. */
	if (call == NULL || (call->state != CALL_FORWARDED && call->state != CALL_STREAM && call->state != CALL_STREAM_ENDING) ||
	    (call->proc->stream != RPC_STREAM_READ && call->proc->stream != RPC_STREAM_BOTH) ||
	    call->proc->number != (uint32_t)header->procedure)
		return -1;
	if (call->was_cut) {
		session->backend.skip = header->length;
		return 0;
	}
	stream_pass(&session->backend, call, header->length);
	return 0;
}

/* A whole message that is not stream data. 1: it goes on as it is, 0: it was handled, -1: libvirtd broke the protocol. */
static int
take_message(struct session *session, const struct rpc_header *header, const uint8_t *message)
{
	uint8_t pong[RPC_HEADER_LEN];
	struct call *call;

	if (header->program == RPC_PROGRAM_KEEPALIVE) {
		if (header->procedure == RPC_KEEPALIVE_PING) {
			rpc_put_keepalive(pong, RPC_KEEPALIVE_PONG);
			end_send(&session->backend, pong, sizeof(pong));
		}
		return 0;
	}
	if (session_take_dial_reply(session, header, message + RPC_HEADER_LEN, header->length - RPC_HEADER_LEN))
		return 0;
	if (header->type == RPC_EVENT)
		return session->state == SESSION_OPEN ? take_event(session, header, message, header->length) : 0;
	call = call_find(session, header->serial);
	if (call == NULL || call->proc->program != header->program ||
	    (call->sent != NULL ? call->sent : call->proc)->number != (uint32_t)header->procedure)
		return session->state == SESSION_LINGERING ? 0 : -1;
	if (header->type == RPC_STREAM) {
		if (call->state != CALL_STREAM && call->state != CALL_STREAM_ENDING)
			return -1;
		return take_stream_end(call, header, message, header->length);
	}
	/* libvirtd answers trouble with a hole as a reply, not as a stream packet. */
	if (call->state != CALL_FORWARDED && !(call->state == CALL_STREAM && header->status == RPC_STATUS_ERROR))
		return -1;
	return take_reply(call, header, message, header->length);
}

size_t
reply_consume(struct session *session, const uint8_t *data, size_t len)
{
	struct end *backend = &session->backend;
	size_t at = 0, run = 0;		/* data[run..at) goes on unchanged, in one write */

	while (at < len && session->state >= SESSION_DIALING && session->state <= SESSION_LINGERING) {
		struct rpc_header header;
		enum vg_parse parse;
		size_t n;
		int r;

		if (backend->pass > 0) {
			n = backend->pass < len - at ? backend->pass : len - at;
			stream_passed(backend, data + at, n);
			at += n;
			continue;
		}
		if (backend->skip > 0) {
			end_pass(backend, data + run, at - run);
			n = backend->skip < len - at ? backend->skip : len - at;
			backend->skip -= n;
			at += n;
			run = at;
			continue;
		}
		if (session->num_cuts > 0) {
			end_pass(backend, data + run, at - run);
			run = at;
			rights_cut_client(session);
		}
		parse = rpc_header_get(data + at, len - at, &header);
		if (parse == VG_MORE)
			break;
		if (parse == VG_OK && rpc_check_backend(&header) == VG_OK) {
			if (is_stream_data(&header)) {
				if (take_stream_data(session, &header) == 0)
					continue;
				r = -1;
			} else if (header.length > len - at) {
				break;
			} else {
				/* What is handled may itself write to the client: in order, please. */
				end_pass(backend, data + run, at - run);
				run = at;
				r = take_message(session, &header, data + at);
				at += header.length;
				run = r == 1 ? run : at;
			}
		} else {
			r = -1;
		}
		if (r < 0) {
			log_error("session %s: libvirtd sent a message that does not decode", session->id);
			reply_abandon_all(session, "libvirtd sent a message that does not decode", true);
			session_close(session, CLOSE_BACKEND_PROTOCOL);
			return at;
		}
	}
	end_pass(backend, data + run, at - run);
	if (session->state == SESSION_LINGERING && session->calls == NULL)
		session_set_state(session, SESSION_CLOSED);
	return at;
}

void
reply_abandon_all(struct session *session, const char *why, bool answer)
{
	struct call *call, *next;

	if (answer && session->state == SESSION_OPEN)
		record_session(session, AUDIT_BACKEND_LOST, "%s", why);
	for (call = session->calls; call != NULL; call = next) {
		bool change = call->proc->kind == RPC_KIND_CHANGE;

		next = call->next;
		if (change && call->state == CALL_INTENT)
			(void)record_outcome(call, "error", RPC_ERR_SYSTEM, "not forwarded: libvirtd went away", NULL);
		else if (change && call->state >= CALL_FORWARDED && call->state <= CALL_STREAM_ENDING)
			(void)record_outcome(call, "unknown", RPC_ERR_SYSTEM, why, NULL);
		else if (difference_awaited(call))
			(void)record_outcome(call, "ok", 0, "", NULL);
		if (answer && call->state != CALL_OUTCOME) {
			struct rpc_header header = call->header;

			if (call->state == CALL_STREAM || call->state == CALL_STREAM_ENDING)
				header.type = RPC_STREAM;
			call_refuse(session, &header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC, "%s while '%s' was under way%s", why, call->proc->name,
			    change && call->state >= CALL_FORWARDED ? ": whether it was carried out is unknown" : "");
		}
		call_destroy(call);
	}
}
