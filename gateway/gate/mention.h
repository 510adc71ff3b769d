/*
 * mention.h: what libvirtd names in an answer beside the object that the call is about: the parent of a device of the host, and
 * objects in the texts of errors.
 */
#ifndef GATE_MENTION_H
#define GATE_MENTION_H

#include "gateway/gate/resolve.h"

/*
 * As filter_reply(). A hidden object that the reply mentions (`mentions` of the table) is left out of it: the device looks like
 * one without a parent.
 */
int mention_filter(const struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len);

/* As filter_error(). A text that names a hidden object is replaced by one that does not; code and origin stay. */
int mention_filter_error(const struct call *call, const struct rpc_error *error, const uint8_t *message, size_t len, uint8_t **out,
    size_t *out_len);

#endif
