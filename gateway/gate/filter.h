/*
 * filter.h: what he may see of a reply.
 */
#ifndef GATE_FILTER_H
#define GATE_FILTER_H

#include "gateway/gate/gate.h"

/* The call that asks for the list, in a new allocation. -1: out of memory, or there is no such list. */
int filter_ask_list(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);
/* Does the reply of this call have to be looked at, item by item? Set when the call is forwarded. */
bool filter_needed(struct session *session, const struct rpc_proc *proc);
/* May he see the object struct of `class` in this span? */
bool filter_sees(struct session *session, enum vg_permission permission, enum vg_class class, struct xdr_span span);
/*
 * Writes the filtered message to a new allocation (`out`, `out_len`), or leaves out NULL when it may go as it is.
 * -1: cannot be filtered, must not be passed on.
 */
int filter_reply(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);
/* The same for an error that libvirtd answered with: what a look-up did not find is told as what is hidden. */
int filter_error(struct call *call, const struct rpc_error *error, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);

#endif
