/*
 * guests.c: the list of guests of one session, and the stream of what changes in it.
 *
 * A list is made of: the domains (and which of them are persistent, which start by themselves), what he may do to each, and of those that he
 * may read their state and size. Each step is one or many calls that run at once; `pending` counts them.
 */
#include "web/guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "proto/rfb.h"
#include "web/act.h"
#include "web/facts.h"
#include "web/listing.h"

#define MAX_GUESTS	10000u
#define MAY_AT_ONCE	500u	/* objects in one question */
#define SETTLE_MS	150	/* after an event, before the list is made anew: they come in groups */
#define AGAIN_MS	1000	/* while one event follows another: each list is a call of libvirtd's for every guest */
#define OLD_SECONDS	60	/* of what no event tells, as of memory and CPUs */
#define BLIND_SECONDS	10	/* where no event comes */

/* virConnectListAllDomainsFlags, libvirt-domain.h */
enum { LIST_ALL = 0, LIST_PERSISTENT = 1 << 2, LIST_AUTOSTART = 1 << 10 };

/* virDomainState, libvirt-domain.h */
static const char *const state_names[] = { "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended" };

static const struct rpc_error out_of_memory = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "out of memory" };

struct guests {
	struct web_session *session;
	struct listing *told;		/* the last that was made; NULL: not yet */
	json_t *fresh;			/* UUID -> guest, of one in the making */
	struct facts facts, fresh_facts;
	unsigned pending;		/* calls of the making */
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

static void make(struct guests *guests);
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

static void
fail(struct guests *guests, const struct rpc_error *error)
{
	if (!guests->failed)
		guests->error = *error;
	guests->failed = true;
}

/* What was made is what is told from now on. */
static void
take_fresh(struct guests *guests)
{
	struct listing *before = guests->told, *made = guests->failed ? NULL : listing_create(guests->fresh);

	json_decref(guests->fresh);
	guests->fresh = NULL;
	if (made != NULL && !LIST_EMPTY(&guests->streams) && listing_compare(before, made, tell_change, guests) < 0) {
		listing_destroy(made);
		made = NULL;
	}
	if (made == NULL) {
		facts_free(&guests->fresh_facts);
		fail(guests, &out_of_memory);	/* unless it did before */
		return;
	}
	listing_destroy(before);
	facts_free(&guests->facts);
	guests->told = made;
	guests->facts = guests->fresh_facts;
	guests->fresh_facts = (struct facts){ 0 };
	guests->made = web_now();
}

static void
done_one(struct guests *guests, const struct rpc_error *error)
{
	struct waiter *waiter;
	bool packed;

	if (error != NULL)
		fail(guests, error);
	if (--guests->pending > 0)
		return;
	take_fresh(guests);
	while ((waiter = LIST_FIRST(&guests->waiters)) != NULL) {
		packed = waiter->packed;
		answer_one(guests, take_waiter(waiter), packed);
	}
	if (guests->stale && !LIST_EMPTY(&guests->streams))
		make_soon(guests);
}

/* The object of a reply's item, name and UUID as text. False: it is none. */
static bool
take_domain(struct xdr_span item, struct xdr_object *object, char name[256], char uuid[37])
{
	const uint8_t *b;

	if (!xdr_get_object(VG_CLASS_domain, item, object) || object->uuid == NULL || object->name.len >= 256)
		return false;
	memcpy(name, object->name.data, object->name.len);
	name[object->name.len] = '\0';
	b = object->uuid;
	(void)snprintf(uuid, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
	    b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return true;
}

/* A question about one guest or some, and which they are. */
struct asked {
	struct guests *guests;
	json_t *about;
};

/* Takes `about`. NULL: out of memory. */
static struct asked *
asked_create(struct guests *guests, json_t *about)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (asked == NULL)
		json_decref(about);
	else
		*asked = (struct asked){ guests, about };
	return asked;
}

static void
asked_free(struct asked *asked)
{
	if (asked != NULL)
		json_decref(asked->about);
	free(asked);
}

static struct fact *
fact_of(const struct guests *guests, const json_t *guest)
{
	uint8_t uuid[VG_UUID_LEN];

	return act_parse_uuid(json_string_value(json_object_get(guest, "uuid")), uuid) ? facts_find(&guests->fresh_facts, uuid) : NULL;
}

static void
show_fact(json_t *guest, const struct fact *fact)
{
	(void)json_object_set_new(guest, "state", json_string(state_names[fact->state < sizeof(state_names) / sizeof(state_names[0]) ? fact->state : 0]));
	(void)json_object_set_new(guest, "memory_kib", json_integer((json_int_t)fact->memory_kib));
	(void)json_object_set_new(guest, "vcpus", json_integer((json_int_t)fact->vcpus));
}

static void
on_info(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct asked *asked = arg;
	struct guests *guests = asked->guests;
	struct fact *fact = fact_of(guests, asked->about);
	struct xdr_span state, memory, vcpus;

	/* It may have gone meanwhile: then it stays without. */
	if (error == NULL && fact != NULL && xdr_find(proc->ret, body, len, "state", &state) && xdr_find(proc->ret, body, len, "maxMem", &memory) &&
	    xdr_find(proc->ret, body, len, "nrVirtCpu", &vcpus)) {
		fact->known = true;
		fact->asked = web_now();
		fact->state = xdr_span_u32(state);
		fact->memory_kib = (uint64_t)rfb_load_u32(memory.data) << 32 | rfb_load_u32(memory.data + 4);
		fact->vcpus = xdr_span_u32(vcpus);
		show_fact(asked->about, fact);
	}
	asked_free(asked);
	done_one(guests, NULL);
}

static void
find_info(struct guests *guests, json_t *guest)
{
	const struct fact *fact = fact_of(guests, guest);
	struct asked *asked;
	struct xdr_out out;
	uint8_t body[400];

	if (fact == NULL)
		return;
	if (fact->known) {
		show_fact(guest, fact);
		return;
	}
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_string(&out, json_string_value(json_object_get(guest, "name")));
	xdr_put_raw(&out, fact->uuid, VG_UUID_LEN);
	xdr_put_i32(&out, fact->id);
	asked = asked_create(guests, json_incref(guest));
	if (asked == NULL || out.failed || rpc_client_call(guests->session->rpc, rpc_proc_by_name("domain_get_info"), body, out.len, on_info, asked) == NULL)
		asked_free(asked);
	else
		guests->pending++;
}

static void
on_may(const json_t *json, const struct rpc_error *error, void *arg)
{
	struct asked *asked = arg;
	struct guests *guests = asked->guests;
	const json_t *answers = json_object_get(json, "may");
	json_t *guest;
	size_t i;

	json_array_foreach(asked->about, i, guest) {
		const json_t *may = json_array_get(answers, i);

		(void)json_object_set_new(guest, "may", act_may(may));
		if (!guests->failed && error == NULL && json_is_true(json_object_get(may, "domain:read")))
			find_info(guests, guest);
	}
	asked_free(asked);
	done_one(guests, error);
}

/* Takes `list`, of guests, and `objects`, the same as the gate wants them. */
static void
ask_may(struct guests *guests, json_t *list, json_t *objects)
{
	struct asked *asked = asked_create(guests, list);
	json_t *request = json_pack("{s:s, s:o, s:o}", "verb", "may", "objects", objects, "permissions", act_permissions());

	if (asked == NULL || request == NULL) {
		json_decref(request);
		asked_free(asked);
	} else if (rpc_client_ask(guests->session->rpc, request, on_may, asked) == NULL) {
		asked_free(asked);
	} else {
		guests->pending++;
	}
}

/* Those of one kind: the member of that name becomes true. */
static void
mark(struct guests *guests, const char *member, const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error)
{
	struct xdr_items items;
	struct xdr_span item;
	struct xdr_object object;
	char name[256], uuid[37];

	if (error == NULL && xdr_items(proc->ret, body, len, "domains", &items))
		while (xdr_items_next(&items, &item))
			if (take_domain(item, &object, name, uuid))
				(void)json_object_set_new(json_object_get(guests->fresh, uuid), member, json_true());
	done_one(guests, error);
}

static void
on_persistent(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	mark(arg, "persistent", proc, body, len, error);
}

static void
on_autostart(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	mark(arg, "autostart", proc, body, len, error);
}

static void
ask_list(struct guests *guests, uint32_t flags, rpc_reply_cb *reply)
{
	const struct rpc_error lost = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "the session has ended" };
	uint8_t body[8];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, flags);
	guests->pending++;
	if (rpc_client_call(guests->session->rpc, rpc_proc_by_name("connect_list_all_domains"), body, out.len, reply, guests) == NULL)
		done_one(guests, &lost);
}

