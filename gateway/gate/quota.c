#include "gateway/gate/quota.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/admission/admission.h"
#include "gateway/gate/argument.h"
#include "gateway/gate/inventory.h"

/* VIR_STORAGE_VOL_RESIZE_DELTA, libvirt-storage.h; VIR_DOMAIN_BLOCK_RESIZE_BYTES, libvirt-domain.h */
enum { VOL_RESIZE_DELTA = 2, BLOCK_RESIZE_BYTES = 1 };

/* How a call says what its object will have. */
enum what {
	DOCUMENT,	/* the definition of a domain or volume: all of it */
	DEVICE,		/* a device: that much more */
	VCPUS, MEMORY,	/* a number; memory in KiB */
	RENAME,		/* what it has, under another name */
	IMAGE,		/* what the domain in the saved image has, unless the document says otherwise */
	START,		/* what its saved state has, if there is one */
	SNAPSHOT,	/* what the domain in the snapshot has */
	VOLUME,		/* the volume's size */
	DISK		/* the same, of a disk of the domain */
};

/*
 * Every call that can make it more, and whose content is known before. What comes with a migration, and what a copy, a backup or an upload makes of a
 * volume that is there, counts once it is there.
 */
static const struct row {
	const char *proc, *path;
	enum what what;
} rows[] = {
	{ "domain_define_xml", "xml", DOCUMENT }, { "domain_define_xml_flags", "xml", DOCUMENT }, { "domain_create_xml", "xml_desc", DOCUMENT },
	{ "domain_attach_device", "xml", DEVICE }, { "domain_attach_device_flags", "xml", DEVICE },
	{ "domain_set_vcpus", "nvcpus", VCPUS }, { "domain_set_vcpus_flags", "nvcpus", VCPUS },
	{ "domain_set_memory", "memory", MEMORY }, { "domain_set_memory_flags", "memory", MEMORY }, { "domain_set_max_memory", "memory", MEMORY },
	{ "domain_rename", "new_name", RENAME },
	{ "domain_restore", NULL, IMAGE }, { "domain_restore_flags", "dxml", IMAGE }, { "domain_restore_params", "params[dxml]", IMAGE },
	{ "domain_create", NULL, START }, { "domain_create_with_flags", NULL, START }, { "domain_revert_to_snapshot", "snap", SNAPSHOT },
	{ "storage_vol_create_xml", "xml", DOCUMENT }, { "storage_vol_create_xml_from", "xml", DOCUMENT }, { "storage_vol_resize", "capacity", VOLUME },
	{ "domain_block_resize", "size", DISK },
};

/* What a call makes of an object. */
struct reservation {
	TAILQ_ENTRY(reservation) entry;		/* in the list of its inventory's usage, once it is made */
	bool made;
	const struct inventory *inventory;
	struct vg_object object;		/* its names are below */
	char name[256], parent[256];
	struct vg_amounts totals;		/* it has at most that much then, or has now */
	struct vg_amounts adds;			/* on top of what it has then */
};

/* All calls of the process: few at a time. */
static TAILQ_HEAD(, reservation) reservations = TAILQ_HEAD_INITIALIZER(reservations);

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t
sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void
raise_to(struct vg_amounts *amounts, const struct vg_amounts *other)
{
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++)
		amounts->of[i] = larger(amounts->of[i], other->of[i]);
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
	raise_to(totals, &reservation->totals);
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

/* ---- what the call asks for ---- */

/* What libvirtd tells of a domain now. */
static enum decide_verdict
take_present(struct call *call, struct judgement *judgement, struct vg_amounts *amounts)
{
	struct inventory *inventory = call->session->inventory;
	const struct inventory_domain *domain = inventory_by_uuid(inventory, judgement->about.object.uuid);
	enum usage_state state = domain == NULL ? USAGE_UNREADABLE : usage_of_domain(inventory_usage(inventory), domain, amounts);

	if (state == USAGE_AWAITED)
		return judgement->verdict = usage_wait(inventory_usage(inventory), call) == 0 ? DECIDE_WAIT : DECIDE_MALFORMED;
	amounts->of[VG_AMOUNT_GUESTS] = 1;
	return state == USAGE_KNOWN ? DECIDE_ALLOW : decide_refuse(judgement, "quota", "what '%.200s' has cannot be counted now", judgement->about.object.name);
}

static enum decide_verdict
take_document(struct judgement *judgement, const char *text, size_t len, struct vg_amounts *amounts)
{
	struct vg_amounts more;
	struct vg_error error = { 0 };

	if (admission_amounts(text, len, &more, &error) < 0)
		return decide_refuse(judgement, "quota", "a quota cannot count it: %.200s%s%.200s", error.what, error.hint[0] == '\0' ? "" : "; ", error.hint);
	raise_to(amounts, &more);
	return DECIDE_ALLOW;
}

static enum decide_verdict
take_span(struct judgement *judgement, struct xdr_span span, struct vg_amounts *amounts)
{
	struct xdr_span xml;

	if (!xdr_span_string(span, &xml))
		return decide_refuse(judgement, "quota", "the document does not decode");
	return take_document(judgement, (const char *)xml.data, xml.len, amounts);
}

