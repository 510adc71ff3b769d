/* client.c: the states of a connection, and the one way in and the one way out of it. */
#include "gateway/front/client.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "gateway/auth/failures.h"
#include "gateway/front/internal.h"
#include "gateway/front/linger.h"
#include "gateway/auth/sasl.h"
#include "gateway/auth/tls_context.h"
#include "gateway/front/unix_peer.h"

/* Seconds for the last bytes to be taken, counted anew with each progress, and for a gate to come back. */
static const struct timeval linger_time = { 10, 0 }, gate_time = { 5, 0 };

enum state_deadline { DEADLINE_NONE, DEADLINE_AUTH, DEADLINE_GATE, DEADLINE_LINGER, DEADLINE_CERT };

struct state_row {
	const char *name;
	unsigned leads_to;			/* set of 1 << state; every state may also lead to CLOSED */
	bool reads;				/* is the client's socket listened to? */
	enum state_deadline deadline;
	enum close_reason too_late;
	void (*readable)(struct client *client);
	void (*writable)(struct client *client);
};

static void on_last_written(struct client *client);
static void on_reply_written(struct client *client);

#define TO(state) (1u << CLIENT_##state)

/* The pump starts and stops reading by itself, as the gate can take bytes. */
static const struct state_row states[CLIENT_NUM_STATES] = {
	[CLIENT_NEW] = { "NEW", TO(TLS_HANDSHAKE) | TO(PEER_NAME) | TO(RPC_AUTH) | TO(VNC_VERSION), false, DEADLINE_NONE,
	    CLOSE_AUTH_TIMEOUT, NULL, NULL },
	[CLIENT_TLS_HANDSHAKE] = { "TLS_HANDSHAKE", TO(RPC_AUTH) | TO(VNC_PLAIN) | TO(VNC_SASL_START) | TO(HANDOVER) | TO(OPEN) |
	    TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT, tls_login_continue, tls_login_continue },
	[CLIENT_VNC_VERSION] = { "VNC_VERSION", TO(VNC_SECURITY) | TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT,
	    vnc_readable, on_reply_written },
	[CLIENT_VNC_SECURITY] = { "VNC_SECURITY", TO(VENCRYPT_VERSION) | TO(VNC_SASL_START) | TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT,
	    vnc_readable, on_reply_written },
	[CLIENT_VENCRYPT_VERSION] = { "VENCRYPT_VERSION", TO(VENCRYPT_SUBTYPE) | TO(FLUSHING), true, DEADLINE_AUTH,
	    CLOSE_AUTH_TIMEOUT, vnc_readable, on_reply_written },
	[CLIENT_VENCRYPT_SUBTYPE] = { "VENCRYPT_SUBTYPE", TO(TLS_HANDSHAKE) | TO(FLUSHING), true, DEADLINE_AUTH,
	    CLOSE_AUTH_TIMEOUT, vnc_readable, on_reply_written },
	[CLIENT_VNC_PLAIN] = { "VNC_PLAIN", TO(SASL_STEP) | TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT,
	    vnc_readable, on_reply_written },
	[CLIENT_VNC_SASL_START] = { "VNC_SASL_START", TO(SASL_STEP) | TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT,
	    vnc_readable, on_reply_written },
	[CLIENT_VNC_SASL_STEP] = { "VNC_SASL_STEP", TO(SASL_STEP) | TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT,
	    vnc_readable, on_reply_written },
	[CLIENT_PEER_NAME] = { "PEER_NAME", TO(HANDOVER) | TO(OPEN), false, DEADLINE_AUTH,
	    CLOSE_AUTH_TIMEOUT, NULL, NULL },
	[CLIENT_RPC_AUTH] = { "RPC_AUTH", TO(SASL_STEP) | TO(FLUSHING), true, DEADLINE_AUTH, CLOSE_AUTH_TIMEOUT,
	    login_readable, on_reply_written },
	[CLIENT_SASL_STEP] = { "SASL_STEP", TO(RPC_AUTH) | TO(VNC_SASL_STEP) | TO(HANDOVER) | TO(VNC_RESULT) | TO(OPEN) |
	    TO(FLUSHING), false, DEADLINE_AUTH,
	    CLOSE_AUTH_TIMEOUT, NULL, NULL },
	[CLIENT_HANDOVER] = { "HANDOVER", TO(OPEN) | TO(VNC_RESULT), false, DEADLINE_GATE, CLOSE_NO_GATE, NULL, NULL },
	[CLIENT_VNC_RESULT] = { "VNC_RESULT", TO(OPEN) | TO(FLUSHING), false, DEADLINE_NONE, CLOSE_NO_GATE, NULL, pump_client_writable },
	[CLIENT_OPEN] = { "OPEN", TO(HALF_CLOSED) | TO(FLUSHING), true, DEADLINE_CERT, CLOSE_CERT_WITHDRAWN,
	    pump_client_readable, pump_client_writable },
	[CLIENT_HALF_CLOSED] = { "HALF_CLOSED", TO(FLUSHING), false, DEADLINE_LINGER, CLOSE_GATE_SLOW,
	    NULL, pump_client_writable },
	[CLIENT_FLUSHING] = { "FLUSHING", 0, false, DEADLINE_LINGER, CLOSE_SLOW_READER, NULL, on_last_written },
	[CLIENT_CLOSED] = { "CLOSED", 0, false, DEADLINE_NONE, CLOSE_CLIENT_LOST, NULL, NULL },
};

