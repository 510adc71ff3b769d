/*
 * filter.c: what he may see of a reply. Lists keep only the visible objects, with the count agreeing; a look-up whose
 * object is hidden answers as for a missing one.
 */
#include "gateway/gate/filter_private.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/gate/class.h"
#include "gateway/gate/console_xml.h"
#include "gateway/gate/mention.h"
#include "gateway/gate/secrets.h"

static bool
sees_everything(struct session *session, const struct rpc_proc *proc)
{
	const struct vg_object every = { .class = proc->list.class, .any = true };

	struct lacks *lacks = session->lacks;
	enum verdict verdict;

	/* Asked for our own use: nothing that he lacks. */
	session->lacks = NULL;
	verdict = decide_one(session, proc->filter, &every).verdict;
	session->lacks = lacks;
	/* What would be hidden is shown, but it is looked at, for the record. A bare count has no items. */
	return verdict == VERDICT_ALLOW || (verdict == VERDICT_WOULD_DENY && proc->list.form == RPC_LIST_COUNT &&
	    proc->list.class != VG_CLASS_domain);
}

bool
filter_needed(struct session *session, const struct rpc_proc *proc)
{
	return proc->list.form != RPC_LIST_NONE && !sees_everything(session, proc);
}

/* An object out of a reply to the form that the policy asks about. `name` and `parent` are terminated copies. */
static bool
reply_object(const struct xdr_object *from, char *name, char *parent, size_t size, struct vg_object *object)
{
	memset(object, 0, sizeof(*object));
	if (from->name.len >= size || from->parent.len >= size)
		return false;
	if (from->name.data != NULL) {
		memcpy(name, from->name.data, from->name.len);
		name[from->name.len] = '\0';
		object->name = name;
	}
	if (from->parent.data != NULL) {
		memcpy(parent, from->parent.data, from->parent.len);
		parent[from->parent.len] = '\0';
		object->parent = parent;
	}
	object->class = from->class;
	object->has_uuid = from->uuid != NULL;
	if (from->uuid != NULL)
		memcpy(object->uuid, from->uuid, VG_UUID_LEN);
	object->has_parent_uuid = from->parent_uuid != NULL;
	if (from->parent_uuid != NULL)
		memcpy(object->parent_uuid, from->parent_uuid, VG_UUID_LEN);
	return true;
}

bool
filter_sees(struct session *session, enum vg_permission permission, enum vg_class class, struct xdr_span span)
{
	char name[256], parent[256];
	const uint8_t *pool = NULL;
	struct xdr_object from;
	struct vg_object object;

	if (!xdr_get_object(class, span, &from) || !reply_object(&from, name, parent, sizeof(name), &object))
		return false;
	/* Of a volume libvirtd only tells the name of its pool. */
	if (class == VG_CLASS_storage_vol && object.parent != NULL)
		pool = inventory_uuid_of(session->inventory, VG_CLASS_storage_pool, object.parent);
	if (pool != NULL) {
		object.has_parent_uuid = true;
		memcpy(object.parent_uuid, pool, VG_UUID_LEN);
	}
	return decide_visible(session, permission, &object);
}

/* A volume in a list of its pool's: whose that is, the call said. */
static void
lend_pool(const struct call *call, struct vg_object *object)
{
	if (object->class != VG_CLASS_storage_vol || call->pool_name == NULL ||
	    (object->parent != NULL && strcmp(object->parent, call->pool_name) != 0))
		return;
	object->parent = call->pool_name;
	object->has_parent_uuid = true;
	memcpy(object->parent_uuid, call->pool_uuid, VG_UUID_LEN);
}

static bool
sees_object(const struct call *call, const struct rpc_proc *proc, struct xdr_span span)
{
	char name[256], parent[256];
	struct xdr_object from;
	struct vg_object object;

	if (!xdr_get_object(proc->list.class, span, &from) || !reply_object(&from, name, parent, sizeof(name), &object))
		return false;
	lend_pool(call, &object);
	return decide_visible(call->session, proc->filter, &object);
}

static bool
sees_name(const struct call *call, const struct rpc_proc *proc, struct xdr_span item)
{
	struct session *session = call->session;
	struct vg_object object = { .class = proc->list.class };
	struct xdr_span text;
	const uint8_t *uuid;
	char name[256];

	if (!xdr_span_string(item, &text) || text.len >= sizeof(name))
		return false;
	memcpy(name, text.data, text.len);
	name[text.len] = '\0';
	object.name = name;
	lend_pool(call, &object);
	uuid = inventory_uuid_of(session->inventory, proc->list.class, name);
	if (uuid == NULL && proc->list.class == VG_CLASS_domain)
		return false;
	object.has_uuid = uuid != NULL;
	if (uuid != NULL)
		memcpy(object.uuid, uuid, VG_UUID_LEN);
	return decide_visible(session, proc->filter, &object);
}

bool
filter_sees_domain(struct session *session, enum vg_permission permission, const struct inventory_domain *domain)
{
	struct vg_object object = { .class = VG_CLASS_domain, .has_uuid = true, .name = domain->name };

	memcpy(object.uuid, domain->uuid, VG_UUID_LEN);
	return decide_visible(session, permission, &object);
}

static bool
sees_uuid_string(struct session *session, const struct rpc_proc *proc, struct xdr_span item)
{
	struct vg_object object = { .class = proc->list.class, .has_uuid = true };
	char uuid[VG_UUID_TEXT_LEN + 1];
	struct xdr_span text;

	if (!xdr_span_string(item, &text) || text.len >= sizeof(uuid))
		return false;
	memcpy(uuid, text.data, text.len);
	uuid[text.len] = '\0';
	return uuid_parse(uuid, object.uuid) && decide_visible(session, proc->filter, &object);
}

