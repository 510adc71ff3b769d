/*
 * document.c: reading an XML document that will configure something, and writing it anew. Everything that two readers could
 * understand in two ways is gone or refused here: encodings, entities, comments inside values, CDATA, namespaces.
 */
#include "gateway/admission/document.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xmlerror.h>

#include "gateway/admission/functions.h"
#include "virtgate/xml_cost.h"

static const char *const top_names[ADMISSION_NUM_KINDS] = { [ADMISSION_DOMAIN] = "domain", [ADMISSION_SNAPSHOT] = "domainsnapshot",
	[ADMISSION_VOLUME] = "volume", [ADMISSION_DISK] = "disk", [ADMISSION_CHECKPOINT] = "domaincheckpoint", [ADMISSION_BACKUP] = "domainbackup",
	[ADMISSION_SECRET] = "secret", [ADMISSION_POOL] = "pool" };

/* Does it stand in <domain><devices> while it is judged? */
static bool
is_wrapped(enum admission_kind kind)
{
	return kind == ADMISSION_DEVICE || kind == ADMISSION_DISK;
}

xmlNodePtr
document_next(xmlNodePtr node, const xmlNode *root, bool skip)
{
	if (!skip && node->type == XML_ELEMENT_NODE && node->children != NULL)
		return node->children;
	while (node != root && node->next == NULL)
		node = node->parent;
	return node == root ? NULL : node->next;
}

bool
document_is_metadata(const xmlNode *node)
{
	return node->type == XML_ELEMENT_NODE && node->ns == NULL && strcmp((const char *)node->name, "metadata") == 0 &&
	    node->parent != NULL && node->parent->type == XML_ELEMENT_NODE && strcmp((const char *)node->parent->name, "domain") == 0 &&
	    node->parent->parent != NULL && node->parent->parent->type == XML_DOCUMENT_NODE;
}

xmlChar *
document_path(const struct admission_document *document, xmlNodePtr node)
{
	static const char wrapping[] = "/domain/devices";
	xmlChar *path = xmlGetNodePath(node), *shorter;

	if (path == NULL || !is_wrapped(document->kind) || strncmp((const char *)path, wrapping, sizeof(wrapping) - 1) != 0)
		return path;
	shorter = xmlStrdup(path + sizeof(wrapping) - 1);
	xmlFree(path);
	return shorter;
}

/* ---- reading ---- */

static size_t
depth_of(const xmlNode *node)
{
	size_t depth = 0;

	for (; node != NULL; node = node->parent)
		depth++;
	return depth;
}

/*
 * Written as &#10; they are part of a value. libvirt writes them as they are when it stores what it read, and reads blanks in their place the
 * next time: another path than the one that was judged.
 */
static bool
has_control_character(const xmlNode *value, const char *which)
{
	for (const xmlNode *text = value; text != NULL; text = text->next)
		if (text->type == XML_TEXT_NODE && text->content != NULL && strpbrk((const char *)text->content, which) != NULL)
			return true;
	return false;
}

/* Namespaces are for metadata; everywhere else libvirt's readers disagree on whether <x:source> is a <source>. */
static int
check_element(const xmlNode *node, struct vg_error *error)
{
	const char *name = (const char *)node->name;

	if (node->ns != NULL) {
		vg_fail(error, "line %ld: element '%.60s' of a namespace outside metadata", xmlGetLineNo(node), name);
		return vg_hint(error, "passing arguments to QEMU, and other extensions, are for those who may do everything");
	}
	for (const xmlAttr *attribute = node->properties; attribute != NULL; attribute = attribute->next) {
		if (attribute->ns != NULL)
			return vg_fail(error, "line %ld: attribute '%.60s' of a namespace outside metadata", xmlGetLineNo(node),
			    (const char *)attribute->name);
		if (has_control_character(attribute->children, "\t\n\r"))
			return vg_fail(error, "line %ld: a tab or line break in the value of '%.60s'", xmlGetLineNo(node), (const char *)attribute->name);
	}
	return 0;
}

static int
tidy(xmlNodePtr root, struct vg_error *error)
{
	xmlNodePtr node, next;
	size_t num = 0;

	for (node = root; node != NULL; node = next) {
		bool metadata = document_is_metadata(node);
		bool dropped = node->type == XML_COMMENT_NODE || node->type == XML_PI_NODE;

		next = document_next(node, root, metadata);
		if (++num > ADMISSION_MAX_NODES)
			return vg_fail(error, "more than %u elements and texts", ADMISSION_MAX_NODES);
		if (depth_of(node) > ADMISSION_MAX_DEPTH)
			return vg_fail(error, "line %ld: more than %u elements deep", xmlGetLineNo(node), ADMISSION_MAX_DEPTH);
		if (dropped) {
			xmlUnlinkNode(node);
			xmlFreeNode(node);
		} else if (node->type != XML_ELEMENT_NODE && node->type != XML_TEXT_NODE) {
			return vg_fail(error, "line %ld: entities are not accepted", xmlGetLineNo(node));
		} else if (node->type == XML_TEXT_NODE && node->content != NULL && strchr((const char *)node->content, '\r') != NULL) {
			return vg_fail(error, "line %ld: a carriage return in a text", xmlGetLineNo(node));
		} else if (node->type == XML_ELEMENT_NODE && check_element(node, error) < 0) {
			return -1;
		}
	}
	return 0;
}