static const struct {
	const char *text;
	enum close_kind kind;
} reasons[CLOSE_NUM_REASONS] = {
#define REASON(name, text, kind) [CLOSE_##name] = { text, CLOSE_KIND_##kind },
#include "gateway/front/reasons.def"
#undef REASON
};

/* Of a log-in. */
static bool
is_failure(enum close_reason reason)
{
	return reasons[reason].kind == CLOSE_KIND_FAILED || reasons[reason].kind == CLOSE_KIND_UNTRIED;
}

static bool
is_anonymous(enum client_state state)
{
	return state < CLIENT_VNC_RESULT;
}

/* Moves the client to the list that its state belongs on. */
static void
move_list(struct client *client, enum client_state next)
{
	struct front *front = client->front;

	if (is_anonymous(client->state) == is_anonymous(next) && next != CLIENT_CLOSED)
		return;
	if (is_anonymous(client->state)) {
		TAILQ_REMOVE(&front->anonymous, client, next);
		front->num_anonymous--;
	} else {
		TAILQ_REMOVE(&front->authenticated, client, next);
		front->num_authenticated--;
	}
	if (next == CLIENT_CLOSED) {
		TAILQ_INSERT_TAIL(&front->closed, client, next);
		event_active(front->reap, EV_TIMEOUT, 0);
	} else {
		TAILQ_INSERT_TAIL(&front->authenticated, client, next);
		front->num_authenticated++;
	}
	front_client_left(front);
}

/* Until the certificate expires. Looked at every hour: the timer does not notice when the clock is set or the host slept. */
static void
wait_for_expiry(struct client *client)
{
	const long longest = 3600, left = client->transport.ssl == NULL ? -1 : tls_client_seconds_left(client->transport.ssl);
	const struct timeval limit = { left < longest ? left : longest, 0 };

	if (left >= 0)
		event_add(&client->deadline, &limit);
	else
		event_del(&client->deadline);
}

static void
set_deadline(struct client *client, enum client_state next)
{
	enum state_deadline deadline = states[next].deadline;

	switch (deadline) {
	case DEADLINE_NONE:
		event_del(&client->deadline);
		break;
	case DEADLINE_AUTH:
		/* One deadline for all of them: it runs from accept. */
		if (client->state == CLIENT_NEW) {
			struct timeval limit = { client->config->settings->auth_timeout, 0 };

			event_add(&client->deadline, &limit);
		}
		break;
	case DEADLINE_GATE:
		event_add(&client->deadline, &gate_time);
		break;
	case DEADLINE_LINGER:
		event_add(&client->deadline, &linger_time);
		break;
	case DEADLINE_CERT:
		wait_for_expiry(client);
		break;
	}
}

