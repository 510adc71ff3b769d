/*
 * resolve.c: which object is a call about? The one that libvirt will resolve (a domain by its UUID, a volume by the name of
 * its pool, …), looked up in the gate's own record; name, UUID and id that do not belong together are a conflict, and what
 * is forwarded says what the record says.
 */
#include "gateway/gate/argument.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gate/class.h"
#include "gateway/gate/inventory.h"

bool
resolve_sees(struct session *session, const struct vg_object *object)
{
	enum vg_permission getattr = class_getattr(object->class);

	return getattr == VG_PERM_NONE || decide_visible(session, getattr, object);
}

/* Copies a string of the message into a terminated buffer. False: too long to be a name that libvirt has. */
static bool
take_name(struct xdr_span span, char *name, size_t size)
{
	if (span.len >= size)
		return false;
	memcpy(name, span.data == NULL ? (const uint8_t *)"" : span.data, span.len);
	name[span.len] = '\0';
	return true;
}

enum decide_verdict
resolve_malformed(struct judgement *judgement, const char *what)
{
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "%s", what);
	return judgement->verdict = DECIDE_MALFORMED;
}

static enum decide_verdict
missing_uuid(struct judgement *judgement, enum vg_class class, const uint8_t *uuid, const char *name)
{
	class_missing_uuid(&judgement->error, class, uuid, name);
	return judgement->verdict = DECIDE_MISSING;
}

static enum decide_verdict
missing_name(struct judgement *judgement, enum vg_class class, const char *name)
{
	char key[300];

	(void)snprintf(key, sizeof(key), "'%s'", name);
	class_missing(&judgement->error, class, "name", key);
	return judgement->verdict = DECIDE_MISSING;
}

/* The answer about an object that he may not see; what is in a pool or network that he may not see is missing with it. */
static enum decide_verdict
hidden(struct session *session, struct judgement *judgement, const struct vg_object *object)
{
	struct vg_object parent = { .class = object->class == VG_CLASS_storage_vol ? VG_CLASS_storage_pool : VG_CLASS_network,
		.name = object->parent, .has_uuid = object->has_parent_uuid };

	memcpy(parent.uuid, object->parent_uuid, VG_UUID_LEN);
	judgement->hidden = true;
	if (object->parent != NULL && !resolve_sees(session, &parent))
		return parent.class == VG_CLASS_storage_pool ? missing_name(judgement, parent.class, parent.name) :
		    missing_uuid(judgement, parent.class, parent.uuid, parent.name);
	return object->has_uuid ? missing_uuid(judgement, object->class, object->uuid, object->name) :
	    missing_name(judgement, object->class, object->name);
}

/*
 * The parts of the message do not belong to one object. The client is told what libvirt would tell for an object that
 * is not there: he cannot learn which part was wrong.
 */
static enum decide_verdict
conflict(struct judgement *judgement, enum vg_class class, const uint8_t *uuid, const char *name)
{
	(void)missing_uuid(judgement, class, uuid, name);
	return judgement->verdict = DECIDE_CONFLICT;
}

/* As hidden(), in the time that it takes to find that there is none: of a domain the gate would know it at once. */
enum decide_verdict
resolve_hide(struct call *call, struct judgement *judgement, unsigned *index, const struct vg_object *object)
{
	bool known = object->class == VG_CLASS_domain && object->has_uuid && *index == 0;

	if (known && resolve_look_up(call, judgement, index, VG_CLASS_domain, object->uuid, NULL) == NULL)
		return judgement->verdict;
	return hidden(call->session, judgement, object);
}

/* ---- object structs in the arguments ---- */

