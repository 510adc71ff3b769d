/*
 * rules.c: the rows of rules.def, compiled once, asked in order.
 */
#include "gateway/admission/document.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/xpath.h>

#include "gateway/admission/functions.h"

/* Steps that one rule may take in one document: some hundred times what the largest honest one needs. */
#define MAX_STEPS 2000000u

enum { W = 1 << ADMISSION_DOMAIN, D = W | 1 << ADMISSION_DEVICE | 1 << ADMISSION_DISK, S = 1 << ADMISSION_SNAPSHOT, V = 1 << ADMISSION_VOLUME,
	C = 1 << ADMISSION_CHECKPOINT, T = 1 << ADMISSION_DISK, K = 1 << ADMISSION_BACKUP, X = 1 << ADMISSION_SECRET,
	P = 1 << ADMISSION_POOL };

static const struct rule {
	const char *id;
	enum vg_profile profile;	/* the lowest that has it */
	unsigned kinds;
	const char *xpath, *message, *hint;
} rules[] = {
#define B VG_PROFILE_BASELINE
#define R VG_PROFILE_RESTRICTED
#define RULE(id, profile, kinds, xpath, message, hint) { id, profile, kinds, xpath, message, hint },
#include "gateway/admission/rules.def"
#undef RULE
#undef R
#undef B
};

#define NUM_RULES (sizeof(rules) / sizeof(rules[0]))

static xmlXPathCompExprPtr compiled[NUM_RULES];
static struct needs needs[NUM_RULES];

bool
admission_rule_at(size_t index, struct admission_rule *rule)
{
	if (index >= NUM_RULES)
		return false;
	*rule = (struct admission_rule){ rules[index].id, rules[index].xpath, rules[index].message, rules[index].hint, rules[index].profile };
	return true;
}

int
admission_start(struct vg_error *error)
{
	for (size_t i = 0; i < NUM_RULES; i++) {
		if (compiled[i] == NULL)
			compiled[i] = xmlXPathCompile((const xmlChar *)rules[i].xpath);
		if (compiled[i] == NULL)
			return vg_fail(error, "admission rule '%s' does not compile", rules[i].id);
		needs_of(rules[i].xpath, &needs[i]);
	}
	return functions_start(error);
}

void
admission_stop(void)
{
	for (size_t i = 0; i < NUM_RULES; i++) {
		xmlXPathFreeCompExpr(compiled[i]);
		compiled[i] = NULL;
	}
}

void
document_tell(const struct admission_document *document, const struct admission_words *words, xmlNodePtr node, admission_finding_cb *each,
    void *arg)
{
	xmlNodePtr element = node->type == XML_ATTRIBUTE_NODE ? node->parent : node;
	xmlChar *path = document_path(document, node);
	const struct admission_finding finding = { .rule = words->rule, .line = xmlGetLineNo(element),
		.path = path == NULL ? "" : (const char *)path, .message = words->message, .hint = words->hint };

	if (each != NULL)
		each(&finding, arg);
	xmlFree(path);
}

int
admission_judge(const struct admission_document *document, enum vg_profile profile, const struct vg_limits *limits,
    admission_finding_cb *each, void *arg)
{
	int num = 0;

	for (size_t i = 0; i < NUM_RULES && num >= 0; i++) {
		const struct admission_words words = { rules[i].id, rules[i].message, rules[i].hint };
		xmlXPathObjectPtr found;

		if (rules[i].profile > profile || (rules[i].kinds & 1u << document->kind) == 0 || !needs_are_there(&needs[i], &document->names))
			continue;
		found = document_ask(document, compiled[i], limits, MAX_STEPS);
		if (found == NULL || found->type != XPATH_NODESET) {
			num = -1;
		} else if (found->nodesetval != NULL) {
			for (int k = 0; k < found->nodesetval->nodeNr; k++)
				document_tell(document, &words, found->nodesetval->nodeTab[k], each, arg);
			num += found->nodesetval->nodeNr;
		}
		xmlXPathFreeObject(found);
	}
	return num;
}
