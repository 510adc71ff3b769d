/*
 * session.c: log-ins, from the first call at the gate to the last.
 */
#include "web/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "web/console.h"
#include "web/guests.h"

#define MAX_PER_PERSON	32u

static const char cookie_name[] = "__Host-virtgate";

/* ---- finding and ending ---- */

struct web_session *
web_session_find(struct web *web, const char *cookie)
{
	struct web_session *session;

	/* Every one is compared, so that the time it takes does not tell how much of one was right. */
	LIST_FOREACH(session, &web->sessions, entry) {
		if (web_same_token(session->cookie, cookie) && session->open && !session->over)
			return session;
	}
	return NULL;
}

void
web_session_end(struct web_session *session, const char *reason)
{
	char who[256];

	if (session->over)
		return;
	session->over = true;
	log_info("log-in of %s: %s", identity_text(&session->identity, who, sizeof(who)), reason);
	guests_end(session, reason);
	console_end_all(session, reason);
	if (session->login != NULL) {
		struct request *request = session->login;

		session->login = NULL;
		request->waiting = NULL;
		request->gone = NULL;
		reply_error(request, 503, RPC_ERR_SYSTEM, "%s", reason);
	}
}

static void
free_session(struct web_session *session)
{
	LIST_REMOVE(session, entry);
	session->web->num_sessions--;
	rpc_client_destroy(session->rpc);
	guests_free(session->guests);
	identity_clear(&session->identity);
	free(session);
}

/* By what they proved. */
static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_person(const struct vg_identity *a, const struct vg_identity *b)
{
	return same_text(a->sasl_name, b->sasl_name) && same_text(a->x509_dn, b->x509_dn);
}

void
web_session_end_all(struct web_session *session, const char *reason)
{
	struct web_session *other;

	LIST_FOREACH(other, &session->web->sessions, entry)
		if (other != session && same_person(&other->identity, &session->identity))
			web_session_end(other, reason);
	web_session_end(session, reason);
}

void
web_session_end_everybody(struct web *web, const char *reason)
{
	struct web_session *session;

	LIST_FOREACH(session, &web->sessions, entry)
		web_session_end(session, reason);
}

void
web_session_end_certificates(struct web *web, const char *reason)
{
	struct web_session *session;

	LIST_FOREACH(session, &web->sessions, entry)
		if ((session->identity.proofs & VG_PROOF_X509) != 0)
			web_session_end(session, reason);
}

void
web_session_tick(struct web *web)
{
	struct web_session *session, *next;
	time_t now = web_now();

	for (session = LIST_FIRST(&web->sessions); session != NULL; session = next) {
		next = LIST_NEXT(session, entry);
		if (session->over) {
			free_session(session);
			continue;
		}
		/* An open console is somebody who is there. */
		if (!LIST_EMPTY(&session->consoles))
			session->used = now;
		if (now - session->used >= web->settings->web_idle_seconds)
			web_session_end(session, "logged out: nothing was done for too long");
		else if (now - session->since >= web->settings->web_max_seconds)
			web_session_end(session, "logged out: the log-in has lasted as long as one may");
		else
			guests_tick(session);
	}
}

void
web_session_cookie(const struct web_session *session, char *text, size_t size)
{
	(void)snprintf(text, size, "%s=%s; Path=/; Secure; HttpOnly; SameSite=Strict%s", cookie_name, session == NULL ? "" : session->cookie,
	    session == NULL ? "; Max-Age=0" : "");
}

void
web_session_describe(const struct web_session *session, json_t *json)
{
	const struct settings *settings = session->web->settings;
	time_t now = web_now(), left = session->since + settings->web_max_seconds - now;

	(void)json_object_set_new(json, "csrf", json_string(session->csrf));
	(void)json_object_set_new(json, "uri", json_string(session->uri));
	(void)json_object_set_new(json, "idle_seconds", json_integer(settings->web_idle_seconds));
	(void)json_object_set_new(json, "expires_seconds", json_integer((json_int_t)left));
	(void)json_object_set_new(json, "certificate", json_boolean((session->identity.proofs & VG_PROOF_X509) != 0));
}

/* ---- beginning ---- */

static void
on_event(const struct rpc_proc *proc, const uint8_t *body, size_t len, void *arg)
{
	guests_event(arg, proc, body, len);
}

