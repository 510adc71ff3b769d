/*
 * amounts.c: how much a document asks for. Read as libvirt reads it, but of what stands twice the larger, and what it would read in a way
 * that is not known here is an error: it never comes out as less than what libvirt takes.
 */
#include "gateway/admission/admission.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "gateway/admission/functions.h"
#include "virtgate/xml_cost.h"

#define MAX_AMOUNT 17592186044416.0	/* KiB, 16 PiB: no host has as much, and as many as fit into a document add up without overflow */

static bool
is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && node->ns == NULL && strcmp((const char *)node->name, name) == 0;
}

/* The next child of that name, from `node` on. */
static const xmlNode *
next_named(const xmlNode *node, const char *name)
{
	while (node != NULL && !is_named(node, name))
		node = node->next;
	return node;
}

static const xmlNode *
first_named(const xmlNode *parent, const char *name)
{
	return next_named(parent->children, name);
}

static int
take(const xmlNode *node, double value, uint64_t *amount, struct vg_error *error)
{
	if (!(value >= 0 && value <= MAX_AMOUNT))
		return vg_fail(error, "line %ld: <%.40s> is no amount", xmlGetLineNo(node), (const char *)node->name);
	*amount = (uint64_t)ceil(value);
	return 0;
}

/* The largest that children of this name say; 0: there is none. */
static int
largest(const xmlNode *parent, const char *name, const char *usual, uint64_t *amount, struct vg_error *error)
{
	for (const xmlNode *node = first_named(parent, name); node != NULL; node = next_named(node->next, name)) {
		uint64_t one = 0;

		if (take(node, functions_kibibytes(node, usual), &one, error) < 0)
			return -1;
		if (one > *amount)
			*amount = one;
	}
	return 0;
}

/* <vcpu>: how many there may be, whatever `current` says; one where nothing is said. */
static int
count_vcpus(const xmlNode *domain, uint64_t *vcpus, struct vg_error *error)
{
	*vcpus = 1;
	for (const xmlNode *node = first_named(domain, "vcpu"); node != NULL; node = next_named(node->next, "vcpu")) {
		xmlChar *text = xmlNodeGetContent(node);
		const char *digits = text == NULL ? "" : (const char *)text + strspn((const char *)text, " \t\n");
		size_t len = strspn(digits, "0123456789");
		bool good = len > 0 && len < 10 && digits[len] == '\0';
		uint64_t value = good ? strtoull(digits, NULL, 10) : 0;

		xmlFree(text);
		if (!good)
			return vg_fail(error, "line %ld: <vcpu> is no number", xmlGetLineNo(node));
		if (value > *vcpus)
			*vcpus = value;
	}
	return 0;
}

/* A memory device: what it has at most. */
static int
add_memory(const xmlNode *device, uint64_t *memory, struct vg_error *error)
{
	for (const xmlNode *target = first_named(device, "target"); target != NULL; target = next_named(target->next, "target")) {
		uint64_t size = 0;

		if (largest(target, "size", "KiB", &size, error) < 0)
			return -1;
		*memory += size;
	}
	return 0;
}

/* The cells of <cpu><numa>, and memory devices. */
static int
sum_parts(const xmlNode *domain, uint64_t *memory, struct vg_error *error)
{
	for (const xmlNode *cpu = first_named(domain, "cpu"); cpu != NULL; cpu = next_named(cpu->next, "cpu"))
		for (const xmlNode *numa = first_named(cpu, "numa"); numa != NULL; numa = next_named(numa->next, "numa"))
			for (const xmlNode *cell = first_named(numa, "cell"); cell != NULL; cell = next_named(cell->next, "cell")) {
				const xmlAttr *said = xmlHasProp(cell, (const xmlChar *)"memory");
				uint64_t one = 0;

				if (said != NULL && take(cell, functions_kibibytes((const xmlNode *)said, "KiB"), &one, error) < 0)
					return -1;
				*memory += one;
			}
	for (const xmlNode *devices = first_named(domain, "devices"); devices != NULL; devices = next_named(devices->next, "devices"))
		for (const xmlNode *device = first_named(devices, "memory"); device != NULL; device = next_named(device->next, "memory"))
			if (add_memory(device, memory, error) < 0)
				return -1;
	return 0;
}

/* Raises the amounts to what it has. <memory> says all of it, memory devices too; with cells libvirt takes their sum instead. */
static int
count_domain(const xmlNode *domain, struct vg_amounts *amounts, struct vg_error *error)
{
	uint64_t said = 0, parts = 0, vcpus;

	amounts->of[VG_AMOUNT_GUESTS] = 1;
	if (count_vcpus(domain, &vcpus, error) < 0 || largest(domain, "memory", "KiB", &said, error) < 0 ||
	    largest(domain, "currentMemory", "KiB", &said, error) < 0 || sum_parts(domain, &parts, error) < 0)
		return -1;
	said = parts > said ? parts : said;
	if (vcpus > amounts->of[VG_AMOUNT_VCPUS])
		amounts->of[VG_AMOUNT_VCPUS] = vcpus;
	if (said > amounts->of[VG_AMOUNT_MEMORY])
		amounts->of[VG_AMOUNT_MEMORY] = said;
	return 0;
}

/* What the domain had when the snapshot was taken, running or not. */
static int
count_snapshot(const xmlNode *snapshot, struct vg_amounts *amounts, struct vg_error *error)
{
	static const char *const names[] = { "domain", "inactiveDomain" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (const xmlNode *domain = first_named(snapshot, names[i]); domain != NULL; domain = next_named(domain->next, names[i]))
			if (count_domain(domain, amounts, error) < 0)
				return -1;
	return 0;
}

static int
count_volume(const xmlNode *volume, struct vg_amounts *amounts, struct vg_error *error)
{
	if (first_named(volume, "capacity") == NULL) {
		(void)vg_fail(error, "line %ld: the volume's capacity is not said", xmlGetLineNo(volume));
		return vg_hint(error, "<capacity unit='GiB'>…</capacity>: without it libvirt takes that of its backing image");
	}
	return largest(volume, "capacity", "bytes", &amounts->of[VG_AMOUNT_DISK], error) < 0 ||
	    largest(volume, "allocation", "bytes", &amounts->of[VG_AMOUNT_DISK], error) < 0 ? -1 : 0;
}

int
admission_amounts(const char *xml, size_t len, struct vg_amounts *amounts, struct vg_error *error)
{
	const char *refusal = len > INT32_MAX ? "too large" : xml_refusal(xml, len);
	xmlDocPtr doc = refusal != NULL ? NULL :
	    xmlReadMemory(xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
	const xmlNode *root = doc == NULL ? NULL : xmlDocGetRootElement(doc);
	int r = 0;

	*amounts = (struct vg_amounts){ { 0 } };
	if (root == NULL || xmlGetIntSubset(doc) != NULL)
		r = vg_fail(error, "%s", refusal != NULL ? refusal : "the document does not parse");
	else if (is_named(root, "domain"))
		r = count_domain(root, amounts, error);
	else if (is_named(root, "volume"))
		r = count_volume(root, amounts, error);
	else if (is_named(root, "domainsnapshot"))
		r = count_snapshot(root, amounts, error);
	else if (is_named(root, "memory"))
		r = add_memory(root, &amounts->of[VG_AMOUNT_MEMORY], error);
	xmlFreeDoc(doc);
	return r;
}
