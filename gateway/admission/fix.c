/*
 * fix.c: see fix.h. One row of fixes[] a rule; the functions change the tree of the document as it was written.
 */
#include "gateway/admission/fix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "gateway/admission/fix_tree.h"
#include "virtgate/xml_cost.h"

struct admission_fix {
	char *original;
	size_t len;
	xmlDocPtr doc;
	xmlXPathContextPtr context;
	xmlNodePtr node;		/* to be changed; NULL: none yet */
	const struct fixing *how;
	const struct vg_limits *limits;
};

/* A rule's change. `applies`: NULL, or whether it can be made here. */
struct fixing {
	const char *rule;
	void (*change)(xmlNodePtr node, const struct vg_limits *limits);
	bool (*applies)(const xmlNode *node);
};

/* ---- changes ---- */

static xmlNodePtr
parent_named(xmlNodePtr node, const char *name)
{
	while (node != NULL && !tree_is(node, name))
		node = node->parent;
	return node;
}

static void
take_out(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	tree_remove(node);
}

/* The attribute that the rule is about, or the element where it is about that. */
static void
take_out_pinning(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	if (tree_is(node, "vcpu"))
		tree_set(node, "cpuset", NULL);
	else
		tree_remove(node);
}

static void
take_out_memory(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	if (tree_is(node, "cell"))
		tree_set(node, "memAccess", NULL);
	else
		tree_remove(node);
}

static void
take_out_log(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	if (tree_is(node, "backend"))
		tree_set(node, "logFile", NULL);
	else
		tree_remove(node);
}

static void
take_out_rom(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	tree_set(node, "file", NULL);
	if (node->properties == NULL)
		tree_remove(node);
}

static void
listen_nowhere(xmlNodePtr node, const struct vg_limits *limits)
{
	static const char *const attributes[] = { "listen", "socket", "port", "tlsPort", "autoport", "websocket" };
	xmlNodePtr graphics = parent_named(node, "graphics"), child;

	(void)limits;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		tree_set(graphics, attributes[i], NULL);
	while ((child = tree_child(graphics, "listen")) != NULL)
		tree_remove(child);
	tree_set(tree_add(graphics, "listen"), "type", "none");
}

static bool
listens(const xmlNode *node)
{
	const xmlNode *graphics = parent_named((xmlNodePtr)(uintptr_t)node, "graphics");

	return tree_has(graphics, "type", "vnc") || tree_has(graphics, "type", "spice");
}

static void
make_pty(xmlNodePtr node, const struct vg_limits *limits)
{
	static const char *const parts[] = { "source", "protocol", "log" };
	xmlNodePtr child;

	(void)limits;
	tree_set(node, "type", tree_is(node, "channel") ? "unix" : "pty");
	tree_set(node, "tty", NULL);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		while ((child = tree_child(node, parts[i])) != NULL)
			tree_remove(child);
}

static void
end_chain(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	(void)tree_add(node, "backingStore");
}

/* Of an image below it is not known whether it is the last. */
static bool
is_disk(const xmlNode *node)
{
	return tree_is(node, "disk");
}

static void
use_urandom(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	node = parent_named(node, "rng");
	for (xmlNodePtr child; (child = tree_child(node, "backend")) != NULL;)
		tree_remove(child);
	node = tree_add(node, "backend");
	tree_set(node, "model", "random");
	tree_say(node, "/dev/urandom");
}

static void
emulate_tpm(xmlNodePtr node, const struct vg_limits *limits)
{
	xmlNodePtr tpm = parent_named(node, "tpm"), backend = tree_child(tpm, "backend"), next;

	(void)limits;
	if (backend == NULL)
		backend = tree_add(tpm, "backend");
	tree_set(backend, "type", "emulator");
	tree_set(backend, "version", "2.0");
	for (xmlNodePtr child = backend == NULL ? NULL : backend->children; child != NULL; child = next) {
		next = child->next;
		if (child->type == XML_ELEMENT_NODE && !tree_is(child, "encryption") && !tree_is(child, "active_pcr_banks"))
			tree_remove(child);
	}
}

/* The one that it has becomes a TPM 2.0, otherwise there is a new one. */
static void
give_tpm(xmlNodePtr node, const struct vg_limits *limits)
{
	xmlNodePtr devices = tree_child(node, "devices"), tpm;

	if (devices == NULL)
		devices = tree_add(node, "devices");
	tpm = tree_child(devices, "tpm");
	if (tpm == NULL) {
		tpm = tree_add(devices, "tpm");
		tree_set(tpm, "model", "tpm-crb");
	}
	if (tpm != NULL)
		emulate_tpm(tpm, limits);
}

static void
boot_securely(xmlNodePtr node, const struct vg_limits *limits)
{
	xmlNodePtr os = tree_is(node, "domain") ? tree_child(node, "os") : parent_named(node, "os"), firmware, loader;

	(void)limits;
	if (os == NULL)
		os = tree_add(node, "os");
	tree_set(os, "firmware", "efi");
	firmware = os == NULL ? NULL : tree_child(os, "firmware");
	for (xmlNodePtr feature = firmware == NULL ? NULL : firmware->children; feature != NULL; feature = feature->next)
		if (tree_is(feature, "feature") && tree_has(feature, "name", "secure-boot"))
			tree_set(feature, "enabled", "yes");
	loader = os == NULL ? NULL : tree_child(os, "loader");
	if (loader == NULL && os != NULL)
		loader = tree_add(os, "loader");
	tree_set(loader, "secure", "yes");
}

