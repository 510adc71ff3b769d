#include "gateway/gate/inventory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/console.h"
#include "gateway/gate/known.h"
#include "gateway/gate/outside.h"
#include "gateway/gate/roll.h"
#include "gateway/gate/upstream.h"

/* virDomainEventID and virDomainEventType, libvirt include/libvirt/libvirt-domain.h */
enum { EVENT_ID_LIFECYCLE = 0 };
enum { EVENT_UNDEFINED = 1, EVENT_STOPPED = 5, EVENT_CRASHED = 8 };

#define NUM_BUCKETS 4096u	/* for 10,000 domains two or three in each */
#define RETRY_SECONDS 1

struct lookup {
	struct lookup *next;
	struct inventory *inventory;
	uint64_t ticket, asked;
	uint32_t serial;
	enum vg_class class;
	bool by_uuid;
	uint8_t uuid[VG_UUID_LEN];
	inventory_found_cb *found;
	inventory_text_cb *text;
	void *arg;
};

struct inventory {
	struct gate *gate;
	char *uri;
	struct upstream *upstream;
	struct event retry;
	bool ready;
	char trouble[256];
	struct inventory_domain *by_uuid[NUM_BUCKETS], *by_name[NUM_BUCKETS];
	size_t num_domains;
	uint64_t clock, listed;			/* events so far, and when the list was asked for */
	uint64_t features_asked, features_there;	/* bit N: VIR_DRV_FEATURE N */
	struct known known;			/* networks and pools */
	struct lookup *lookups;
	uint64_t last_ticket;
	struct usage *usage;
	struct roll *roll;
};

/* How each class is looked up; what is not here cannot be. */
static const struct {
	enum vg_class class;
	const char *by_uuid, *by_name;
} lookup_procs[] = {
	{ VG_CLASS_domain, "domain_lookup_by_uuid", "domain_lookup_by_name" },
	{ VG_CLASS_network, "network_lookup_by_uuid", "network_lookup_by_name" },
	{ VG_CLASS_storage_pool, "storage_pool_lookup_by_uuid", "storage_pool_lookup_by_name" },
	{ VG_CLASS_secret, "secret_lookup_by_uuid", NULL },
	{ VG_CLASS_nwfilter, "nwfilter_lookup_by_uuid", "nwfilter_lookup_by_name" },
};

static void dial(struct inventory *inventory);

/* FNV-1a, 32 bits. Names come from libvirtd, not from clients. */
static uint32_t
hash(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h % NUM_BUCKETS;
}

const struct inventory_domain *
inventory_by_uuid(const struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN])
{
	const struct inventory_domain *domain = inventory->by_uuid[hash(uuid, VG_UUID_LEN)];

	while (domain != NULL && memcmp(domain->uuid, uuid, VG_UUID_LEN) != 0)
		domain = domain->next_uuid;
	return domain;
}

const struct inventory_domain *
inventory_by_name(const struct inventory *inventory, const char *name)
{
	const struct inventory_domain *domain = inventory->by_name[hash(name, strlen(name))];

	while (domain != NULL && strcmp(domain->name, name) != 0)
		domain = domain->next_name;
	return domain;
}

void
inventory_each(const struct inventory *inventory, void (*each)(const struct inventory_domain *domain, void *arg), void *arg)
{
	for (size_t i = 0; i < NUM_BUCKETS; i++)
		for (const struct inventory_domain *domain = inventory->by_uuid[i]; domain != NULL; domain = domain->next_uuid)
			each(domain, arg);
}

const struct inventory_domain *
inventory_by_id(const struct inventory *inventory, int32_t id)
{
	if (id < 0)
		return NULL;
	for (size_t i = 0; i < NUM_BUCKETS; i++)
		for (const struct inventory_domain *domain = inventory->by_uuid[i]; domain != NULL; domain = domain->next_uuid)
			if (domain->id == id)
				return domain;
	return NULL;
}

size_t
inventory_num_domains(const struct inventory *inventory)
{
	return inventory->num_domains;
}

void
inventory_forget(struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN])
{
	struct inventory_domain **link = &inventory->by_uuid[hash(uuid, VG_UUID_LEN)], *domain, **name_link;

	while (*link != NULL && memcmp((*link)->uuid, uuid, VG_UUID_LEN) != 0)
		link = &(*link)->next_uuid;
	domain = *link;
	if (domain == NULL)
		return;
	*link = domain->next_uuid;
	name_link = &inventory->by_name[hash(domain->name, strlen(domain->name))];
	while (*name_link != domain)
		name_link = &(*name_link)->next_name;
	*name_link = domain->next_name;
	inventory->num_domains--;
	free(domain->name);
	free(domain);
}

