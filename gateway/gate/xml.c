/*
 * xml.c: whom an XML document is about, read as libvirt reads it: same parser, same XPath (string(./name[1]),
 * string(./uuid[1])), but hardened: no DTD, no entities, no network, bounded size and depth.
 */
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "gateway/gate/gate.h"
#include "virtgate/xml_cost.h"

#define MAX_XML (4u * 1024u * 1024u)	/* as long as a string may be on the wire */

static const char *
root_name(enum vg_class class)
{
	switch (class) {
	case VG_CLASS_domain:
		return "domain";
	case VG_CLASS_network:
		return "network";
	case VG_CLASS_network_port:
		return "networkport";
	case VG_CLASS_storage_pool:
		return "pool";
	case VG_CLASS_storage_vol:
		return "volume";
	case VG_CLASS_secret:
		return "secret";
	case VG_CLASS_nwfilter:
		return "filter";
	case VG_CLASS_nwfilter_binding:
		return "filterbinding";
	case VG_CLASS_node_device:
		return "device";
	case VG_CLASS_interface:
		return "interface";
	default:
		return NULL;
	}
}

/* Text of the first child element of that name, or of that attribute. Empty when there is none. -1: longer than the room. */
static int
take_text(xmlNodePtr root, const char *name, bool attribute, char *text, size_t size)
{
	xmlNodePtr node = root->children;
	xmlChar *content;
	int r = 0;

	text[0] = '\0';
	if (attribute) {
		content = xmlGetNoNsProp(root, (const xmlChar *)name);
	} else {
		while (node != NULL && (node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, name) != 0))
			node = node->next;
		content = node == NULL ? NULL : xmlNodeGetContent(node);
	}
	if (content != NULL && strlen((const char *)content) >= size)
		r = -1;
	else if (content != NULL)
		memcpy(text, content, strlen((const char *)content) + 1);
	xmlFree(content);
	return r;
}

bool
uuid_parse(const char *text, uint8_t uuid[VG_UUID_LEN])
{
	size_t digits = 0;

	memset(uuid, 0, VG_UUID_LEN);
	for (; *text != '\0'; text++) {
		static const char hex[] = "0123456789abcdef";
		const char *digit;

		if (*text == '-' || *text == ' ' || *text == '\n' || *text == '\t')
			continue;
		digit = strchr(hex, *text >= 'A' && *text <= 'F' ? *text - 'A' + 'a' : *text);
		if (digit == NULL || digits == 2 * (size_t)VG_UUID_LEN)
			return false;
		uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 | (digit - hex));
		digits++;
	}
	return digits == 2 * (size_t)VG_UUID_LEN;
}

static int
identify_root(xmlNodePtr root, enum vg_class class, struct xml_identity *identity, struct vg_error *error)
{
	bool by_attribute = class == VG_CLASS_interface || class == VG_CLASS_nwfilter;
	const char *wanted = root_name(class);
	char uuid[64];

	if (wanted == NULL || root == NULL || strcmp((const char *)root->name, wanted) != 0)
		return vg_fail(error, "expecting an element '%s' at the top", wanted == NULL ? "?" : wanted);
	if (take_text(root, "name", by_attribute, identity->name, sizeof(identity->name)) < 0)
		return vg_fail(error, "the name is longer than %zu bytes", sizeof(identity->name) - 1);
	if (take_text(root, "uuid", false, uuid, sizeof(uuid)) < 0 || (uuid[0] != '\0' && !uuid_parse(uuid, identity->uuid)))
		return vg_fail(error, "malformed uuid element");
	identity->has_uuid = uuid[0] != '\0';
	return 0;
}

int
xml_identify(const char *xml, size_t len, enum vg_class class, struct xml_identity *identity, struct vg_error *error)
{
	const char *refusal;
	xmlParserCtxtPtr parser = NULL;
	xmlDocPtr doc = NULL;
	int r = -1;

	memset(identity, 0, sizeof(*identity));
	if (len > MAX_XML) {
		(void)vg_fail(error, "document is larger than %u bytes", MAX_XML);
		goto out;
	}
	refusal = xml_refusal(xml, len);
	if (refusal != NULL) {
		(void)vg_fail(error, "%s", refusal);
		goto out;
	}
	parser = xmlNewParserCtxt();
	if (parser == NULL) {
		(void)vg_fail(error, "out of memory");
		goto out;
	}
	/* Neither NOENT nor DTDLOAD: entities stay references, nothing is fetched; without HUGE depth and size are bounded. */
	doc = xmlCtxtReadMemory(parser, xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
	if (doc == NULL) {
		(void)vg_fail(error, "document does not parse at line %d", parser->input == NULL ? 0 : parser->input->line);
		goto out;
	}
	if (xmlGetIntSubset(doc) != NULL) {
		(void)vg_fail(error, "document type declarations are not accepted");
		goto out;
	}
	r = identify_root(xmlDocGetRootElement(doc), class, identity, error);
out:
	xmlFreeDoc(doc);
	xmlFreeParserCtxt(parser);
	return r;
}
