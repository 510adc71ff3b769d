/* rpc_auth.c: AUTH_LIST, SASL_INIT, SASL_START, SASL_STEP, CONNECT_CLOSE and keepalive, read and written. */
#include "gateway/front/rpc_auth.h"

#include <string.h>

/* Numbers: libvirt src/remote/remote_protocol.x. */
enum { PROC_CONNECT_CLOSE = 2, PROC_AUTH_LIST = 66, PROC_AUTH_SASL_INIT = 67, PROC_AUTH_SASL_START = 68,
    PROC_AUTH_SASL_STEP = 69 };
/* enum remote_auth_type */
enum { AUTH_TYPE_SASL = 1 };

static enum rpc_auth_kind
kind_of(const struct rpc_header *header)
{
	if (header->program == RPC_PROGRAM_KEEPALIVE)
		return header->procedure == RPC_KEEPALIVE_PING ? RPC_AUTH_PING : RPC_AUTH_OTHER;
	if (header->program != RPC_PROGRAM_REMOTE || header->version != RPC_VERSION || header->type != RPC_CALL)
		return RPC_AUTH_OTHER;
	switch (header->procedure) {
	case PROC_CONNECT_CLOSE:
		return RPC_AUTH_CLOSE;
	case PROC_AUTH_LIST:
		return RPC_AUTH_LIST;
	case PROC_AUTH_SASL_INIT:
		return RPC_AUTH_SASL_INIT;
	case PROC_AUTH_SASL_START:
		return RPC_AUTH_SASL_START;
	case PROC_AUTH_SASL_STEP:
		return RPC_AUTH_SASL_STEP;
	default:
		return RPC_AUTH_OTHER;
	}
}

/* nil and data of a step; the body has passed xdr_check(). */
static enum vg_parse
get_data(const struct rpc_proc *proc, const uint8_t *body, size_t len, struct rpc_auth_message *message)
{
	struct xdr_span nil, data;

	if (!xdr_find(proc->args, body, len, "nil", &nil) || !xdr_find(proc->args, body, len, "data", &data))
		return VG_BAD;
	message->has_data = xdr_span_i32(nil) == 0;
	message->data = (struct xdr_span){ data.data + 4, data.len - 4 };
	/* nil and bytes at once has no meaning. */
	return message->has_data || message->data.len == 0 ? VG_OK : VG_BAD;
}

static enum vg_parse
get_args(const uint8_t *body, size_t len, struct rpc_auth_message *message)
{
	const struct rpc_proc *proc = rpc_proc_find(RPC_PROGRAM_REMOTE, (uint32_t)message->header.procedure);
	struct xdr_span mech;

	if (proc == NULL || xdr_check(proc->args, body, len) != VG_OK)
		return VG_BAD;
	if (message->kind == RPC_AUTH_SASL_START &&
	    (!xdr_find(proc->args, body, len, "mech", &mech) || !xdr_span_string(mech, &message->mech)))
		return VG_BAD;
	if (message->kind == RPC_AUTH_SASL_START || message->kind == RPC_AUTH_SASL_STEP)
		return get_data(proc, body, len, message);
	return VG_OK;
}

enum vg_parse
rpc_auth_get(const uint8_t *buf, size_t len, struct rpc_auth_message *message)
{
	enum vg_parse parsed;

	memset(message, 0, sizeof(*message));
	/* The length is judged as soon as its four bytes are there: nothing longer is ever waited for. */
	if (len >= RPC_LEN_BYTES) {
		uint32_t length = (uint32_t)buf[0] << 24 | (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];

		if (length < RPC_HEADER_LEN || length > RPC_MAX_LEN_BEFORE_AUTH)
			return VG_BAD;
	}
	parsed = rpc_header_get(buf, len, &message->header);
	if (parsed != VG_OK)
		return parsed;
	if (rpc_check_client(&message->header) != VG_OK)
		return VG_BAD;
	/* What is refused is refused by its header: its body is not waited for. */
	message->kind = kind_of(&message->header);
	if (message->kind == RPC_AUTH_OTHER)
		return VG_OK;
	if (len < message->header.length)
		return VG_MORE;
	if (message->kind == RPC_AUTH_PING)
		return message->header.length == RPC_HEADER_LEN ? VG_OK : VG_BAD;
	return get_args(buf + RPC_HEADER_LEN, message->header.length - RPC_HEADER_LEN, message);
}

void
rpc_auth_data(const struct rpc_auth_message *message, uint8_t *out)
{
	for (size_t i = 0; i < message->data.len / 4; i++)
		out[i] = message->data.data[4 * i + 3];
}

/* Header of the reply to `call`; the length word is filled by finish_reply. */
static void
begin_reply(struct xdr_out *out, uint8_t *buf, size_t size)
{
	static const uint8_t room[RPC_HEADER_LEN];

	xdr_out_init(out, buf, size);
	xdr_put_raw(out, room, sizeof(room));
}

static size_t
finish_reply(struct xdr_out *out, const struct rpc_header *call)
{
	struct rpc_header reply = *call;

	if (out->failed)
		return 0;
	reply.length = (uint32_t)out->len;
	reply.type = RPC_REPLY;
	reply.status = RPC_STATUS_OK;
	rpc_header_put(out->buf, &reply);
	return out->len;
}

size_t
rpc_auth_put_list(uint8_t *buf, size_t size, const struct rpc_header *call)
{
	struct xdr_out out;

	begin_reply(&out, buf, size);
	xdr_put_u32(&out, 1);
	xdr_put_i32(&out, AUTH_TYPE_SASL);
	return finish_reply(&out, call);
}

size_t
rpc_auth_put_mechs(uint8_t *buf, size_t size, const struct rpc_header *call, const char *mechs)
{
	struct xdr_out out;

	begin_reply(&out, buf, size);
	xdr_put_string(&out, mechs);
	return finish_reply(&out, call);
}

size_t
rpc_auth_put_step(uint8_t *buf, size_t size, const struct rpc_header *call, bool complete, const uint8_t *data,
    size_t len)
{
	struct xdr_out out;

	begin_reply(&out, buf, size);
	xdr_put_i32(&out, complete);
	xdr_put_i32(&out, data == NULL);
	xdr_put_u32(&out, data != NULL ? (uint32_t)len : 0);
	/* One word a byte, with the sign that a char has on libvirt's machines. */
	for (size_t i = 0; data != NULL && i < len; i++)
		xdr_put_i32(&out, (int8_t)data[i]);
	return finish_reply(&out, call);
}

size_t
rpc_auth_put_closed(uint8_t *buf, size_t size, const struct rpc_header *call)
{
	struct xdr_out out;

	begin_reply(&out, buf, size);
	return finish_reply(&out, call);
}
