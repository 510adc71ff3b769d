/*
 * making.h: makes the list of guests that one session sees, with what he may do to each and, of those that he may read, state and size. It takes some
 * calls at the gate, and one for each guest whose state and size are not known from the list before (facts.h).
 */
#ifndef WEB_MAKING_H
#define WEB_MAKING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <jansson.h>

#include "virtgate/object.h"
#include "web/rpc.h"

struct making;

/* A list is there: an object, UUID -> guest, borrowed; NULL: it failed, and why. The next may be begun from within. */
typedef void made_cb(json_t *guests, const struct rpc_error *error, void *arg);

/* Borrows `rpc`, which must be destroyed first: its calls end here. NULL: out of memory. */
struct making *making_create(struct rpc_client *rpc, made_cb *made, void *arg);
void making_destroy(struct making *making);

/* Only when none runs. State and size that were asked for from the second `oldest` on need not be asked for again. */
void making_begin(struct making *making, time_t oldest);
bool making_runs(const struct making *making);
/* An event told of this guest: what is known of it, and what is being told for the list in the making, may be older. */
void making_touch(struct making *making, const uint8_t uuid[VG_UUID_LEN]);

#endif
