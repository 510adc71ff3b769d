/*
 * sink_net.h: the connection of a sink to its collector. Calls wait, but never longer than they are told: `wait` is
 * asked to poll, and says when it is over.
 */
#ifndef AUDIT_SINK_NET_H
#define AUDIT_SINK_NET_H

#include <openssl/ssl.h>

#include "gateway/audit/sink.h"
#include "gateway/core/settings.h"

#define SINK_CONNECT_MS	10000
#define SINK_SEND_MS	30000		/* without progress, a connection is given up */

/* poll() of one descriptor (-1: only the time), while the process goes on to listen to its parent. What happened; 0: time is over; -1: stop. */
typedef int sink_wait_fn(int fd, short events, int ms, void *arg);

struct sink_net {
	const struct sink_target *target;
	SSL_CTX *context;		/* of TLS */
	sink_wait_fn *wait;
	void *arg;
	int fd;				/* -1: not connected */
	SSL *ssl;
};

/* As root, before the process gives that up: reads certificates and key of TLS. -1 with `error`. */
int sink_net_prepare(struct sink_net *net, const struct sink_target *target, const struct settings *settings,
    struct vg_error *error);
/* -1 with `error`. */
int sink_net_open(struct sink_net *net, struct vg_error *error);
/* Does it still stand? A collector says nothing; when there is something to read, it is the end. */
bool sink_net_stands(struct sink_net *net);
/* All of it: one datagram, or bytes of a stream. -1 with `error`. */
int sink_net_send(struct sink_net *net, const void *data, size_t len, struct vg_error *error);
/* Waits until the other side's kernel has acknowledged all. -1 with `error`. */
int sink_net_confirm(struct sink_net *net, struct vg_error *error);
void sink_net_close(struct sink_net *net);

#endif
