/* console_xml.c: the <graphics> of a live domain, shown as the gateway's port or without address. */
#include "gateway/gate/console_xml.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "gateway/gate/console_ports.h"
#include "gateway/gate/secrets.h"

/* virDomainXMLFlags, libvirt include/libvirt/libvirt-domain.h */
enum { XML_INACTIVE = 2, XML_MIGRATABLE = 8 };

/* An attribute that libvirt does not know: it ignores it, and its schema refuses it. */
static const char mark[] = "virtgate-screen";

static bool
is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNodePtr
child_named(const xmlNode *parent, const char *name)
{
	for (xmlNodePtr node = parent == NULL ? NULL : parent->children; node != NULL; node = node->next)
		if (is_element(node, name))
			return node;
	return NULL;
}

static void
remove_attributes(xmlNodePtr node, const char *const *names)
{
	for (; *names != NULL; names++) {
		xmlAttrPtr attribute = xmlHasProp(node, (const xmlChar *)*names);

		if (attribute != NULL)
			(void)xmlRemoveProp(attribute);
	}
}

static void
remove_addresses(xmlNodePtr graphics)
{
	static const char *const of_graphics[] = { "port", "tlsPort", "websocket", "listen", "socket", NULL };
	static const char *const of_listen[] = { "address", "socket", "network", NULL };

	remove_attributes(graphics, of_graphics);
	for (xmlNodePtr node = graphics->children; node != NULL; node = node->next)
		if (is_element(node, "listen"))
			remove_attributes(node, of_listen);
}

