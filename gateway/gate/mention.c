/*
 * mention.c: what libvirtd names in an answer beside the object that the call is about. What is named is judged by the policy,
 * never by whether it is there: otherwise a client could put names into texts, and see from what is left of them which exist.
 */
#include "gateway/gate/mention.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "gateway/gate/inventory.h"
#include "gateway/gate/secrets.h"
#include "virtgate/xml_cost.h"

/* ---- texts of errors ---- */

/*
 * What stands before the name (of a secret, the UUID) of an object in libvirt's texts: src/conf/virdomainobjlist.c,
 * virnetworkobj.c, virstorageobj.c, virsecretobj.c, virnwfilterobj.c; src/hypervisor/virhostdev.c. All but domains only get in
 * the way of their own class; a text about a domain may name the network that its description names.
 */
static const struct phrase {
	enum vg_class class;
	const char *before;
} phrases[] = {
	{ VG_CLASS_domain, "domain '" }, { VG_CLASS_domain, ", domain " }, { VG_CLASS_domain, "active as '" },
	{ VG_CLASS_network, "network '" },
	{ VG_CLASS_storage_pool, "pool '" }, { VG_CLASS_storage_pool, "pool: '" }, { VG_CLASS_storage_pool, "active as '" },
	{ VG_CLASS_nwfilter, "filter '" }, { VG_CLASS_nwfilter, "different name ('" },
	{ VG_CLASS_secret, "secret with UUID " },
};

static bool
same(const char *own, const char *name)
{
	return own != NULL && strcmp(own, name) == 0;
}

/* A name that was found visible before the call was passed on. */
static bool
is_own(const struct call *call, const char *name)
{
	if (same(call->domain_name, name) || same(call->pool_name, name) || same(call->own_name, name))
		return true;
	for (unsigned i = 0; i < call->num_lookups; i++)
		if (same(call->lookups[i].name, name) || same(call->lookups[i].parent, name))
			return true;
	return false;
}

/* `taken`: of another object that has the name or the UUID which the client wanted, so that his own use of the name says nothing. */
static bool
sees_named(const struct call *call, enum vg_class class, const char *name, bool taken)
{
	struct vg_object object = { .class = class, .name = name };
	const struct inventory_domain *domain;

	if (class == VG_CLASS_secret) {
		object.name = NULL;
		object.has_uuid = uuid_parse(name, object.uuid);
		return object.has_uuid && resolve_sees(call->session, &object);
	}
	if (!taken && is_own(call, name))
		return true;
	domain = class == VG_CLASS_domain ? inventory_by_name(call->session->inventory, name) : NULL;
	/* Only adds what is granted by UUID: libvirtd has said that it is there. */
	if (domain != NULL) {
		object.has_uuid = true;
		memcpy(object.uuid, domain->uuid, VG_UUID_LEN);
	}
	return resolve_sees(call->session, &object);
}

/* Copies the name behind a phrase. False: longer than a name can be, or cut off. */
static bool
take_mention(const char *at, enum vg_class class, bool quoted, char *name, size_t size)
{
	size_t len = strcspn(at, quoted ? "'" : class == VG_CLASS_secret ? " " : "\n");

	if (len >= size || (quoted && at[len] == '\0'))
		return false;
	memcpy(name, at, len);
	name[len] = '\0';
	return true;
}

static bool
names_hidden(const struct call *call, const char *text)
{
	bool taken = strstr(text, " with uuid ") != NULL;

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		const struct phrase *phrase = &phrases[i];
		size_t len = strlen(phrase->before);
		char name[256];

		if (phrase->class != VG_CLASS_domain && phrase->class != call->proc->about.class)
			continue;
		for (const char *at = strstr(text, phrase->before); at != NULL; at = strstr(at, phrase->before)) {
			at += len;
			if (!take_mention(at, phrase->class, phrase->before[len - 1] == '\'', name, sizeof(name)) ||
			    !sees_named(call, phrase->class, name, taken))
				return true;
		}
	}
	return false;
}