/* The struct as the gate's record has it replaces the client's, where they differ. */
static enum decide_verdict
replace_domain(struct judgement *judgement, struct xdr_span span, const struct inventory_domain *domain)
{
	struct xdr_out out;
	size_t n = judgement->num_patches;

	if (n == sizeof(judgement->patches) / sizeof(judgement->patches[0]))
		return resolve_malformed(judgement, "too many objects in one call");
	xdr_out_init(&out, judgement->patches[n].bytes, sizeof(judgement->patches[n].bytes));
	xdr_put_string(&out, domain->name);
	xdr_put_raw(&out, domain->uuid, VG_UUID_LEN);
	xdr_put_i32(&out, domain->id);
	if (out.failed)
		return resolve_malformed(judgement, "name of a domain is too long");
	if (out.len == span.len && memcmp(out.buf, span.data, span.len) == 0)
		return DECIDE_ALLOW;
	judgement->patches[n].span = span;
	judgement->patches[n].data = NULL;
	judgement->patches[n].len = out.len;
	judgement->num_patches++;
	return DECIDE_ALLOW;
}

static enum decide_verdict
resolve_domain(struct call *call, struct judgement *judgement, unsigned *index, struct xdr_span span, const struct xdr_object *object,
    const char *name, struct target *target)
{
	struct inventory *inventory = call->session->inventory;
	const struct inventory_domain *domain = inventory_by_uuid(inventory, object->uuid);

	/*
	 * Unknown, or known by another name or id: the inventory may be a moment behind. Ask before judging; and before anything
	 * but a read always, lest it has a new name of which the gate has not heard. A read is judged again by its reply (filter.c).
	 */
	if (call->proc->kind != RPC_KIND_READ || domain == NULL || strcmp(domain->name, name) != 0 || !inventory_has_id(domain, object->id)) {
		const struct looked_up *answer = resolve_look_up(call, judgement, index, VG_CLASS_domain, object->uuid, NULL);

		if (answer == NULL)
			return judgement->verdict;
		domain = inventory_by_uuid(inventory, object->uuid);
	}
	if (domain == NULL)
		return missing_uuid(judgement, VG_CLASS_domain, object->uuid, name);
	if (strcmp(domain->name, name) != 0)
		return conflict(judgement, VG_CLASS_domain, object->uuid, name);
	/*
	 * An old id of the same domain is a handle from before it was started or stopped. Any other is a lie, whether another
	 * domain has it or none: the answer must not tell which ids are in use.
	 */
	if (!inventory_has_id(domain, object->id))
		return conflict(judgement, VG_CLASS_domain, object->uuid, name);
	target->object.has_uuid = true;
	memcpy(target->object.uuid, domain->uuid, VG_UUID_LEN);
	target->object.name = domain->name;
	target->id = domain->id;
	target->span = span;
	return replace_domain(judgement, span, domain);
}

/* Network, pool, filter, secret: libvirt goes by UUID; name and UUID must agree, then the bytes are right as they are. */
static enum decide_verdict
resolve_by_uuid(struct call *call, struct judgement *judgement, unsigned *index, enum vg_class class, const uint8_t *uuid, const char *name,
    struct target *target)
{
	const struct looked_up *answer = resolve_look_up(call, judgement, index, class, uuid, NULL);

	if (answer == NULL)
		return judgement->verdict;
	if (!answer->found)
		return missing_uuid(judgement, class, uuid, name);
	if (class != VG_CLASS_secret && strcmp(answer->name, name) != 0)
		return conflict(judgement, class, uuid, name);
	target->object.has_uuid = true;
	memcpy(target->object.uuid, uuid, VG_UUID_LEN);
	target->object.name = answer->name;
	return DECIDE_ALLOW;
}

