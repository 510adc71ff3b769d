/*
 * session.h: a log-in of a browser: a cookie, an identity, and an RPC session at the gate, which is there as long as the log-in is. What the
 * gate ends (revoked, killed, stopped) is logged out here, and the reverse.
 */
#ifndef WEB_SESSION_H
#define WEB_SESSION_H

#include "web/http.h"

struct console;
struct guests;

struct web_session {
	LIST_ENTRY(web_session) entry;
	struct web *web;
	char cookie[WEB_TOKEN_LEN + 1], csrf[WEB_TOKEN_LEN + 1];
	struct vg_identity identity;	/* as proven at log-in */
	time_t since, used;		/* web_now() */
	struct rpc_client *rpc;
	bool open;			/* CONNECT_OPEN went well */
	bool over;			/* logged out: freed at the next tick, when no callback is in the middle of it */
	char uri[256];
	struct request *login;		/* that waits for it to open; NULL: none */
	struct guests *guests;		/* guests.c's */
	LIST_HEAD(, console) consoles;	/* console.c's */
};

/*
 * Logs a person in: takes `identity`, and answers `request` when the gate has opened the session, with its cookie, or why it did not.
 */
void web_session_begin(struct request *request, struct vg_identity *identity);
/* The session of this cookie that is open and in time. NULL: none. */
struct web_session *web_session_find(struct web *web, const char *cookie);
/* Ends it: its consoles, its event streams with `reason`, its session at the gate. */
void web_session_end(struct web_session *session, const char *reason);
/* All of the same person. */
void web_session_end_all(struct web_session *session, const char *reason);
/* Once a second: those whose time is over. */
void web_session_tick(struct web *web);
void web_session_end_everybody(struct web *web, const char *reason);
/* Those who logged in with a certificate. */
void web_session_end_certificates(struct web *web, const char *reason);
/* Value of the Set-Cookie header: the session's, or one that removes it. */
void web_session_cookie(const struct web_session *session, char *text, size_t size);
/* What GET /me answers beside the gate's own words. */
void web_session_describe(const struct web_session *session, json_t *json);

#endif
