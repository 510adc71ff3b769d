#include "gateway/gate/quota.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/argument.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/quota_ask.h"

/* All calls of the process: few at a time. */
static TAILQ_HEAD(, reservation) reservations = TAILQ_HEAD_INITIALIZER(reservations);

static uint64_t
sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void
add_to(struct vg_amounts *amounts, const struct vg_amounts *other)
{
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++)
		amounts->of[i] = sum(amounts->of[i], other->of[i]);
}

/* ---- what counts by one quota ---- */

struct tally {
	struct call *call;
	const struct policy *policy;
	struct usage *usage;
	size_t quota;
	const struct policy_quota *bounds;
	const struct reservation *own;		/* of the call at hand, which is not made yet */
	struct vg_amounts without, with;	/* it */
	bool awaited;
	char unreadable[256];			/* a guest or pool that cannot be counted; empty: none */
};

static bool
is_of(const struct reservation *reservation, const struct vg_object *object)
{
	const struct vg_object *reserved = &reservation->object;

	if (reserved->class != object->class)
		return false;
	if (reserved->class == VG_CLASS_domain && reserved->has_uuid && object->has_uuid)
		return memcmp(reserved->uuid, object->uuid, VG_UUID_LEN) == 0;
	if (reserved->class == VG_CLASS_storage_vol && (reserved->parent == NULL || object->parent == NULL || strcmp(reserved->parent, object->parent) != 0))
		return false;
	return strcmp(reserved->name, object->name) == 0;
}

static void
raise_by(const struct tally *tally, const struct reservation *reservation, const struct vg_object *object, struct vg_amounts *totals,
    struct vg_amounts *adds)
{
	if (reservation->inventory != tally->call->session->inventory || !is_of(reservation, object) ||
	    !policy_quota_covers(tally->policy, tally->quota, &reservation->object))
		return;
	quota_raise(totals, &reservation->totals);
	add_to(adds, &reservation->adds);
}

/* One object: what it has (by this quota: nothing where it does not count), and what is reserved for it. */
static void
tally_object(struct tally *tally, const struct vg_object *object, const struct vg_amounts *has)
{
	struct vg_amounts totals = *has, adds = { { 0 } };
	const struct reservation *reservation;

	TAILQ_FOREACH(reservation, &reservations, entry)
		raise_by(tally, reservation, object, &totals, &adds);
	add_to(&tally->without, &totals);
	add_to(&tally->without, &adds);
	raise_by(tally, tally->own, object, &totals, &adds);
	add_to(&tally->with, &totals);
	add_to(&tally->with, &adds);
}

static bool
counts_documents(const struct policy_quota *bounds)
{
	return bounds->max.of[VG_AMOUNT_VCPUS] != 0 || bounds->max.of[VG_AMOUNT_MEMORY] != 0;
}

static void
note_state(struct tally *tally, enum usage_state state, const char *name)
{
	tally->awaited = tally->awaited || state == USAGE_AWAITED;
	if (state == USAGE_UNREADABLE)
		(void)snprintf(tally->unreadable, sizeof(tally->unreadable), "%s", name);
}

static void
tally_domain(const struct inventory_domain *domain, void *arg)
{
	struct tally *tally = arg;
	struct vg_object object = { .class = VG_CLASS_domain, .has_uuid = true, .name = domain->name };
	struct vg_amounts has = { { 0 } };

	memcpy(object.uuid, domain->uuid, VG_UUID_LEN);
	if (policy_quota_covers(tally->policy, tally->quota, &object)) {
		if (counts_documents(tally->bounds))
			note_state(tally, usage_of_domain(tally->usage, domain, &has), domain->name);
		has.of[VG_AMOUNT_GUESTS] = 1;
	}
	tally_object(tally, &object, &has);
}

static void
tally_pool(const char *name, const uint8_t uuid[VG_UUID_LEN], void *arg)
{
	struct tally *tally = arg;
	struct vg_object object = { .class = VG_CLASS_storage_vol, .parent = name, .has_parent_uuid = true };
	const struct usage_volume *volumes;
	size_t num;

	memcpy(object.parent_uuid, uuid, VG_UUID_LEN);
	if (!policy_quota_covers(tally->policy, tally->quota, &object))
		return;
	note_state(tally, usage_of_pool(tally->usage, name, uuid, &volumes, &num), name);
	for (size_t i = 0; i < num; i++) {
		struct vg_amounts has = { { 0 } };

		object.name = volumes[i].name;
		if (policy_quota_covers(tally->policy, tally->quota, &object))
			has.of[VG_AMOUNT_DISK] = volumes[i].kib;
		tally_object(tally, &object, &has);
	}
}

