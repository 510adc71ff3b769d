/*
 * session.c: the life of a session, and its one way out.
 *
 *   NEW -> CONSOLE (a viewer: console.c)
 *   NEW -> INVENTORY -> DIALING -> OPENING -> OPEN
 *   any of them -> LINGERING (client gone, outcomes awaited) -> CLOSED
 *   any of them -> FLUSHING (last words to the client) -> CLOSED
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "gateway/gate/console.h"
#include "gateway/gate/difference.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/rights.h"
#include "gateway/gate/upstream.h"
#include "gateway/gate/user.h"

#define DIAL_SECONDS	10	/* for libvirtd to answer until CONNECT_OPEN is through */
#define LINGER_SECONDS	60	/* for the outcome of a change whose client left */
#define FLUSH_SECONDS	5	/* for the client to take the last bytes */
#define CUT_SECONDS	1	/* for a message under way to end before its cut stream ends the session */
#define COMPARE_SECONDS	3	/* an outcome waits for what the change made different */
#define HELD_SECONDS	10	/* a change waits for its intent, and its answer for the outcome, at most that long */

/* The serial of the calls that the gate makes on a session's connection before the client's first. */
#define DIAL_SERIAL 0xfffffff0u

static const char *const state_names[SESSION_NUM_STATES] = { "new", "inventory", "dialing", "opening", "console", "open", "lingering", "flushing",
	"closed" };

static const char *const reason_names[CLOSE_NUM_REASONS] = {
#define ENDING(NAME, CODE, TEXT) [CLOSE_##NAME] = TEXT,
#include "virtgate/endings.def"
#undef ENDING
};

const char *
session_state_name(enum session_state state)
{
	return state_names[state];
}

const char *
close_reason_name(enum close_reason reason)
{
	return reason_names[reason];
}

static void
enter_closed(struct session *session)
{
	struct gate *gate = session->gate;

	while (session->calls != NULL)
		call_destroy(session->calls);
	/* Before the stream ends: who sees that can read why. */
	if (session->last_word >= 0) {
		handover_say_end(session->last_word, session->reason, session->ended_by);
		close(session->last_word);
	}
	free(session->ended_by);
	end_close(&session->client);
	end_close(&session->backend);
	record_session(session, AUDIT_LOGOUT, "%s", reason_names[session->reason]);
	user_drop(gate, session->user);
	session->user = NULL;
	free(session->bindings);
	session->bindings = NULL;
	/* libevent may still hold an event of this turn: freed when it ends. */
	TAILQ_REMOVE(&gate->sessions, session, entry);
	TAILQ_INSERT_TAIL(&gate->dead, session, entry);
	gate->num_sessions--;
	event_active(&gate->sweep, EV_TIMEOUT, 0);
}

void
session_set_state(struct session *session, enum session_state state)
{
	static const int seconds[SESSION_NUM_STATES] = { [SESSION_INVENTORY] = DIAL_SECONDS, [SESSION_DIALING] = DIAL_SECONDS,
		[SESSION_OPENING] = DIAL_SECONDS, [SESSION_LINGERING] = LINGER_SECONDS, [SESSION_FLUSHING] = FLUSH_SECONDS };

	if (session->state == SESSION_CLOSED)
		return;
	log_debug("session %s: %s -> %s", session->id, state_names[session->state], state_names[state]);
	session->state = state;
	session->since = gate_steady();
	session->deadline = seconds[state] == 0 ? 0 : session->since + seconds[state];
	if (state == SESSION_CLOSED)
		enter_closed(session);
	else
		session_update_reading(session);
}

struct session *
session_create(struct gate *gate, int client_fd, int last_word, struct vg_identity *identity)
{
	struct session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	session->user = user_take(gate, identity);
	if (session->user == NULL) {
		free(session);
		return NULL;
	}
	session->gate = gate;
	session->last_word = last_word;
	session->identity = *identity;
	memset(identity, 0, sizeof(*identity));
	id_make(session->id);
	end_init(&session->client, session, client_fd);
	end_init(&session->backend, session, -1);
	session->heard = gate_steady();
	TAILQ_INSERT_TAIL(&gate->sessions, session, entry);
	gate->num_sessions++;
	record_session(session, AUDIT_LOGIN, NULL);
	rights_note(session);
	session_set_state(session, SESSION_NEW);
	return session;
}

