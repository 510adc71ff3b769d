/*
 * claims.c: what a document wants to use that belongs to somebody: images, networks, filters, secrets. Each place where libvirt reads
 * such a name is looked at, in every device, whether or not the device's type says that libvirt will; so a name is never used unasked.
 */
#include "gateway/admission/document.h"

#include <stdlib.h>
#include <string.h>

static bool
is_named(const xmlNode *node, const char *name)
{
	return node != NULL && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static bool
has_child(const xmlNode *node, const char *name)
{
	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		if (is_named(child, name))
			return true;
	return false;
}

/* Takes `name` and `parent`, which are libxml2's; NULL or empty names claim nothing. */
static int
add_claim(struct admission_document *document, enum admission_claim_kind kind, const xmlNode *node, xmlChar *name, xmlChar *parent, bool writes,
    struct vg_error *error)
{
	struct admission_claim *claim = &document->claims[document->num_claims];
	int r = 0;

	if (name == NULL || (*name == '\0' && kind != CLAIM_VOLUME && kind != CLAIM_DIRECTORY))
		goto out;
	if (document->num_claims == ADMISSION_MAX_CLAIMS) {
		r = vg_fail(error, "more than %u images, networks, filters and secrets in one document", ADMISSION_MAX_CLAIMS);
		goto out;
	}
	*claim = (struct admission_claim){ .kind = kind, .writes = writes, .line = xmlGetLineNo(node), .name = strdup((const char *)name),
		.parent = parent == NULL ? NULL : strdup((const char *)parent) };
	document->num_claims++;
	if (claim->name == NULL || (parent != NULL && claim->parent == NULL))
		r = vg_fail(error, "out of memory");
out:
	xmlFree(name);
	xmlFree(parent);
	return r;
}

static xmlChar *
attribute(const xmlNode *node, const char *name)
{
	return xmlGetNoNsProp(node, (const xmlChar *)name);
}

/* The <source> of a disk or of an image below it. */
static int
claim_source(struct admission_document *document, const xmlNode *source, bool writes, struct vg_error *error)
{
	xmlChar *pool = attribute(source, "pool"), *volume = attribute(source, "volume");

	if (pool == NULL && volume != NULL)
		pool = xmlStrdup((const xmlChar *)"");
	if (pool != NULL && volume == NULL)
		volume = xmlStrdup((const xmlChar *)"");
	if (add_claim(document, CLAIM_VOLUME, source, volume, pool, writes, error) < 0 ||
	    add_claim(document, CLAIM_DISK, source, attribute(source, "file"), NULL, writes, error) < 0)
		return -1;
	return add_claim(document, CLAIM_DISK, source, attribute(source, "dev"), NULL, writes, error);
}

static int
claim_of_disk(struct admission_document *document, xmlNodePtr disk, struct vg_error *error)
{
	xmlChar *device = attribute(disk, "device");
	/* A copy is written, whatever the document says. */
	bool writes = document->kind == ADMISSION_DISK || (!has_child(disk, "readonly") && (device == NULL || (strcmp((const char *)device, "cdrom") != 0)));
	int r = 0;

	for (xmlNodePtr node = disk->children != NULL ? disk->children : NULL; node != NULL && r == 0; node = document_next(node, disk, false)) {
		/* Only the top image is written to; commits into those below are calls of their own. */
		if (is_named(node, "source"))
			r = claim_source(document, node, writes && node->parent == disk, error);
	}
	xmlFree(device);
	return r;
}

static int
claim_of_interface(struct admission_document *document, xmlNodePtr interface, struct vg_error *error)
{
	for (xmlNodePtr node = interface->children; node != NULL; node = node->next) {
		if (is_named(node, "source") && add_claim(document, CLAIM_NETWORK, node, attribute(node, "network"), NULL, false, error) < 0)
			return -1;
		if (is_named(node, "filterref") && add_claim(document, CLAIM_NWFILTER, node, attribute(node, "filter"), NULL, false, error) < 0)
			return -1;
	}
	return 0;
}

/* <secret uuid='…'>, wherever it stands, and a vTPM's <encryption secret='…'>. */
static int
claim_secrets(struct admission_document *document, struct vg_error *error)
{
	xmlNodePtr root = xmlDocGetRootElement(document->doc);

	for (xmlNodePtr node = root; node != NULL; node = document_next(node, root, document_is_metadata(node))) {
		if (is_named(node, "secret") && add_claim(document, CLAIM_SECRET, node, attribute(node, "uuid"), NULL, false, error) < 0)
			return -1;
		if (is_named(node, "encryption") && add_claim(document, CLAIM_SECRET, node, attribute(node, "secret"), NULL, false, error) < 0)
			return -1;
	}
	return 0;
}

static int
claim_of_volume(struct admission_document *document, const xmlNode *volume, struct vg_error *error)
{
	for (xmlNodePtr backing = volume->children; backing != NULL; backing = backing->next) {
		for (xmlNodePtr path = is_named(backing, "backingStore") ? backing->children : NULL; path != NULL; path = path->next)
			if (is_named(path, "path") && add_claim(document, CLAIM_DISK, path, xmlNodeGetContent(path), NULL, false, error) < 0)
				return -1;
	}
	return 0;
}

/* What a backup is written to. */
static int
claim_of_backup(struct admission_document *document, xmlNodePtr root, struct vg_error *error)
{
	for (xmlNodePtr node = root; node != NULL; node = document_next(node, root, false)) {
		if (!is_named(node, "target") && !is_named(node, "scratch"))
			continue;
		if (add_claim(document, CLAIM_DISK, node, attribute(node, "file"), NULL, true, error) < 0 ||
		    add_claim(document, CLAIM_DISK, node, attribute(node, "dev"), NULL, true, error) < 0)
			return -1;
	}
	return 0;
}

/* A volume's secret belongs to whoever may write the volume: there is one for each. */
static int
claim_of_secret(struct admission_document *document, xmlNodePtr root, struct vg_error *error)
{
	for (xmlNodePtr node = root; node != NULL; node = document_next(node, root, false))
		if (is_named(node, "volume") && add_claim(document, CLAIM_DISK, node, xmlNodeGetContent(node), NULL, true, error) < 0)
			return -1;
	return 0;
}

/* The rules see to it that there is one name and one path. */
static int
claim_of_pool(struct admission_document *document, xmlNodePtr pool, struct vg_error *error)
{
	for (xmlNodePtr node = pool; node != NULL; node = document_next(node, pool, false)) {
		char *name;
		int r;

		if (!is_named(node, "path"))
			continue;
		name = admission_name(document);
		r = add_claim(document, CLAIM_DIRECTORY, node, xmlNodeGetContent(node), xmlStrdup((const xmlChar *)(name == NULL ? "" : name)), true, error);
		free(name);
		if (r < 0)
			return -1;
	}
	return 0;
}

int
claims_collect(struct admission_document *document, struct vg_error *error)
{
	xmlNodePtr root = xmlDocGetRootElement(document->doc);

	if (document->kind == ADMISSION_VOLUME && claim_of_volume(document, root, error) < 0)
		return -1;
	if (document->kind == ADMISSION_BACKUP && claim_of_backup(document, root, error) < 0)
		return -1;
	if (document->kind == ADMISSION_SECRET && claim_of_secret(document, root, error) < 0)
		return -1;
	if (document->kind == ADMISSION_POOL && claim_of_pool(document, root, error) < 0)
		return -1;
	for (xmlNodePtr devices = root->children; devices != NULL; devices = devices->next) {
		for (xmlNodePtr device = is_named(devices, "devices") ? devices->children : NULL; device != NULL; device = device->next) {
			if (is_named(device, "disk") && claim_of_disk(document, device, error) < 0)
				return -1;
			if (is_named(device, "interface") && claim_of_interface(document, device, error) < 0)
				return -1;
		}
	}
	return claim_secrets(document, error);
}

const struct admission_claim *
admission_claims(const struct admission_document *document, size_t *num)
{
	*num = document->num_claims;
	return document->claims;
}
