/*
 * inventory_ask.c: questions to libvirtd over the inventory's connection: look-ups, documents, any call that only reads.
 */
#include "gateway/gate/inventory_private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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
	    !inventory_told_since(inventory, lookup->uuid, lookup->asked))
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

void
inventory_drop_lookups(struct inventory *inventory)
{
	struct lookup *lookup;

	while ((lookup = inventory->lookups) != NULL) {
		inventory->lookups = lookup->next;
		free(lookup);
	}
}
