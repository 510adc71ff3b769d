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
#define SINK_PIECE	16384u		/* one record of TLS */
#define SINK_MAX_PIECES	64u

/* poll() of one descriptor (-1: only the time), while the process goes on to listen to its parent. What happened; 0: time is over; -1: stop. */
typedef int sink_wait_fn(int fd, short events, int ms, void *arg);

struct sink_net {
	const struct sink_target *target;
	SSL_CTX *context;		/* of TLS */
	sink_wait_fn *wait;
	void *arg;
	int fd;				/* -1: not connected */
	SSL *ssl;
	int error;			/* errno that it broke with; 0: it stands, or the collector closed it */
	uint64_t written;		/* bytes of TCP, but of TLS (which counts itself) */
	struct { uint64_t given, written; } pieces[SINK_MAX_PIECES];	/* of the data of the last send: so much of it takes so many bytes of TCP */
	size_t num_pieces;
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
/*
 * Waits until the other side's kernel has acknowledged all, also when the collector has closed its side: it may read on. -1 with `error`.
 */
int sink_net_confirm(struct sink_net *net, struct vg_error *error);
/*
 * After one of the two failed: how many of the bytes of that send the collector has. Where it closed the connection, its kernel tells: a close with
 * data that was not read is a reset (ECONNRESET), any other had read what was acknowledged. Of a connection that broke otherwise nobody knows: 0.
 */
size_t sink_net_delivered(const struct sink_net *net);
void sink_net_close(struct sink_net *net);

#endif