/* A document that libvirtd keeps for the domain: of a saved state or a snapshot. There need not be one. */
static enum decide_verdict
take_kept(struct call *call, struct judgement *judgement, unsigned *index, const char *proc, const uint8_t *question, size_t len,
    struct vg_amounts *amounts)
{
	const struct looked_up *answer = resolve_document(call, judgement, index, proc, question, len);

	if (answer == NULL)
		return judgement->verdict;
	return answer->found ? take_document(judgement, answer->text, answer->text_len, amounts) : DECIDE_ALLOW;
}

static enum decide_verdict
take_saved(struct call *call, struct judgement *judgement, unsigned *index, struct vg_amounts *amounts)
{
	uint8_t question[600];
	struct xdr_out out;

	xdr_out_init(&out, question, sizeof(question));
	resolve_put_domain(&out, judgement->about.object.name, judgement->about.object.uuid, judgement->about.id);
	xdr_put_u32(&out, 0);
	return take_kept(call, judgement, index, "domain_managed_save_get_xml_desc", question, out.len, amounts);
}

static enum decide_verdict
take_snapshot(struct call *call, struct judgement *judgement, unsigned *index, struct xdr_span snapshot, struct vg_amounts *amounts)
{
	uint8_t question[1200];
	struct xdr_out out;

	xdr_out_init(&out, question, sizeof(question));
	xdr_put_raw(&out, snapshot.data, snapshot.len);
	xdr_put_u32(&out, 0);
	return out.failed ? decide_refuse(judgement, "quota", "the snapshot's name is too long") :
	    take_kept(call, judgement, index, "domain_snapshot_get_xml_desc", question, out.len, amounts);
}

/* resolve.c asked what is in the image: the first document among the answers. */
static enum decide_verdict
take_image(const struct call *call, struct judgement *judgement, struct vg_amounts *amounts)
{
	for (unsigned i = 0; i < call->num_lookups; i++)
		if (call->lookups[i].class == VG_CLASS_none && call->lookups[i].found)
			return take_document(judgement, call->lookups[i].text, call->lookups[i].text_len, amounts);
	return decide_refuse(judgement, "quota", "what is in the image cannot be counted");
}

/* The volume that an image is: of a disk that is none, nothing counts. False: it is none, or (judgement) libvirtd is asked first. */
static bool
find_volume(struct call *call, struct judgement *judgement, unsigned *index, const struct disk_image *image, struct reservation *asked)
{
	const struct looked_up *answer;

	(void)snprintf(asked->parent, sizeof(asked->parent), "%s", image->pool);
	(void)snprintf(asked->name, sizeof(asked->name), "%s", image->volume);
	if (image->pool[0] == '\0') {
		answer = resolve_path(call, judgement, index, image->path);
		if (answer == NULL || !answer->found)
			return false;
		(void)snprintf(asked->parent, sizeof(asked->parent), "%s", answer->parent);
		(void)snprintf(asked->name, sizeof(asked->name), "%s", answer->name);
	}
	answer = resolve_look_up(call, judgement, index, VG_CLASS_storage_pool, NULL, asked->parent);
	if (answer == NULL || !answer->found)
		return false;
	asked->object = (struct vg_object){ .class = VG_CLASS_storage_vol, .name = asked->name, .parent = asked->parent, .has_parent_uuid = true };
	memcpy(asked->object.parent_uuid, answer->uuid, VG_UUID_LEN);
	return true;
}

static enum decide_verdict
take_disk(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len, uint64_t size, struct reservation *asked)
{
	const struct vg_object *domain = &judgement->about.object;
	const struct looked_up *answer;
	struct xdr_span span, name;
	struct disk_image image;
	uint8_t question[600];
	uint32_t flags = 0;
	char disk[1024];
	struct xdr_out out;

	if (!resolve_span(call, body, len, "disk", &span) || !xdr_span_string(span, &name) || name.len >= sizeof(disk))
		return decide_refuse(judgement, "disk", "the name of the disk is too long");
	memcpy(disk, name.len == 0 ? (const uint8_t *)"" : name.data, name.len);
	disk[name.len] = '\0';
	(void)rpc_arg_u32(call->proc, body, len, "flags", &flags);
	asked->totals.of[VG_AMOUNT_DISK] = (flags & BLOCK_RESIZE_BYTES) != 0 ? size / 1024 + (size % 1024 != 0) : size;
	xdr_out_init(&out, question, sizeof(question));
	resolve_put_domain(&out, domain->name, domain->uuid, judgement->about.id);
	xdr_put_u32(&out, 0);
	answer = resolve_document(call, judgement, index, "domain_get_xml_desc", question, out.len);
	if (answer == NULL)
		return judgement->verdict;
	if (answer->found && disk_image_of(answer->text, answer->text_len, disk, &image) && find_volume(call, judgement, index, &image, asked))
		return DECIDE_ALLOW;
	asked->object.class = VG_CLASS_none;
	return judgement->verdict;
}

