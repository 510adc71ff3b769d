/*
 * own.c: the rules that a site wrote itself. What an XPath may cost is bounded for each; one that cannot be asked within its bound refuses.
 */
#include "gateway/admission/document.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "gateway/admission/functions.h"

/* Steps of one rule in one document. A thousand rules that use them all up take a second or two; honest ones take some hundred. */
#define MAX_OWN_STEPS 50000u

static const struct class {
	const char *name;
	unsigned kinds;
} classes[] = {
	{ "domain", 1u << ADMISSION_DOMAIN }, { "device", 1u << ADMISSION_DOMAIN | 1u << ADMISSION_DEVICE | 1u << ADMISSION_DISK },
	{ "snapshot", 1u << ADMISSION_SNAPSHOT }, { "checkpoint", 1u << ADMISSION_CHECKPOINT }, { "backup", 1u << ADMISSION_BACKUP },
	{ "volume", 1u << ADMISSION_VOLUME }, { "secret", 1u << ADMISSION_SECRET },
	{ "pool", 1u << ADMISSION_POOL },
};

#define NUM_CLASSES (sizeof(classes) / sizeof(classes[0]))

static const char class_names[] = "domain, device, snapshot, checkpoint, backup, volume, secret, pool";

struct admission_rules {
	size_t num;
	struct own {
		unsigned kinds;
		xmlXPathCompExprPtr compiled;
		struct needs needs;
	} own[];
};

/* A function or variable that there is not shows only when it is asked for: in a document where something is, to look at. */
static int
try_rule(xmlXPathContextPtr context, const struct vg_rule *rule, struct own *own, struct vg_error *error)
{
	xmlXPathObjectPtr found;
	const char *said;

	for (size_t i = 0; i < NUM_CLASSES; i++)
		if (strcmp(classes[i].name, rule->class) == 0)
			own->kinds = classes[i].kinds;
	if (own->kinds == 0) {
		(void)vg_fail(error, "rule '%s': unknown class '%.60s'", rule->id, rule->class);
		return vg_hint(error, "known classes: %s", class_names);
	}
	own->compiled = xmlXPathCtxtCompile(context, (const xmlChar *)rule->xpath);
	context->opCount = 0;
	found = own->compiled == NULL ? NULL : xmlXPathCompiledEval(own->compiled, context);
	said = functions_said();
	if (found == NULL)
		return vg_fail(error, "rule '%s': '%.200s' is not an XPath%s%.100s", rule->id, rule->xpath, *said == '\0' ? "" : ": ", said);
	xmlXPathFreeObject(found);
	needs_of(rule->xpath, &own->needs);
	own->needs.always = own->needs.always || rule->must;
	return 0;
}

struct admission_rules *
admission_compile(const struct vg_rule *const *list, size_t num, size_t *which, struct vg_error *error)
{
	static const char sample[] = "<domain type='kvm'><name>n</name><devices><disk type='file'/></devices></domain>";
	struct admission_rules *rules = calloc(1, sizeof(*rules) + num * sizeof(rules->own[0]));
	xmlDocPtr doc = xmlReadMemory(sample, sizeof(sample) - 1, NULL, NULL, XML_PARSE_NONET);
	static const struct vg_limits no_limits;
	static const struct admission_request nobody;
	xmlXPathContextPtr context = doc == NULL ? NULL : functions_context(doc);
	int r = -1;

	*which = 0;
	if (rules == NULL || context == NULL || functions_set_request(context, &nobody) < 0) {
		(void)vg_fail(error, "out of memory");
		goto out;
	}
	rules->num = num;
	context->userData = (void *)(uintptr_t)&no_limits;
	context->opLimit = MAX_OWN_STEPS;
	for (r = 0; *which < num; (*which)++)
		if ((r = try_rule(context, list[*which], &rules->own[*which], error)) < 0)
			break;
out:
	xmlXPathFreeContext(context);
	xmlFreeDoc(doc);
	if (r == 0)
		return rules;
	admission_rules_destroy(rules);
	return NULL;
}

void
admission_rules_destroy(struct admission_rules *rules)
{
	for (size_t i = 0; rules != NULL && i < rules->num; i++)
		xmlXPathFreeCompExpr(rules->own[i].compiled);
	free(rules);
}

int
admission_set_request(struct admission_document *document, const struct admission_request *request)
{
	document->has_request = functions_set_request(document->context, request) == 0;
	return document->has_request ? 0 : -1;
}

int
admission_judge_own(const struct admission_document *document, const struct admission_rules *rules, const struct vg_rule *rule,
    admission_finding_cb *each, void *arg)
{
	const struct admission_words words = { rule->id, rule->message[0] == '\0' ? "not allowed by a rule of this site" : rule->message, rule->hint };
	static const struct admission_request nobody;
	xmlXPathObjectPtr found;
	int num = 0;

	if (rule->index >= rules->num || (!document->has_request && functions_set_request(document->context, &nobody) < 0))
		return -1;
	if ((rules->own[rule->index].kinds & 1u << document->kind) == 0 || !needs_are_there(&rules->own[rule->index].needs, &document->names))
		return 0;
	found = document_ask(document, rules->own[rule->index].compiled, NULL, MAX_OWN_STEPS);
	if (found == NULL) {
		num = -1;
	} else if (!rule->must && found->type == XPATH_NODESET) {
		num = found->nodesetval == NULL ? 0 : found->nodesetval->nodeNr;
		for (int i = 0; i < num; i++)
			document_tell(document, &words, found->nodesetval->nodeTab[i], each, arg);
	} else if (xmlXPathCastToBoolean(found) != (rule->must ? 1 : 0)) {
		num = 1;
		document_tell(document, &words, document->top, each, arg);
	}
	xmlXPathFreeObject(found);
	return num;
}
