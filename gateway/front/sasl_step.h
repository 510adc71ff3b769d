/*
 * sasl_step.h: one step of a client's SASL exchange, whatever protocol carries it. A worker takes it, because passwords may
 * live in a database, a daemon or a directory; meanwhile the client is held, in CLIENT_SASL_STEP, and not read.
 *
 *	step = sasl_step_create(client, len, on_step);
 *	memcpy(step->data, …, len);
 *	sasl_step_submit(step);
 */
#ifndef FRONT_SASL_STEP_H
#define FRONT_SASL_STEP_H

#include "gateway/auth/sasl.h"
#include "gateway/auth/worker.h"
#include "gateway/front/client.h"
#include "proto/rpc.h"

struct sasl_step {
	struct worker_job job;		/* first */
	struct client *client;
	void (*done)(struct sasl_step *step);
	struct rpc_header call;		/* of RPC: what the answer belongs to */
	char mech[32];			/* empty: not the first step */
	enum sasl_progress progress;	/* when done */
	bool has_data;			/* false: none was sent, which SASL tells from empty */
	size_t len;
	uint8_t data[];
};

/*
 * A step with room for `len` bytes of data, zeroes. `done` is called in the loop when it was taken; not when the client was closed
 * meanwhile. NULL when memory is out.
 */
struct sasl_step *sasl_step_create(struct client *client, size_t len, void (*done)(struct sasl_step *step));
/* Takes `step`, which ends when `done` returns. -1: too many are under way; the client has not changed. */
int sasl_step_submit(struct sasl_step *step);
/*
 * The exchange that this client may begin: under TLS as it is, in the clear only with a security layer of tcp_min_ssf bits. NULL when
 * memory is out.
 */
struct sasl_session *sasl_step_begin(const struct client *client);
/* `name` (may be NULL), the mechanism and the guest that was asked for, into the client's identity. False when memory is out. */
bool sasl_step_take_names(struct client *client, const char *name);

#endif