/* libvirt counts ids from 1 and gives none out twice. */
static void
set_id(struct inventory_domain *domain, int32_t id)
{
	if (domain->id == id)
		return;
	if (domain->id > 0) {
		memmove(domain->former_ids + 1, domain->former_ids, sizeof(domain->former_ids) - sizeof(domain->former_ids[0]));
		domain->former_ids[0] = domain->id;
	}
	domain->id = id;
}

bool
inventory_has_id(const struct inventory_domain *domain, int32_t id)
{
	if (id == -1 || id == domain->id)
		return true;
	for (size_t i = 0; i < sizeof(domain->former_ids) / sizeof(domain->former_ids[0]); i++)
		if (id != 0 && domain->former_ids[i] == id)
			return true;
	return false;
}

uint64_t
inventory_clock(const struct inventory *inventory)
{
	return inventory->clock;
}

static bool
told_since(const struct inventory *inventory, const uint8_t *uuid, uint64_t asked)
{
	const struct inventory_domain *domain = inventory_by_uuid(inventory, uuid);

	return domain != NULL && domain->told > asked;
}

static void
learn(struct inventory *inventory, const struct xdr_object *object, uint64_t told)
{
	const struct inventory_domain *known, *namesake;
	struct inventory_domain *domain;
	size_t bucket;

	if (object->class != VG_CLASS_domain || object->uuid == NULL)
		return;
	known = inventory_by_uuid(inventory, object->uuid);
	if (known != NULL && strlen(known->name) == object->name.len && memcmp(known->name, object->name.data, object->name.len) == 0) {
		domain = (struct inventory_domain *)(uintptr_t)known;
		set_id(domain, object->id);
		if (told > domain->told)
			domain->told = told;
		return;
	}
	inventory_forget(inventory, object->uuid);
	domain = calloc(1, sizeof(*domain));
	if (domain == NULL || (domain->name = strndup((const char *)object->name.data, object->name.len)) == NULL) {
		free(domain);	/* unknown means looked up again: nothing is lost */
		return;
	}
	/* libvirt keeps names unique: whoever had this one is gone, and the event on its way. */
	namesake = inventory_by_name(inventory, domain->name);
	if (namesake != NULL)
		inventory_forget(inventory, namesake->uuid);
	memcpy(domain->uuid, object->uuid, VG_UUID_LEN);
	domain->count.changed = usage_change(inventory->usage);
	domain->id = object->id;
	domain->told = told;
	bucket = hash(domain->uuid, VG_UUID_LEN);
	domain->next_uuid = inventory->by_uuid[bucket];
	inventory->by_uuid[bucket] = domain;
	bucket = hash(domain->name, strlen(domain->name));
	domain->next_name = inventory->by_name[bucket];
	inventory->by_name[bucket] = domain;
	inventory->num_domains++;
}

void
inventory_learn(struct inventory *inventory, const struct xdr_object *object)
{
	learn(inventory, object, inventory->clock);
}

void
inventory_learn_reply(struct inventory *inventory, const struct xdr_object *object, uint64_t asked)
{
	if (object->uuid != NULL && !told_since(inventory, object->uuid, asked))
		learn(inventory, object, 0);
}

static void
forget_all(struct inventory *inventory)
{
	for (size_t i = 0; i < NUM_BUCKETS; i++)
		while (inventory->by_uuid[i] != NULL)
			inventory_forget(inventory, inventory->by_uuid[i]->uuid);
	known_forget_all(&inventory->known);
	usage_lost(inventory->usage);
	inventory->features_asked = inventory->features_there = 0;
}

const uint8_t *
inventory_uuid_of(const struct inventory *inventory, enum vg_class class, const char *name)
{
	const struct inventory_domain *domain;

	if (class != VG_CLASS_domain)
		return known_uuid(&inventory->known, class, name);
	domain = inventory_by_name(inventory, name);
	return domain == NULL ? NULL : domain->uuid;
}

bool
inventory_each_pool(const struct inventory *inventory, void (*each)(const char *name, const uint8_t uuid[VG_UUID_LEN], void *arg), void *arg)
{
	return known_each(&inventory->known, VG_CLASS_storage_pool, each, arg);
}

struct usage *
inventory_usage(const struct inventory *inventory)
{
	return inventory->usage;
}

struct roll *
inventory_roll(const struct inventory *inventory)
{
	return inventory->roll;
}

struct usage_count *
inventory_count(struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN])
{
	struct inventory_domain *domain = (struct inventory_domain *)(uintptr_t)inventory_by_uuid(inventory, uuid);

	return domain == NULL ? NULL : &domain->count;
}

