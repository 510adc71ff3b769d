/*
 * rpc.c: calls by their serial, replies, events and streams of one session at the gate.
 */
#include "web/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/buf.h"
#include "gateway/core/log.h"

#define READ_SIZE	(64u * 1024u)

struct rpc_call {
	LIST_ENTRY(rpc_call) entry;
	const struct rpc_proc *proc;
	uint32_t serial;
	rpc_reply_cb *reply;		/* one of these; all NULL: nobody wants to know any more */
	rpc_json_cb *json;
	rpc_bytes_cb *bytes;
	void *arg;
	struct buf stream;		/* of `bytes` */
	size_t max;
	char type[64];
	bool ended;			/* the stream is over for us; libvirtd's last word is to come */
};

struct rpc_client {
	struct event_base *base;
	int fd;
	struct event *readable, *writable;
	struct buf in, out;
	uint32_t serial;
	LIST_HEAD(, rpc_call) calls;
	struct rpc_handlers handlers;
	bool broken;
};

/* ---- sending ---- */

static void
end_soon(struct rpc_client *client)
{
	client->broken = true;
	event_active(client->readable, EV_READ, 0);
}

static void
flush(struct rpc_client *client)
{
	while (buf_len(&client->out) > 0 && !client->broken) {
		ssize_t n = send(client->fd, buf_head(&client->out), buf_len(&client->out), MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			(void)event_add(client->writable, NULL);
			return;
		}
		if (n < 0 && errno != EINTR)
			end_soon(client);
		else if (n > 0)
			buf_drop(&client->out, (size_t)n);
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

static void
send_message(struct rpc_client *client, struct rpc_header header, const void *body, size_t len)
{
	uint8_t head[RPC_HEADER_LEN];

	header.length = (uint32_t)(RPC_HEADER_LEN + len);
	rpc_header_put(head, &header);
	if (buf_add(&client->out, head, sizeof(head)) < 0 || buf_add(&client->out, body, len) < 0)
		end_soon(client);
	flush(client);
}

/* ---- calls ---- */

static struct rpc_call *
add_call(struct rpc_client *client, const struct rpc_proc *proc, void *arg)
{
	struct rpc_call *call = client->broken ? NULL : calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->proc = proc;
	call->serial = ++client->serial;
	call->arg = arg;
	LIST_INSERT_HEAD(&client->calls, call, entry);
	return call;
}

static void
free_call(struct rpc_call *call)
{
	LIST_REMOVE(call, entry);
	buf_free(&call->stream);
	free(call);
}

static struct rpc_header
header_of(const struct rpc_call *call, int type)
{
	return (struct rpc_header){ .program = call->proc->program, .version = RPC_VERSION, .procedure = (int32_t)call->proc->number,
		.type = type, .serial = call->serial };
}

struct rpc_call *
rpc_client_call(struct rpc_client *client, const struct rpc_proc *proc, const void *body, size_t len, rpc_reply_cb *reply, void *arg)
{
	struct rpc_call *call = add_call(client, proc, arg);

	if (call == NULL)
		return NULL;
	call->reply = reply;
	send_message(client, header_of(call, RPC_CALL), body, len);
	return call;
}

struct rpc_call *
rpc_client_ask(struct rpc_client *client, json_t *request, rpc_json_cb *reply, void *arg)
{
	const struct rpc_header address = { .program = RPC_PROGRAM_VIRTGATE, .version = RPC_VERSION, .procedure = 1 };
	char *text = json_dumps(request, JSON_COMPACT);
	struct rpc_call *call = text == NULL ? NULL : add_call(client, virtgate_proc(&address), arg);
	struct rpc_header header;
	uint8_t *message = NULL;
	size_t len = 0;

	json_decref(request);
	if (call != NULL) {
		call->json = reply;
		header = header_of(call, RPC_CALL);
		message = virtgate_put(&header, text, strlen(text), &len);
		if (message == NULL || buf_add(&client->out, message, len) < 0) {
			free_call(call);
			call = NULL;
		} else {
			flush(client);
		}
	}
	free(message);
	free(text);
	return call;
}

struct rpc_call *
rpc_client_read(struct rpc_client *client, const struct rpc_proc *proc, const void *body, size_t len, size_t max, rpc_bytes_cb *done, void *arg)
{
	struct rpc_call *call = add_call(client, proc, arg);

	if (call == NULL)
		return NULL;
	call->bytes = done;
	call->max = max;
	send_message(client, header_of(call, RPC_CALL), body, len);
	return call;
}

void
rpc_call_forget(struct rpc_call *call)
{
	if (call == NULL)
		return;
	call->reply = NULL;
	call->json = NULL;
	call->bytes = NULL;
}

/* ---- answers ---- */

/* The one call of the asker's callback. */
static void
tell(struct rpc_call *call, const uint8_t *body, size_t len, const struct rpc_error *error)
{
	rpc_reply_cb *reply = call->reply;
	rpc_json_cb *json = call->json;
	rpc_bytes_cb *bytes = call->bytes;
	struct xdr_span text;
	json_t *answer;

	rpc_call_forget(call);
	if (reply != NULL) {
		reply(call->proc, error == NULL ? body : NULL, len, error, call->arg);
	} else if (bytes != NULL) {
		bytes(buf_head(&call->stream), buf_len(&call->stream), call->type, error, call->arg);
	} else if (json != NULL) {
		answer = error == NULL && virtgate_get(body, len, &text) ? json_loadb((const char *)text.data, text.len, 0, NULL) : NULL;
		json(answer, error, call->arg);
		json_decref(answer);
	}
}

static void
fail_all(struct rpc_client *client)
{
	const struct rpc_error error = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "the session has ended" };
	struct rpc_call *call;

	while ((call = LIST_FIRST(&client->calls)) != NULL) {
		tell(call, NULL, 0, &error);
		free_call(call);
	}
}

static struct rpc_call *
find_call(struct rpc_client *client, uint32_t serial)
{
	struct rpc_call *call;

	LIST_FOREACH(call, &client->calls, entry)
		if (call->serial == serial)
			return call;
	return NULL;
}

/* The reply to the call that opens a stream: its type; the bytes follow. */
static void
take_opened(struct rpc_call *call, const uint8_t *body, size_t len)
{
	struct xdr_span span, text;
	const struct xdr_field *field;

	if (xdr_find_field(call->proc->ret, body, len, "mime", &span, &field) && (field->form != XDR_OPTIONAL || xdr_span_present(span, &span)) &&
	    xdr_span_string(span, &text) && text.len < sizeof(call->type))
		memcpy(call->type, text.data, text.len);
}

/* An empty piece is the end: it is answered by our own "finish", and libvirtd's word on that is not waited for. */
static void
take_piece(struct rpc_client *client, struct rpc_call *call, const uint8_t *data, size_t len)
{
	const struct rpc_error too_long = { .code = RPC_ERR_OPERATION_FAILED, .origin = RPC_ORIGIN_RPC, .message = "more data than is taken" };
	struct rpc_header header = header_of(call, RPC_STREAM);
	bool failed = buf_len(&call->stream) + len > call->max || buf_add(&call->stream, data, len) < 0;

	if (call->ended || (len > 0 && !failed))
		return;
	call->ended = true;
	header.status = failed ? RPC_STATUS_ERROR : RPC_STATUS_OK;
	send_message(client, header, NULL, 0);
	tell(call, NULL, 0, failed ? &too_long : NULL);
}

/* -1: nothing that the gate says. */
static int
take_answer(struct rpc_client *client, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	struct rpc_call *call = find_call(client, header->serial);
	struct rpc_error error;

	if (call == NULL || header->program != call->proc->program || (uint32_t)header->procedure != call->proc->number)
		return -1;
	if (header->status == RPC_STATUS_ERROR) {
		if (xdr_check(rpc_error_fields, body, len) != VG_OK)
			return -1;
		rpc_get_error(body, len, &error);
		tell(call, NULL, 0, &error);
		free_call(call);
		return 0;
	}
	if (header->type == RPC_STREAM) {
		if (call->proc->stream == RPC_STREAM_NONE)
			return -1;
		if (header->status == RPC_STATUS_CONTINUE)
			take_piece(client, call, body, len);
		else
			free_call(call);	/* our finish was heard */
		return 0;
	}
	if (header->type != RPC_REPLY || xdr_check(call->proc->ret, body, len) != VG_OK)
		return -1;
	if (call->proc->stream != RPC_STREAM_NONE) {
		take_opened(call, body, len);
		return 0;
	}
	tell(call, body, len, NULL);
	free_call(call);
	return 0;
}

static int
take_message(struct rpc_client *client, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	const struct rpc_proc *proc;
	uint8_t pong[RPC_HEADER_LEN];

	if (header->program == RPC_PROGRAM_KEEPALIVE) {
		rpc_put_keepalive(pong, RPC_KEEPALIVE_PONG);
		if (header->procedure == RPC_KEEPALIVE_PING && buf_add(&client->out, pong, sizeof(pong)) == 0)
			flush(client);
		return 0;
	}
	if (header->type != RPC_EVENT)
		return take_answer(client, header, body, len);
	proc = virtgate_event(header);
	if (proc == NULL)
		proc = rpc_proc_find(header->program, (uint32_t)header->procedure);
	if (proc == NULL || proc->kind != RPC_KIND_EVENT || xdr_check(proc->args, body, len) != VG_OK)
		return -1;
	client->handlers.event(proc, body, len, client->handlers.arg);
	return 0;
}

/* Whole messages in what has come. -1: broken. */
static int
take_all(struct rpc_client *client)
{
	struct rpc_header header;
	enum vg_parse parse;

	while ((parse = rpc_header_get(buf_head(&client->in), buf_len(&client->in), &header)) == VG_OK && header.length <= buf_len(&client->in)) {
		if (take_message(client, &header, buf_head(&client->in) + RPC_HEADER_LEN, header.length - RPC_HEADER_LEN) < 0)
			return -1;
		buf_drop(&client->in, header.length);
	}
	return parse == VG_BAD ? -1 : 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct rpc_client *client = arg;
	uint8_t *room = client->broken ? NULL : buf_room(&client->in, READ_SIZE);
	ssize_t n = room == NULL ? 0 : recv(fd, room, READ_SIZE, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		buf_added(&client->in, (size_t)n);
		if (take_all(client) == 0)
			return;
		log_error("the gate said something to the web front that is no message");
	}
	client->broken = true;
	(void)event_del(client->readable);
	fail_all(client);
	client->handlers.closed(client->handlers.arg);
}

struct rpc_client *
rpc_client_create(struct event_base *base, int fd, const struct rpc_handlers *handlers)
{
	struct rpc_client *client = calloc(1, sizeof(*client));

	if (client != NULL) {
		client->base = base;
		client->fd = fd;
		client->handlers = *handlers;
		LIST_INIT(&client->calls);
		client->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, client);
		client->writable = event_new(base, fd, EV_WRITE, on_writable, client);
	}
	if (client == NULL || client->readable == NULL || client->writable == NULL || event_add(client->readable, NULL) < 0) {
		if (client != NULL)
			rpc_client_destroy(client);
		else
			close(fd);
		return NULL;
	}
	return client;
}

void
rpc_client_destroy(struct rpc_client *client)
{
	if (client == NULL)
		return;
	fail_all(client);
	if (client->readable != NULL)
		event_free(client->readable);
	if (client->writable != NULL)
		event_free(client->writable);
	close(client->fd);
	buf_free(&client->in);
	buf_free(&client->out);
	free(client);
}