/* Of the second from which on they count: without events none does. */
static time_t
oldest_fact(const struct guests *guests)
{
	return guests->hears_events ? web_now() - OLD_SECONDS + 1 : web_now() + 1;
}

static void
on_listed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct guests *guests = arg;
	json_t *list = json_array(), *objects = json_array();
	struct xdr_items items;
	struct xdr_span item;
	struct xdr_object object;
	char name[256], uuid[37];

	if (error == NULL && xdr_items(proc->ret, body, len, "domains", &items)) {
		while (xdr_items_next(&items, &item) && json_object_size(guests->fresh) < MAX_GUESTS) {
			json_t *guest;

			if (!take_domain(item, &object, name, uuid))
				continue;
			if (facts_add(&guests->fresh_facts, object.uuid, object.id) < 0)
				fail(guests, &out_of_memory);
			guest = json_pack("{s:s, s:o, s:o, s:n, s:n, s:n, s:b, s:b}", "uuid", uuid, "name", audit_text(name, strlen(name)), "id",
			    object.id < 0 ? json_null() : json_integer(object.id), "state", "vcpus", "memory_kib", "persistent", 0, "autostart", 0);
			(void)json_object_set_new(guests->fresh, uuid, guest);
			(void)json_array_append(list, guest);
			(void)json_array_append_new(objects, json_pack("{s:s, s:s, s:s}", "class", "domain", "uuid", uuid, "name", name));
			if (json_array_size(list) == MAY_AT_ONCE) {
				ask_may(guests, list, objects);
				list = json_array();
				objects = json_array();
			}
		}
	}
	facts_settle(&guests->fresh_facts, &guests->facts, oldest_fact(guests));
	if (json_array_size(list) > 0) {
		ask_may(guests, list, objects);
	} else {
		json_decref(list);
		json_decref(objects);
	}
	/* Only now: libvirtd works on calls side by side, and their guests must be known. */
	if (error == NULL) {
		ask_list(guests, LIST_PERSISTENT, on_persistent);
		ask_list(guests, LIST_AUTOSTART, on_autostart);
	}
	done_one(guests, error);
}

static void
make(struct guests *guests)
{
	if (guests->pending > 0)
		return;
	guests->stale = guests->failed = false;
	guests->fresh = json_object();
	guests->pending = 1;		/* until all are under way */
	ask_list(guests, LIST_ALL, on_listed);
	done_one(guests, NULL);
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

/* Those of the list that is in the making, too: what is told for it may have been so before the event. */
static void
touch(struct guests *guests, const uint8_t uuid[VG_UUID_LEN])
{
	facts_touch(&guests->facts, uuid);
	facts_touch(&guests->fresh_facts, uuid);
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
		touch(session->guests, object.uuid);
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

	if (guests == NULL || (guests->reload = evtimer_new(session->web->base, on_reload, guests)) == NULL) {
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
	json_decref(guests->fresh);
	facts_free(&guests->facts);
	facts_free(&guests->fresh_facts);
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
	struct waiter *waiter = add_waiter(request);

	if (waiter == NULL)
		return;
	LIST_INSERT_HEAD(&guests->streams, waiter, entry);
	reply_events(request);
	/* The browser asks for the list itself; from here on it hears of what is different from then. */
	if (guests->told == NULL || guests->stale)
		make(guests);
}
