/*
 * rpc_auth.h: the few RPC messages of a client that is not authenticated yet, and the answers to them. Pure functions
 * over bytes; everything else that a client may send is refused here.
 */
#ifndef FRONT_RPC_AUTH_H
#define FRONT_RPC_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/rpc.h"

enum rpc_auth_kind {
	RPC_AUTH_LIST,
	RPC_AUTH_SASL_INIT,
	RPC_AUTH_SASL_START,
	RPC_AUTH_SASL_STEP,
	RPC_AUTH_CLOSE,
	RPC_AUTH_PING,
	RPC_AUTH_OTHER		/* a sound message that has no business before authentication */
};

struct rpc_auth_message {
	struct rpc_header header;
	enum rpc_auth_kind kind;
	struct xdr_span mech;		/* SASL_START; borrowed */
	bool has_data;			/* false: nil, which SASL tells from empty */
	struct xdr_span data;		/* still one word a byte; borrowed */
};

/*
 * Looks at the first message in `buf`. OK: all of message->header.length is there, except of one that is OTHER. BAD:
 * never valid, or longer than RPC_MAX_LEN_BEFORE_AUTH.
 */
enum vg_parse rpc_auth_get(const uint8_t *buf, size_t len, struct rpc_auth_message *message);
/* SASL data as bytes: data.len / 4 of them into `out`. */
void rpc_auth_data(const struct rpc_auth_message *message, uint8_t *out);

/* Answers; the length, or 0 when `size` is too small. RPC_MAX_LEN_BEFORE_AUTH is always enough. */
size_t rpc_auth_put_list(uint8_t *buf, size_t size, const struct rpc_header *call);
size_t rpc_auth_put_mechs(uint8_t *buf, size_t size, const struct rpc_header *call, const char *mechs);
/* `data` NULL: nil. */
size_t rpc_auth_put_step(uint8_t *buf, size_t size, const struct rpc_header *call, bool complete, const uint8_t *data,
    size_t len);
size_t rpc_auth_put_closed(uint8_t *buf, size_t size, const struct rpc_header *call);

#endif
