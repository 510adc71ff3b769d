#include "gateway/gate/usage.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/admission/admission.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/resolve.h"

#define MAX_AWAITED	64u	/* questions at a time: others' look-ups go by the same connection */
#define MAX_AGE		60	/* seconds that a count is believed without an event */
#define MAX_OBJECT	1200u	/* an encoded object: two names and a UUID */

/* VIR_DOMAIN_XML_INACTIVE, libvirt-domain.h */
#define DOMAIN_XML_INACTIVE 2u

struct waiter {
	struct waiter *next;
	struct call *call;
};

struct pool {
	struct pool *next;
	char *name;
	uint8_t uuid[VG_UUID_LEN];
	struct usage_count count;	/* of its volumes; its amounts are not used */
	struct usage_volume *volumes;
	size_t num;
};

struct usage {
	struct gate *gate;
	struct inventory *inventory;
	uint64_t changes;
	unsigned num_awaited;		/* answers, those that end a doubt too */
	unsigned num_doubts;
	struct waiter *waiters;
	struct pool *pools;
	LIST_HEAD(, asking) askings;
};

/* Documents of one domain, or volumes of one pool, that are being asked for. */
struct asking {
	LIST_ENTRY(asking) entry;
	struct usage *usage;
	uint64_t changes;		/* when it began: what changed since is not told */
	uint8_t uuid[VG_UUID_LEN];
	unsigned left;			/* documents that are awaited */
	bool failed, unreadable;
	struct vg_amounts amounts;
	struct usage_volume *volumes;
	size_t num, at;
};

/* ---- waiting ---- */

int
usage_wait(struct usage *usage, struct call *call)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (waiter == NULL)
		return -1;
	waiter->call = call;
	waiter->next = usage->waiters;
	usage->waiters = waiter;
	return 0;
}

void
usage_forget_call(struct usage *usage, const struct call *call)
{
	for (struct waiter **link = &usage->waiters; *link != NULL;) {
		struct waiter *waiter = *link;

		if (waiter->call != call) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		free(waiter);
	}
}

/* One answer less is awaited; those who wait go on when it was the last. Each may ask again, and wait again. */
static void
answered(struct usage *usage)
{
	unsigned num = 0;

	if (--usage->num_awaited > 0)
		return;
	for (const struct waiter *waiter = usage->waiters; waiter != NULL; waiter = waiter->next)
		num++;
	for (; num > 0 && usage->waiters != NULL; num--) {
		/* The last of the list waits longest; who waits again stands at its head. */
		struct waiter **link = &usage->waiters, *waiter;
		struct call *call;

		while ((*link)->next != NULL)
			link = &(*link)->next;
		waiter = *link;
		call = waiter->call;
		*link = NULL;
		free(waiter);
		call_looked_up(call);
	}
}

void
usage_doubt(struct usage *usage)
{
	usage->num_doubts++;
	usage->num_awaited++;
}

void
usage_sure(struct usage *usage)
{
	usage->num_doubts--;
	answered(usage);
}

bool
usage_in_doubt(const struct usage *usage)
{
	return usage->num_doubts > 0;
}

/* ---- what may have changed ---- */

uint64_t
usage_change(struct usage *usage)
{
	return ++usage->changes;
}

static void
forget_count(struct usage *usage, struct usage_count *count)
{
	count->known = false;
	count->changed = usage_change(usage);
}

void
usage_domain_changed(struct usage *usage, const uint8_t uuid[VG_UUID_LEN])
{
	struct usage_count *count = inventory_count(usage->inventory, uuid);

	if (count != NULL)
		forget_count(usage, count);
}

void
usage_volumes_changed(struct usage *usage)
{
	for (struct pool *pool = usage->pools; pool != NULL; pool = pool->next)
		forget_count(usage, &pool->count);
}

static void
free_volumes(struct usage_volume *volumes, size_t num)
{
	for (size_t i = 0; i < num; i++) {
		free(volumes[i].name);
		free((void *)(uintptr_t)volumes[i].object.data);
	}
	free(volumes);
}

void
usage_lost(struct usage *usage)
{
	struct pool *pool;

	while ((pool = usage->pools) != NULL) {
		usage->pools = pool->next;
		free_volumes(pool->volumes, pool->num);
		free(pool->name);
		free(pool);
	}
	(void)usage_change(usage);
}

static bool
is_fresh(const struct usage_count *count)
{
	return count->known && gate_steady() - count->since < MAX_AGE;
}

static struct asking *
begin(struct usage *usage, const uint8_t uuid[VG_UUID_LEN])
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (asking == NULL)
		return NULL;
	asking->usage = usage;
	asking->changes = usage->changes;
	memcpy(asking->uuid, uuid, VG_UUID_LEN);
	LIST_INSERT_HEAD(&usage->askings, asking, entry);
	return asking;
}