int
mention_filter_error(const struct call *call, const struct rpc_error *error, const uint8_t *message, size_t len, uint8_t **out,
    size_t *out_len)
{
	const char *colon = strstr(error->message, ": ");
	struct rpc_error instead = *error;
	struct rpc_header header;

	/* What did not fit was not looked at: then it is not passed on either. */
	if (names_hidden(call, error->message))
		(void)snprintf(instead.message, sizeof(instead.message), "%.*sanother object of this host is in the way",
		    colon == NULL || colon - error->message > 64 ? 0 : (int)(colon - error->message) + 2, error->message);
	else if (strlen(error->message) < sizeof(error->message) - 1)
		return 0;
	if ((*out = malloc(RPC_MAX_ERROR_LEN)) == NULL)
		return -1;
	(void)rpc_header_get(message, len, &header);
	*out_len = rpc_put_error(*out, RPC_MAX_ERROR_LEN, &header, &instead);
	return 0;
}

/* ---- parents of devices ---- */

static bool
sees_text(const struct call *call, const char *text)
{
	const struct vg_object object = { .class = call->proc->mentions.class, .name = text };

	return resolve_sees(call->session, &object);
}

/* The elements <parent> at the top of the document, but those that he sees. -1: not a document that libvirt writes. */
static int
remove_parents(const struct call *call, xmlNodePtr root)
{
	int removed = 0;

	for (xmlNodePtr node = root->children, next; node != NULL; node = next) {
		xmlChar *text;

		next = node->next;
		if (node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, "parent") != 0)
			continue;
		if ((text = xmlNodeGetContent(node)) == NULL)
			return -1;
		if (!sees_text(call, (const char *)text)) {
			xmlUnlinkNode(node);
			xmlFreeNode(node);
			removed++;
		}
		xmlFree(text);
	}
	return removed;
}

static int
filter_document(const struct call *call, const uint8_t *message, size_t len, struct xdr_span span, uint8_t **out, size_t *out_len)
{
	xmlBufferPtr buffer = NULL;
	xmlDocPtr doc = NULL;
	xmlNodePtr root;
	struct xdr_span xml;
	int r = -1, removed;

	if (!xdr_span_string(span, &xml) || xml.len > INT_MAX || xml_refusal((const char *)xml.data, xml.len) != NULL)
		return -1;
	doc = xmlReadMemory((const char *)xml.data, (int)xml.len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
	if (doc == NULL || xmlGetIntSubset(doc) != NULL || (root = xmlDocGetRootElement(doc)) == NULL ||
	    (removed = remove_parents(call, root)) < 0)
		goto out;
	if (removed == 0) {
		r = 0;
		goto out;
	}
	buffer = xmlBufferCreate();
	if (buffer == NULL || xmlNodeDump(buffer, doc, root, 0, 0) < 0)
		goto out;
	r = secrets_replace(call, message, len, span, (const char *)xmlBufferContent(buffer), out, out_len);
out:
	xmlBufferFree(buffer);
	xmlFreeDoc(doc);
	return r;
}

/* An optional string that names it: taken out. */
static int
filter_optional(const struct call *call, const uint8_t *message, size_t len, struct xdr_span span, uint8_t **out, size_t *out_len)
{
	size_t before = (size_t)(span.data - message), after = len - before - span.len;
	struct rpc_header header;
	struct xdr_span value, text;
	struct xdr_out copy;
	char name[256];

	if (!xdr_span_present(span, &value))
		return 0;
	if (xdr_span_string(value, &text) && text.len < sizeof(name)) {
		memcpy(name, text.data, text.len);
		name[text.len] = '\0';
		if (sees_text(call, name))
			return 0;
	}
	if ((*out = malloc(len)) == NULL)
		return -1;
	xdr_out_init(&copy, *out, len);
	xdr_put_raw(&copy, message, before);
	xdr_put_u32(&copy, 0);
	xdr_put_raw(&copy, span.data + span.len, after);
	(void)rpc_header_get(message, len, &header);
	header.length = (uint32_t)copy.len;
	rpc_header_put(*out, &header);
	*out_len = copy.len;
	return 0;
}

int
mention_filter(const struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	const struct rpc_object *mentions = &call->proc->mentions;
	const struct xdr_field *field;
	struct xdr_span span;

	if (mentions->from == RPC_FROM_NOWHERE)
		return 0;
	if (!xdr_find_field(call->proc->ret, message + RPC_HEADER_LEN, len - RPC_HEADER_LEN, mentions->path, &span, &field))
		return -1;
	if (mentions->from == RPC_FROM_XML)
		return filter_document(call, message, len, span, out, out_len);
	return field->form == XDR_OPTIONAL ? filter_optional(call, message, len, span, out, out_len) : -1;
}