static void
on_closed(void *arg)
{
	struct web_session *session = arg;

	web_session_end(session, "logged out: the gateway has ended the session");
}

static void
on_me(const json_t *me, const struct rpc_error *error, void *arg)
{
	struct web_session *session = arg;
	struct request *request = session->login;
	json_t *json;

	session->login = NULL;
	if (request == NULL || session->over)
		return;
	request->gone = NULL;
	request->waiting = NULL;
	if (error != NULL) {
		reply_rpc_error(request, error);
		return;
	}
	json = json_deep_copy(me);
	web_session_describe(session, json);
	web_session_cookie(session, request->cookie, sizeof(request->cookie));
	reply_json(request, 200, json);
}

/* Refused by the gate: nobody who may do nothing is logged in. */
static void
on_opened(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct web_session *session = arg;
	struct request *request = session->login;

	(void)proc;
	(void)body;
	(void)len;
	if (session->over)
		return;
	if (error != NULL) {
		session->login = NULL;
		if (request != NULL) {
			request->gone = NULL;
			request->waiting = NULL;
			reply_rpc_error(request, error);
		}
		web_session_end(session, error->message);
		return;
	}
	session->open = true;
	guests_start(session);
	if (rpc_client_ask(session->rpc, json_pack("{s:s}", "verb", "me"), on_me, session) == NULL)
		web_session_end(session, "out of memory");
}

static void
on_login_gone(struct request *request)
{
	struct web_session *session = request->waiting;

	session->login = NULL;
	web_session_end(session, "the browser left while it logged in");
}

static unsigned
count_of(const struct web *web, const struct vg_identity *identity)
{
	const struct web_session *session;
	unsigned num = 0;

	LIST_FOREACH(session, &web->sessions, entry)
		num += !session->over && same_person(&session->identity, identity);
	return num;
}

/* The URI that is opened: the first that may be. */
static const char *
first_uri(const struct web *web)
{
	const struct settings_list *uris = &web->settings->allowed_uris;

	return uris->set && uris->num > 0 ? uris->items[0] : "qemu:///system";
}

static void
open_uri(struct web_session *session)
{
	uint8_t body[sizeof(session->uri) + 16];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_u32(&out, 1);		/* there is a name */
	xdr_put_string(&out, session->uri);
	xdr_put_u32(&out, 0);		/* flags */
	if (out.failed || rpc_client_call(session->rpc, rpc_proc_by_name("connect_open"), body, out.len, on_opened, session) == NULL)
		web_session_end(session, "out of memory");
}

void
web_session_begin(struct request *request, struct vg_identity *identity)
{
	struct web *web = request->web;
	struct web_session *session = NULL;
	struct rpc_handlers handlers = { .event = on_event, .closed = on_closed };
	int fd = -1;

	if (web->num_sessions >= (unsigned)web->settings->max_web_logins || count_of(web, identity) >= MAX_PER_PERSON) {
		reply_error(request, 503, RPC_ERR_SYSTEM, "too many are logged in: try again later");
	} else if ((fd = web_hand_over(web, identity, NULL)) < 0) {
		reply_error(request, 503, RPC_ERR_SYSTEM, "the gateway is not ready: try again in a moment");
	} else if ((session = calloc(1, sizeof(*session))) == NULL || web_token(session->cookie) < 0 || web_token(session->csrf) < 0) {
		reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
	} else {
		handlers.arg = session;
		session->rpc = rpc_client_create(web->base, fd, &handlers);
		fd = -1;
		if (session->rpc == NULL)
			reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
	}
	if (session == NULL || session->rpc == NULL) {
		if (fd >= 0)
			close(fd);
		free(session);
		identity_clear(identity);
		return;
	}
	session->web = web;
	session->identity = *identity;
	*identity = (struct vg_identity){ 0 };
	session->since = session->used = web_now();
	session->login = request;
	request->waiting = session;
	request->gone = on_login_gone;
	(void)snprintf(session->uri, sizeof(session->uri), "%s", first_uri(web));
	LIST_INIT(&session->consoles);
	LIST_INSERT_HEAD(&web->sessions, session, entry);
	web->num_sessions++;
	open_uri(session);
}