const char *
inventory_uri(const struct inventory *inventory)
{
	return inventory->uri;
}

bool
inventory_feature(const struct inventory *inventory, uint32_t feature, int32_t *supported)
{
	if (!inventory->ready || feature >= 64 || (inventory->features_asked >> feature & 1) == 0)
		return false;
	*supported = (int32_t)(inventory->features_there >> feature & 1);
	return true;
}

void
inventory_learn_feature(struct inventory *inventory, uint32_t feature, int32_t supported)
{
	if (!inventory->ready || feature >= 64 || (supported != 0 && supported != 1))
		return;
	inventory->features_asked |= UINT64_C(1) << feature;
	if (supported == 1)
		inventory->features_there |= UINT64_C(1) << feature;
}

bool
inventory_ready(const struct inventory *inventory)
{
	return inventory->ready;
}

const char *
inventory_trouble(const struct inventory *inventory)
{
	return inventory->trouble;
}

/* Sessions that wait for us, or must not wait any longer. */
static void
wake_sessions(struct inventory *inventory)
{
	struct session *session, *next;

	for (session = TAILQ_FIRST(&inventory->gate->sessions); session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		if (session->inventory == inventory && session->state == SESSION_INVENTORY)
			session_dial(session);
		else if (session->state == SESSION_CONSOLE)
			console_inventory_changed(session);
	}
}

/* ---- look-ups ---- */

static void
unlink_lookup(struct lookup *lookup)
{
	struct lookup **link = &lookup->inventory->lookups;

	while (*link != lookup)
		link = &(*link)->next;
	*link = lookup->next;
}

static void
on_lookup(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct lookup *lookup = arg;
	struct inventory *inventory = lookup->inventory;
	struct xdr_object object;
	struct xdr_span span;
	bool found = error == NULL && xdr_find(proc->ret, body, len, proc->returns.path, &span) &&
	    xdr_get_object(lookup->class, span, &object);

	unlink_lookup(lookup);
	if (found)
		inventory_learn_reply(inventory, &object, lookup->asked);
	else if (error != NULL && error->code == RPC_ERR_NO_DOMAIN && lookup->class == VG_CLASS_domain && lookup->by_uuid &&
	    !told_since(inventory, lookup->uuid, lookup->asked))
		inventory_forget(inventory, lookup->uuid);
	if (lookup->found != NULL)
		lookup->found(found ? &object : NULL, lookup->arg);
	free(lookup);
}

/* Sends it, and keeps `lookup` until the answer. 0: it could not be sent, and is freed. */
static uint64_t
ask(struct lookup *lookup, const struct rpc_proc *proc, const void *body, size_t len, upstream_reply_cb *reply)
{
	struct inventory *inventory = lookup->inventory;

	lookup->serial = upstream_call(inventory->upstream, proc, body, len, reply, lookup);
	if (lookup->serial == 0) {
		free(lookup);
		return 0;
	}
	lookup->ticket = ++inventory->last_ticket;
	lookup->next = inventory->lookups;
	inventory->lookups = lookup;
	return lookup->ticket;
}

static uint64_t
look_up(struct inventory *inventory, enum vg_class class, const char *proc_name, const uint8_t *uuid, const char *name,
    inventory_found_cb *found, void *arg)
{
	const struct rpc_proc *proc = proc_name == NULL ? NULL : rpc_proc_by_name(proc_name);
	struct lookup *lookup;
	uint8_t body[PATH_MAX + 8];
	struct xdr_out out;

	if (proc == NULL || !inventory->ready || (lookup = calloc(1, sizeof(*lookup))) == NULL)
		return 0;
	xdr_out_init(&out, body, sizeof(body));
	if (uuid != NULL)
		xdr_put_raw(&out, uuid, VG_UUID_LEN);
	else
		xdr_put_string(&out, name);
	lookup->inventory = inventory;
	lookup->class = class;
	lookup->found = found;
	lookup->arg = arg;
	lookup->asked = inventory->clock;
	if (uuid != NULL) {
		lookup->by_uuid = true;
		memcpy(lookup->uuid, uuid, VG_UUID_LEN);
	}
	if (out.failed) {
		free(lookup);
		return 0;
	}
	return ask(lookup, proc, body, out.len, on_lookup);
}

uint64_t
inventory_lookup_uuid(struct inventory *inventory, enum vg_class class, const uint8_t uuid[VG_UUID_LEN], inventory_found_cb *found, void *arg)
{
	for (size_t i = 0; i < sizeof(lookup_procs) / sizeof(lookup_procs[0]); i++)
		if (lookup_procs[i].class == class)
			return look_up(inventory, class, lookup_procs[i].by_uuid, uuid, NULL, found, arg);
	return 0;
}

