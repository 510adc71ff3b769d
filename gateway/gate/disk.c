/*
 * disk.c: which disks does a domain have? Read from its definition as libvirtd tells it.
 */
#include <stdio.h>
#include <string.h>

#include <libxml/parser.h>

#include "gateway/gate/argument.h"
#include "virtgate/xml_cost.h"

static bool
is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static bool
attribute_is(const xmlNode *node, const char *attribute, const char *value, size_t len)
{
	xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)attribute);
	bool is = text != NULL && strlen((const char *)text) == len && memcmp(text, value, len) == 0;

	xmlFree(text);
	return is;
}

/* Length of "vda" in "vda" and "vda[1]"; 0: neither. */
static size_t
target_len(const char *name)
{
	size_t len = strcspn(name, "[");

	size_t digits = name[len] == '\0' ? 0 : strspn(name + len + 1, "0123456789");

	if (name[len] == '\0')
		return len;
	return digits > 0 && strcmp(name + len + 1 + digits, "]") == 0 ? len : 0;
}

/* Some <disk>: its target, or a source anywhere in its chain. */
static bool
disk_has(xmlNodePtr disk, const char *name)
{
	xmlNodePtr node = disk->children;

	while (node != NULL) {
		if (is_named(node, "target") && node->parent == disk && target_len(name) > 0 && attribute_is(node, "dev", name, target_len(name)))
			return true;
		if (is_named(node, "source") && (attribute_is(node, "file", name, strlen(name)) || attribute_is(node, "dev", name, strlen(name)) ||
		    attribute_is(node, "name", name, strlen(name))))
			return true;
		if (node->type == XML_ELEMENT_NODE && node->children != NULL) {
			node = node->children;
			continue;
		}
		while (node != disk && node->next == NULL)
			node = node->parent;
		node = node == disk ? NULL : node->next;
	}
	return false;
}

static xmlDocPtr
read_definition(const char *xml, size_t len)
{
	return len > INT32_MAX || xml_refusal(xml, len) != NULL ? NULL :
	    xmlReadMemory(xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
}

static xmlNodePtr
find_disk(xmlDocPtr doc, const char *name)
{
	xmlNodePtr root = doc == NULL ? NULL : xmlDocGetRootElement(doc);

	for (xmlNodePtr devices = root == NULL ? NULL : root->children; devices != NULL && name[0] != '\0'; devices = devices->next)
		for (xmlNodePtr disk = is_named(devices, "devices") ? devices->children : NULL; disk != NULL; disk = disk->next)
			if (is_named(disk, "disk") && disk_has(disk, name))
				return disk;
	return NULL;
}

bool
disk_is_in(const char *xml, size_t len, const char *name)
{
	xmlDocPtr doc = read_definition(xml, len);
	bool found = find_disk(doc, name) != NULL;

	xmlFreeDoc(doc);
	return found;
}

static void
copy_attribute(const xmlNode *node, const char *attribute, char *text, size_t size)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)attribute);

	if (value != NULL)
		(void)snprintf(text, size, "%s", (const char *)value);
	xmlFree(value);
}

bool
disk_image_of(const char *xml, size_t len, const char *name, struct disk_image *image)
{
	xmlDocPtr doc = read_definition(xml, len);
	xmlNodePtr disk = find_disk(doc, name);

	memset(image, 0, sizeof(*image));
	for (xmlNodePtr node = disk == NULL ? NULL : disk->children; node != NULL; node = node->next) {
		if (!is_named(node, "source"))
			continue;
		copy_attribute(node, "file", image->path, sizeof(image->path));
		copy_attribute(node, "dev", image->path, sizeof(image->path));
		copy_attribute(node, "pool", image->pool, sizeof(image->pool));
		copy_attribute(node, "volume", image->volume, sizeof(image->volume));
	}
	xmlFreeDoc(doc);
	return image->path[0] != '\0' || (image->pool[0] != '\0' && image->volume[0] != '\0');
}
