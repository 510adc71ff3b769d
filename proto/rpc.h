/*
 * rpc.h: libvirt's RPC framing: the 28 bytes in front of every message, and the few messages that the gateway writes
 * itself. Pure functions. Source: libvirt src/rpc/virnetprotocol.x, docs/kbase/internals/rpc.rst.
 */
#ifndef PROTO_RPC_H
#define PROTO_RPC_H

#include <stddef.h>
#include <stdint.h>

#include "proto/table.h"
#include "proto/xdr.h"
#include "virtgate/result.h"

#define RPC_LEN_BYTES		4u
#define RPC_HEADER_LEN		28u		/* length word and six words */
/* VIR_NET_MESSAGE_MAX (32 MiB) + the length word: the largest length word a peer accepts. */
#define RPC_MAX_LEN		33554436u
/* The largest that a client may send before it is authenticated: a SASL step of 64 KiB, one word a byte. */
#define RPC_MAX_LEN_BEFORE_AUTH	(4u * 65536u + 1024u)
/* Payload of one stream packet as libvirt's helpers cut it (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX). */
#define RPC_STREAM_CHUNK	262120u

enum rpc_type {
	RPC_CALL = 0, RPC_REPLY = 1, RPC_EVENT = 2, RPC_STREAM = 3, RPC_CALL_WITH_FDS = 4, RPC_REPLY_WITH_FDS = 5,
	RPC_STREAM_HOLE = 6
};
enum rpc_status { RPC_STATUS_OK = 0, RPC_STATUS_ERROR = 1, RPC_STATUS_CONTINUE = 2 };

struct rpc_header {
	uint32_t length;	/* whole message, this word included */
	uint32_t program, version;
	int32_t procedure;
	int32_t type;		/* enum rpc_type, checked by rpc_check_client / rpc_check_backend */
	uint32_t serial;
	int32_t status;
};

/*
 * Reads the header from the first bytes of a message. VG_MORE below 28 bytes (but a length word out of bounds is
 * VG_BAD at once, with 4). Only the length is judged here.
 */
enum vg_parse rpc_header_get(const uint8_t *buf, size_t len, struct rpc_header *header);
void rpc_header_put(uint8_t buf[RPC_HEADER_LEN], const struct rpc_header *header);

/*
 * The row that this message is about; NULL: unknown program, version or procedure, or an event's number in a call, a
 * call's in an event. A call without a row is answered as libvirt does: RPC_ERR_RPC, "unknown procedure: N".
 */
const struct rpc_proc *rpc_header_proc(const struct rpc_header *header);

/*
 * May a client, or the backend, send a message with this header at all (INVARIANTS I14-I17)? VG_BAD: close.
 * Type, status, serial, the forms of keepalive and of stream messages, and whether the procedure has a stream in that
 * direction. Messages with descriptors are never valid. Whether the stream is open, its serial is fresh, and what is
 * in the body is for the caller. Unknown programs and procedures of a CALL are VG_OK here: they are answered, with
 * rpc_put_error, not closed.
 */
enum vg_parse rpc_check_client(const struct rpc_header *header);
enum vg_parse rpc_check_backend(const struct rpc_header *header);

/*
 * What the body of a message must be, for xdr_check(); of a message that passed the check above and has a row.
 * NULL: raw bytes of a stream.
 */
const struct xdr_field *rpc_body_fields(const struct rpc_header *header, const struct rpc_proc *proc);

/* Error codes and domains the gateway uses: libvirt include/libvirt/virterror.h. */
enum {
	RPC_ERR_INTERNAL = 1, RPC_ERR_NO_SUPPORT = 3, RPC_ERR_INVALID_ARG = 8, RPC_ERR_OPERATION_FAILED = 9, RPC_ERR_OPERATION_DENIED = 29,
	RPC_ERR_SYSTEM = 38, RPC_ERR_RPC = 39, RPC_ERR_NO_DOMAIN = 42, RPC_ERR_NO_NETWORK = 43,
	RPC_ERR_AUTH_FAILED = 45,
	RPC_ERR_NO_STORAGE_POOL = 49, RPC_ERR_NO_STORAGE_VOL = 50, RPC_ERR_NO_NODE_DEVICE = 53, RPC_ERR_OPERATION_INVALID = 55,
	RPC_ERR_NO_INTERFACE = 57, RPC_ERR_NO_NWFILTER = 62, RPC_ERR_NO_SECRET = 66, RPC_ERR_NO_DOMAIN_SNAPSHOT = 72,
	RPC_ERR_OPERATION_ABORTED = 78, RPC_ERR_ACCESS_DENIED = 88, RPC_ERR_NO_NWFILTER_BINDING = 101, RPC_ERR_NO_DOMAIN_CHECKPOINT = 103,
	RPC_ERR_NO_NETWORK_PORT = 107
};
enum {
	RPC_ORIGIN_RPC = 7, RPC_ORIGIN_QEMU = 10, RPC_ORIGIN_TEST = 12, RPC_ORIGIN_STORAGE = 18, RPC_ORIGIN_NETWORK = 19,
	RPC_ORIGIN_DOMAIN = 20,
	RPC_ORIGIN_NODEDEV = 22, RPC_ORIGIN_INTERFACE = 26, RPC_ORIGIN_SECRET = 30, RPC_ORIGIN_NWFILTER = 33,
	RPC_ORIGIN_ACCESS = 55
};

/* What an error reply says; `message` is required (a client shows "unknown error" without). */
struct rpc_error {
	int32_t code;		/* RPC_ERR_… */
	int32_t origin;		/* RPC_ORIGIN_…: the field that libvirt calls domain */
	char message[512];
};

/*
 * Writes a whole error message answering `header`: type REPLY, or STREAM when header->type is a stream's.
 * Returns its length, 0 when `size` is too small (RPC_MAX_ERROR_LEN is always enough).
 */
#define RPC_MAX_ERROR_LEN 2048u
size_t rpc_put_error(uint8_t *buf, size_t size, const struct rpc_header *header, const struct rpc_error *error);
/* Reads the payload of an error reply (already xdr_check()ed with rpc_error_fields). */
extern const struct xdr_field rpc_error_fields[];
void rpc_get_error(const uint8_t *body, size_t len, struct rpc_error *error);

/* The whole keepalive ping (procedure 1) or pong (2). */
#define RPC_KEEPALIVE_PING 1
#define RPC_KEEPALIVE_PONG 2
void rpc_put_keepalive(uint8_t buf[RPC_HEADER_LEN], int32_t procedure);

/*
 * Value of the flags or int argument that a row's condition names; false when the row has no such argument.
 * The body must have passed xdr_check().
 */
bool rpc_arg_u32(const struct rpc_proc *proc, const uint8_t *body, size_t len, const char *name, uint32_t *value);
/*
 * The bits of the call's flags that its row does not know; 0 is as it should be. The body must have passed xdr_check(); what cannot be
 * read is all unknown.
 */
uint64_t rpc_unknown_flags(const struct rpc_proc *proc, const uint8_t *body, size_t len);
/*
 * The kinds of device that this document may be about, told by its root element without parsing it. What could hide another (a document
 * type, an encoding that is not ASCII's, a character by its number, a device of the host in an interface) makes it any.
 */
uint32_t rpc_device_kinds(const uint8_t *xml, size_t len);
/* Does this entry of proc->needs apply to this call? When the argument cannot be read: yes. */
bool rpc_need_applies(const struct rpc_proc *proc, const struct rpc_need *need, const uint8_t *body, size_t len);

#endif
