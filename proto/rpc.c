/* rpc.c: headers, what each side may send, and the messages that the gateway writes itself. */
#include <string.h>

#include "proto/fields.h"
#include "proto/rpc.h"

#define KEEPALIVE_VERSION 1u
#define HOLE_LEN (RPC_HEADER_LEN + 12u)		/* hyper length, unsigned flags */
#define ERROR_LEVEL_ERROR 2

enum side { SIDE_CLIENT, SIDE_BACKEND };

/* virNetMessageError, libvirt src/rpc/virnetprotocol.x */
const struct xdr_field rpc_error_fields[] = {
	F(code, int32) F(domain, int32) O(message, nonnull_string) F(level, int32) O(dom, nonnull_domain)
	O(str1, nonnull_string) O(str2, nonnull_string) O(str3, nonnull_string) F(int1, int32) F(int2, int32)
	O(net, nonnull_network) END_OF_FIELDS
};

/* virNetStreamHole */
static const struct xdr_field hole_fields[] = { F(length, int64) F(flags, uint32) END_OF_FIELDS };

static const struct xdr_field nothing[] = { END_OF_FIELDS };

static uint32_t
load_u32(const uint8_t *data)
{
	return xdr_span_u32((struct xdr_span){ data, 4 });
}

enum vg_parse
rpc_header_get(const uint8_t *buf, size_t len, struct rpc_header *header)
{
	if (len < RPC_LEN_BYTES)
		return VG_MORE;
	header->length = load_u32(buf);
	if (header->length < RPC_HEADER_LEN || header->length > RPC_MAX_LEN)
		return VG_BAD;
	if (len < RPC_HEADER_LEN)
		return VG_MORE;
	header->program = load_u32(buf + 4);
	header->version = load_u32(buf + 8);
	header->procedure = (int32_t)load_u32(buf + 12);
	header->type = (int32_t)load_u32(buf + 16);
	header->serial = load_u32(buf + 20);
	header->status = (int32_t)load_u32(buf + 24);
	return VG_OK;
}

void
rpc_header_put(uint8_t buf[RPC_HEADER_LEN], const struct rpc_header *header)
{
	struct xdr_out out;

	xdr_out_init(&out, buf, RPC_HEADER_LEN);
	xdr_put_u32(&out, header->length);
	xdr_put_u32(&out, header->program);
	xdr_put_u32(&out, header->version);
	xdr_put_i32(&out, header->procedure);
	xdr_put_i32(&out, header->type);
	xdr_put_u32(&out, header->serial);
	xdr_put_i32(&out, header->status);
}

const struct rpc_proc *
rpc_header_proc(const struct rpc_header *header)
{
	const struct rpc_proc *proc;

	if (header->version != RPC_VERSION || header->procedure <= 0)
		return NULL;
	proc = rpc_proc_find(header->program, (uint32_t)header->procedure);
	if (proc == NULL || (proc->kind == RPC_KIND_EVENT) != (header->type == RPC_EVENT))
		return NULL;
	return proc;
}

static bool
keepalive_is_valid(const struct rpc_header *header)
{
	return header->version == KEEPALIVE_VERSION && header->type == RPC_EVENT && header->serial == 0 &&
	    header->status == RPC_STATUS_OK && header->length == RPC_HEADER_LEN &&
	    (header->procedure == RPC_KEEPALIVE_PING || header->procedure == RPC_KEEPALIVE_PONG);
}

/*
 * libvirt's clients count calls from 0, and their first is auth_list; from then on 0 is nobody's serial. Streams are
 * told apart by it, so there it must not be 0 at all.
 */
static bool
serial_is_valid(const struct rpc_header *header)
{
	const struct rpc_proc *proc;

	if (header->serial != 0)
		return true;
	proc = rpc_header_proc(header);
	return proc != NULL && proc->before_auth;
}

/* May data flow from `side` in a stream of this procedure? */
static bool
may_send(const struct rpc_proc *proc, enum side side)
{
	enum rpc_stream one_way = side == SIDE_CLIENT ? RPC_STREAM_WRITE : RPC_STREAM_READ;

	return proc->stream == RPC_STREAM_BOTH || proc->stream == one_way;
}

