/* console_ports.c: a small table, looked through from the place that the guest's UUID gives. */
#include "gateway/gate/console_ports.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/gate/console_record.h"

struct place {
	uint16_t port;
	const struct inventory *inventory;	/* NULL: free */
	uint8_t uuid[VG_UUID_LEN];
	int32_t id;				/* of the run that it was given for */
};

struct console_ports {
	size_t num;
	struct place places[];
};

struct console_ports *
console_ports_create(struct gate *gate)
{
	const struct process *process = gate->process;
	struct console_ports *ports = calloc(1, sizeof(*ports) + process->num_guest_ports * sizeof(ports->places[0]));

	if (ports == NULL)
		return NULL;
	ports->num = process->num_guest_ports;
	for (size_t i = 0; i < ports->num; i++)
		ports->places[i].port = process->guest_ports[i];
	return ports;
}

void
console_ports_destroy(struct console_ports *ports)
{
	free(ports);
}

/* The guest of a place, if it is still in the run that the place was given for; else the place becomes free. */
static const struct inventory_domain *
guest_of(struct place *place)
{
	const struct inventory_domain *domain;

	if (place->inventory == NULL)
		return NULL;
	domain = inventory_by_uuid(place->inventory, place->uuid);
	if (domain != NULL && domain->id == place->id)
		return domain;
	/* While libvirtd is away nobody is known; its guests run on. */
	if (inventory_ready(place->inventory))
		place->inventory = NULL;
	return NULL;
}

static size_t
first_place(const struct console_ports *ports, const uint8_t uuid[VG_UUID_LEN])
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (size_t i = 0; i < VG_UUID_LEN; i++)
		hash = (hash ^ uuid[i]) * 16777619u;
	return hash % ports->num;
}

uint16_t
console_ports_give(struct console_ports *ports, const struct inventory *inventory, const struct inventory_domain *domain)
{
	struct place *free_place = NULL;
	size_t first;

	if (ports->num == 0 || domain->id < 0)
		return 0;
	first = first_place(ports, domain->uuid);
	for (size_t i = 0; i < ports->num; i++) {
		struct place *place = &ports->places[(first + i) % ports->num];

		if (guest_of(place) == domain)
			return place->port;
		if (place->inventory == NULL && free_place == NULL)
			free_place = place;
	}
	if (free_place == NULL)
		return 0;
	free_place->inventory = inventory;
	memcpy(free_place->uuid, domain->uuid, VG_UUID_LEN);
	free_place->id = domain->id;
	return free_place->port;
}

struct giving {
	struct console_ports *ports;
	const struct inventory *inventory;
};

static void
give_one(const struct inventory_domain *domain, void *arg)
{
	struct giving *giving = arg;

	(void)console_ports_give(giving->ports, giving->inventory, domain);
}

static const struct inventory_domain *
find(struct console_ports *ports, const struct inventory *inventory, uint16_t port)
{
	for (size_t i = 0; i < ports->num; i++)
		if (ports->places[i].port == port && ports->places[i].inventory == inventory)
			return guest_of(&ports->places[i]);
	return NULL;
}

const struct inventory_domain *
console_ports_guest(struct console_ports *ports, const struct inventory *inventory, uint16_t port)
{
	const struct inventory_domain *domain = find(ports, inventory, port);
	struct giving giving = { ports, inventory };

	if (domain != NULL)
		return domain;
	/* After a restart of the gate: his viewer knows the port from before. */
	inventory_each(inventory, give_one, &giving);
	return find(ports, inventory, port);
}

/* ---- console.list ---- */

struct listing {
	struct gate *gate;
	const struct inventory *inventory;
	json_t *list;
};

static size_t
num_viewers(const struct gate *gate, const uint8_t uuid[VG_UUID_LEN])
{
	const struct session *session;
	size_t num = 0;

	TAILQ_FOREACH(session, &gate->sessions, entry)
		num += session->console != NULL && session->console->found && memcmp(session->console->uuid, uuid, VG_UUID_LEN) == 0;
	return num;
}

static void
list_one(const struct inventory_domain *domain, void *arg)
{
	struct listing *listing = arg;
	uint16_t port = console_ports_give(listing->gate->console_ports, listing->inventory, domain);
	char uuid[VG_UUID_TEXT_LEN + 1];

	if (domain->id < 0)
		return;
	uuid_text(domain->uuid, uuid);
	(void)json_array_append_new(listing->list, json_pack("{s:o, s:s, s:s, s:I, s:I}", "name",
	    audit_text(domain->name, strlen(domain->name)), "uuid", uuid, "uri", inventory_uri(listing->inventory), "port",
	    (json_int_t)port, "viewers", (json_int_t)num_viewers(listing->gate, domain->uuid)));
}

json_t *
console_ports_list(struct gate *gate, const json_t *request)
{
	struct listing listing = { .gate = gate, .list = json_array() };

	(void)request;
	for (size_t i = 0; i < gate->num_inventories; i++) {
		listing.inventory = gate->inventories[i];
		inventory_each(listing.inventory, list_one, &listing);
	}
	return json_pack("{s:o}", "consoles", listing.list);
}
