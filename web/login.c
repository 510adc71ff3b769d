/*
 * login.c: who are you? A certificate that TLS has verified, user and password through cyrus-sasl (PLAIN inside TLS, in a thread: a directory
 * may be asked), or both. A wrong password and an unknown user get the same answer after the same time.
 */
#include "web/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "gateway/auth/failures.h"
#include "gateway/auth/person.h"
#include "gateway/auth/sasl.h"
#include "gateway/auth/utf8.h"
#include "gateway/auth/worker.h"
#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "web/session.h"

#define MAX_NAME	256u
#define MAX_PASSWORD	1024u
#define REFUSAL_MS	1000	/* a refusal comes so long after the question, whatever the reason */

struct login {
	struct worker_job job;		/* first */
	struct web *web;
	struct request *request;	/* NULL: the browser left */
	struct vg_identity identity;
	struct sasl_session *sasl;
	enum sasl_progress progress;
	struct event *later;
	bool tried;			/* password or certificate were looked at */
	char why[256];
	size_t len;
	uint8_t data[2 + MAX_NAME + MAX_PASSWORD];
};

/* ---- refusing ---- */

static void
login_free(struct login *login)
{
	sasl_session_destroy(login->sasl);
	identity_clear(&login->identity);
	if (login->later != NULL)
		event_free(login->later);
	OPENSSL_cleanse(login->data, sizeof(login->data));
	free(login);
}

static void
record_failure(struct login *login)
{
	char who[512];

	login->identity.proofs = 0;
	log_warn("log-in in a browser refused: %s: %s", login->why, identity_text(&login->identity, who, sizeof(who)));
	failures_record(login->web->recorded, login->web->audit, &login->identity, login->why, login->tried, web_now());
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct login *login = arg;
	struct request *request = login->request;

	(void)fd;
	(void)what;
	if (request != NULL) {
		request->waiting = NULL;
		request->gone = NULL;
		reply_error(request, 401, RPC_ERR_AUTH_FAILED, "authentication failed");
	}
	login_free(login);
}

/* Only a password that was tried, or a certificate that was refused, is held against an address and a name. */
static void
count_failure(const struct login *login)
{
	struct failures *failures = login->web->throttled;
	char origin[FAILURES_ORIGIN_LEN];
	unsigned beyond;

	if (!login->tried)
		return;
	(void)failures_count(failures, "address", failures_origin(login->identity.address, origin), true, web_now(), &beyond);
	if (login->identity.sasl_name != NULL)
		(void)failures_count(failures, "name", login->identity.sasl_name, true, web_now(), &beyond);
}

/* The same to everybody, at the same time after the question. */
static void
refuse(struct login *login, const char *why)
{
	struct timespec now;
	struct timeval wait = { 0, 0 };
	long ms;

	(void)snprintf(login->why, sizeof(login->why), "%s", why);
	count_failure(login);
	record_failure(login);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = login->request == NULL ? 0 : REFUSAL_MS - ((now.tv_sec - login->request->began.tv_sec) * 1000 +
	    (now.tv_nsec - login->request->began.tv_nsec) / 1000000);
	if (ms > 0)
		wait = (struct timeval){ ms / 1000, (ms % 1000) * 1000 };
	login->later = evtimer_new(login->web->base, on_later, login);
	if (login->later == NULL || event_add(login->later, &wait) < 0)
		on_later(-1, 0, login);
}

/* ---- proving ---- */

/* Proven. What the certificate, if there is one beside the name, must have to do with it. */
static void
succeed(struct login *login)
{
	const struct settings *settings = login->web->settings;
	const struct vg_identity *identity = &login->identity;
	struct request *request = login->request;

	login->tried = true;
	if (identity->x509_dn != NULL && !person_is_allowed(&settings->tls_allowed_dn_list, identity->x509_dn)) {
		refuse(login, "the certificate's name is not in tls_allowed_dn_list");
		return;
	}
	if (identity->x509_dn != NULL && identity->sasl_name != NULL && settings->sasl_match_certificate &&
	    !person_is_one(identity, identity->sasl_name)) {
		refuse(login, "certificate and user are not the same person");
		return;
	}
	if (request != NULL) {
		request->waiting = NULL;
		request->gone = NULL;
		web_session_begin(request, &login->identity);
	}
	login_free(login);
}

static void
work(struct worker_job *job)
{
	struct login *login = (struct login *)job;

	login->progress = sasl_session_step(login->sasl, "PLAIN", login->data, login->len);
}

static void
on_worked(struct worker_job *job)
{
	struct login *login = (struct login *)job;
	const char *name;

	login->tried = true;
	if (login->progress != SASL_PROGRESS_DONE) {
		refuse(login, login->progress == SASL_PROGRESS_FAILED ? sasl_session_problem(login->sasl) : "SASL asks for more than PLAIN has");
		return;
	}
	name = sasl_session_name(login->sasl);
	free(login->identity.sasl_name);
	login->identity.sasl_name = strdup(name);
	login->identity.sasl_mech = strdup("PLAIN");
	if (login->identity.sasl_name == NULL || login->identity.sasl_mech == NULL || name[0] == '\0' ||
	    !utf8_is_name((const uint8_t *)name, strlen(name))) {
		refuse(login, "the name that SASL gives is empty or no text");
		return;
	}
	if (!person_is_allowed(&login->web->settings->sasl_allowed_username_list, name)) {
		refuse(login, "the name is not in sasl_allowed_username_list");
		return;
	}
	login->identity.proofs |= VG_PROOF_SASL;
	succeed(login);
}