/* Data, end, abort or confirmation of a stream. Either side may end it whatever its direction. */
static bool
stream_is_valid(const struct rpc_header *header, enum side side)
{
	const struct rpc_proc *proc = rpc_header_proc(header);

	if (proc == NULL || proc->stream == RPC_STREAM_NONE || header->serial == 0)
		return false;
	switch (header->status) {
	case RPC_STATUS_OK:
		return header->length == RPC_HEADER_LEN;
	case RPC_STATUS_ERROR:		/* a client aborts without a word, the backend says why */
		return (header->length == RPC_HEADER_LEN) == (side == SIDE_CLIENT);
	case RPC_STATUS_CONTINUE:
		return may_send(proc, side);
	}
	return false;
}

static bool
hole_is_valid(const struct rpc_header *header, enum side side)
{
	const struct rpc_proc *proc = rpc_header_proc(header);

	return proc != NULL && proc->sparse_mask != 0 && may_send(proc, side) && header->serial != 0 &&
	    header->status == RPC_STATUS_CONTINUE && header->length == HOLE_LEN;
}

enum vg_parse
rpc_check_client(const struct rpc_header *header)
{
	bool valid = false;

	if (header->program == RPC_PROGRAM_KEEPALIVE)
		return keepalive_is_valid(header) ? VG_OK : VG_BAD;
	if (header->type == RPC_CALL)
		valid = header->status == RPC_STATUS_OK && serial_is_valid(header);
	else if (header->type == RPC_STREAM)
		valid = stream_is_valid(header, SIDE_CLIENT);
	else if (header->type == RPC_STREAM_HOLE)
		valid = hole_is_valid(header, SIDE_CLIENT);
	return valid ? VG_OK : VG_BAD;
}

enum vg_parse
rpc_check_backend(const struct rpc_header *header)
{
	bool valid = false;

	if (header->program == RPC_PROGRAM_KEEPALIVE)
		return keepalive_is_valid(header) ? VG_OK : VG_BAD;
	if (rpc_header_proc(header) == NULL)
		return VG_BAD;
	if (header->type == RPC_REPLY)
		valid = (header->status == RPC_STATUS_OK || header->status == RPC_STATUS_ERROR) &&
		    serial_is_valid(header);
	else if (header->type == RPC_EVENT)	/* libvirtd numbers its events 1, whatever that is for */
		valid = header->status == RPC_STATUS_OK;
	else if (header->type == RPC_STREAM)
		valid = stream_is_valid(header, SIDE_BACKEND);
	else if (header->type == RPC_STREAM_HOLE)
		valid = hole_is_valid(header, SIDE_BACKEND);
	return valid ? VG_OK : VG_BAD;
}

const struct xdr_field *
rpc_body_fields(const struct rpc_header *header, const struct rpc_proc *proc)
{
	switch (header->type) {
	case RPC_CALL:
	case RPC_EVENT:
		return proc->args;
	case RPC_REPLY:
		return header->status == RPC_STATUS_ERROR ? rpc_error_fields : proc->ret;
	case RPC_STREAM_HOLE:
		return hole_fields;
	case RPC_STREAM:
		if (header->status == RPC_STATUS_CONTINUE)
			return NULL;
		/* The client's abort is told from the backend's by its length. */
		if (header->status == RPC_STATUS_ERROR && header->length > RPC_HEADER_LEN)
			return rpc_error_fields;
		return nothing;
	}
	return nothing;
}

size_t
rpc_put_error(uint8_t *buf, size_t size, const struct rpc_header *header, const struct rpc_error *error)
{
	struct rpc_header answer = *header;
	struct xdr_out out;

	if (size < RPC_HEADER_LEN)
		return 0;
	xdr_out_init(&out, buf, size);
	out.len = RPC_HEADER_LEN;
	xdr_put_i32(&out, error->code);
	xdr_put_i32(&out, error->origin);
	xdr_put_u32(&out, 1);					/* message: there */
	xdr_put_bytes(&out, error->message, strnlen(error->message, sizeof(error->message)));
	xdr_put_i32(&out, ERROR_LEVEL_ERROR);
	xdr_put_u32(&out, 0);					/* dom */
	xdr_put_optional_string(&out, NULL);			/* str1 to str3 */
	xdr_put_optional_string(&out, NULL);
	xdr_put_optional_string(&out, NULL);
	xdr_put_i32(&out, -1);					/* int1, int2: as libvirt fills them */
	xdr_put_i32(&out, -1);
	xdr_put_u32(&out, 0);					/* net */
	if (out.failed)
		return 0;
	answer.length = (uint32_t)out.len;
	answer.type = header->type == RPC_STREAM || header->type == RPC_STREAM_HOLE ? RPC_STREAM : RPC_REPLY;
	answer.status = RPC_STATUS_ERROR;
	rpc_header_put(buf, &answer);
	return out.len;
}

