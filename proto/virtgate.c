/* virtgate.c: the one procedure of the program VIRTGATE, and its one event. */
#include "proto/virtgate.h"

#include <stdlib.h>

#include "proto/fields.h"

static const struct xdr_field text_field[] = { F(json, nonnull_string) END_OF_FIELDS };
static const struct rpc_need no_needs[] = { { VG_PERM_NONE, RPC_TEST_ALWAYS, NULL, 0 } };

static const struct rpc_proc ask = {
	.program = RPC_PROGRAM_VIRTGATE, .number = 1, .name = "ask", .kind = RPC_KIND_READ, .args = text_field, .ret = text_field,
	.needs = no_needs,
};

static const struct xdr_field no_fields[] = { END_OF_FIELDS };

static const struct rpc_proc rights = {
	.program = RPC_PROGRAM_VIRTGATE, .number = 2, .name = "rights", .kind = RPC_KIND_EVENT, .args = no_fields, .ret = no_fields,
	.needs = no_needs,
};

const struct rpc_proc *
virtgate_event(const struct rpc_header *header)
{
	return header->type == RPC_EVENT && header->program == rights.program && header->version == RPC_VERSION &&
	    header->procedure == (int32_t)rights.number ? &rights : NULL;
}

void
virtgate_put_rights(uint8_t message[RPC_HEADER_LEN])
{
	const struct rpc_header header = { .length = RPC_HEADER_LEN, .program = rights.program, .version = RPC_VERSION,
		.procedure = (int32_t)rights.number, .type = RPC_EVENT, .status = RPC_STATUS_OK };

	rpc_header_put(message, &header);
}

const struct rpc_proc *
virtgate_proc(const struct rpc_header *header)
{
	return header->program == ask.program && header->version == RPC_VERSION && header->procedure == (int32_t)ask.number ? &ask : NULL;
}

uint8_t *
virtgate_put(const struct rpc_header *header, const char *json, size_t json_len, size_t *len)
{
	struct rpc_header head = *header;
	struct xdr_out out;
	uint8_t *message;
	size_t size;

	if (json_len > VIRTGATE_MAX_JSON)
		return NULL;
	size = RPC_HEADER_LEN + 4 + (json_len + 3) / 4 * 4;
	message = malloc(size);
	if (message == NULL)
		return NULL;
	xdr_out_init(&out, message + RPC_HEADER_LEN, size - RPC_HEADER_LEN);
	xdr_put_bytes(&out, json, json_len);
	head.length = (uint32_t)size;
	rpc_header_put(message, &head);
	*len = size;
	return message;
}

bool
virtgate_get(const uint8_t *body, size_t len, struct xdr_span *json)
{
	struct xdr_span span;

	return xdr_check(text_field, body, len) == VG_OK && xdr_find(text_field, body, len, "json", &span) && xdr_span_string(span, json) &&
	    json->len <= VIRTGATE_MAX_JSON;
}