void
client_enter(struct client *client, enum client_state next)
{
	if (next != CLIENT_CLOSED && (states[client->state].leads_to & 1u << next) == 0)
		log_fatal("client %lu: no way from %s to %s", client->number, states[client->state].name,
		    states[next].name);
	log_debug("client %lu: %s -> %s", client->number, states[client->state].name, states[next].name);
	set_deadline(client, next);
	if (states[next].reads)
		event_add(&client->readable, NULL);
	else
		event_del(&client->readable);
	move_list(client, next);
	client->state = next;
}

void
client_progress(struct client *client)
{
	if (states[client->state].deadline == DEADLINE_LINGER)
		event_add(&client->deadline, &linger_time);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)fd;
	(void)what;
	client->heard = true;
	transport_arrived(&client->transport);
	if (states[client->state].readable != NULL)
		states[client->state].readable(client);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)fd;
	(void)what;
	if (transport_flush(&client->transport) < 0) {
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
		return;
	}
	client_progress(client);
	if (transport_blocked(&client->transport))
		event_add(&client->writable, NULL);
	else if (states[client->state].writable != NULL)
		states[client->state].writable(client);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)fd;
	(void)what;
	if (states[client->state].deadline != DEADLINE_CERT)
		client_close(client, states[client->state].too_late, states[client->state].name);
	else if (tls_client_seconds_left(client->transport.ssl) > 0)
		wait_for_expiry(client);
	else
		client_close(client, states[client->state].too_late, "it has expired");
}

static enum vg_via
via_of(enum listener_kind listener)
{
	switch (listener) {
	case LISTENER_TLS:
		return VG_VIA_RPC_TLS;
	case LISTENER_TCP:
		return VG_VIA_RPC_TCP;
	case LISTENER_VNC:
	case LISTENER_VNC_GUEST:
		return VG_VIA_VNC;
	default:
		return VG_VIA_RPC_UNIX;
	}
}

/* The first state, by the way the client came in. */
static void
begin(struct client *client)
{
	switch (client->listener) {
	case LISTENER_TLS:
		client_enter(client, CLIENT_TLS_HANDSHAKE);
		break;
	case LISTENER_TCP:
		client_enter(client, CLIENT_RPC_AUTH);
		break;
	case LISTENER_VNC:
	case LISTENER_VNC_GUEST:
		vnc_start(client);
		break;
	default:
		client_enter(client, CLIENT_PEER_NAME);
		unix_peer_start(client);
		break;
	}
}

struct client *
client_create(struct front *front, enum listener_kind listener, int fd, const struct sockaddr *address)
{
	struct client *client = calloc(1, sizeof(*client));
	struct vg_identity *identity = calloc(1, sizeof(*identity));

	if (client == NULL || identity == NULL)
		goto fail;
	if (listener != LISTENER_TLS)
		transport_init_plain(&client->transport, fd);
	else if (front->config->tls == NULL || transport_init_tls(&client->transport, fd, front->config->tls) < 0)
		goto fail;
	client->front = front;
	client->config = config_hold(front->config);
	client->listener = listener;
	client->number = ++front->num_accepted;
	client->gate_fd = -1;
	client->identity = identity;
	identity->via = via_of(listener);
	identity_set_address(identity, address);
	clock_gettime(CLOCK_MONOTONIC, &client->accepted);
	if (listener == LISTENER_TLS)
		SSL_set_app_data(client->transport.ssl, identity);
	event_assign(&client->readable, front->base, fd, EV_READ | EV_PERSIST, on_readable, client);
	event_assign(&client->writable, front->base, fd, EV_WRITE, on_writable, client);
	event_assign(&client->deadline, front->base, -1, 0, on_deadline, client);
	TAILQ_INSERT_TAIL(&front->anonymous, client, next);
	front->num_anonymous++;
	log_debug("client %lu: accepted from %s port %u (%s)", client->number, identity->address, identity->port,
	    vg_via_name(identity->via));
	begin(client);
	return client;
fail:
	free(client);
	free(identity);
	close(fd);
	return NULL;
}

