/*
 * routes.c: which request is whose. The table is all there is: what has no row is not there. Before any row's function: is it our name that was
 * called, does it come from our own page, is somebody logged in.
 */
#include <stdio.h>
#include <string.h>

#include "web/admin.h"
#include "web/assets.h"
#include "web/guests.h"
#include "web/http.h"
#include "web/login.h"
#include "web/ticket.h"

typedef void route_fn(struct request *request);

/* Who may ask. What a page asks again and again by itself is BY_ITSELF: no sign that somebody is there (web_idle_seconds). */
enum route_for { ANYBODY, LOGGED_IN, BY_ITSELF };

static const struct {
	enum web_method method;
	const char *path;		/* a star is one segment */
	enum route_for who;
	route_fn *run;
	bool large;			/* takes a body of REQUEST_MAX_LARGE */
} routes[] = {
	{ WEB_POST, "/api/v1/login", ANYBODY, login_post, false },
	{ WEB_GET, "/api/v1/me", ANYBODY, login_me, false },
	{ WEB_POST, "/api/v1/logout", LOGGED_IN, login_out, false },
	{ WEB_GET, "/api/v1/guests", LOGGED_IN, guests_list, false },
	{ WEB_GET, "/api/v1/guests/*", LOGGED_IN, guests_one, false },
	{ WEB_GET, "/api/v1/guests/*/screenshot", BY_ITSELF, guests_screenshot, false },
	{ WEB_POST, "/api/v1/guests/*/console", LOGGED_IN, ticket_post, false },
	{ WEB_POST, "/api/v1/guests/*/*", LOGGED_IN, guests_act, false },
	{ WEB_GET, "/api/v1/events", BY_ITSELF, guests_stream, false },
	{ WEB_GET, "/api/v1/sessions", LOGGED_IN, admin_sessions, false },
	{ WEB_DELETE, "/api/v1/sessions/*", LOGGED_IN, admin_kill, false },
	{ WEB_POST, "/api/v1/policy/can", LOGGED_IN, admin_can, false },
	{ WEB_POST, "/api/v1/policy/who-can", LOGGED_IN, admin_who_can, false },
	{ WEB_GET, "/api/v1/policy", LOGGED_IN, admin_policy, false },
	{ WEB_POST, "/api/v1/policy/check", LOGGED_IN, admin_draft_check, true },
	{ WEB_POST, "/api/v1/policy/diff", LOGGED_IN, admin_draft_diff, true },
	{ WEB_POST, "/api/v1/policy/replay", LOGGED_IN, admin_draft_replay, true },
	{ WEB_GET, "/api/v1/audit", LOGGED_IN, audit_search, false },
	{ WEB_GET, "/api/v1/audit/state", BY_ITSELF, audit_state, false },
	{ WEB_GET, "/api/v1/audit/export", LOGGED_IN, audit_export, false },
	{ WEB_GET, "/api/v1/audit/*", LOGGED_IN, audit_show, false },
};

/* Letters, digits and what UUIDs and ids have beside them: nothing else is ever in a path. */
static bool
is_plain(const char *text, size_t len)
{
	return len > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") >= len;
}

/* Fills the segments that stars stand for. */
static bool
matches(const char *pattern, const char *path, struct request *request)
{
	size_t num = 0, len;

	memset(request->segments, 0, sizeof(request->segments));
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '*') {
			if (*path++ != *pattern)
				return false;
			continue;
		}
		len = strcspn(path, "/");
		if (num == REQUEST_MAX_SEGMENTS || len >= sizeof(request->segments[0]) || !is_plain(path, len))
			return false;
		memcpy(request->segments[num], path, len);
		request->segments[num++][len] = '\0';
		path += len;
	}
	return *path == '\0';
}

/* ---- the page and its files ---- */

static void
serve_asset(struct request *request)
{
	const struct web_asset *asset = NULL;

	for (size_t i = 0; i < web_num_assets; i++)
		if (strcmp(web_assets[i].path, request->path) == 0)
			asset = &web_assets[i];
	if (asset == NULL || request->method != WEB_GET) {
		reply_error(request, asset == NULL ? 404 : 405, 0, asset == NULL ? "there is nothing here" : "it can only be read");
		return;
	}
	if (!request_takes_gzip(request)) {
		reply_error(request, 406, 0, "the page is only there compressed (Accept-Encoding: gzip)");
		return;
	}
	request->etag = asset->etag;
	request->gzip = true;
	request->forever = asset->hashed;
	request->bytes = asset->gzip;
	request->len = asset->gzip_len;
	reply_static(request, 200, asset->type);
}