/* Settles what is in flight for a client that is gone. True when an outcome is still awaited. */
static bool
settle_calls(struct session *session)
{
	struct call *call, *next;
	bool awaited = false;

	for (call = session->calls; call != NULL; call = next) {
		next = call->next;
		if (call->proc->kind == RPC_KIND_CHANGE && call->state == CALL_FORWARDED) {
			awaited = true;
			continue;
		}
		if (call->proc->kind == RPC_KIND_CHANGE && (call->state == CALL_STREAM || call->state == CALL_STREAM_ENDING))
			(void)record_outcome(call, "error", 0, "the stream was cut: the session ended", NULL);
		else if (call->state == CALL_INTENT)
			(void)record_outcome(call, "error", 0, "not forwarded: the session ended", NULL);
		else if (difference_awaited(call))
			(void)record_outcome(call, "ok", 0, "", NULL);
		call_destroy(call);
	}
	return awaited;
}

void
session_close(struct session *session, enum close_reason reason)
{
	char who[256];
	bool awaited;

	if (session->state >= SESSION_LINGERING) {
		/* The second word of somebody who is on the way out already. */
		if (session->state == SESSION_FLUSHING && (reason == CLOSE_CLIENT_GONE || reason == CLOSE_STOPPING))
			session_set_state(session, SESSION_CLOSED);
		else if (session->state == SESSION_LINGERING && reason != CLOSE_CLIENT_GONE) {
			reply_abandon_all(session, reason_names[reason], false);
			session_set_state(session, SESSION_CLOSED);
		}
		return;
	}
	session->reason = reason;
	log_info("session %s: %s: %s", session->id, identity_text(&session->identity, who, sizeof(who)), reason_names[reason]);
	awaited = settle_calls(session);
	if (awaited && session->backend.fd >= 0 && reason != CLOSE_STOPPING) {
		end_close(&session->client);
		session_set_state(session, SESSION_LINGERING);
		return;
	}
	if (awaited)
		reply_abandon_all(session, reason_names[reason], false);
	console_finish(session);
	end_close(&session->backend);
	session_set_state(session, session->client.fd >= 0 && buf_len(&session->client.out) > 0 ? SESSION_FLUSHING : SESSION_CLOSED);
}

void
session_blame(struct session *session, const struct session *by)
{
	const struct vg_object host = { .class = permission_class(VG_PERM_session_read) };

	if (session->last_word < 0 || session->ended_by != NULL || session->state >= SESSION_LINGERING)
		return;
	if (session->user == by->user || decide_one(session, VG_PERM_session_read, &host).verdict == VERDICT_ALLOW)
		session->ended_by = strdup(identity_name(&by->identity));	/* NULL: he is told the reason alone */
}

void
session_rejudge(struct session *session)
{
	rights_judge(session);
}

/* ---- reaching libvirtd ---- */

static void
refuse_open(struct session *session, int32_t code, const char *why)
{
	struct call *call = session->calls;	/* CONNECT_OPEN, the newest: only what the web front asked can have come before it */

	if (call != NULL)
		call_refuse(session, &call->header, code, RPC_ORIGIN_RPC, "%s", why);
	log_warn("session %s: %s", session->id, why);
	session_close(session, CLOSE_BACKEND_REFUSED);
}

static void
send_dial_call(struct session *session, const char *proc)
{
	uint8_t message[RPC_HEADER_LEN];
	size_t len = upstream_put_call(message, sizeof(message), rpc_proc_by_name(proc), DIAL_SERIAL, NULL, 0);

	end_send(&session->backend, message, len);
}

/*
 * To which of libvirtd's sockets? A session that only reads goes to the read-only one, a fence of its own. Where that
 * socket does not exist (libvirtd run by an ordinary user) the flag of CONNECT_OPEN has to do.
 */
static int
dial_socket(struct session *session)
{
	const struct settings *settings = session->gate->settings;
	int fd;

	if (session->readonly && settings->backend_socket_ro != NULL && settings->backend_socket_ro[0] != '\0') {
		fd = upstream_dial(settings->backend_socket_ro);
		if (fd >= 0 || (errno != ENOENT && errno != ECONNREFUSED))
			return fd;
	}
	return upstream_dial(settings->backend_socket);
}

void
session_dial(struct session *session)
{
	static const struct timeval soon = { .tv_usec = 5000 };
	char why[512];
	int fd;

	if (!inventory_ready(session->inventory)) {
		/* Still connecting is worth a wait; a failure is told at once. */
		if (inventory_trouble(session->inventory)[0] != '\0') {
			(void)snprintf(why, sizeof(why), "libvirtd is not available: %s", inventory_trouble(session->inventory));
			refuse_open(session, RPC_ERR_SYSTEM, why);
		}
		return;
	}
	fd = dial_socket(session);
	if (fd < 0 && errno == EAGAIN) {
		event_add(&session->gate->redial, &soon);
		return;
	}
	if (fd < 0) {
		(void)snprintf(why, sizeof(why), "cannot connect to libvirtd: %s", strerror(errno));
		refuse_open(session, RPC_ERR_SYSTEM, why);
		return;
	}
	end_init(&session->backend, session, fd);
	session_set_state(session, SESSION_DIALING);
	send_dial_call(session, "auth_list");
}

