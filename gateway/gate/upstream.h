/*
 * upstream.h: libvirtd as the gate talks to it on its own behalf: connect, log in, call, receive events. One small
 * asynchronous RPC client; sessions use only its first half.
 */
#ifndef GATE_UPSTREAM_H
#define GATE_UPSTREAM_H

#include "gateway/gate/gate.h"

/* A non-blocking socket to a UNIX socket path, connected or connecting. -1 with errno. */
int upstream_dial(const char *path);
/* A whole AUTH_LIST, AUTH_POLKIT or other call; returns its length, 0 when the room is too small. */
size_t upstream_put_call(uint8_t *buf, size_t size, const struct rpc_proc *proc, uint32_t serial, const void *body, size_t len);
/* What an AUTH_LIST reply asks for: 0 nothing, 1 polkit, -1 something we cannot give. */
int upstream_auth_wanted(const uint8_t *body, size_t len);

struct upstream;

/* `body` is checked against the procedure's ret; NULL with `error` when the call failed or the connection broke. */
typedef void upstream_reply_cb(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg);
struct upstream_handlers {
	void (*ready)(void *arg);				/* logged in and opened */
	void (*event)(const struct rpc_proc *proc, const uint8_t *body, size_t len, void *arg);
	void (*closed)(const char *why, void *arg);		/* destroy it now */
	void *arg;
};

struct upstream *upstream_create(struct gate *gate, const char *path, const char *uri, const struct upstream_handlers *handlers);
/* No callbacks any more; pending calls are forgotten. */
void upstream_destroy(struct upstream *upstream);
/* Returns the serial, 0 when impossible. Callbacks come from the loop. */
uint32_t upstream_call(struct upstream *upstream, const struct rpc_proc *proc, const void *body, size_t len, upstream_reply_cb *reply, void *arg);
/* What has come and is not read yet, now: callbacks come from within. Not to be called from a callback of its own. */
void upstream_catch_up(struct upstream *upstream);
/*
 * The descriptor that came with the reply (of a procedure whose row says `descriptors`), for its callback only: the caller's from
 * then on. -1 when there was none; one that is not taken is closed.
 */
int upstream_take_descriptor(struct upstream *upstream);

#endif
