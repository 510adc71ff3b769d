#include "gateway/admission/fix_tree.h"

#include <stdlib.h>
#include <string.h>

/* ---- looking and changing ---- */

bool
tree_is(const xmlNode *node, const char *name)
{
	return node != NULL && node->type == XML_ELEMENT_NODE && node->ns == NULL && strcmp((const char *)node->name, name) == 0;
}

bool
tree_has(const xmlNode *node, const char *attribute, const char *value)
{
	xmlChar *text = node == NULL || node->type != XML_ELEMENT_NODE ? NULL : xmlGetNoNsProp(node, (const xmlChar *)attribute);
	bool has = text != NULL && strcmp((const char *)text, value) == 0;

	xmlFree(text);
	return has;
}

static xmlNodePtr
from(xmlNodePtr node, const char *name)
{
	while (node != NULL && !tree_is(node, name))
		node = node->next;
	return node;
}

xmlNodePtr
tree_child(const xmlNode *parent, const char *name)
{
	return parent == NULL ? NULL : from(parent->children, name);
}

xmlNodePtr
tree_child_after(const xmlNode *child, const char *name)
{
	return from(child->next, name);
}

static bool
is_blank(const xmlNode *node)
{
	return node != NULL && node->type == XML_TEXT_NODE && node->content != NULL &&
	    node->content[strspn((const char *)node->content, " \t\n")] == '\0';
}

/* The line break and indentation before a child, or NULL where it has no line of its own. */
static const char *
indentation(const xmlNode *child)
{
	const char *last = child == NULL || !is_blank(child->prev) ? NULL : strrchr((const char *)child->prev->content, '\n');

	return last;
}

static xmlNodePtr
new_text(const char *begin, const char *more)
{
	xmlNodePtr text = xmlNewText((const xmlChar *)begin);

	if (text != NULL)
		xmlNodeAddContent(text, (const xmlChar *)more);
	return text;
}

static xmlNodePtr
first_element(const xmlNode *parent)
{
	xmlNodePtr child = parent->children;

	while (child != NULL && child->type != XML_ELEMENT_NODE)
		child = child->next;
	return child;
}

/* Into an element that has none yet. */
static void
add_alone(xmlNodePtr parent, xmlNodePtr child)
{
	const char *outer = indentation(parent);
	xmlNodePtr before = outer == NULL ? NULL : new_text(outer, "  "), behind = outer == NULL ? NULL : new_text(outer, "");

	if (is_blank(parent->children) && parent->children->next == NULL) {
		xmlNodePtr blank = parent->children;

		xmlUnlinkNode(blank);
		xmlFreeNode(blank);
	}
	if (before != NULL)
		(void)xmlAddChild(parent, before);
	(void)xmlAddChild(parent, child);
	if (behind != NULL)
		(void)xmlAddChild(parent, behind);
}

xmlNodePtr
tree_add_first(xmlNodePtr parent, const char *name)
{
	xmlNodePtr child = parent == NULL ? NULL : xmlNewDocNode(parent->doc, NULL, (const xmlChar *)name, NULL);
	xmlNodePtr first = child == NULL ? NULL : first_element(parent);
	const char *line = indentation(first);

	if (child == NULL)
		return NULL;
	if (first == NULL) {
		add_alone(parent, child);
		return child;
	}
	(void)xmlAddPrevSibling(first, child);
	/* Adding a text to one that is there would join them: behind the new element there is none. */
	if (line != NULL)
		(void)xmlAddNextSibling(child, new_text(line, ""));
	return child;
}

xmlNodePtr
tree_add(xmlNodePtr parent, const char *name)
{
	xmlNodePtr child = parent == NULL ? NULL : xmlNewDocNode(parent->doc, NULL, (const xmlChar *)name, NULL);
	xmlNodePtr first = child == NULL ? NULL : first_element(parent), last = parent == NULL ? NULL : parent->last;
	const char *line = indentation(first);

	if (child == NULL)
		return NULL;
	if (first == NULL) {
		add_alone(parent, child);
		return child;
	}
	while (last->type != XML_ELEMENT_NODE)
		last = last->prev;
	(void)xmlAddNextSibling(last, child);
	if (line != NULL)
		(void)xmlAddPrevSibling(child, new_text(line, ""));
	return child;
}

void
tree_remove(xmlNodePtr node)
{
	xmlNodePtr before = node == NULL || node->type == XML_ATTRIBUTE_NODE ? NULL : node->prev;

	if (node == NULL)
		return;
	if (node->type == XML_ATTRIBUTE_NODE) {
		(void)xmlRemoveProp((xmlAttrPtr)node);
		return;
	}
	xmlUnlinkNode(node);
	xmlFreeNode(node);
	if (is_blank(before)) {
		xmlUnlinkNode(before);
		xmlFreeNode(before);
	}
}

void
tree_set(xmlNodePtr node, const char *attribute, const char *value)
{
	if (node == NULL || node->type != XML_ELEMENT_NODE)
		return;
	if (value == NULL)
		(void)xmlUnsetProp(node, (const xmlChar *)attribute);
	else
		(void)xmlSetProp(node, (const xmlChar *)attribute, (const xmlChar *)value);
}

void
tree_say(xmlNodePtr node, const char *text)
{
	if (node == NULL)
		return;
	xmlNodeSetContent(node, NULL);
	xmlNodeAddContent(node, (const xmlChar *)text);
}