static void
log_close(const struct client *client, enum close_reason reason, const char *detail)
{
	const struct vg_identity *identity = client->identity;
	struct timespec now;
	char who[512] = "";
	void (*logger)(const char *, ...) = reasons[reason].kind == CLOSE_KIND_NORMAL ? log_info :
	    is_failure(reason) ? log_warn : log_error;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (identity != NULL && identity->x509_dn == NULL && identity->sasl_name == NULL && identity->unix_user == NULL)
		snprintf(who, sizeof(who), "from %s:%u", identity->address, identity->port);
	else if (identity != NULL)
		identity_text(identity, who, sizeof(who));
	logger("client %lu: closed in %s after %ld s: %s%s%s%s%s", client->number, states[client->state].name,
	    (long)(now.tv_sec - client->accepted.tv_sec), reasons[reason].text, detail != NULL ? ": " : "",
	    detail != NULL ? detail : "", who[0] != '\0' ? ": " : "", who);
}

/* Log line and record: once, when it is decided that the client goes. */
static void
tell(struct client *client, enum close_reason reason, const char *detail)
{
	struct front *front = client->front;
	struct timespec now;
	char text[640];

	log_close(client, reason, detail);
	/* Who connects and says nothing has not tried to log in. */
	if (!is_failure(reason) || !client->heard)
		return;
	snprintf(text, sizeof(text), "%s%s%s", reasons[reason].text, detail != NULL ? ": " : "",
	    detail != NULL ? detail : "");
	clock_gettime(CLOCK_MONOTONIC, &now);
	failures_record(front->failures, front->audit, client->identity, text, reasons[reason].kind == CLOSE_KIND_FAILED, now.tv_sec);
}

void
client_close(struct client *client, enum close_reason reason, const char *detail)
{
	if (client->state == CLIENT_CLOSED)
		return;
	if (client->state != CLIENT_FLUSHING) {
		tell(client, reason, detail);
		client->reason = reason;
	}
	if (!client->transport.lost)
		transport_goodbye(&client->transport);
	/* Who is refused should learn it, and not die of it. */
	if (!client->transport.lost && is_failure(client->reason))
		linger_socket(client->front->base, client->transport.fd);
	client_enter(client, CLIENT_CLOSED);
	event_del(&client->readable);
	event_del(&client->writable);
	event_del(&client->deadline);
	transport_finish(&client->transport);
	if (client->gate_fd >= 0) {
		event_del(&client->gate_readable);
		event_del(&client->gate_writable);
		close(client->gate_fd);
		client->gate_fd = -1;
	}
}

void
client_close_flushed(struct client *client, enum close_reason reason, const char *detail)
{
	if (client->state == CLIENT_CLOSED || client->state == CLIENT_FLUSHING)
		return;
	if (transport_flush(&client->transport) < 0 || !transport_blocked(&client->transport)) {
		client_close(client, reason, detail);
		return;
	}
	tell(client, reason, detail);
	client->reason = reason;
	client_enter(client, CLIENT_FLUSHING);
	event_add(&client->writable, NULL);
}

void
client_free(struct client *client)
{
	TAILQ_REMOVE(&client->front->closed, client, next);
	sasl_session_destroy(client->sasl);
	if (client->identity != NULL)
		identity_clear(client->identity);
	free(client->identity);
	buf_free(&client->to_gate);
	buf_free(&client->received);
	config_release(client->config);
	free(client);
}

static void
on_last_written(struct client *client)
{
	client_close(client, client->reason, NULL);
}

/* The client has taken the reply that it was slow to take: on with its next message. */
static void
on_reply_written(struct client *client)
{
	event_add(&client->readable, NULL);
	states[client->state].readable(client);
}