static void
set(xmlNodePtr node, const char *name, const char *value)
{
	(void)xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

/* The port of a viewer; for 0.0.0.0 it takes the host that it has the connection to libvirt to. */
static void
show_port(xmlNodePtr graphics, uint16_t port)
{
	xmlNodePtr node, next, listen;
	char text[8];

	for (node = graphics->children; node != NULL; node = next) {
		next = node->next;
		if (is_element(node, "listen")) {
			xmlUnlinkNode(node);
			xmlFreeNode(node);
		}
	}
	(void)snprintf(text, sizeof(text), "%u", port);
	set(graphics, "port", text);
	set(graphics, "listen", "0.0.0.0");
	listen = xmlNewChild(graphics, NULL, (const xmlChar *)"listen", NULL);
	if (listen != NULL) {
		set(listen, "type", "address");
		set(listen, "address", "0.0.0.0");
	}
}

static bool
is_vnc(xmlNodePtr graphics)
{
	xmlChar *type = xmlGetProp(graphics, (const xmlChar *)"type");
	bool vnc = type != NULL && strcmp((const char *)type, "vnc") == 0;

	xmlFree(type);
	return vnc;
}

/* The gateway opens the first VNC display; any other is shown without address. False: there is none. */
static bool
change(const xmlNode *root, uint16_t port)
{
	xmlNodePtr devices = child_named(root, "devices"), node = child_named(devices, "graphics");
	bool first = true;

	if (!is_element(root, "domain") || node == NULL)
		return false;
	for (; node != NULL; node = node->next) {
		if (!is_element(node, "graphics"))
			continue;
		remove_addresses(node);
		if (first && port != 0 && is_vnc(node))
			show_port(node, port);
		set(node, mark, "live");
		first = first && !is_vnc(node);
	}
	return true;
}

/* NULL: it does not parse, or is nothing that libvirt writes. */
static xmlDocPtr
read_document(const char *xml, size_t len)
{
	xmlDocPtr doc = len > INT_MAX ? NULL : xmlReadMemory(xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);

	if (doc != NULL && (xmlGetIntSubset(doc) != NULL || xmlDocGetRootElement(doc) == NULL)) {
		xmlFreeDoc(doc);
		return NULL;
	}
	return doc;
}

int
console_xml_display(const char *xml, size_t len)
{
	xmlDocPtr doc = read_document(xml, len);
	xmlNodePtr devices = doc == NULL ? NULL : child_named(xmlDocGetRootElement(doc), "devices");
	int number = 0, found = -1;

	for (xmlNodePtr node = devices == NULL ? NULL : devices->children; node != NULL && found < 0; node = node->next) {
		if (!is_element(node, "graphics"))
			continue;
		if (is_vnc(node))
			found = number;
		number++;
	}
	xmlFreeDoc(doc);
	return found;
}

int
console_xml_show(const char *xml, size_t len, uint16_t port, char **out)
{
	xmlBufferPtr buffer = NULL;
	xmlDocPtr doc = NULL;
	xmlNodePtr root;
	int r = -1;

	*out = NULL;
	if (memmem(xml, len, "<graphics", 9) == NULL)
		return 0;
	doc = read_document(xml, len);
	if (doc == NULL)
		goto out;
	root = xmlDocGetRootElement(doc);
	if (!change(root, port)) {
		r = 0;
		goto out;
	}
	buffer = xmlBufferCreate();
	if (buffer == NULL || xmlNodeDump(buffer, doc, root, 0, 0) < 0)
		goto out;
	*out = strdup((const char *)xmlBufferContent(buffer));
	r = *out != NULL ? 0 : -1;
out:
	xmlBufferFree(buffer);
	xmlFreeDoc(doc);
	return r;
}

/* ---- calls ---- */

bool
console_xml_is_live(const struct call *call, const uint8_t *body, size_t len)
{
	uint32_t flags = 0;

	return call->session->gate->settings->listen_vnc && strcmp(call->proc->name, "domain_get_xml_desc") == 0 &&
	    rpc_arg_u32(call->proc, body, len, "flags", &flags) && (flags & (XML_INACTIVE | XML_MIGRATABLE)) == 0;
}

bool
console_xml_comes_back(const struct call *call, struct judgement *judgement, const uint8_t *body, size_t len)
{
	if (call->proc->kind != RPC_KIND_CHANGE || len == 0 || memmem(body, len, mark, sizeof(mark) - 1) == NULL)
		return false;
	judgement->error.code = RPC_ERR_INVALID_ARG;
	judgement->error.origin = RPC_ORIGIN_DOMAIN;
	(void)snprintf(judgement->error.message, sizeof(judgement->error.message), "this description of a running domain was made for viewers "
	    "(attribute %s): take the one that is meant to be edited, e.g. virsh dumpxml --inactive", mark);
	judgement->verdict = DECIDE_MISSING;
	return true;
}

static bool
may(const struct session *session, enum vg_permission permission, const struct vg_object *object)
{
	return policy_decide(session->gate->policy, &session->identity, permission, object, gate_now(session->gate)).verdict != VERDICT_DENY;
}

/* The port to show of a running domain: 0 for who may not see its screen, and when there is none. */
static uint16_t
port_for(const struct session *session, const struct inventory_domain *domain)
{
	struct vg_object object = { .class = VG_CLASS_domain, .has_uuid = true, .name = domain->name };

	memcpy(object.uuid, domain->uuid, VG_UUID_LEN);
	if (!may(session, VG_PERM_domain_open_graphics, &object) && !may(session, VG_PERM_domain_view_graphics, &object))
		return 0;
	return console_ports_give(session->gate->console_ports, session->inventory, domain);
}

int
console_xml_filter(const struct call *call, const uint8_t *message, size_t len, uint8_t **out, size_t *out_len)
{
	const struct inventory_domain *domain;
	const uint8_t *from = *out != NULL ? *out : message;
	size_t from_len = *out != NULL ? *out_len : len;
	uint8_t *before = *out;
	struct xdr_span span, xml;
	char *shown = NULL;
	int r;

	if (!call->shows_screens || call->domain_name == NULL)
		return 0;
	domain = inventory_by_uuid(call->session->inventory, call->domain_uuid);
	/* Of a domain that is off libvirt describes what is stored: that is there to be edited. */
	if (domain == NULL || domain->id < 0)
		return 0;
	if (!xdr_find(call->proc->ret, from + RPC_HEADER_LEN, from_len - RPC_HEADER_LEN, "xml", &span) || !xdr_span_string(span, &xml))
		return 0;
	r = console_xml_show((const char *)xml.data, xml.len, port_for(call->session, domain), &shown);
	if (r == 0 && shown != NULL)
		r = secrets_replace(call, from, from_len, span, shown, out, out_len);
	free(shown);
	if (r == 0 && *out == before)
		return 0;
	free(before);
	if (r < 0)
		*out = NULL;
	return r;
}