static void
end(struct asking *asking)
{
	LIST_REMOVE(asking, entry);
	free_volumes(asking->volumes, asking->num);
	free(asking);
}

/* An answer is there, and nothing has changed since it was asked for. */
static void
settle(struct usage_count *count, const struct asking *asking, time_t now)
{
	count->asked = false;
	if (count->changed > asking->changes)
		return;
	count->known = true;
	count->since = now;
	count->unreadable = asking->unreadable;
	count->amounts = asking->amounts;
}

/* ---- domains ---- */

static void
domain_told(struct asking *asking)
{
	struct usage *usage = asking->usage;
	struct usage_count *count = inventory_count(usage->inventory, asking->uuid);

	if (count != NULL)
		settle(count, asking, gate_steady());
	end(asking);
	answered(usage);
}

/* Its documents were not told: is it there at all? The inventory forgets one that is not. */
static void
on_still_there(const struct xdr_object *object, void *arg)
{
	struct asking *asking = arg;

	asking->unreadable = object != NULL || inventory_count(asking->usage->inventory, asking->uuid) != NULL;
	domain_told(asking);
}

static void
on_document(const char *text, size_t len, void *arg)
{
	struct asking *asking = arg;
	struct vg_amounts amounts;
	struct vg_error error;

	if (text == NULL)
		asking->failed = true;
	else if (admission_amounts(text, len, &amounts, &error) < 0)
		asking->unreadable = true;
	else
		for (size_t i = 0; i < VG_NUM_AMOUNTS; i++)
			if (amounts.of[i] > asking->amounts.of[i])
				asking->amounts.of[i] = amounts.of[i];
	if (--asking->left > 0)
		return;
	if (asking->failed && inventory_lookup_uuid(asking->usage->inventory, VG_CLASS_domain, asking->uuid, on_still_there, asking) != 0)
		return;
	asking->unreadable = asking->unreadable || asking->failed;
	domain_told(asking);
}

static bool
ask_document(struct asking *asking, const struct inventory_domain *domain, uint32_t flags)
{
	uint8_t body[MAX_OBJECT + 4];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	resolve_put_domain(&out, domain->name, domain->uuid, domain->id);
	xdr_put_u32(&out, flags);
	if (out.failed || inventory_ask(asking->usage->inventory, rpc_proc_by_name("domain_get_xml_desc"), body, out.len, on_document, asking) == 0)
		return false;
	asking->left++;
	return true;
}

/* The definition, and of what runs what runs: the larger counts. False: it could not be asked. */
static bool
ask_domain(struct usage *usage, const struct inventory_domain *domain)
{
	struct asking *asking = begin(usage, domain->uuid);

	if (asking == NULL)
		return false;
	if (!ask_document(asking, domain, DOMAIN_XML_INACTIVE)) {
		end(asking);
		return false;
	}
	if (domain->id != -1 && !ask_document(asking, domain, 0))
		asking->failed = true;
	usage->num_awaited++;
	return true;
}

/* Asks, unless enough is asked already: who waits comes again. */
static enum usage_state
state_of(const struct usage_count *count)
{
	if (is_fresh(count))
		return count->unreadable ? USAGE_UNREADABLE : USAGE_KNOWN;
	return USAGE_AWAITED;
}

enum usage_state
usage_of_domain(struct usage *usage, const struct inventory_domain *domain, struct vg_amounts *amounts)
{
	struct usage_count *count = inventory_count(usage->inventory, domain->uuid);
	enum usage_state state = state_of(count);

	*amounts = count->amounts;
	if (state != USAGE_AWAITED || count->asked || usage->num_awaited >= MAX_AWAITED)
		return state;
	count->asked = ask_domain(usage, domain);
	return count->asked ? USAGE_AWAITED : USAGE_UNREADABLE;
}

/* ---- volumes ---- */

static struct pool *
find_pool(struct usage *usage, const uint8_t uuid[VG_UUID_LEN])
{
	struct pool *pool = usage->pools;

	while (pool != NULL && memcmp(pool->uuid, uuid, VG_UUID_LEN) != 0)
		pool = pool->next;
	return pool;
}

/* The volumes take the place of those that were known; those that a pool that does not run had stay. */
static void
pool_told(struct asking *asking)
{
	struct usage *usage = asking->usage;
	struct pool *pool = find_pool(usage, asking->uuid);

	if (pool != NULL && !asking->failed) {
		struct usage_volume *former = pool->volumes;
		size_t num = pool->num;

		pool->volumes = asking->volumes;
		pool->num = asking->num;
		asking->volumes = former;
		asking->num = num;
	}
	if (pool != NULL)
		settle(&pool->count, asking, gate_steady());
	end(asking);
	answered(usage);
}

static void ask_volume(struct asking *asking);

