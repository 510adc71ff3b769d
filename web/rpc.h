/*
 * rpc.h: the client of one session at the gate: libvirt's remote protocol and the program VIRTGATE (proto/virtgate.h) over the stream that the
 * web front handed over. Nothing blocks; callbacks come from the loop.
 */
#ifndef WEB_RPC_H
#define WEB_RPC_H

#include <stdint.h>

#include <event2/event.h>
#include <jansson.h>

#include "proto/rpc.h"
#include "proto/virtgate.h"

struct rpc_client;
struct rpc_call;

/* `body` has passed xdr_check() for what the procedure returns; NULL with `error` when the call failed or the session ended. */
typedef void rpc_reply_cb(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg);
/* The answer of a VIRTGATE verb, borrowed. */
typedef void rpc_json_cb(const json_t *json, const struct rpc_error *error, void *arg);
/* All bytes of a stream out of libvirtd, and what its call returned (of a screenshot: the type). */
typedef void rpc_bytes_cb(const uint8_t *bytes, size_t len, const char *type, const struct rpc_error *error, void *arg);

struct rpc_handlers {
	void (*event)(const struct rpc_proc *proc, const uint8_t *body, size_t len, void *arg);
	void (*closed)(void *arg);	/* the gate ended the session; the calls' callbacks came before */
	void *arg;
};

/* Takes `fd`. NULL when memory is out. */
struct rpc_client *rpc_client_create(struct event_base *base, int fd, const struct rpc_handlers *handlers);
/* Calls under way fail. Not from within a callback. */
void rpc_client_destroy(struct rpc_client *client);

/* NULL: memory is out, or the session is over; the callback does not come then. */
struct rpc_call *rpc_client_call(struct rpc_client *client, const struct rpc_proc *proc, const void *body, size_t len, rpc_reply_cb *reply, void *arg);
/* `request` is taken. */
struct rpc_call *rpc_client_ask(struct rpc_client *client, json_t *request, rpc_json_cb *reply, void *arg);
struct rpc_call *rpc_client_read(struct rpc_client *client, const struct rpc_proc *proc, const void *body, size_t len, size_t max, rpc_bytes_cb *done, void *arg);
/* Its callback does not come any more. NULL is fine. */
void rpc_call_forget(struct rpc_call *call);

#endif