uint64_t
inventory_lookup_name(struct inventory *inventory, enum vg_class class, const char *name, inventory_found_cb *found, void *arg)
{
	for (size_t i = 0; i < sizeof(lookup_procs) / sizeof(lookup_procs[0]); i++)
		if (lookup_procs[i].class == class)
			return look_up(inventory, class, lookup_procs[i].by_name, NULL, name, found, arg);
	return 0;
}

uint64_t
inventory_lookup_path(struct inventory *inventory, const char *path, inventory_found_cb *found, void *arg)
{
	return look_up(inventory, VG_CLASS_storage_vol, "storage_vol_lookup_by_path", NULL, path, found, arg);
}

static void
on_text(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct lookup *lookup = arg;
	struct xdr_span span, string;
	const char *text = NULL;
	size_t text_len = 0;

	if (error == NULL && xdr_find(proc->ret, body, len, "xml", &span) && xdr_span_string(span, &string)) {
		text = (const char *)string.data;
		text_len = string.len;
	} else if (error == NULL && xdr_find(proc->ret, body, len, "autostart", &span)) {
		text = xdr_span_i32(span) != 0 ? "yes" : "no";
		text_len = strlen(text);
	}
	unlink_lookup(lookup);
	if (lookup->text != NULL)
		lookup->text(text, text_len, lookup->arg);
	free(lookup);
}

uint64_t
inventory_ask(struct inventory *inventory, const struct rpc_proc *proc, const void *body, size_t len, inventory_text_cb *found, void *arg)
{
	struct lookup *lookup = proc == NULL || !inventory->ready ? NULL : calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return 0;
	lookup->inventory = inventory;
	lookup->text = found;
	lookup->arg = arg;
	return ask(lookup, proc, body, len, on_text);
}

bool
inventory_call(struct inventory *inventory, const struct rpc_proc *proc, const void *body, size_t len, inventory_reply_cb *reply, void *arg)
{
	return inventory->ready && upstream_call(inventory->upstream, proc, body, len, reply, arg) != 0;
}

void
inventory_cancel(struct inventory *inventory, uint64_t ticket)
{
	struct lookup *lookup;

	for (lookup = inventory->lookups; lookup != NULL; lookup = lookup->next)
		if (lookup->ticket == ticket) {
			lookup->found = NULL;
			lookup->text = NULL;
		}
}

/* ---- staying fresh ---- */

void
inventory_catch_up(struct inventory *inventory)
{
	if (inventory->ready)
		upstream_catch_up(inventory->upstream);
}

/* Whatever libvirtd tells of a domain may have changed how much it has. */
static void
count_anew(struct inventory *inventory, const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	struct xdr_object object;
	struct xdr_span span;

	if (proc->about.from == RPC_FROM_ARG && proc->about.class == VG_CLASS_domain && xdr_find(proc->args, body, len, proc->about.path, &span) &&
	    xdr_get_object(VG_CLASS_domain, span, &object) && object.uuid != NULL)
		usage_domain_changed(inventory->usage, object.uuid);
}

static void
on_asked_again(const struct xdr_object *object, void *arg)
{
	struct inventory *inventory = arg;

	(void)object;
	usage_sure(inventory->usage);
}

static void
on_event(const struct rpc_proc *proc, const uint8_t *body, size_t len, void *arg)
{
	struct inventory *inventory = arg;
	struct xdr_span span;
	struct xdr_object object;
	int32_t what;

	outside_event(inventory->gate->outside, inventory, proc, body, len);
	known_event(&inventory->known, proc, body, len);
	count_anew(inventory, proc, body, len);
	if (strcmp(proc->name, "domain_event_callback_lifecycle") != 0 || !xdr_find(proc->args, body, len, "msg.dom", &span) ||
	    !xdr_get_object(VG_CLASS_domain, span, &object) || !xdr_find(proc->args, body, len, "msg.event", &span))
		return;
	what = xdr_span_i32(span);
	inventory->clock++;
	if (what == EVENT_UNDEFINED) {
		/* It may go on running without a definition, or come back at once under another name: ask. */
		inventory_forget(inventory, object.uuid);
		if (inventory_lookup_uuid(inventory, VG_CLASS_domain, object.uuid, on_asked_again, inventory) != 0)
			usage_doubt(inventory->usage);
		return;
	}
	inventory_learn(inventory, &object);
	if (what == EVENT_STOPPED || what == EVENT_CRASHED)	/* a transient domain ends with its run */
		(void)inventory_lookup_uuid(inventory, VG_CLASS_domain, object.uuid, NULL, NULL);
}

