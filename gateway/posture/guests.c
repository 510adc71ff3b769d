/*
 * guests.c: the guests that run, from libvirt's own live descriptions (/run/libvirt/qemu/NAME.xml, a <domstatus> around the <domain>;
 * libvirt src/qemu/qemu_domain.c).
 */
#include "gateway/posture/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "virtgate/xml_cost.h"

#define LIVE_DIR "/run/libvirt/qemu"
#define MAX_LIVE_XML (8u * 1024u * 1024u)

/* 1 added, 0 not a guest that can be read (told in guests_unseen), -1 without memory. */
static int
add_guest(struct posture_host *host, const char *path)
{
	struct posture_guest *guests, guest = { 0 };
	size_t len;
	char *text = posture_read(host, path, MAX_LIVE_XML, &len);
	xmlNodePtr top;
	xmlChar *name = NULL;

	if (text == NULL && errno == ENOENT)
		return 0;	/* it has just ended */
	if (text == NULL) {
		(void)snprintf(host->guests_unseen, sizeof(host->guests_unseen), "%.150s: %.80s", path, strerror(errno));
		return 0;
	}
	if (xml_refusal(text, len) == NULL)
		guest.doc = xmlReadMemory(text, (int)len, "guest", NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	free(text);
	top = guest.doc == NULL ? NULL : xmlDocGetRootElement(guest.doc);
	guest.domain = top;
	if (top != NULL && strcmp((const char *)top->name, "domstatus") == 0)
		for (guest.domain = top->children; guest.domain != NULL; guest.domain = guest.domain->next)
			if (guest.domain->type == XML_ELEMENT_NODE && strcmp((const char *)guest.domain->name, "domain") == 0)
				break;
	for (xmlNodePtr node = guest.domain == NULL ? NULL : guest.domain->children; node != NULL && name == NULL; node = node->next)
		if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, "name") == 0)
			name = xmlNodeGetContent(node);
	if (name == NULL) {
		xmlFreeDoc(guest.doc);
		(void)snprintf(host->guests_unseen, sizeof(host->guests_unseen), "%.200s: not a live description", path);
		return 0;
	}
	guest.name = strdup((const char *)name);
	xmlFree(name);
	guests = guest.name == NULL ? NULL : posture_grow(host->guests, host->num_guests, sizeof(*guests));
	if (guests == NULL) {
		free(guest.name);
		xmlFreeDoc(guest.doc);
		return -1;
	}
	host->guests = guests;
	host->guests[host->num_guests++] = guest;
	return 1;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct posture_guest *)a)->name, ((const struct posture_guest *)b)->name);
}

int
posture_read_guests(struct posture_host *host)
{
	char full[POSTURE_PATH_SIZE];
	const struct dirent *entry;
	DIR *dir;

	xmlInitParser();
	dir = posture_path(host, LIVE_DIR, full) == NULL ? NULL : opendir(full);
	/* Without the directory the QEMU driver has not run since the host started, so no guest has. */
	if (dir == NULL && errno == ENOENT)
		return 0;
	if (dir == NULL) {
		(void)snprintf(host->guests_unseen, sizeof(host->guests_unseen), LIVE_DIR ": %s", strerror(errno));
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);
		char path[sizeof(LIVE_DIR) + sizeof(entry->d_name) + 1];

		if (len < 5 || strcmp(entry->d_name + len - 4, ".xml") != 0)
			continue;
		(void)snprintf(path, sizeof(path), LIVE_DIR "/%s", entry->d_name);
		if (add_guest(host, path) < 0) {
			(void)closedir(dir);
			return -1;
		}
	}
	(void)closedir(dir);
	if (host->num_guests > 1)
		qsort(host->guests, host->num_guests, sizeof(*host->guests), by_name);
	return 0;
}

size_t
posture_guest_count(const struct posture_guest *guest, const char *xpath)
{
	xmlXPathContextPtr context = xmlXPathNewContext(guest->doc);
	xmlXPathObjectPtr found = NULL;
	size_t num = 0;

	if (context != NULL) {
		context->node = guest->domain;
		found = xmlXPathEvalExpression((const xmlChar *)xpath, context);
	}
	if (found != NULL && found->type == XPATH_NODESET && found->nodesetval != NULL && found->nodesetval->nodeNr > 0)
		num = (size_t)found->nodesetval->nodeNr;
	xmlXPathFreeObject(found);
	xmlXPathFreeContext(context);
	return num;
}

void
posture_guest_values(const struct posture_guest *guest, const char *xpath, void (*each)(const char *value, void *arg), void *arg)
{
	xmlXPathContextPtr context = xmlXPathNewContext(guest->doc);
	xmlXPathObjectPtr found = NULL;

	if (context != NULL) {
		context->node = guest->domain;
		found = xmlXPathEvalExpression((const xmlChar *)xpath, context);
	}
	for (int i = 0; found != NULL && found->nodesetval != NULL && i < found->nodesetval->nodeNr; i++) {
		xmlChar *value = xmlNodeGetContent(found->nodesetval->nodeTab[i]);

		if (value != NULL)
			each((const char *)value, arg);
		xmlFree(value);
	}
	xmlXPathFreeObject(found);
	xmlXPathFreeContext(context);
}