bool
filter_sees_item(const struct call *call, const struct rpc_proc *proc, const struct xdr_items *items, struct xdr_span item)
{
	const struct vg_object every = { .class = proc->list.class, .any = true };
	struct session *session = call->session;
	const struct inventory_domain *domain;
	struct xdr_span member;

	switch (proc->list.form) {
	case RPC_LIST_OBJECT:
		return xdr_item_member(items, item, &member) && sees_object(call, proc, member);
	case RPC_LIST_NAME:
		return sees_name(call, proc, item);
	case RPC_LIST_ID:
		domain = inventory_by_id(session->inventory, xdr_span_i32(item));
		return domain != NULL && filter_sees_domain(session, proc->filter, domain);
	case RPC_LIST_UUID_STRING:
		return sees_uuid_string(session, proc, item);
	case RPC_LIST_WHOLE:
		return decide_visible(session, proc->filter, &every);
	default:
		return false;
	}
}

static int
filter_list(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	const struct rpc_proc *proc = call->proc;
	const uint8_t *body = message + RPC_HEADER_LEN;
	size_t body_len = len - RPC_HEADER_LEN, before, after;
	struct rpc_header header;
	struct xdr_out copy, patch;
	struct xdr_items items;
	struct xdr_span item, count;
	uint32_t kept = 0;
	uint8_t *buf;

	if (!xdr_items(proc->ret, body, body_len, proc->list.items, &items) || (buf = malloc(len)) == NULL)
		return -1;
	before = (size_t)(items.whole.data - message);
	after = len - before - items.whole.len;
	xdr_out_init(&copy, buf, len);
	xdr_put_raw(&copy, message, before);
	xdr_put_u32(&copy, 0);
	while (xdr_items_next(&items, &item)) {
		if ((call->cut && kept == call->cut_to) || !filter_sees_item(call, proc, &items, item))
			continue;
		kept++;
		if (!call->need_results_was_0)
			xdr_put_raw(&copy, item.data, item.len);
	}
	xdr_put_raw(&copy, items.whole.data + items.whole.len, after);
	xdr_out_init(&patch, buf + before, 4);
	xdr_put_u32(&patch, call->need_results_was_0 ? 0 : kept);
	/* The count behind the array must agree with what is seen. */
	if (copy.failed || (proc->list.count != NULL &&
	    !xdr_find(proc->ret, buf + RPC_HEADER_LEN, copy.len - RPC_HEADER_LEN, proc->list.count, &count))) {
		free(buf);
		return -1;
	}
	if (proc->list.count != NULL) {
		xdr_out_init(&patch, buf + (count.data - buf), 4);
		xdr_put_u32(&patch, kept);
	}
	(void)rpc_header_get(buf, copy.len, &header);
	header.length = (uint32_t)copy.len;
	rpc_header_put(buf, &header);
	*out = buf;
	*out_len = copy.len;
	return 0;
}

/* The first so many names of a reply that was asked for in full. */
static int
cut_names(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	struct rpc_header header;
	struct xdr_items items;
	struct xdr_span item;
	struct xdr_out copy;

	if (!xdr_items(call->proc->ret, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, "names", &items))
		return -1;
	if (items.count <= call->cut_to)
		return 0;
	if ((*out = malloc(len)) == NULL)
		return -1;
	xdr_out_init(&copy, *out, len);
	xdr_put_raw(&copy, message, (size_t)(items.whole.data - message));
	xdr_put_u32(&copy, call->cut_to);
	for (uint32_t i = 0; i < call->cut_to && xdr_items_next(&items, &item); i++)
		xdr_put_raw(&copy, item.data, item.len);
	xdr_put_raw(&copy, items.whole.data + items.whole.len, len - (size_t)(items.whole.data - message) - items.whole.len);
	(void)rpc_header_get(*out, copy.len, &header);
	header.length = (uint32_t)copy.len;
	rpc_header_put(*out, &header);
	*out_len = copy.len;
	return 0;
}

/* A single object in the reply: when it is hidden, the whole reply becomes "not found". */
static int
filter_returned(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	const struct rpc_object *returns = &call->proc->returns;
	enum vg_permission getattr = class_getattr(returns->class);
	struct xdr_span span;

	if (!xdr_find_value(call->proc->ret, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, returns->path, &span))
		return 0;		/* an optional object that is not there */
	if (getattr != VG_PERM_NONE && filter_sees(call->session, getattr, returns->class, span))
		return 0;
	return filter_put_missing(call, !filter_guessable(call), message, len, out, out_len);
}

int
filter_reply(struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	const struct rpc_proc *proc = call->proc;

	*out = NULL;
	if (proc->kind == RPC_KIND_READ && filter_renamed(call))
		return filter_put_renamed(call, message, len, out, out_len);
	if (call->sent != NULL)
		return filter_count_list(call, message, len, out, out_len);
	if (call->cut && proc->list.form == RPC_LIST_NONE)
		return cut_names(call, message, len, out, out_len);
	if (proc->list.form != RPC_LIST_NONE) {
		/* Asked again now: his rights may have changed since the call went out. */
		if (!call->need_results_was_0 && !call->cut && sees_everything(call->session, proc))
			return 0;
		return proc->list.form == RPC_LIST_COUNT ? filter_count(call, message, len, out, out_len) :
		    filter_list(call, message, len, out, out_len);
	}
	if (proc->kind == RPC_KIND_READ && proc->returns.from == RPC_FROM_ARG)
		return filter_returned(call, message, len, out, out_len);
	if (proc->mentions.from != RPC_FROM_NOWHERE)
		return mention_filter(call, message, len, out, out_len);
	if (secrets_filter(call, message, len, out, out_len) < 0)
		return -1;
	return console_xml_filter(call, message, len, out, out_len);
}
