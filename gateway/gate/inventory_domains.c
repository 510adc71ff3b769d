/*
 * inventory_domains.c: the table of domains, by UUID and by name, and what makes them other ones.
 */
#include "gateway/gate/inventory_private.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 32 bits. Names come from libvirtd, not from clients. */
static uint32_t
hash(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h % INVENTORY_BUCKETS;
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
	for (size_t i = 0; i < INVENTORY_BUCKETS; i++)
		for (const struct inventory_domain *domain = inventory->by_uuid[i]; domain != NULL; domain = domain->next_uuid)
			each(domain, arg);
}

const struct inventory_domain *
inventory_by_id(const struct inventory *inventory, int32_t id)
{
	if (id < 0)
		return NULL;
	for (size_t i = 0; i < INVENTORY_BUCKETS; i++)
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

bool
inventory_told_since(const struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN], uint64_t asked)
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
	if (object->uuid != NULL && !inventory_told_since(inventory, object->uuid, asked))
		learn(inventory, object, 0);
}

void
inventory_forget_domains(struct inventory *inventory)
{
	for (size_t i = 0; i < INVENTORY_BUCKETS; i++)
		while (inventory->by_uuid[i] != NULL)
			inventory_forget(inventory, inventory->by_uuid[i]->uuid);
}

struct usage_count *
inventory_count(struct inventory *inventory, const uint8_t uuid[VG_UUID_LEN])
{
	struct inventory_domain *domain = (struct inventory_domain *)(uintptr_t)inventory_by_uuid(inventory, uuid);

	return domain == NULL ? NULL : &domain->count;
}