/* PLAIN's message: nobody, NUL, user, NUL, password (RFC 4616). False: too long, or a NUL in it. */
static bool
put_plain(struct login *login, const json_t *user, const json_t *password)
{
	size_t user_len = json_string_length(user), password_len = json_string_length(password);

	if (user_len == 0 || user_len > MAX_NAME || password_len > MAX_PASSWORD || strlen(json_string_value(user)) != user_len ||
	    strlen(json_string_value(password)) != password_len || !utf8_is_name((const uint8_t *)json_string_value(user), user_len))
		return false;
	memcpy(login->data + 1, json_string_value(user), user_len);
	memcpy(login->data + 2 + user_len, json_string_value(password), password_len);
	login->len = 2 + user_len + password_len;
	login->identity.sasl_name = strdup(json_string_value(user));
	return login->identity.sasl_name != NULL;
}

static void
try_password(struct login *login, const json_t *user, const json_t *password)
{
	const struct sasl_rules rules = { .encrypted = true, .external_ssf = 256 };

	if (login->web->settings->auth_web != AUTH_SASL) {
		refuse(login, "auth_web does not let passwords in");
	} else if (!put_plain(login, user, password)) {
		refuse(login, "user or password is empty, too long or no text");
	} else if (failures_too_many(login->web->throttled, "name", login->identity.sasl_name, web_now())) {
		refuse(login, "too many failures for this name; not tried");
	} else if ((login->sasl = sasl_session_create(&rules)) == NULL || !sasl_session_offers(login->sasl, "PLAIN", 5)) {
		refuse(login, "cyrus-sasl does not offer PLAIN: libvirt.conf needs it in its mech_list for browsers");
	} else {
		login->job.work = work;
		login->job.done = on_worked;
		if (worker_submit(login->web->worker, &login->job) < 0)
			refuse(login, "too many log-ins at once");
	}
}

/* Neither what came nor what it was parsed into keeps the password. */
static void
wipe(struct request *request, json_t *password)
{
	if (json_is_string(password))
		OPENSSL_cleanse((char *)(uintptr_t)json_string_value(password), json_string_length(password));
	if (buf_len(&request->body) > 0)
		OPENSSL_cleanse(buf_head(&request->body), buf_len(&request->body));
}

static void
on_gone(struct request *request)
{
	struct login *login = request->waiting;

	login->request = NULL;
}

void
login_post(struct request *request)
{
	struct login *login;
	struct vg_error error;
	json_t *json = request_json(request), *user = json_object_get(json, "user"), *password = json_object_get(json, "password");
	char origin[FAILURES_ORIGIN_LEN];

	if (json == NULL)
		return;
	login = calloc(1, sizeof(*login));
	if (login == NULL) {
		wipe(request, password);
		json_decref(json);
		reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
		return;
	}
	login->web = request->web;
	login->request = request;
	request->waiting = login;
	request->gone = on_gone;
	if (request_identity(request, &login->identity, &error) < 0)
		refuse(login, error.what);
	else if (failures_too_many(login->web->throttled, "address", failures_origin(login->identity.address, origin), web_now()))
		refuse(login, "too many failures from this address; not tried");
	else if (json_is_string(user) && json_is_string(password))
		try_password(login, user, password);
	else if (user == NULL && password == NULL && (login->identity.proofs & VG_PROOF_X509) != 0)
		succeed(login);
	else
		refuse(login, "neither a certificate nor user and password");
	wipe(request, password);
	json_decref(json);
}

void
login_out(struct request *request)
{
	json_t *json = request_json(request);
	bool everywhere;

	if (json == NULL)
		return;
	everywhere = json_is_true(json_object_get(json, "everywhere"));
	json_decref(json);
	web_session_cookie(NULL, request->cookie, sizeof(request->cookie));
	reply_json(request, 200, json_object());
	if (everywhere)
		web_session_end_all(request->session, "logged out everywhere");
	else
		web_session_end(request->session, "logged out");
}

static void
on_me(const json_t *me, const struct rpc_error *error, void *arg)
{
	struct request *request = arg;
	json_t *json;

	request->call = NULL;
	if (error != NULL) {
		reply_rpc_error(request, error);
		return;
	}
	json = json_deep_copy(me);
	web_session_describe(request->session, json);
	reply_json(request, 200, json);
}

/* Without a log-in: 401, with the name of the certificate that could be logged in with. */
static void
reply_nobody(struct request *request)
{
	struct vg_identity identity;
	struct vg_error error;
	json_t *json;

	(void)request_identity(request, &identity, &error);
	json = json_pack("{s:{s:i, s:i, s:s, s:o, s:b}}", "error", "status", 401, "code", RPC_ERR_AUTH_FAILED, "message", "nobody is logged in",
	    "certificate_offered", identity.x509_dn == NULL ? json_null() : audit_text(identity.x509_dn, strlen(identity.x509_dn)), "password",
	    request->web->settings->auth_web == AUTH_SASL);
	identity_clear(&identity);
	reply_json(request, 401, json);
}

void
login_me(struct request *request)
{
	if (request->session == NULL) {
		reply_nobody(request);
		return;
	}
	request->call = rpc_client_ask(request->session->rpc, json_pack("{s:s}", "verb", "me"), on_me, request);
	if (request->call == NULL)
		reply_error(request, 503, RPC_ERR_SYSTEM, "the session has ended");
}