/* Drivers put it behind the directory of the pool: '/' or '..' would lead out of it (CVE-2015-5313). */
static bool
is_volume_name(const char *name)
{
	return strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A volume: libvirt looks for the pool by NAME. */
static enum decide_verdict
resolve_volume(struct call *call, struct judgement *judgement, unsigned *index, const char *pool, const char *name, struct target *target)
{
	const struct looked_up *answer;

	if (!is_volume_name(name))
		return missing_name(judgement, VG_CLASS_storage_vol, name);
	answer = resolve_look_up(call, judgement, index, VG_CLASS_storage_pool, NULL, pool);
	if (answer == NULL)
		return judgement->verdict;
	if (!answer->found)
		return missing_name(judgement, VG_CLASS_storage_pool, pool);
	target->object.name = name;
	target->object.parent = answer->name;
	target->object.has_parent_uuid = true;
	memcpy(target->object.parent_uuid, answer->uuid, VG_UUID_LEN);
	return DECIDE_ALLOW;
}

static enum decide_verdict
resolve_port(struct call *call, struct judgement *judgement, unsigned *index, const struct xdr_object *object, const char *network,
    struct target *target)
{
	struct target parent = { .object = { .class = VG_CLASS_network } };
	enum decide_verdict verdict = resolve_by_uuid(call, judgement, index, VG_CLASS_network, object->parent_uuid, network, &parent);

	if (verdict != DECIDE_ALLOW)
		return verdict;
	target->object.has_uuid = object->uuid != NULL;
	if (object->uuid != NULL)
		memcpy(target->object.uuid, object->uuid, VG_UUID_LEN);
	target->object.parent = parent.object.name;
	target->object.has_parent_uuid = true;
	memcpy(target->object.parent_uuid, parent.object.uuid, VG_UUID_LEN);
	return DECIDE_ALLOW;
}

/* An object struct in the message to the gate's record of it. `name` and `parent` lend the room for what is not kept elsewhere. */
static enum decide_verdict
resolve_struct(struct call *call, struct judgement *judgement, unsigned *index, enum vg_class class, struct xdr_span span, char *name,
    char *parent, size_t size, struct target *target)
{
	struct xdr_object object;

	memset(target, 0, sizeof(*target));
	target->object.class = class;
	target->id = -1;
	if (!xdr_get_object(class, span, &object))
		return resolve_malformed(judgement, "object does not decode");
	if (!take_name(object.name, name, size) || !take_name(object.parent, parent, size))
		return resolve_malformed(judgement, "name is longer than 255 bytes");
	switch (class) {
	case VG_CLASS_domain:
		return resolve_domain(call, judgement, index, span, &object, name, target);
	case VG_CLASS_network:
	case VG_CLASS_storage_pool:
	case VG_CLASS_nwfilter:
	case VG_CLASS_secret:
		return resolve_by_uuid(call, judgement, index, class, object.uuid, name, target);
	case VG_CLASS_storage_vol:
		return resolve_volume(call, judgement, index, parent, name, target);
	case VG_CLASS_network_port:
		return resolve_port(call, judgement, index, &object, parent, target);
	default:		/* interface, node device, binding: the name is the key */
		target->object.name = name;
		return DECIDE_ALLOW;
	}
}

/* ---- finding the object of a call ---- */

bool
resolve_span(const struct call *call, const uint8_t *body, size_t len, const char *path, struct xdr_span *span)
{
	return xdr_find_value(call->proc->args, body, len, path, span);
}

/* Nobody who could not be allowed makes us parse a document; the permission check refuses it, naming no object. */
static bool
is_hopeless(const struct call *call)
{
	return decide_hopeless(call->session, call->proc) != VG_PERM_NONE;
}

/* The domain that a document is about. Its UUID must not be that of a domain by another name. */
static enum decide_verdict
take_identity(struct call *call, struct judgement *judgement, const struct xml_identity *identity, struct target *target)
{
	const struct inventory_domain *namesake = call->proc->about.class == VG_CLASS_domain && identity->has_uuid ?
	    inventory_by_uuid(call->session->inventory, identity->uuid) : NULL;

	(void)snprintf(judgement->name, sizeof(judgement->name), "%s", identity->name);
	target->object.name = judgement->name;
	target->object.has_uuid = identity->has_uuid;
	memcpy(target->object.uuid, identity->uuid, VG_UUID_LEN);
	if (namesake == NULL || strcmp(namesake->name, identity->name) == 0)
		return DECIDE_ALLOW;
	judgement->error.code = RPC_ERR_ACCESS_DENIED;
	judgement->error.origin = RPC_ORIGIN_ACCESS;
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message),
	    "access denied: name and UUID of the document are not those of one domain");
	return judgement->verdict = DECIDE_CONFLICT;
}

