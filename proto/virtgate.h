/*
 * virtgate.h: the program VIRTGATE: what libvirt's protocol has no words for, asked by the web front in the stream of a session. One
 * procedure: JSON in, JSON out. What may be in it: gateway/gate/web_verbs.h. And one event, which says nothing but its name: rights may have changed.
 *
 * Its row is not in the table of table.h: whatever finds a call there may forward it, and this one is never libvirtd's.
 */
#ifndef PROTO_VIRTGATE_H
#define PROTO_VIRTGATE_H

#include "proto/rpc.h"

#define RPC_PROGRAM_VIRTGATE	0x56475447u	/* "VGTG"; none of libvirt's */
/* Bytes of JSON in a question, and in an answer. */
#define VIRTGATE_MAX_JSON	(1024u * 1024u)

/* The row of this message; NULL: another program, version or procedure. */
const struct rpc_proc *virtgate_proc(const struct rpc_header *header);
/*
 * A whole message, question or answer as header->type says, in a new allocation. NULL: out of memory, or more than
 * VIRTGATE_MAX_JSON.
 */
uint8_t *virtgate_put(const struct rpc_header *header, const char *json, size_t json_len, size_t *len);
/* The JSON in a body, not terminated, borrowed. False: the body is not one string of a bearable length. */
bool virtgate_get(const uint8_t *body, size_t len, struct xdr_span *json);

/* The event: its row, for who receives it; NULL: it is not this one. */
const struct rpc_proc *virtgate_event(const struct rpc_header *header);
/* The whole message. */
void virtgate_put_rights(uint8_t message[RPC_HEADER_LEN]);

#endif
