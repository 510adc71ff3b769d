/*
 * making.c: a list is made of: the domains (and which of them are persistent, which start by themselves), what he may do to each, and of those that he
 * may read their state and size. Each step is one or many calls that run at once; `pending` counts them.
 */
#include "web/making.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rfb.h"
#include "web/act.h"
#include "web/facts.h"
#include "web/web.h"

#define MAX_GUESTS	10000u
#define MAY_AT_ONCE	500u	/* objects in one question */

/* virConnectListAllDomainsFlags, libvirt-domain.h */
enum { LIST_ALL = 0, LIST_PERSISTENT = 1 << 2, LIST_AUTOSTART = 1 << 10 };

/* virDomainState, libvirt-domain.h */
static const char *const state_names[] = { "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended" };

static const struct rpc_error out_of_memory = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "out of memory" };

struct making {
	struct rpc_client *rpc;
	made_cb *made;
	void *arg;
	json_t *guests;			/* UUID -> guest, of the list in the making */
	unsigned pending;		/* calls of it */
	bool failed;
	struct rpc_error error;
	time_t oldest;			/* facts of that second are good enough */
	struct facts facts, fresh_facts;	/* of the last list, and of the one in the making */
};

static void
fail(struct making *making, const struct rpc_error *error)
{
	if (!making->failed)
		making->error = *error;
	making->failed = true;
}

static void
done_one(struct making *making, const struct rpc_error *error)
{
	json_t *guests;

	if (error != NULL)
		fail(making, error);
	if (--making->pending > 0)
		return;
	guests = making->guests;
	making->guests = NULL;
	if (!making->failed) {
		facts_free(&making->facts);
		making->facts = making->fresh_facts;
		making->fresh_facts = (struct facts){ 0 };
	} else {
		facts_free(&making->fresh_facts);
	}
	making->made(making->failed ? NULL : guests, &making->error, making->arg);
	json_decref(guests);
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
	struct making *making;
	json_t *about;
};

/* Takes `about`. NULL: out of memory. */
static struct asked *
asked_create(struct making *making, json_t *about)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (asked == NULL)
		json_decref(about);
	else
		*asked = (struct asked){ making, about };
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
fact_of(const struct making *making, const json_t *guest)
{
	uint8_t uuid[VG_UUID_LEN];

	return act_parse_uuid(json_string_value(json_object_get(guest, "uuid")), uuid) ? facts_find(&making->fresh_facts, uuid) : NULL;
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
	struct making *making = asked->making;
	struct fact *fact = fact_of(making, asked->about);
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
	done_one(making, NULL);
}

static void
find_info(struct making *making, json_t *guest)
{
	const struct fact *fact = fact_of(making, guest);
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
	asked = asked_create(making, json_incref(guest));
	if (asked == NULL || out.failed || rpc_client_call(making->rpc, rpc_proc_by_name("domain_get_info"), body, out.len, on_info, asked) == NULL)
		asked_free(asked);
	else
		making->pending++;
}

static void
on_may(const json_t *json, const struct rpc_error *error, void *arg)
{
	struct asked *asked = arg;
	struct making *making = asked->making;
	const json_t *answers = json_object_get(json, "may");
	json_t *guest;
	size_t i;

	json_array_foreach(asked->about, i, guest) {
		const json_t *may = json_array_get(answers, i);

		(void)json_object_set_new(guest, "may", act_may(may));
		if (!making->failed && error == NULL && json_is_true(json_object_get(may, "domain:read")))
			find_info(making, guest);
	}
	asked_free(asked);
	done_one(making, error);
}

/* Takes `list`, of guests, and `objects`, the same as the gate wants them. */
static void
ask_may(struct making *making, json_t *list, json_t *objects)
{
	struct asked *asked = asked_create(making, list);
	json_t *request = json_pack("{s:s, s:o, s:o}", "verb", "may", "objects", objects, "permissions", act_permissions());

	if (asked == NULL || request == NULL) {
		json_decref(request);
		asked_free(asked);
	} else if (rpc_client_ask(making->rpc, request, on_may, asked) == NULL) {
		asked_free(asked);
	} else {
		making->pending++;
	}
}