/* A firmware that is named by its path is not the one that libvirt would choose. */
static bool
has_no_loader(const xmlNode *node)
{
	const xmlNode *os = tree_is(node, "domain") ? tree_child(node, "os") : parent_named((xmlNodePtr)(uintptr_t)node, "os");
	const xmlNode *loader = os == NULL ? NULL : tree_child(os, "loader");

	return loader == NULL || loader->children == NULL;
}

static void
emulate_smbios(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	tree_set(node, "mode", "emulate");
}

/* coredump-destroy and coredump-restart say what comes after. */
static void
dump_nothing(xmlNodePtr node, const struct vg_limits *limits)
{
	xmlChar *text;

	(void)limits;
	if (tree_is(node, "watchdog")) {
		tree_set(node, "action", "reset");
		return;
	}
	text = xmlNodeGetContent(node);
	tree_say(node, text != NULL && strstr((const char *)text, "restart") != NULL ? "restart" : "destroy");
	xmlFree(text);
}

static void
mute(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	if (!tree_is(node, "audio")) {
		tree_remove(node);
		return;
	}
	tree_set(node, "type", "none");
	for (xmlNodePtr child = node->children, next; child != NULL; child = next) {
		next = child->next;
		if (child->type == XML_ELEMENT_NODE)
			tree_remove(child);
	}
}

static void
choose_cid(xmlNodePtr node, const struct vg_limits *limits)
{
	(void)limits;
	tree_set(node, "auto", "yes");
	tree_set(node, "address", NULL);
}

/* ---- changes within a row's bounds ---- */

/* FNV-1a, 64 bits, of what tells this interface from others: the same each time. */
static uint64_t
hash_of(xmlNodePtr interface)
{
	xmlNodePtr domain = parent_named(interface, "domain");
	xmlNodePtr name = domain == NULL ? NULL : tree_child(domain, "name");
	xmlChar *text = name == NULL ? NULL : xmlNodeGetContent(name), *path = xmlGetNodePath(interface);
	const xmlChar *parts[] = { text, path };
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < 2; i++)
		for (const xmlChar *byte = parts[i]; byte != NULL && *byte != '\0'; byte++)
			hash = (hash ^ *byte) * UINT64_C(1099511628211);
	xmlFree(text);
	xmlFree(path);
	return hash;
}

/* An address that the glob matches: its own digits, and where it leaves them open, those of the hash. False: it matches none. */
static bool
make_mac(const char *glob, uint64_t hash, char mac[18])
{
	size_t fixed = 0, len = 0, open;

	for (const char *byte = glob; *byte != '\0'; byte++)
		fixed += *byte != '*';
	if (fixed > 17)
		return false;
	open = 17 - fixed;	/* what the first '*' stands for; the others for nothing */
	for (const char *byte = glob; *byte != '\0'; byte++) {
		size_t num = *byte == '*' ? open : 1;

		open = *byte == '*' ? 0 : open;
		for (size_t i = 0; i < num && len < 17; i++, len++) {
			mac[len] = *byte == '*' || *byte == '?' ? (len % 3 == 2 ? ':' : "0123456789abcdef"[hash >> 60]) : *byte;
			if (mac[len] != ':')
				hash = hash << 4 | hash >> 60;
			if ((mac[len] == ':') != (len % 3 == 2))
				return false;
		}
	}
	mac[len] = '\0';
	return len == 17 && strchr("13579bdf", mac[1]) == NULL;	/* libvirt takes no multicast address */
}

static void
give_mac(xmlNodePtr node, const struct vg_limits *limits)
{
	uint64_t hash = hash_of(node);
	char mac[18];
	xmlNodePtr child;

	for (size_t i = 0; i < limits->macs.num; i++) {
		if (!make_mac(limits->macs.texts[i], hash, mac))
			continue;
		while ((child = tree_child(node, "mac")) != NULL && tree_child_after(child, "mac") != NULL)
			tree_remove(child);
		tree_set(child != NULL ? child : tree_add_first(node, "mac"), "address", mac);
		return;
	}
}

static void
give_filter(xmlNodePtr node, const struct vg_limits *limits)
{
	xmlNodePtr child;

	if (limits->filters.num == 0)
		return;
	while ((child = tree_child(node, "filterref")) != NULL)
		tree_remove(child);
	tree_set(tree_add(node, "filterref"), "filter", limits->filters.texts[0]);
}

/* What divides them into sockets and cores would not fit any more. */
static void
lower_vcpus(xmlNodePtr node, const struct vg_limits *limits)
{
	xmlNodePtr cpu = node->parent == NULL ? NULL : tree_child(node->parent, "cpu"), topology = cpu == NULL ? NULL : tree_child(cpu, "topology");
	char number[24];

	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)limits->max_vcpus);
	tree_say(node, number);
	tree_set(node, "current", NULL);
	if (topology != NULL)
		tree_remove(topology);
}