static void
on_volume(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct asking *asking = arg;
	struct usage_volume *volume = &asking->volumes[asking->at++];
	struct xdr_span capacity, allocation;

	if (error == NULL && xdr_find(proc->ret, body, len, "capacity", &capacity) && xdr_find(proc->ret, body, len, "allocation", &allocation)) {
		uint64_t grows = xdr_span_u64(capacity), holds = xdr_span_u64(allocation), bytes = grows > holds ? grows : holds;

		volume->kib = bytes / 1024 + (bytes % 1024 != 0);
	} else if (error == NULL || error->code != RPC_ERR_NO_STORAGE_VOL) {
		asking->unreadable = true;
	}
	ask_volume(asking);
}

/* One after the other. */
static void
ask_volume(struct asking *asking)
{
	const struct xdr_span *object = asking->at < asking->num ? &asking->volumes[asking->at].object : NULL;

	if (object != NULL && inventory_call(asking->usage->inventory, rpc_proc_by_name("storage_vol_get_info"), object->data, object->len, on_volume, asking))
		return;
	asking->failed = asking->failed || object != NULL;
	pool_told(asking);
}

/* A volume of the list; false: no memory, or no volume. */
static bool
take_volume(struct asking *asking, struct xdr_span item)
{
	struct usage_volume *volume = &asking->volumes[asking->num];
	struct xdr_object object;
	uint8_t *copy;

	if (!xdr_get_object(VG_CLASS_storage_vol, item, &object))
		return false;
	copy = malloc(item.len);
	*volume = (struct usage_volume){ .name = strndup(object.name.len == 0 ? "" : (const char *)object.name.data, object.name.len),
		.object = { copy, item.len } };
	asking->num++;
	if (copy == NULL || volume->name == NULL)
		return false;
	memcpy(copy, item.data, item.len);
	return true;
}

static void
on_volumes(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct asking *asking = arg;
	struct xdr_items items;
	struct xdr_span item;
	size_t room = 0;

	if (error == NULL && xdr_items(proc->ret, body, len, "vols", &items)) {
		while (xdr_items_next(&items, &item))
			room++;
		asking->volumes = calloc(room + 1, sizeof(*asking->volumes));
		asking->failed = asking->volumes == NULL || !xdr_items(proc->ret, body, len, "vols", &items);
		while (!asking->failed && xdr_items_next(&items, &item))
			asking->failed = !take_volume(asking, item);
		asking->unreadable = asking->failed;
	} else {
		asking->failed = true;		/* it does not run */
	}
	if (asking->failed)
		pool_told(asking);
	else
		ask_volume(asking);
}

static bool
ask_pool(struct usage *usage, const struct pool *pool)
{
	struct asking *asking = begin(usage, pool->uuid);
	uint8_t body[MAX_OBJECT];
	struct xdr_out out;

	if (asking == NULL)
		return false;
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_string(&out, pool->name);
	xdr_put_raw(&out, pool->uuid, VG_UUID_LEN);
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, 0);
	if (out.failed || !inventory_call(usage->inventory, rpc_proc_by_name("storage_pool_list_all_volumes"), body, out.len, on_volumes, asking)) {
		end(asking);
		return false;
	}
	usage->num_awaited++;
	return true;
}

static struct pool *
add_pool(struct usage *usage, const char *name, const uint8_t uuid[VG_UUID_LEN])
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL || (pool->name = strdup(name)) == NULL) {
		free(pool);
		return NULL;
	}
	memcpy(pool->uuid, uuid, VG_UUID_LEN);
	pool->next = usage->pools;
	usage->pools = pool;
	return pool;
}

enum usage_state
usage_of_pool(struct usage *usage, const char *name, const uint8_t uuid[VG_UUID_LEN], const struct usage_volume **volumes, size_t *num)
{
	struct pool *pool = find_pool(usage, uuid);
	enum usage_state state;

	*volumes = NULL;
	*num = 0;
	if (pool == NULL && (pool = add_pool(usage, name, uuid)) == NULL)
		return USAGE_UNREADABLE;
	state = state_of(&pool->count);
	*volumes = pool->volumes;
	*num = pool->num;
	if (state != USAGE_AWAITED || pool->count.asked || usage->num_awaited >= MAX_AWAITED)
		return state;
	pool->count.asked = ask_pool(usage, pool);
	return pool->count.asked ? USAGE_AWAITED : USAGE_UNREADABLE;
}

struct usage *
usage_create(struct gate *gate, struct inventory *inventory)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	if (usage == NULL)
		return NULL;
	usage->gate = gate;
	usage->inventory = inventory;
	LIST_INIT(&usage->askings);
	return usage;
}

void
usage_destroy(struct usage *usage)
{
	struct waiter *waiter;

	if (usage == NULL)
		return;
	while ((waiter = usage->waiters) != NULL) {
		usage->waiters = waiter->next;
		free(waiter);
	}
	while (!LIST_EMPTY(&usage->askings))
		end(LIST_FIRST(&usage->askings));
	usage_lost(usage);
	free(usage);
}
