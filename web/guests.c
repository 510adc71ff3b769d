/*
 * guests.c: the list of guests of one session, and the stream of what changes in it. It is made (making.c) when somebody asks and when an event came while
 * somebody listens, and kept in between (listing.c).
 */
#include "web/guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "web/listing.h"
#include "web/making.h"

#define SETTLE_MS	150	/* after an event, before the list is made anew: they come in groups */
#define AGAIN_MS	1000	/* while one event follows another: each list is a call of libvirtd's for every guest */
#define OLD_SECONDS	60	/* of what no event tells, as of memory and CPUs */
#define BLIND_SECONDS	10	/* where no event comes */
#define MAX_STREAMS	20u	/* of one log-in: pages that are open */

struct guests {
	struct web_session *session;
	struct listing *told;		/* the last that was made; NULL: not yet */
	struct making *making;		/* of the next */
	bool failed, stale, hears_events;
	struct rpc_error error;
	time_t made;
	struct event *reload;
	LIST_HEAD(, waiter) waiters, streams;
};

/* A request that waits for the list, or is told of its changes. */
struct waiter {
	LIST_ENTRY(waiter) entry;
	struct request *request;
	bool packed;			/* he takes it so */
};

static void make_soon(struct guests *guests);

/* ---- who waits ---- */

static void
on_gone(struct request *request)
{
	struct waiter *waiter = request->waiting;

	LIST_REMOVE(waiter, entry);
	free(waiter);
	request->waiting = NULL;
}

static struct waiter *
add_waiter(struct request *request)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (waiter == NULL) {
		reply_error(request, 500, RPC_ERR_SYSTEM, "out of memory");
		return NULL;
	}
	waiter->request = request;
	waiter->packed = request_takes_gzip(request);
	request->waiting = waiter;
	request->gone = on_gone;
	return waiter;
}

static struct request *
take_waiter(struct waiter *waiter)
{
	struct request *request = waiter->request;

	request->gone = NULL;
	on_gone(request);
	return request;
}

/* All of them: packed, as it is kept and browsers ask again and again, for whom takes that. */
static void
answer_list(struct guests *guests, struct request *request, bool packed)
{
	size_t len;
	const uint8_t *kept = listing_packed(guests->told, &len);
	uint8_t *copy = packed ? malloc(len) : (uint8_t *)listing_text(guests->told, &len);

	if (copy == NULL) {
		reply_json(request, 500, NULL);
		return;
	}
	if (packed)
		memcpy(copy, kept, len);
	request->gzip = packed;
	reply_bytes(request, 200, "application/json", copy, len);
}

static void
answer_guest(struct guests *guests, struct request *request, const char *uuid)
{
	bool found;
	char *text = listing_guest(guests->told, uuid, &found);

	if (!found)
		reply_error(request, 404, RPC_ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s'", uuid);
	else if (text == NULL)
		reply_json(request, 500, NULL);
	else
		reply_bytes(request, 200, "application/json", (uint8_t *)text, strlen(text));
}

static void
answer_one(struct guests *guests, struct request *request, bool packed)
{
	if (guests->failed)
		reply_rpc_error(request, &guests->error);
	else if (request->segments[0][0] != '\0')
		answer_guest(guests, request, request->segments[0]);
	else
		answer_list(guests, request, packed);
}

/* What is different from what was told before goes to everybody who listens. */
static void
tell_change(const char *uuid, const char *text, void *arg)
{
	struct guests *guests = arg;
	struct waiter *waiter;
	char gone[64];

	(void)snprintf(gone, sizeof(gone), "{\"uuid\":\"%s\"}", uuid);
	LIST_FOREACH(waiter, &guests->streams, entry)
		request_event(waiter->request, text != NULL ? "guest" : "gone", text != NULL ? text : gone);
}

/* ---- making ---- */

/* What was made is what is told from now on. NULL: that it failed. */
static void
take_made(struct guests *guests, json_t *list, const struct rpc_error *error)
{
	const struct rpc_error out_of_memory = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "out of memory" };
	struct listing *before = guests->told, *made = list == NULL ? NULL : listing_create(list);

	if (made != NULL && !LIST_EMPTY(&guests->streams) && listing_compare(before, made, tell_change, guests) < 0) {
		listing_destroy(made);
		made = NULL;
	}
	guests->failed = made == NULL;
	if (made == NULL) {
		guests->error = list == NULL ? *error : out_of_memory;
		return;
	}
	listing_destroy(before);
	guests->told = made;
	guests->made = web_now();
}

static void
on_made(json_t *list, const struct rpc_error *error, void *arg)
{
	struct guests *guests = arg;
	struct waiter *waiter;
	bool packed;

	take_made(guests, list, error);
	while ((waiter = LIST_FIRST(&guests->waiters)) != NULL) {
		packed = waiter->packed;
		answer_one(guests, take_waiter(waiter), packed);
	}
	if (guests->stale && !LIST_EMPTY(&guests->streams))
		make_soon(guests);
}

static void
make(struct guests *guests)
{
	time_t now = web_now();

	if (making_runs(guests->making))
		return;
	guests->stale = guests->failed = false;
	/* Without events nothing is known for longer than it takes to tell. */
	making_begin(guests->making, guests->hears_events ? now - OLD_SECONDS + 1 : now + 1);
}

/* ---- staying fresh ---- */

