/*
 * inventory.c: the inventory's connection to libvirtd: made, listed, kept fresh by events, made again.
 */
#include "gateway/gate/inventory_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/console.h"
#include "gateway/gate/outside.h"
#include "gateway/gate/roll.h"

/* virDomainEventID and virDomainEventType, libvirt include/libvirt/libvirt-domain.h */
enum { EVENT_ID_LIFECYCLE = 0 };
enum { EVENT_UNDEFINED = 1, EVENT_STOPPED = 5, EVENT_CRASHED = 8 };

#define RETRY_SECONDS 1

static void dial(struct inventory *inventory);

static void
forget_all(struct inventory *inventory)
{
	inventory_forget_domains(inventory);
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
	if (inventory == NULL)
		return;
	event_del(&inventory->retry);
	upstream_destroy(inventory->upstream);
	inventory_drop_lookups(inventory);
	forget_all(inventory);
	usage_destroy(inventory->usage);
	roll_destroy(inventory->roll);
	free(inventory->uri);
	free(inventory);
}
