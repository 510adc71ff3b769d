/*
 * transport.h: a client's socket, whatever protects it. Nobody above asks whether bytes are encrypted.
 *
 * Writing is put, put, …, flush: what is put is encoded at once into a stage that the whole process shares, and flush
 * sends the stage with as few system calls as the kernel allows. One put never shares a TLS record with another
 * (libvirt's client hangs when two messages do). What the socket does not take is kept in `unsent`; the caller puts
 * nothing more before transport_blocked() is over, which bounds it.
 *
 * Between two turns of the loop the stage is empty: whoever puts, flushes.
 */
#ifndef FRONT_TRANSPORT_H
#define FRONT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "gateway/core/buf.h"

struct sasl_session;
struct transport;

/* Besides a number of bytes, reading answers one of these. */
enum { TRANSPORT_EOF = 0, TRANSPORT_AGAIN = -1, TRANSPORT_FAILED = -2 };

struct transport_ops {
	const char *name;
	/* Plaintext: bytes, or EOF, AGAIN, FAILED. Takes what is there, up to `size`. */
	ssize_t (*read)(struct transport *transport, uint8_t *buf, size_t size);
	/* Encodes all of `data` into the stage. -1: the connection cannot go on. */
	int (*put)(struct transport *transport, const uint8_t *data, size_t len);
	/* Says goodbye in the layer's own way, into the stage. */
	void (*goodbye)(struct transport *transport);
	void (*finish)(struct transport *transport);
};

struct transport {
	const struct transport_ops *ops;
	int fd;
	bool drained;		/* the last read took all that had arrived: no use asking before the next event */
	bool ended;		/* the other end has said its last */
	bool lost;		/* the socket failed: nothing can be sent any more */
	const char *problem;	/* why reading or sending failed, for the log; NULL when nothing did */
	struct buf unsent;	/* encoded, not yet taken by the socket */
	SSL *ssl;		/* TLS */
	struct sasl_session *sasl;	/* SASL security layer; borrowed */
	uint8_t *plain;		/* SASL: decoded, not yet read */
	size_t plain_head, plain_tail;
};

/* Largest amount that one read gives and the pump passes on in one turn. */
#define TRANSPORT_CHUNK (384u * 1024u)

/* Take `fd`. */
void transport_init_plain(struct transport *transport, int fd);
/* -1 when memory is out; `fd` stays the caller's then. */
int transport_init_tls(struct transport *transport, int fd, SSL_CTX *ctx);
/* From here on both directions go through the layer that `sasl` negotiated. Only on a plain transport. */
void transport_push_sasl(struct transport *transport, struct sasl_session *sasl);
void transport_finish(struct transport *transport);

/* Authenticated: from here on it may read ahead by more than one record at a time. */
void transport_trust(struct transport *transport);

/* The socket has become readable: bytes may be there again. */
static inline void transport_arrived(struct transport *transport) { transport->drained = false; }

/* One more step of the TLS handshake, flushed: 1 done, 0 waits for the client, -1 failed. */
int transport_handshake(struct transport *transport);

static inline ssize_t
transport_read(struct transport *transport, uint8_t *buf, size_t size)
{
	return transport->ops->read(transport, buf, size);
}

static inline int
transport_put(struct transport *transport, const uint8_t *data, size_t len)
{
	return transport->ops->put(transport, data, len);
}

/* 0, also when bytes are left over (see transport_blocked); -1 when the socket failed. */
int transport_flush(struct transport *transport);
static inline bool transport_blocked(const struct transport *transport) { return buf_len(&transport->unsent) > 0; }
/* goodbye and flush; what cannot be sent at once is forgotten when the transport is finished. */
void transport_goodbye(struct transport *transport);

/* For layers: appends encoded bytes to the stage. -1 when memory is out. */
int transport_stage(struct transport *transport, const void *data, size_t len);
/* For layers: recv() that keeps `drained`. */
ssize_t transport_recv(struct transport *transport, void *buf, size_t size);

extern const struct transport_ops transport_tls_ops, transport_sasl_ops;

#endif