static void
on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct guests *guests = arg;

	(void)fd;
	(void)what;
	if (!guests->session->over && !LIST_EMPTY(&guests->streams))
		make(guests);
}

static void
make_soon(struct guests *guests)
{
	static const struct timeval settle = { 0, SETTLE_MS * 1000 }, again = { AGAIN_MS / 1000, AGAIN_MS % 1000 * 1000 };

	if (!evtimer_pending(guests->reload, NULL))
		(void)event_add(guests->reload, web_now() - guests->made > AGAIN_MS / 1000 ? &settle : &again);
}

static bool
is_old(const struct guests *guests)
{
	return web_now() - guests->made >= (guests->hears_events ? OLD_SECONDS : BLIND_SECONDS);
}

void
guests_event(struct web_session *session, const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	struct xdr_object object;
	struct waiter *waiter;
	struct xdr_span span;

	if (session->guests == NULL)
		return;
	if (proc->program == RPC_PROGRAM_VIRTGATE)
		LIST_FOREACH(waiter, &session->guests->streams, entry)
			request_event(waiter->request, "rights", "{}");
	else if (proc->about.from == RPC_FROM_ARG && proc->about.class == VG_CLASS_domain && xdr_find(proc->args, body, len, proc->about.path, &span) &&
	    xdr_get_object(VG_CLASS_domain, span, &object) && object.uuid != NULL)
		making_touch(session->guests->making, object.uuid);
	session->guests->stale = true;
	make_soon(session->guests);
}

void
guests_tick(struct web_session *session)
{
	struct guests *guests = session->guests;
	struct waiter *waiter;

	if (guests == NULL)
		return;
	/* So that a proxy in between does not take a quiet stream for a dead one. */
	if (web_now() % 15 == 0)
		LIST_FOREACH(waiter, &guests->streams, entry)
			request_event(waiter->request, NULL, NULL);
	if (!LIST_EMPTY(&guests->streams) && is_old(guests))
		make(guests);
}

static void
on_subscribed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct guests *guests = arg;

	(void)body;
	(void)len;
	guests->hears_events = error == NULL;
	if (error != NULL)
		log_info("web: %s: %s", proc->name, error->message);
}

void
guests_start(struct web_session *session)
{
	static const uint8_t any_lifecycle[8] = { 0 };	/* VIR_DOMAIN_EVENT_ID_LIFECYCLE, of whichever domain */
	struct guests *guests = calloc(1, sizeof(*guests));

	if (guests == NULL || (guests->reload = evtimer_new(session->web->base, on_reload, guests)) == NULL ||
	    (guests->making = making_create(session->rpc, on_made, guests)) == NULL) {
		if (guests != NULL && guests->reload != NULL)
			event_free(guests->reload);
		free(guests);
		web_session_end(session, "out of memory");
		return;
	}
	guests->session = session;
	LIST_INIT(&guests->waiters);
	LIST_INIT(&guests->streams);
	session->guests = guests;
	(void)rpc_client_call(session->rpc, rpc_proc_by_name("connect_domain_event_callback_register_any"), any_lifecycle, sizeof(any_lifecycle),
	    on_subscribed, guests);
}

void
guests_end(struct web_session *session, const char *reason)
{
	struct guests *guests = session->guests;
	json_t *data = json_pack("{s:o}", "reason", audit_text(reason, strlen(reason)));
	char *text = json_dumps(data, JSON_COMPACT);
	struct waiter *waiter;

	while (guests != NULL && (waiter = LIST_FIRST(&guests->streams)) != NULL) {
		struct request *request = take_waiter(waiter);

		request_event(request, "end", text != NULL ? text : "{}");
		request->streams = false;
	}
	while (guests != NULL && (waiter = LIST_FIRST(&guests->waiters)) != NULL)
		reply_error(take_waiter(waiter), 401, RPC_ERR_AUTH_FAILED, "%s", reason);
	json_decref(data);
	free(text);
}

void
guests_free(struct guests *guests)
{
	if (guests == NULL)
		return;
	listing_destroy(guests->told);
	making_destroy(guests->making);
	event_free(guests->reload);
	free(guests);
}

/* ---- routes ---- */

void
guests_list(struct request *request)
{
	struct guests *guests = request->session->guests;
	struct waiter *waiter;

	if (guests->told != NULL && !guests->stale && !is_old(guests)) {
		guests->failed = false;
		answer_one(guests, request, request_takes_gzip(request));
		return;
	}
	waiter = add_waiter(request);
	if (waiter == NULL)
		return;
	LIST_INSERT_HEAD(&guests->waiters, waiter, entry);
	make(guests);
}

void
guests_one(struct request *request)
{
	guests_list(request);
}

void
guests_stream(struct request *request)
{
	struct guests *guests = request->session->guests;
	struct waiter *waiter;
	unsigned num = 0;

	LIST_FOREACH(waiter, &guests->streams, entry)
		num++;
	if (num >= MAX_STREAMS) {
		reply_error(request, 503, RPC_ERR_SYSTEM, "too many pages of this log-in are open");
		return;
	}
	waiter = add_waiter(request);
	if (waiter == NULL)
		return;
	LIST_INSERT_HEAD(&guests->streams, waiter, entry);
	reply_events(request);
	/* The browser asks for the list itself; from here on it hears of what is different from then. */
	if (guests->told == NULL || guests->stale)
		make(guests);
}
