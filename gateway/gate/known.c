#include "gateway/gate/known.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"

struct known_object {
	struct known_object *next;
	enum vg_class class;
	uint8_t uuid[VG_UUID_LEN];
	char *name;
};

/* virNetworkEventLifecycleType and virStoragePoolEventLifecycleType: libvirt-network.h, libvirt-storage.h */
enum { EVENT_UNDEFINED = 1 };

static const struct {
	const char *list, *subscribe, *event;
} kept[] = {
	{ "connect_list_all_networks", "connect_network_event_register_any", "network_event_lifecycle" },
	{ "connect_list_all_storage_pools", "connect_storage_pool_event_register_any", "storage_pool_event_lifecycle" },
};

static bool
has_name(const struct known_object *object, enum vg_class class, const char *name, size_t len)
{
	return object->class == class && strlen(object->name) == len && memcmp(object->name, name, len) == 0;
}

static void
drop(struct known_object **link)
{
	struct known_object *object = *link;

	*link = object->next;
	free(object->name);
	free(object);
}

/* Both are unique in a class: whoever had the name or the UUID before is gone. */
static void
forget(struct known *known, const struct xdr_object *object)
{
	for (struct known_object **link = &known->objects; *link != NULL;) {
		if (has_name(*link, object->class, (const char *)object->name.data, object->name.len) ||
		    ((*link)->class == object->class && memcmp((*link)->uuid, object->uuid, VG_UUID_LEN) == 0))
			drop(link);
		else
			link = &(*link)->next;
	}
}

static void
learn(struct known *known, const struct xdr_object *object)
{
	struct known_object *fresh;

	if (object->uuid == NULL || object->name.data == NULL)
		return;
	forget(known, object);
	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL || (fresh->name = strndup((const char *)object->name.data, object->name.len)) == NULL) {
		free(fresh);
		return;
	}
	fresh->class = object->class;
	memcpy(fresh->uuid, object->uuid, VG_UUID_LEN);
	fresh->next = known->objects;
	known->objects = fresh;
}

void
known_forget_all(struct known *known)
{
	while (known->objects != NULL)
		drop(&known->objects);
	memset(known->deaf, 0, sizeof(known->deaf));
	memset(known->listed, 0, sizeof(known->listed));
}

const uint8_t *
known_uuid(const struct known *known, enum vg_class class, const char *name)
{
	for (const struct known_object *object = known->objects; object != NULL && !known->deaf[class]; object = object->next)
		if (has_name(object, class, name, strlen(name)))
			return object->uuid;
	return NULL;
}

bool
known_each(const struct known *known, enum vg_class class, void (*each)(const char *name, const uint8_t uuid[VG_UUID_LEN], void *arg), void *arg)
{
	for (const struct known_object *object = known->objects; object != NULL; object = object->next)
		if (object->class == class)
			each(object->name, object->uuid, arg);
	return known->listed[class] && !known->deaf[class];
}

void
known_event(struct known *known, const struct rpc_proc *proc, const uint8_t *body, size_t len)
{
	struct xdr_object object;
	struct xdr_span span;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (strcmp(proc->name, kept[i].event) != 0 || !xdr_find(proc->args, body, len, proc->about.path, &span) ||
		    !xdr_get_object(proc->about.class, span, &object) || object.uuid == NULL || object.name.data == NULL ||
		    !xdr_find(proc->args, body, len, "event", &span))
			continue;
		if (xdr_span_i32(span) == EVENT_UNDEFINED)
			forget(known, &object);
		else
			learn(known, &object);
	}
}

static void
on_listed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct known *known = arg;
	struct xdr_object object;
	struct xdr_items items;
	struct xdr_span item;

	if (error != NULL || !xdr_items(proc->ret, body, len, proc->list.items, &items)) {
		log_info("%s: %s: %s", known->uri, proc->name, error != NULL ? error->message : "broken reply");
		return;
	}
	while (xdr_items_next(&items, &item))
		if (xdr_get_object(proc->list.class, item, &object))
			learn(known, &object);
	known->listed[proc->list.class] = true;
}

/* Without events nothing tells when a name passes to another object: then none is known. */
static void
on_subscribed(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct known *known = arg;

	(void)body;
	(void)len;
	if (error == NULL)
		return;
	known->deaf[proc->others[0].class] = true;
	log_info("%s: %s: %s", known->uri, proc->name, error->message);
}

void
known_start(struct known *known, struct upstream *upstream)
{
	/* Events first, then the list, as for domains. */
	static const uint8_t any_lifecycle[8] = { 0 };		/* VIR_…_EVENT_ID_LIFECYCLE, of whichever object */
	static const uint8_t everything[8] = { 0, 0, 0, 1 };	/* need_results, flags */

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		(void)upstream_call(upstream, rpc_proc_by_name(kept[i].subscribe), any_lifecycle, sizeof(any_lifecycle), on_subscribed, known);
		(void)upstream_call(upstream, rpc_proc_by_name(kept[i].list), everything, sizeof(everything), on_listed, known);
	}
}