/* libvirtd's answer to a call that we made for the session ourselves. */
static void
dialed(struct session *session, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	struct call *open = session->calls;
	int wanted;

	if (header->status != RPC_STATUS_OK || open == NULL) {
		refuse_open(session, RPC_ERR_AUTH_FAILED, "libvirtd refused the gateway's login on its local socket");
		return;
	}
	wanted = (uint32_t)header->procedure == rpc_proc_by_name("auth_list")->number ? upstream_auth_wanted(body, len) : 0;
	if (wanted == 1) {
		send_dial_call(session, "auth_polkit");
	} else if (wanted == 0) {
		session_set_state(session, SESSION_OPENING);
		open->state = CALL_FORWARDED;
		end_send(&session->backend, open->message, open->message_len);
	} else {
		refuse_open(session, RPC_ERR_AUTH_FAILED, "libvirtd demands SASL on its local socket; the gateway cannot give it");
	}
}

bool
session_take_dial_reply(struct session *session, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	if (session->state != SESSION_DIALING)
		return false;
	if (header->type != RPC_REPLY || header->serial != DIAL_SERIAL)
		session_close(session, CLOSE_BACKEND_PROTOCOL);
	else
		dialed(session, header, body, len);
	return true;
}

/* ---- time ---- */

/*
 * A change whose intent does not become durable in time (a disk that stalls): refused, and not made when it is durable after all, which the
 * trail is told then. An answer whose record does not: the change was made, and he must know both.
 */
static void
release_held(struct session *session, time_t now)
{
	struct call *call, *next;

	for (call = session->calls; call != NULL; call = next) {
		next = call->next;
		if (difference_awaited(call) && call->held_since + COMPARE_SECONDS <= now) {
			difference_give_up(call);
			reply_outcome(call);
			continue;
		}
		if (call->state == CALL_INTENT && call->held_since + HELD_SECONDS <= now) {
			call_refuse(session, &call->header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC,
			    "the audit trail cannot be written in time: '%s' was refused and nothing was changed", call->proc->name);
			call_destroy(call);
			continue;
		}
		if (call->state != CALL_OUTCOME || call->held_since + HELD_SECONDS > now)
			continue;
		call_refuse(session, &call->header, RPC_ERR_SYSTEM, RPC_ORIGIN_RPC,
		    "'%s' was carried out, but its audit record is not durable yet", call->proc->name);
		call_destroy(call);
	}
}

static void
keep_alive(struct session *session, time_t now)
{
	const struct settings *settings = session->gate->settings;
	uint8_t ping[RPC_HEADER_LEN];

	if (!session->keepalive || settings->keepalive_interval <= 0 || session->state > SESSION_OPEN)
		return;
	if (now - session->heard < settings->keepalive_interval)
		return;
	/* A client that does not read is not silent but slow: nothing more is queued for it. */
	if ((now - session->heard) / settings->keepalive_interval <= session->unanswered || buf_len(&session->client.out) > 0)
		return;
	if (++session->unanswered > settings->keepalive_count) {
		session_close(session, CLOSE_CLIENT_SILENT);
		return;
	}
	rpc_put_keepalive(ping, RPC_KEEPALIVE_PING);
	end_send(&session->client, ping, sizeof(ping));
}

void
session_tick(struct session *session, time_t now)
{
	if (session->deadline != 0 && now > session->deadline) {
		switch (session->state) {
		case SESSION_INVENTORY:
		case SESSION_DIALING:
		case SESSION_OPENING:
			refuse_open(session, RPC_ERR_SYSTEM, "libvirtd did not answer in time");
			return;
		case SESSION_CONSOLE:
			console_too_late(session);
			return;
		case SESSION_LINGERING:
			session_close(session, CLOSE_BACKEND_GONE);
			return;
		case SESSION_FLUSHING:
			session_set_state(session, SESSION_CLOSED);
			return;
		default:
			break;
		}
	}
	if (session->num_cuts > 0 && now - session->cuts_since > CUT_SECONDS)
		rights_cut_late(session);
	if (session->state == SESSION_CONSOLE)
		console_rejudge(session);
	release_held(session, now);
	keep_alive(session, now);
}