void
rpc_get_error(const uint8_t *body, size_t len, struct rpc_error *error)
{
	struct xdr_span span, value, text;
	size_t used;

	*error = (struct rpc_error){ 0 };
	if (xdr_find(rpc_error_fields, body, len, "code", &span))
		error->code = xdr_span_i32(span);
	if (xdr_find(rpc_error_fields, body, len, "domain", &span))
		error->origin = xdr_span_i32(span);
	if (!xdr_find(rpc_error_fields, body, len, "message", &span))
		return;
	if (!xdr_span_present(span, &value) || !xdr_span_string(value, &text))
		return;
	used = text.len < sizeof(error->message) ? text.len : sizeof(error->message) - 1;
	memcpy(error->message, text.data, used);
}

void
rpc_put_keepalive(uint8_t buf[RPC_HEADER_LEN], int32_t procedure)
{
	const struct rpc_header header = {
		.length = RPC_HEADER_LEN, .program = RPC_PROGRAM_KEEPALIVE, .version = KEEPALIVE_VERSION,
		.procedure = procedure, .type = RPC_EVENT, .serial = 0, .status = RPC_STATUS_OK
	};

	rpc_header_put(buf, &header);
}

bool
rpc_arg_u32(const struct rpc_proc *proc, const uint8_t *body, size_t len, const char *name, uint32_t *value)
{
	const struct xdr_field *field;
	struct xdr_span span;

	if (!xdr_find_field(proc->args, body, len, name, &span, &field) || field->form != XDR_ONE)
		return false;
	if (field->type->kind != XDR_UINT32 && field->type->kind != XDR_INT32)
		return false;
	*value = xdr_span_u32(span);
	return true;
}

static uint64_t
unknown_bits(const struct rpc_proc *proc, const uint8_t *body, size_t len, const char *name, uint32_t known)
{
	const struct xdr_field *field = proc->args;
	struct xdr_span span;
	uint64_t value;

	while (field->name != NULL && strcmp(field->name, name) != 0)
		field++;
	if (field->name == NULL)
		return 0;
	if (!xdr_find(proc->args, body, len, name, &span) || (span.len != 4 && span.len != 8))
		return UINT64_MAX;
	value = xdr_span_u32(span);
	if (span.len == 8) {		/* the calls of migration before their parameters were typed */
		span.data += 4;
		span.len -= 4;
		value = value << 32 | xdr_span_u32(span);
	}
	return value & ~(uint64_t)known;
}

uint64_t
rpc_unknown_flags(const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	uint64_t unknown = unknown_bits(proc, body, len, "flags", proc->flags);

	if (unknown == 0 && proc->more_flags.arg != NULL)
		unknown = unknown_bits(proc, body, len, proc->more_flags.arg, proc->more_flags.known);
	return unknown;
}

static bool
device_arg(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_need *need)
{
	struct xdr_span span, xml;

	if (!xdr_find(proc->args, body, len, need->arg, &span) || !xdr_span_string(span, &xml))
		return true;
	return (rpc_device_kinds(xml.data, xml.len) & need->value) != 0;
}

bool
rpc_need_applies(const struct rpc_proc *proc, const struct rpc_need *need, const uint8_t *body, size_t len)
{
	uint32_t value;

	if (need->test == RPC_TEST_DEVICE)
		return device_arg(proc, body, len, need);
	if (need->test == RPC_TEST_ALWAYS || !rpc_arg_u32(proc, body, len, need->arg, &value))
		return true;
	switch (need->test) {
	case RPC_TEST_ALWAYS:
	case RPC_TEST_DEVICE:
		break;
	case RPC_TEST_ALL_SET:
		return (value & need->value) == need->value;
	case RPC_TEST_NONE_SET:
		return (value & need->value) == 0;
	case RPC_TEST_EQUALS:
		return value == need->value;
	}
	return true;
}