/* Those of one kind: the member of that name becomes true. */
static void
mark(struct making *making, const char *member, const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error)
{
	struct xdr_items items;
	struct xdr_span item;
	struct xdr_object object;
	char name[256], uuid[37];

	if (error == NULL && xdr_items(proc->ret, body, len, "domains", &items))
		while (xdr_items_next(&items, &item))
			if (take_domain(item, &object, name, uuid))
				(void)json_object_set_new(json_object_get(making->guests, uuid), member, json_true());
	done_one(making, error);
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
ask_list(struct making *making, uint32_t flags, rpc_reply_cb *reply)
{
	const struct rpc_error lost = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC, .message = "the session has ended" };
	uint8_t body[8];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, flags);
	making->pending++;
	if (rpc_client_call(making->rpc, rpc_proc_by_name("connect_list_all_domains"), body, out.len, reply, making) == NULL)
		done_one(making, &lost);
}

static void
on_listed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct making *making = arg;
	json_t *list = json_array(), *objects = json_array();
	struct xdr_items items;
	struct xdr_span item;
	struct xdr_object object;
	char name[256], uuid[37];

	if (error == NULL && xdr_items(proc->ret, body, len, "domains", &items)) {
		while (xdr_items_next(&items, &item) && json_object_size(making->guests) < MAX_GUESTS) {
			json_t *guest;

			if (!take_domain(item, &object, name, uuid))
				continue;
			if (facts_add(&making->fresh_facts, object.uuid, object.id) < 0)
				fail(making, &out_of_memory);
			guest = json_pack("{s:s, s:o, s:o, s:n, s:n, s:n, s:b, s:b}", "uuid", uuid, "name", audit_text(name, strlen(name)), "id",
			    object.id < 0 ? json_null() : json_integer(object.id), "state", "vcpus", "memory_kib", "persistent", 0, "autostart", 0);
			(void)json_object_set_new(making->guests, uuid, guest);
			(void)json_array_append(list, guest);
			(void)json_array_append_new(objects, json_pack("{s:s, s:s, s:s}", "class", "domain", "uuid", uuid, "name", name));
			if (json_array_size(list) == MAY_AT_ONCE) {
				ask_may(making, list, objects);
				list = json_array();
				objects = json_array();
			}
		}
	}
	facts_settle(&making->fresh_facts, &making->facts, making->oldest);
	if (json_array_size(list) > 0) {
		ask_may(making, list, objects);
	} else {
		json_decref(list);
		json_decref(objects);
	}
	/* Only now: libvirtd works on calls side by side, and their guests must be known. */
	if (error == NULL) {
		ask_list(making, LIST_PERSISTENT, on_persistent);
		ask_list(making, LIST_AUTOSTART, on_autostart);
	}
	done_one(making, error);
}

struct making *
making_create(struct rpc_client *rpc, made_cb *made, void *arg)
{
	struct making *making = calloc(1, sizeof(*making));

	if (making != NULL)
		*making = (struct making){ .rpc = rpc, .made = made, .arg = arg };
	return making;
}

void
making_destroy(struct making *making)
{
	if (making == NULL)
		return;
	json_decref(making->guests);
	facts_free(&making->facts);
	facts_free(&making->fresh_facts);
	free(making);
}

void
making_begin(struct making *making, time_t oldest)
{
	making->failed = false;
	making->oldest = oldest;
	making->guests = json_object();
	if (making->guests == NULL)
		fail(making, &out_of_memory);
	making->pending = 1;		/* until all are under way */
	ask_list(making, LIST_ALL, on_listed);
	done_one(making, NULL);
}

bool
making_runs(const struct making *making)
{
	return making->pending > 0;
}

void
making_touch(struct making *making, const uint8_t uuid[VG_UUID_LEN])
{
	facts_touch(&making->facts, uuid);
	facts_touch(&making->fresh_facts, uuid);
}