/* Does libvirtd tell of it already? Then it was counted with what it has. */
static bool
is_there(const struct tally *tally, const struct vg_object *object)
{
	const struct inventory *inventory = tally->call->session->inventory;
	const struct usage_volume *volumes;
	size_t num;

	if (object->class == VG_CLASS_domain)
		return object->has_uuid ? inventory_by_uuid(inventory, object->uuid) != NULL : inventory_by_name(inventory, object->name) != NULL;
	if (!object->has_parent_uuid)
		return false;
	(void)usage_of_pool(tally->usage, object->parent, object->parent_uuid, &volumes, &num);
	for (size_t i = 0; i < num; i++)
		if (strcmp(volumes[i].name, object->name) == 0)
			return true;
	return false;
}

/* Objects that are not there yet: each once, whoever of several calls makes it. */
static void
tally_new(struct tally *tally)
{
	const struct vg_amounts nothing = { { 0 } };
	const struct reservation *reservation, *before;
	bool own_is_told = is_there(tally, &tally->own->object);

	TAILQ_FOREACH(reservation, &reservations, entry) {
		if (reservation->inventory != tally->call->session->inventory || is_there(tally, &reservation->object))
			continue;
		for (before = TAILQ_FIRST(&reservations); before != reservation && !is_of(before, &reservation->object); before = TAILQ_NEXT(before, entry))
			;
		if (before == reservation)
			tally_object(tally, &reservation->object, &nothing);
		own_is_told = own_is_told || is_of(tally->own, &reservation->object);
	}
	if (!own_is_told)
		tally_object(tally, &tally->own->object, &nothing);
}

static void
tally_all(struct tally *tally)
{
	const struct inventory *inventory = tally->call->session->inventory;

	inventory_each(inventory, tally_domain, tally);
	if (tally->bounds->max.of[VG_AMOUNT_DISK] != 0 && !inventory_each_pool(inventory, tally_pool, tally))
		note_state(tally, USAGE_UNREADABLE, "the list of pools");
	tally->awaited = tally->awaited || usage_in_doubt(tally->usage);
	tally_new(tally);
}

/* ---- the decision ---- */

static void
release(struct call *call)
{
	if (call->reservation == NULL)
		return;
	if (call->reservation->made)
		TAILQ_REMOVE(&reservations, call->reservation, entry);
	free(call->reservation);
	call->reservation = NULL;
}

/* How many guests there are is known without their documents; with libvirtd away nothing is. */
static bool
is_unreadable(const struct tally *tally, enum vg_amount amount)
{
	return !inventory_ready(tally->call->session->inventory) || (amount != VG_AMOUNT_GUESTS && tally->unreadable[0] != '\0');
}

static void
refuse_amount(struct tally *tally, struct judgement *judgement, enum vg_amount amount)
{
	const struct policy_row *row = &tally->bounds->row;
	bool watches = policy_only_watches(tally->policy);

	admit_note(tally->call, row, policy_amount_rule(amount), watches);
	if (judgement->verdict == DECIDE_DENY || row->mode != ADMISSION_ENFORCE || watches)
		return;
	if (is_unreadable(tally, amount)) {
		(void)decide_refuse(judgement, policy_amount_rule(amount), "quota '%.128s': %.200s%scannot be counted now", row->id, tally->unreadable,
		    tally->unreadable[0] == '\0' ? "what is used " : ", which counts by it, ");
		return;
	}
	(void)decide_refuse(judgement, policy_amount_rule(amount), "quota '%.128s': %" PRIu64 " %s more are asked for, %" PRIu64 " are used, the limit is %" PRIu64,
	    row->id, tally->with.of[amount] - tally->without.of[amount], policy_amount_unit(amount), tally->without.of[amount], tally->bounds->max.of[amount]);
}

