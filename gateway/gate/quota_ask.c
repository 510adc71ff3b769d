#include "gateway/gate/quota_ask.h"

#include <stdio.h>
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

static const struct row *
find_row(const struct rpc_proc *proc)
{
	for (size_t i = 0; proc->kind == RPC_KIND_CHANGE && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].proc, proc->name) == 0)
			return &rows[i];
	return NULL;
}

bool
quota_may_ask(const struct call *call, const struct vg_object *object)
{
	const struct policy *policy = call->session->gate->policy;
	const struct row *row = find_row(call->proc);
	const struct policy_quota *quota;

	for (size_t i = 0; row != NULL && (quota = policy_quota_at(policy, i)) != NULL; i++)
		if (row->what == DISK ? quota->max.of[VG_AMOUNT_DISK] != 0 : row->what == RENAME || policy_quota_covers(policy, i, object))
			return true;
	return false;
}

void
quota_raise(struct vg_amounts *amounts, const struct vg_amounts *other)
{
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++)
		amounts->of[i] = amounts->of[i] > other->of[i] ? amounts->of[i] : other->of[i];
}

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
	quota_raise(amounts, &more);
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

enum decide_verdict
quota_ask(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len, struct reservation *asked)
{
	const struct vg_object *object = &judgement->about.object;

	asked->inventory = call->session->inventory;
	asked->object = *object;
	(void)snprintf(asked->name, sizeof(asked->name), "%s", object->name == NULL ? "" : object->name);
	(void)snprintf(asked->parent, sizeof(asked->parent), "%s", object->parent == NULL ? "" : object->parent);
	asked->object.name = asked->name;
	asked->object.parent = object->parent == NULL ? NULL : asked->parent;
	return read_asked(call, judgement, index, find_row(call->proc), body, len, asked);
}