/* ---- before anything else ---- */

/* A name that is not ours was made to point here (CVE-2015-0259 and its kin): whoever did that may not use our page. */
static bool
host_is_ours(const struct request *request, char *host, size_t size)
{
	return (request_header(request, WSI_TOKEN_HOST, host, size) || request_header(request, WSI_TOKEN_HTTP_COLON_AUTHORITY, host, size)) &&
	    web_is_our_host(request->web, host);
}

bool
request_origin_is_ours(const struct request *request, const char *host, bool demanded)
{
	char origin[300], ours[300];

	if (!request_header(request, WSI_TOKEN_ORIGIN, origin, sizeof(origin)))
		return !demanded && lws_hdr_total_length(request->wsi, WSI_TOKEN_ORIGIN) <= 0;
	return snprintf(ours, sizeof(ours), "https://%s", host) < (int)sizeof(ours) && strcmp(origin, ours) == 0;
}

/* The value of our cookie; empty: none. */
static void
find_cookie(const struct request *request, char value[WEB_TOKEN_LEN + 1])
{
	static const char name[] = "__Host-virtgate=";
	char cookies[1024];
	const char *at = cookies;

	value[0] = '\0';
	if (!request_header(request, WSI_TOKEN_HTTP_COOKIE, cookies, sizeof(cookies)))
		return;
	while ((at = strstr(at, name)) != NULL) {
		bool begins = at == cookies || at[-1] == ' ' || at[-1] == ';';

		at += sizeof(name) - 1;
		if (begins && strcspn(at, "; ,") == WEB_TOKEN_LEN) {
			memcpy(value, at, WEB_TOKEN_LEN);
			value[WEB_TOKEN_LEN] = '\0';
			return;
		}
	}
}

/* What changes something must say what only our own page knows. */
static bool
has_csrf_token(const struct request *request)
{
	char token[WEB_TOKEN_LEN + 2];

	return request_header(request, WSI_TOKEN_X_AUTH_TOKEN, token, sizeof(token)) && web_same_token(token, request->session->csrf);
}

size_t
route_max_body(const struct request *request)
{
	char cookie[WEB_TOKEN_LEN + 1];

	find_cookie(request, cookie);
	if (cookie[0] == '\0' || web_session_find(request->web, cookie) == NULL)
		return REQUEST_MAX_STRANGER;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (routes[i].large && routes[i].method == request->method && strcmp(routes[i].path, request->path) == 0)
			return REQUEST_MAX_LARGE;
	return REQUEST_MAX_BODY;
}

void
route(struct request *request)
{
	char host[256], cookie[WEB_TOKEN_LEN + 1];
	bool change = request->method != WEB_GET, there = false;

	if (!host_is_ours(request, host, sizeof(host))) {
		reply_error(request, 421, 0, "this server has another name than the one that was asked for (web_hosts)");
		return;
	}
	if (!request_origin_is_ours(request, host, change)) {
		reply_error(request, 403, 0, "the request does not come from this server's own page");
		return;
	}
	if (strncmp(request->path, "/api/", 5) != 0) {
		serve_asset(request);
		return;
	}
	find_cookie(request, cookie);
	request->session = cookie[0] == '\0' ? NULL : web_session_find(request->web, cookie);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!matches(routes[i].path, request->path, request))
			continue;
		there = true;
		if (routes[i].method != request->method)
			continue;
		if (request->session != NULL && routes[i].who != BY_ITSELF)
			request->session->used = web_now();
		if (routes[i].who != ANYBODY && request->session == NULL)
			reply_error(request, 401, RPC_ERR_AUTH_FAILED, "nobody is logged in");
		else if (routes[i].who != ANYBODY && change && !has_csrf_token(request))
			reply_error(request, 403, 0, "the token of the log-in is missing or wrong (header X-Auth-Token)");
		else
			routes[i].run(request);
		return;
	}
	reply_error(request, there ? 405 : 404, 0, there ? "this cannot be done here" : "there is nothing here");
}