/* No such file, none that libvirtd can read, or one with a domain in it that is not his to see: all the same to the client. */
static enum decide_verdict
no_image(struct judgement *judgement, const char *path)
{
	judgement->error.code = RPC_ERR_OPERATION_FAILED;
	judgement->error.origin = RPC_ORIGIN_QEMU;
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "operation failed: there is no saved domain in '%.300s'", path);
	return judgement->verdict = DECIDE_MISSING;
}

/* Whom a saved image is about stands in it: libvirtd is asked, and what it says is judged. */
static enum decide_verdict
resolve_image(struct call *call, struct judgement *judgement, unsigned *index, struct xdr_span span, struct target *target)
{
	const struct looked_up *answer;
	struct xml_identity identity;
	struct xdr_span text;
	uint8_t body[PATH_MAX + 12];
	char path[PATH_MAX];
	struct vg_error error;
	enum decide_verdict verdict;
	struct xdr_out out;
	bool exists;

	if (is_hopeless(call))
		return DECIDE_ALLOW;
	if (!xdr_span_string(span, &text) || !take_name(text, path, sizeof(path)))
		return resolve_malformed(judgement, "the path is too long");
	if (path_check(&call->session->gate->settings->save_dirs, path, &exists, &error) < 0)
		return decide_refuse(judgement, "path", "%s", error.what);
	xdr_out_init(&out, body, sizeof(body));
	xdr_put_string(&out, path);
	xdr_put_u32(&out, 0);		/* flags: without passwords */
	answer = resolve_document(call, judgement, index, "domain_save_image_get_xml_desc", body, out.len);
	if (answer == NULL)
		return judgement->verdict;
	if (!exists || !answer->found || xml_identify(answer->text, answer->text_len, VG_CLASS_domain, &identity, &error) < 0)
		return no_image(judgement, path);
	verdict = take_identity(call, judgement, &identity, target);
	return verdict == DECIDE_ALLOW && !resolve_sees(call->session, &target->object) ? no_image(judgement, path) : verdict;
}

static enum decide_verdict
resolve_xml(struct call *call, struct judgement *judgement, const struct xdr_span span, struct target *target)
{
	struct xml_identity identity;
	struct vg_error error;
	struct xdr_span xml;

	if (is_hopeless(call))
		return DECIDE_ALLOW;
	if (!xdr_span_string(span, &xml))
		return resolve_malformed(judgement, "XML argument does not decode");
	if (xml_identify((const char *)xml.data, xml.len, call->proc->about.class, &identity, &error) < 0) {
		judgement->error.code = 27;	/* VIR_ERR_XML_ERROR */
		judgement->error.origin = 20;	/* VIR_FROM_DOMAIN */
		(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "XML error: %.480s", error.what);
		return judgement->verdict = DECIDE_CONFLICT;
	}
	if (call->proc->about.class == VG_CLASS_storage_vol && !is_volume_name(identity.name))
		return decide_refuse(judgement, "name", "the name of a volume is no path: it has no '/', and is not '.' or '..'");
	return take_identity(call, judgement, &identity, target);
}

