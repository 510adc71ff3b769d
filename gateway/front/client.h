/*
 * client.h: one connection from the network, from accept to close. One state says what it waits for; client_enter() is
 * the only place that changes it, client_close() the only way to end one.
 */
#ifndef FRONT_CLIENT_H
#define FRONT_CLIENT_H

#include <sys/queue.h>
#include <time.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "gateway/core/buf.h"
#include "gateway/core/process.h"
#include "gateway/front/framing.h"
#include "gateway/front/transport.h"
#include "virtgate/identity.h"

struct front;
struct config;
struct sasl_session;

/* What is awaited. */
enum client_state {
	CLIENT_NEW,		/* nothing: it was just accepted */
	CLIENT_TLS_HANDSHAKE,	/* TLS bytes of the client */
	CLIENT_VNC_VERSION,	/* the viewer's version of RFB */
	CLIENT_VNC_SECURITY,	/* its choice of a security type */
	CLIENT_VENCRYPT_VERSION,	/* its version of VeNCrypt */
	CLIENT_VENCRYPT_SUBTYPE,	/* its choice of a subtype; TLS follows */
	CLIENT_VNC_PLAIN,	/* user and password, under TLS */
	CLIENT_VNC_SASL_START,	/* SASL mechanism and its first message */
	CLIENT_VNC_SASL_STEP,	/* the next message */
	CLIENT_PEER_NAME,	/* a worker: the name of the local peer's user */
	CLIENT_RPC_AUTH,	/* the client's next authentication message */
	CLIENT_SASL_STEP,	/* a worker: the answer of the SASL mechanism; the client is not read meanwhile */
	CLIENT_HANDOVER,	/* a link to the gate */
	CLIENT_VNC_RESULT,	/* the gate: SecurityResult, in the clear before the SASL layer begins; the viewer is not read meanwhile */
	CLIENT_OPEN,		/* either side: the pump runs */
	CLIENT_HALF_CLOSED,	/* the gate: the client has said its last */
	CLIENT_FLUSHING,	/* the client: it takes the last bytes */
	CLIENT_CLOSED,		/* the end of the turn, or the worker that still holds it */
	CLIENT_NUM_STATES
};

enum close_reason {
#define REASON(name, text, kind) CLOSE_##name,
#include "gateway/front/reasons.def"
#undef REASON
	CLOSE_NUM_REASONS
};

/*
 * NORMAL: information; FAILED: a failed log-in, recorded; UNTRIED: the same, of one that was only begun; TROUBLE: the gateway's own, an error.
 */
enum close_kind { CLOSE_KIND_NORMAL, CLOSE_KIND_FAILED, CLOSE_KIND_UNTRIED, CLOSE_KIND_TROUBLE };

struct client {
	struct front *front;
	struct config *config;		/* counted; until the client is handed over */
	TAILQ_ENTRY(client) next;	/* on the front's list of its state's kind */
	enum client_state state;
	enum close_reason reason;	/* of FLUSHING and CLOSED */
	enum listener_kind listener;
	unsigned long number;		/* for log lines */
	struct timespec accepted;

	struct transport transport;
	struct event readable, writable;	/* the client's socket */
	struct event deadline;
	int gate_fd;			/* our end of the stream to the gate, or -1 */
	struct event gate_readable, gate_writable;
	struct buf to_gate;		/* read from the client, not yet taken by the gate */
	struct framing framing;		/* where in a message the gate's bytes are */
	uint8_t result[4];		/* SecurityResult, as far as it has come */
	size_t result_len;

	struct buf received;		/* authentication messages, as far as they have arrived */
	struct sasl_session *sasl;
	const struct vnc_type *vnc;	/* of a viewer: what it chose */
	struct vg_identity *identity;	/* so far; NULL once handed over */
	bool heard;			/* it has sent at least one byte */
	bool held;			/* a worker holds it: not to be freed yet */
};

TAILQ_HEAD(client_list, client);

/* Takes `fd`. Counts, arms and starts reading; NULL when memory is out (fd is closed). `address` is the peer's. */
struct client *client_create(struct front *front, enum listener_kind listener, int fd, const struct sockaddr *address);
/* The only way to end a client. `detail` (may be NULL) goes into log and record. Safe to call twice. */
void client_close(struct client *client, enum close_reason reason, const char *detail);
/* As client_close, after what is unsent has been taken by the client. */
void client_close_flushed(struct client *client, enum close_reason reason, const char *detail);
/* Frees one that is closed and not held. */
void client_free(struct client *client);
/* For client.c, login.c and pump.c: the only function that changes `state`. */
void client_enter(struct client *client, enum client_state next);
/* Bytes moved: a state that lasts only while they do lasts on. */
void client_progress(struct client *client);

/* login.c: authentication messages. */
void login_readable(struct client *client);
/* More bytes of a client that is logging in, behind those that are here: true when there were some; it may be closed. */
bool login_receive(struct client *client);
/* What still stands between a SASL name that is proven and a session; CLOSE_NUM_REASONS: nothing. */
enum close_reason login_judge(const struct client *client);
/* tls_login.c: the handshake has something to read or to write. */
void tls_login_continue(struct client *client);
/* After a reload: ends an open TLS client whose certificate the new settings refuse (I11). */
void tls_login_check_again(struct client *client, const struct config *config);
/* hand_over.c: to the gate; without one, waits for it (CLIENT_HANDOVER) and is called again. */
void client_hand_over(struct client *client);
/* vnc_login.c: a viewer's handshake. */
void vnc_start(struct client *client);
void vnc_readable(struct client *client);
/* TLS is up and its certificate, if it has one, is taken. */
void vnc_admit(struct client *client);
/* pump.c */
void pump_start(struct client *client);
void pump_client_readable(struct client *client);
void pump_client_writable(struct client *client);
void pump_gate_readable(struct client *client);
void pump_gate_writable(struct client *client);

#endif