static void
on_listed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct inventory *inventory = arg;
	struct xdr_items items;
	struct xdr_span item;
	struct xdr_object object;

	if (error != NULL || !xdr_items(proc->ret, body, len, "domains", &items)) {
		log_warn("%s: cannot list the domains: %s", inventory->uri, error != NULL ? error->message : "broken reply");
		return;		/* the connection is on its way down, or the next retry finds it */
	}
	while (xdr_items_next(&items, &item))
		if (xdr_get_object(VG_CLASS_domain, item, &object))
			inventory_learn_reply(inventory, &object, inventory->listed);
	inventory->ready = true;
	inventory->trouble[0] = '\0';
	log_info("%s: inventory ready, %zu domains", inventory->uri, inventory->num_domains);
	roll_back(inventory->roll);
	wake_sessions(inventory);
}

static void
on_registered(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	(void)proc;
	(void)body;
	(void)len;
	if (error != NULL)
		log_warn("%s: no domain events: %s", inventory_uri(arg), error->message);
}

static void
on_ready(void *arg)
{
	struct inventory *inventory = arg;
	uint8_t body[16];
	struct xdr_out out;

	/* Events first, then the list: what changes in between is seen twice rather than not at all. */
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_i32(&out, EVENT_ID_LIFECYCLE);
	xdr_put_u32(&out, 0);		/* any domain */
	(void)upstream_call(inventory->upstream, rpc_proc_by_name("connect_domain_event_callback_register_any"), body, out.len,
	    on_registered, inventory);
	known_start(&inventory->known, inventory->upstream);
	outside_subscribe(inventory->upstream);
	xdr_out_init(&out, body, sizeof(body));
	inventory->listed = inventory->clock;
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, 0);
	(void)upstream_call(inventory->upstream, rpc_proc_by_name("connect_list_all_domains"), body, out.len, on_listed, inventory);
}

static void
on_closed(const char *why, void *arg)
{
	struct inventory *inventory = arg;
	const struct timeval delay = { .tv_sec = RETRY_SECONDS };

	if (inventory->ready || inventory->trouble[0] == '\0')
		log_warn("%s: %s; trying again every %d s", inventory->uri, why, RETRY_SECONDS);
	(void)snprintf(inventory->trouble, sizeof(inventory->trouble), "%s", why);
	if (inventory->ready)
		roll_lost(inventory->roll);
	inventory->ready = false;
	if (inventory->upstream != NULL)
		upstream_destroy(inventory->upstream);
	inventory->upstream = NULL;
	forget_all(inventory);
	event_add(&inventory->retry, &delay);
}

static void
dial(struct inventory *inventory)
{
	const struct upstream_handlers handlers = { .ready = on_ready, .event = on_event, .closed = on_closed, .arg = inventory };
	const char *path = inventory->gate->settings->backend_socket;
	char why[256];

	inventory->upstream = upstream_create(inventory->gate, path, inventory->uri, &handlers);
	if (inventory->upstream != NULL)
		return;
	(void)snprintf(why, sizeof(why), "cannot connect to libvirtd at '%s': %s", path, strerror(errno));
	on_closed(why, inventory);
	wake_sessions(inventory);
}

static void
on_retry(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	dial(arg);
}

struct inventory *
inventory_create(struct gate *gate, const char *uri)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));

	if (inventory == NULL)
		return NULL;
	inventory->gate = gate;
	if ((inventory->uri = strdup(uri)) == NULL || (inventory->usage = usage_create(gate, inventory)) == NULL ||
	    (inventory->roll = roll_create(gate, inventory)) == NULL) {
		if (inventory->usage != NULL)
			usage_destroy(inventory->usage);
		free(inventory->uri);
		free(inventory);
		return NULL;
	}
	inventory->known.uri = inventory->uri;
	evtimer_assign(&inventory->retry, gate->base, on_retry, inventory);
	dial(inventory);
	return inventory;
}

void
inventory_destroy(struct inventory *inventory)
{
	struct lookup *lookup;

	if (inventory == NULL)
		return;
	event_del(&inventory->retry);
	upstream_destroy(inventory->upstream);
	while ((lookup = inventory->lookups) != NULL) {
		inventory->lookups = lookup->next;
		free(lookup);
	}
	forget_all(inventory);
	usage_destroy(inventory->usage);
	roll_destroy(inventory->roll);
	free(inventory->uri);
	free(inventory);
}