enum decide_verdict
resolve_about(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	const struct rpc_object *about = &call->proc->about;
	struct target *target = &judgement->about;
	struct xdr_span span, name;

	target->object.class = about->class;
	target->id = -1;
	switch (about->from) {
	case RPC_FROM_NOWHERE:
	case RPC_FROM_CONNECTION:
		return DECIDE_ALLOW;
	case RPC_FROM_ARG:
		if (!resolve_span(call, body, len, about->path, &span))
			return resolve_malformed(judgement, "the object is not there");
		return resolve_struct(call, judgement, index, about->class, span, judgement->name, judgement->parent,
		    sizeof(judgement->name), target);
	case RPC_FROM_XML:
		if (!resolve_span(call, body, len, about->path, &span))
			return resolve_malformed(judgement, "the XML document is not there");
		return resolve_xml(call, judgement, span, target);
	case RPC_FROM_HOST_FILE:
		if (!resolve_span(call, body, len, about->path, &span))
			return decide_refuse(judgement, "path", "no file is named");
		return resolve_image(call, judgement, index, span, target);
	case RPC_FROM_BY_NAME:
	case RPC_FROM_BY_PORTDEV:
		if (!resolve_span(call, body, len, about->path, &span) || !xdr_span_string(span, &name) ||
		    !take_name(name, judgement->name, sizeof(judgement->name)))
			return resolve_malformed(judgement, "name is missing or too long");
		target->object.name = judgement->name;
		return DECIDE_ALLOW;
	default:
		/* By UUID, id, path, …: the reply says which object it is, and is judged then; anything else needs "*". */
		target->object.any = true;
		return DECIDE_ALLOW;
	}
}

/* The pool of a new volume and the like. It must be visible, and lends the object its parent. */
enum decide_verdict
resolve_parent(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	const struct rpc_object *parent = &call->proc->parent;
	char ignored[8];
	struct target target;
	struct xdr_span span;
	enum decide_verdict verdict;

	if (parent->from != RPC_FROM_ARG)
		return DECIDE_ALLOW;
	if (!resolve_span(call, body, len, parent->path, &span))
		return resolve_malformed(judgement, "the pool or network is not there");
	verdict = resolve_struct(call, judgement, index, parent->class, span, judgement->parent, ignored, sizeof(judgement->parent), &target);
	if (verdict != DECIDE_ALLOW)
		return verdict;
	if (!resolve_sees(call->session, &target.object))
		return hidden(call->session, judgement, &target.object);
	judgement->about.object.parent = target.object.name;
	judgement->about.object.has_parent_uuid = target.object.has_uuid;
	memcpy(judgement->about.object.parent_uuid, target.object.uuid, VG_UUID_LEN);
	return DECIDE_ALLOW;
}

/*
 * Further objects that libvirt itself does not check: each must exist as the client says, and be visible. A volume that
 * a change names is one whose content is copied: that is reading it.
 */
enum decide_verdict
resolve_others(struct call *call, struct judgement *judgement, unsigned *index, const uint8_t *body, size_t len)
{
	for (size_t i = 0; i < RPC_MAX_OTHERS; i++) {
		const struct rpc_object *other = &call->proc->others[i];
		char name[256], parent[256];
		struct target target;
		struct xdr_span span;
		enum decide_verdict verdict;

		/* A list of objects only narrows a reply that is filtered item by item. */
		if (other->from != RPC_FROM_ARG || !resolve_span(call, body, len, other->path, &span))
			continue;
		verdict = resolve_struct(call, judgement, index, other->class, span, name, parent, sizeof(name), &target);
		if (verdict != DECIDE_ALLOW)
			return verdict;
		if (!resolve_sees(call->session, &target.object))
			return resolve_hide(call, judgement, index, &target.object);
		if (call->proc->kind == RPC_KIND_CHANGE && other->class == VG_CLASS_storage_vol) {
			struct decision decision = decide_one(call->session, VG_PERM_storage_vol_clone, &target.object);

			if (decision.verdict == VERDICT_DENY)
				return decide_deny(judgement, VG_PERM_storage_vol_clone, &target.object, decision, "");
		}
	}
	return DECIDE_ALLOW;
}