/* One quota. False: answers of libvirtd are awaited. */
static bool
check_quota(struct call *call, struct judgement *judgement, size_t quota, const struct reservation *asked)
{
	struct gate *gate = call->session->gate;
	struct tally tally = { .call = call, .policy = gate->policy, .usage = inventory_usage(call->session->inventory), .quota = quota,
		.bounds = policy_quota_at(gate->policy, quota), .own = asked };

	if (!policy_quota_covers(gate->policy, quota, &asked->object) ||
	    !policy_quota_binds(gate->policy, quota, &call->session->identity, &asked->object, gate_now(gate)))
		return true;
	tally_all(&tally);
	if (tally.awaited)
		return false;
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++)
		if (tally.bounds->max.of[i] != 0 && tally.with.of[i] > tally.without.of[i] &&
		    (tally.with.of[i] > tally.bounds->max.of[i] || is_unreadable(&tally, (enum vg_amount)i)))
			refuse_amount(&tally, judgement, (enum vg_amount)i);
	return true;
}

/* Could a quota refuse him anything here? */
static bool
is_bound(const struct call *call, const struct vg_object *object)
{
	struct gate *gate = call->session->gate;
	const struct policy_quota *quota;

	for (size_t i = 0; !policy_only_watches(gate->policy) && (quota = policy_quota_at(gate->policy, i)) != NULL; i++)
		if (quota->row.mode == ADMISSION_ENFORCE && policy_quota_covers(gate->policy, i, object) &&
		    policy_quota_binds(gate->policy, i, &call->session->identity, object, gate_now(gate)))
			return true;
	return false;
}

/* What cannot be counted is refused to whom a quota binds; of others it counts once it is there. */
static enum decide_verdict
pass_uncounted(struct call *call, struct judgement *judgement, struct decision decision)
{
	if (judgement->verdict != DECIDE_DENY || is_bound(call, &call->reservation->object))
		return judgement->verdict;
	judgement->rule = NULL;
	judgement->decision = decision;
	judgement->error.message[0] = '\0';
	return judgement->verdict = DECIDE_ALLOW;
}

enum decide_verdict
quota_check(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	struct gate *gate = call->session->gate;
	const struct decision decision = judgement->decision;
	struct reservation *asked;
	bool complete = true;

	release(call);
	if (policy_quota_at(gate->policy, 0) == NULL || !quota_may_ask(call, &judgement->about.object))
		return judgement->verdict;
	call->reservation = asked = calloc(1, sizeof(*asked));
	if (asked == NULL)
		return decide_refuse(judgement, "quota", "out of memory");
	if (quota_ask(call, judgement, index, body, len, asked) != DECIDE_ALLOW)
		return pass_uncounted(call, judgement, decision);
	if (asked->object.class == VG_CLASS_none)
		return judgement->verdict;
	for (size_t i = 0; policy_quota_at(gate->policy, i) != NULL; i++)
		complete = check_quota(call, judgement, i, asked) && complete;
	if (!complete) {
		judgement->verdict = DECIDE_WAIT;
		return usage_wait(inventory_usage(call->session->inventory), call) == 0 ? DECIDE_WAIT : decide_refuse(judgement, "quota", "out of memory");
	}
	if (judgement->verdict == DECIDE_ALLOW) {
		TAILQ_INSERT_TAIL(&reservations, asked, entry);
		asked->made = true;
	}
	return judgement->verdict;
}

void
quota_end(struct call *call)
{
	const struct inventory *inventory = call->session->inventory;
	const struct reservation *reservation = call->reservation;
	const struct inventory_domain *domain;

	if (inventory == NULL || call->proc->kind != RPC_KIND_CHANGE)
		return;
	usage_forget_call(inventory_usage(inventory), call);
	if (call->proc->about.class == VG_CLASS_storage_vol || call->proc->about.class == VG_CLASS_storage_pool ||
	    (reservation != NULL && reservation->object.class == VG_CLASS_storage_vol))
		usage_volumes_changed(inventory_usage(inventory));
	if (call->domain_name != NULL)
		usage_domain_changed(inventory_usage(inventory), call->domain_uuid);
	domain = reservation == NULL || reservation->object.class != VG_CLASS_domain ? NULL : inventory_by_name(inventory, reservation->name);
	if (domain != NULL)
		usage_domain_changed(inventory_usage(inventory), domain->uuid);
	release(call);
}