static enum decide_verdict
take_new_name(struct judgement *judgement, struct xdr_span span, struct reservation *asked)
{
	struct xdr_span name;

	if (!xdr_span_string(span, &name) || name.len >= sizeof(asked->name))
		return decide_refuse(judgement, "name", "the name is too long");
	memcpy(asked->name, name.len == 0 ? (const uint8_t *)"" : name.data, name.len);
	asked->name[name.len] = '\0';
	return DECIDE_ALLOW;
}

/* Fills `asked`. An object of class none: there is nothing to count. */
static enum decide_verdict
read_asked(struct call *call, struct judgement *judgement, unsigned *index, const struct row *row, const uint8_t *body, size_t len,
    struct reservation *asked)
{
	struct xdr_span span = { NULL, 0 };
	bool there = row->path != NULL && resolve_span(call, body, len, row->path, &span);
	uint32_t flags = 0;
	uint64_t number;

	if (!there && row->what != IMAGE && row->what != START) {
		asked->object.class = VG_CLASS_none;
		return DECIDE_ALLOW;
	}
	number = xdr_span_u64(span);
	switch (row->what) {
	case DOCUMENT:
		return take_span(judgement, span, &asked->totals);
	case DEVICE:
		return take_span(judgement, span, &asked->adds);
	case VCPUS:
		asked->totals.of[VG_AMOUNT_VCPUS] = number;
		return DECIDE_ALLOW;
	case MEMORY:
		asked->totals.of[VG_AMOUNT_MEMORY] = number;
		return DECIDE_ALLOW;
	case RENAME:
		return take_new_name(judgement, span, asked) == DECIDE_ALLOW ? take_present(call, judgement, &asked->totals) : judgement->verdict;
	case IMAGE:
		if (there && take_span(judgement, span, &asked->totals) != DECIDE_ALLOW)
			return judgement->verdict;
		return take_image(call, judgement, &asked->totals);
	case START:
		return take_saved(call, judgement, index, &asked->totals);
	case SNAPSHOT:
		return take_snapshot(call, judgement, index, span, &asked->totals);
	case VOLUME:
		(void)rpc_arg_u32(call->proc, body, len, "flags", &flags);
		((flags & VOL_RESIZE_DELTA) != 0 ? &asked->adds : &asked->totals)->of[VG_AMOUNT_DISK] = number / 1024 + (number % 1024 != 0);
		return DECIDE_ALLOW;
	case DISK:
		return take_disk(call, judgement, index, body, len, number, asked);
	}
	return DECIDE_ALLOW;
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

static const struct row *
find_row(const struct rpc_proc *proc)
{
	for (size_t i = 0; proc->kind == RPC_KIND_CHANGE && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].proc, proc->name) == 0)
			return &rows[i];
	return NULL;
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

/* Could it count by any quota? */
static bool
may_count(const struct policy *policy, const struct row *row, const struct vg_object *object)
{
	const struct policy_quota *quota;

	for (size_t i = 0; (quota = policy_quota_at(policy, i)) != NULL; i++)
		if (row->what == DISK ? quota->max.of[VG_AMOUNT_DISK] != 0 : row->what == RENAME || policy_quota_covers(policy, i, object))
			return true;
	return false;
}

/* Whom the call is about, until read_asked() knows better. */
static struct reservation *
begin(struct call *call, const struct vg_object *object)
{
	struct reservation *asked = calloc(1, sizeof(*asked));

	if (asked == NULL)
		return NULL;
	asked->inventory = call->session->inventory;
	asked->object = *object;
	(void)snprintf(asked->name, sizeof(asked->name), "%s", object->name == NULL ? "" : object->name);
	(void)snprintf(asked->parent, sizeof(asked->parent), "%s", object->parent == NULL ? "" : object->parent);
	asked->object.name = asked->name;
	asked->object.parent = object->parent == NULL ? NULL : asked->parent;
	return asked;
}

enum decide_verdict
quota_check(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	struct gate *gate = call->session->gate;
	const struct row *row = policy_quota_at(gate->policy, 0) == NULL ? NULL : find_row(call->proc);
	bool complete = true;

	release(call);
	if (row == NULL || !may_count(gate->policy, row, &judgement->about.object))
		return judgement->verdict;
	call->reservation = begin(call, &judgement->about.object);
	if (call->reservation == NULL)
		return decide_refuse(judgement, "quota", "out of memory");
	if (read_asked(call, judgement, index, row, body, len, call->reservation) != DECIDE_ALLOW)
		return judgement->verdict;
	if (call->reservation->object.class == VG_CLASS_none)
		return judgement->verdict;
	for (size_t i = 0; policy_quota_at(gate->policy, i) != NULL; i++)
		complete = check_quota(call, judgement, i, call->reservation) && complete;
	if (!complete) {
		judgement->verdict = usage_wait(inventory_usage(call->session->inventory), call) == 0 ? DECIDE_WAIT : DECIDE_DENY;
		return judgement->verdict == DECIDE_WAIT ? DECIDE_WAIT : decide_refuse(judgement, "quota", "out of memory");
	}
	if (judgement->verdict == DECIDE_ALLOW) {
		TAILQ_INSERT_TAIL(&reservations, call->reservation, entry);
		call->reservation->made = true;
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