/* ---- writing ---- */

static void
put(xmlBufferPtr out, const char *text)
{
	(void)xmlBufferAdd(out, (const xmlChar *)text, -1);
}

/* `quote`: of the attribute that it is in; 0: it is a text. */
static void
put_escaped(xmlBufferPtr out, const xmlChar *text, char quote)
{
	for (const xmlChar *byte = text; byte != NULL && *byte != '\0'; byte++) {
		if (*byte == '&')
			put(out, "&amp;");
		else if (*byte == '<')
			put(out, "&lt;");
		else if (*byte == '>' && quote == 0)
			put(out, "&gt;");
		else if (*byte == '\r')
			put(out, "&#13;");
		else if (quote != 0 && *byte == '\n')
			put(out, "&#10;");
		else if (quote != 0 && *byte == '\t')
			put(out, "&#9;");
		else if (quote != 0 && *byte == quote)
			put(out, quote == '"' ? "&quot;" : "&apos;");
		else
			(void)xmlBufferAdd(out, byte, 1);
	}
}

static void
put_name(xmlBufferPtr out, const xmlNs *ns, const xmlChar *name)
{
	if (ns != NULL && ns->prefix != NULL) {
		put(out, (const char *)ns->prefix);
		put(out, ":");
	}
	put(out, (const char *)name);
}

static void
put_value(xmlBufferPtr out, const xmlChar *value, char quote)
{
	const char mark[2] = { quote, '\0' };

	put(out, "=");
	put(out, mark);
	put_escaped(out, value, quote);
	put(out, mark);
}

static void
put_start(xmlBufferPtr out, const xmlNode *node, char quote)
{
	put(out, "<");
	put_name(out, node->ns, node->name);
	for (const xmlNs *ns = node->nsDef; ns != NULL; ns = ns->next) {
		put(out, ns->prefix == NULL ? " xmlns" : " xmlns:");
		put(out, ns->prefix == NULL ? "" : (const char *)ns->prefix);
		put_value(out, ns->href, quote);
	}
	for (const xmlAttr *attribute = node->properties; attribute != NULL; attribute = attribute->next) {
		xmlChar *value = xmlNodeGetContent((const xmlNode *)attribute);

		put(out, " ");
		put_name(out, attribute->ns, attribute->name);
		put_value(out, value, quote);
		xmlFree(value);
	}
	put(out, node->children == NULL ? "/>" : ">");
}

static void
put_end(xmlBufferPtr out, const xmlNode *node)
{
	put(out, "</");
	put_name(out, node->ns, node->name);
	put(out, ">");
}

static void
put_leaf(xmlBufferPtr out, const xmlNode *node)
{
	const char *text = node->content == NULL ? "" : (const char *)node->content;

	switch (node->type) {
	case XML_TEXT_NODE:
		put_escaped(out, node->content, 0);
		break;
	case XML_CDATA_SECTION_NODE:
		put(out, "<![CDATA[");
		put(out, text);
		put(out, "]]>");
		break;
	case XML_COMMENT_NODE:
		put(out, "<!--");
		put(out, text);
		put(out, "-->");
		break;
	case XML_PI_NODE:
		put(out, "<?");
		put(out, (const char *)node->name);
		put(out, text[0] == '\0' ? "" : " ");
		put(out, text);
		put(out, "?>");
		break;
	default:
		break;
	}
}

static void
put_tree(xmlBufferPtr out, const xmlNode *root, char quote)
{
	const xmlNode *node = root;

	for (;;) {
		if (node->type != XML_ELEMENT_NODE)
			put_leaf(out, node);
		else
			put_start(out, node, quote);
		if (node->type == XML_ELEMENT_NODE && node->children != NULL) {
			node = node->children;
			continue;
		}
		while (node != root && node->next == NULL) {
			node = node->parent;
			put_end(out, node);
		}
		if (node == root)
			return;
		node = node->next;
	}
}

/* Where the top element begins: behind the declaration, comments and blanks. */
static size_t
prologue(const char *text, size_t len)
{
	size_t at = 0;

	while (at + 1 < len && (text[at] != '<' || text[at + 1] == '?' || text[at + 1] == '!')) {
		const char *end = text[at] != '<' ? NULL : strstr(text + at, text[at + 1] == '?' ? "?>" : "-->");

		at = end == NULL ? at + 1 : (size_t)(end - text) + 2;
	}
	return at;
}

static char
quote_of(const char *text)
{
	size_t single = 0, twofold = 0;

	for (const char *equals = text; (equals = strchr(equals, '=')) != NULL; equals++) {
		single += equals[1] == '\'';
		twofold += equals[1] == '"';
	}
	return twofold > single ? '"' : '\'';
}

char *
tree_text(const xmlDoc *doc, const char *original, size_t len)
{
	xmlBufferPtr out = xmlBufferCreate();
	size_t end = len;
	char *text;

	if (out == NULL)
		return NULL;
	while (end > 0 && strchr(" \t\r\n", original[end - 1]) != NULL)
		end--;
	(void)xmlBufferAdd(out, (const xmlChar *)original, (int)prologue(original, len));
	put_tree(out, xmlDocGetRootElement(doc), quote_of(original));
	put(out, original + end);
	text = strdup((const char *)xmlBufferContent(out));
	xmlBufferFree(out);
	return text;
}