/* A device goes where the rules about devices look. */
static int
wrap_device(struct admission_document *document)
{
	xmlNodePtr devices, domain = xmlNewDocNode(document->doc, NULL, (const xmlChar *)"domain", NULL);

	devices = domain == NULL ? NULL : xmlNewChild(domain, NULL, (const xmlChar *)"devices", NULL);
	if (devices == NULL) {
		xmlFreeNode(domain);
		return -1;
	}
	xmlUnlinkNode(document->top);
	(void)xmlDocSetRootElement(document->doc, domain);
	return xmlAddChild(devices, document->top) == NULL ? -1 : 0;
}

static int
read_document(struct admission_document *document, xmlParserCtxtPtr parser, const char *xml, size_t len, struct vg_error *error)
{
	const char *refusal = xml_refusal(xml, len);
	const xmlError *problem;

	if (refusal != NULL)
		return vg_fail(error, "%s", refusal);
	/* Neither NOENT nor DTDLOAD nor XINCLUDE: nothing is fetched or put in; without HUGE the parser's own bounds hold. */
	document->doc = xmlCtxtReadMemory(parser, xml, (int)len, NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOWARNING | XML_PARSE_NOERROR | XML_PARSE_COMPACT);
	if (document->doc == NULL) {
		problem = xmlCtxtGetLastError(parser);
		return vg_fail(error, "line %d: not well-formed: %.*s", problem == NULL ? 0 : problem->line,
		    problem == NULL || problem->message == NULL ? 0 : (int)strcspn(problem->message, "\n"),
		    problem == NULL || problem->message == NULL ? "" : problem->message);
	}
	if (xmlGetIntSubset(document->doc) != NULL)
		return vg_fail(error, "document type declarations are not accepted");
	if (document->doc->encoding != NULL && xmlStrcasecmp(document->doc->encoding, (const xmlChar *)"UTF-8") != 0)
		return vg_fail(error, "encoding '%.40s' is not accepted: UTF-8 is", (const char *)document->doc->encoding);
	document->top = xmlDocGetRootElement(document->doc);
	if (document->top == NULL)
		return vg_fail(error, "there is no element");
	if (document->kind != ADMISSION_DEVICE && strcmp((const char *)document->top->name, top_names[document->kind]) != 0)
		return vg_fail(error, "line %ld: expecting an element '%s' at the top, not '%.60s'", xmlGetLineNo(document->top),
		    top_names[document->kind], (const char *)document->top->name);
	return 0;
}

/* Metadata too: some rules look at all there is. */
static void
note_names(struct admission_document *document)
{
	const xmlNode *root = xmlDocGetRootElement(document->doc);
	const xmlChar *last = NULL;

	for (xmlNodePtr node = (xmlNodePtr)(uintptr_t)root; node != NULL; node = document_next(node, root, false)) {
		if (node->type == XML_ELEMENT_NODE && node->name != last)
			needs_add(&document->names, (const char *)node->name);
		last = node->type == XML_ELEMENT_NODE ? node->name : last;
	}
}

struct admission_document *
admission_parse(enum admission_kind kind, const char *xml, size_t len, struct vg_error *error)
{
	struct admission_document *document = NULL;
	xmlParserCtxtPtr parser = NULL;
	int r = -1;

	if (len > ADMISSION_MAX_BYTES) {
		(void)vg_fail(error, "larger than %u bytes", ADMISSION_MAX_BYTES);
		return NULL;
	}
	document = calloc(1, sizeof(*document));
	parser = xmlNewParserCtxt();
	if (document == NULL || parser == NULL) {
		(void)vg_fail(error, "out of memory");
		goto out;
	}
	document->kind = kind;
	if (read_document(document, parser, xml, len, error) < 0 || tidy(document->top, error) < 0)
		goto out;
	if (is_wrapped(kind) && wrap_device(document) < 0) {
		(void)vg_fail(error, "out of memory");
		goto out;
	}
	note_names(document);
	document->context = functions_context(document->doc);
	if (document->context == NULL) {
		(void)vg_fail(error, "out of memory");
		goto out;
	}
	r = claims_collect(document, error);
out:
	xmlFreeParserCtxt(parser);
	if (r == 0)
		return document;
	admission_destroy(document);
	return NULL;
}

char *
admission_name(const struct admission_document *document)
{
	for (xmlNodePtr node = document->top->children; node != NULL; node = node->next) {
		xmlChar *content;
		char *name;

		if (node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, "name") != 0)
			continue;
		content = xmlNodeGetContent(node);
		name = content == NULL ? NULL : strdup((const char *)content);
		xmlFree(content);
		return name;
	}
	return NULL;
}

void
admission_destroy(struct admission_document *document)
{
	if (document == NULL)
		return;
	for (size_t i = 0; i < document->num_claims; i++) {
		free(document->claims[i].name);
		free(document->claims[i].parent);
	}
	xmlXPathFreeContext(document->context);
	xmlBufferFree(document->text);
	xmlFreeDoc(document->doc);
	free(document);
}

xmlXPathObjectPtr
document_ask(const struct admission_document *document, xmlXPathCompExprPtr compiled, const struct vg_limits *limits, unsigned long steps)
{
	static const struct vg_limits no_limits;

	document->context->userData = (void *)(uintptr_t)(limits == NULL ? &no_limits : limits);
	document->context->opLimit = steps;
	document->context->opCount = 0;
	return compiled == NULL ? NULL : xmlXPathCompiledEval(compiled, document->context);
}

/* ---- writing ---- */

const char *
admission_text(struct admission_document *document, size_t *len)
{
	if (document->text == NULL) {
		document->text = xmlBufferCreate();
		if (document->text == NULL || xmlNodeDump(document->text, document->doc, document->top, 0, 0) < 0) {
			xmlBufferFree(document->text);
			document->text = NULL;
			return NULL;
		}
	}
	*len = (size_t)xmlBufferLength(document->text);
	return (const char *)xmlBufferContent(document->text);
}