static bool
is_vcpus(const xmlNode *node)
{
	return tree_is(node, "vcpu");
}

static void
lower_memory(xmlNodePtr node, const struct vg_limits *limits)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)limits->max_memory_kib);
	tree_say(node, number);
	tree_set(node, "unit", "KiB");
}

/* Memory devices and cells belong to an arrangement that is not for us to change. */
static bool
is_memory(const xmlNode *node)
{
	return node->parent != NULL && tree_is(node->parent, "domain");
}

/* Of <source> the rest says which network. */
static bool
is_no_source(const xmlNode *node)
{
	return !tree_is(node, "source");
}

static const struct fixing fixes[] = {
	{ "seclabel", take_out, NULL }, { "resource-partition", take_out, NULL }, { "blkio-device", take_out, NULL }, { "emulator", take_out, NULL },
	{ "interface-script", take_out, NULL }, { "interface-vlan", take_out, NULL }, { "render-node", take_out, NULL }, { "nvram", take_out, NULL },
	{ "interface-backend", take_out, is_no_source },
	{ "host-pinning", take_out_pinning, NULL }, { "host-memory", take_out_memory, NULL }, { "device-log", take_out_log, NULL },
	{ "rom-file", take_out_rom, NULL }, { "graphics", listen_nowhere, listens }, { "chardev", make_pty, NULL }, { "backing-chain", end_chain, is_disk },
	{ "rng", use_urandom, NULL }, { "tpm", emulate_tpm, NULL }, { "vtpm", give_tpm, NULL }, { "vtpm-version", emulate_tpm, NULL },
	{ "secure-boot", boot_securely, has_no_loader }, { "host-smbios", emulate_smbios, NULL }, { "host-dump", dump_nothing, NULL },
	{ "audio", mute, NULL }, { "vsock", choose_cid, NULL }, { "interface-mac", give_mac, NULL }, { "interface-filter", give_filter, NULL },
	{ "vcpu-bound", lower_vcpus, is_vcpus }, { "memory-bound", lower_memory, is_memory },
};

/* ---- the document ---- */

struct admission_fix *
admission_fix_create(const char *xml, size_t len, struct vg_error *error)
{
	const char *refusal = len > ADMISSION_MAX_BYTES ? "larger than any document that is accepted" : xml_refusal(xml, len);
	struct admission_fix *fix = refusal != NULL ? NULL : calloc(1, sizeof(*fix));

	if (fix == NULL) {
		(void)vg_fail(error, "%s", refusal != NULL ? refusal : "out of memory");
		return NULL;
	}
	fix->original = strndup(xml, len);
	fix->len = len;
	fix->doc = xmlReadMemory(xml, (int)len, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_NOERROR);
	fix->context = fix->doc == NULL ? NULL : xmlXPathNewContext(fix->doc);
	if (fix->original != NULL && fix->context != NULL)
		return fix;
	(void)vg_fail(error, "not well-formed");
	admission_fix_destroy(fix);
	return NULL;
}

void
admission_fix_destroy(struct admission_fix *fix)
{
	if (fix == NULL)
		return;
	xmlXPathFreeContext(fix->context);
	xmlFreeDoc(fix->doc);
	free(fix->original);
	free(fix);
}

/* The node that a finding's path means; NULL: none, or several. */
static xmlNodePtr
find_node(const struct admission_fix *fix, const char *path)
{
	xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)path, fix->context);
	xmlNodePtr node = found == NULL || found->type != XPATH_NODESET || found->nodesetval == NULL || found->nodesetval->nodeNr != 1 ? NULL :
	    found->nodesetval->nodeTab[0];

	xmlXPathFreeObject(found);
	return node;
}

static const struct fixing *
find_fixing(const char *rule)
{
	for (size_t i = 0; i < sizeof(fixes) / sizeof(fixes[0]); i++)
		if (strcmp(fixes[i].rule, rule) == 0)
			return &fixes[i];
	return NULL;
}

bool
admission_fix_note(struct admission_fix *fix, const struct admission_finding *finding, const struct vg_limits *limits)
{
	const struct fixing *how = find_fixing(finding->rule);
	xmlNodePtr node = how == NULL ? NULL : find_node(fix, finding->path);

	if (node == NULL || (how->applies != NULL && !how->applies(node)))
		return false;
	if (fix->node == NULL) {
		fix->node = node;
		fix->how = how;
		fix->limits = limits;
	}
	return true;
}

bool
admission_fix_apply(struct admission_fix *fix)
{
	static const struct vg_limits no_limits;

	if (fix->node == NULL)
		return false;
	fix->how->change(fix->node, fix->limits == NULL ? &no_limits : fix->limits);
	fix->node = NULL;
	return true;
}

char *
admission_fix_text(const struct admission_fix *fix)
{
	return tree_text(fix->doc, fix->original, fix->len);
}
