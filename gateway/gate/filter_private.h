/*
 * filter_private.h: what the files of filter.h share. What writes a message (`out`, `out_len`) does as filter_reply() does.
 */
#ifndef GATE_FILTER_PRIVATE_H
#define GATE_FILTER_PRIVATE_H

#include "gateway/gate/filter.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/resolve.h"

/* ---- filter.c ---- */

/* Is this item of a reply to `proc`, which the call or the gate in its place asked for, his to see? */
bool filter_sees_item(const struct call *call, const struct rpc_proc *proc, const struct xdr_items *items, struct xdr_span item);
bool filter_sees_domain(struct session *session, enum vg_permission permission, const struct inventory_domain *domain);

/* ---- filter_count.c ---- */

/* connect_num_of_domains counts the running ones, connect_num_of_defined_domains the others; the inventory knows both. */
int filter_count(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);
/* What he may see of the list that was asked for in place of the count. */
int filter_count_list(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);

/* ---- filter_missing.c ---- */

/* "Not found" in the gate's own words, byte for byte the same for what is hidden and for what is not there, so `sees` is for the trail only. */
int filter_put_missing(struct call *call, bool sees, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);
/* Keys that somebody tries who does not know what is there. Paths are asked for by clients that read them in a description. */
bool filter_guessable(const struct call *call);
/* Was the domain renamed since it was decided on? Then what the reply says is of one that he did not name. */
bool filter_renamed(const struct call *call);
/* As if the call had come a moment later. */
int filter_put_renamed(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);

#endif
