/*
 * fuzz_admission.c: a policy with rows of admission, own rules and quotas, and a document that is judged by them. Input: the policy, a NUL, the document.
 * A rule that is not asked, for the document has no such elements, would have found nothing; what is passed on is judged as what came;
 * a fix comes to an end.
 */
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "gateway/admission/document.h"
#include "gateway/admission/fix.h"
#include "gateway/admission/functions.h"
#include "gateway/gate/own_rules.h"
#include "gateway/policy/policy.h"
#include "tests/fuzz/fuzz.h"

#define MAX_CHANGES	60u
#define STEPS		50000u

struct round {
	struct admission_fix *fix;
	unsigned findings;
};

static void
count(const struct admission_finding *finding, void *arg)
{
	struct round *round = arg;

	FUZZ_ASSERT(finding->rule[0] != '\0' && finding->message[0] != '\0');
	round->findings++;
	if (round->fix != NULL)
		(void)admission_fix_note(round->fix, finding, NULL);
}

static enum admission_kind
kind_of(const char *text, size_t len)
{
	static const struct { const char *top; enum admission_kind kind; } tops[] = { { "<domainsnapshot", ADMISSION_SNAPSHOT },
		{ "<domaincheckpoint", ADMISSION_CHECKPOINT }, { "<domainbackup", ADMISSION_BACKUP }, { "<domain", ADMISSION_DOMAIN },
		{ "<volume", ADMISSION_VOLUME }, { "<secret", ADMISSION_SECRET }, { "<pool", ADMISSION_POOL } };

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (len >= strlen(tops[i].top) && memcmp(text, tops[i].top, strlen(tops[i].top)) == 0)
			return tops[i].kind;
	return ADMISSION_DEVICE;
}

/* What is not asked would have found nothing. */
static void
check_needs(const struct admission_document *document, const char *xpath)
{
	xmlXPathObjectPtr found;
	struct needs needs;
	xmlXPathCompExprPtr compiled;

	needs_of(xpath, &needs);
	if (needs_are_there(&needs, &document->names))
		return;
	compiled = xmlXPathCompile((const xmlChar *)xpath);
	found = compiled == NULL ? NULL : document_ask(document, compiled, NULL, STEPS);
	FUZZ_ASSERT(found == NULL || (found->type == XPATH_NODESET && (found->nodesetval == NULL || found->nodesetval->nodeNr == 0)));
	xmlXPathFreeObject(found);
	xmlXPathFreeCompExpr(compiled);
}

static int
judge_all(const struct admission_document *document, const struct policy *policy, const struct admission_rules *rules, struct round *round)
{
	const struct vg_rule *rule;
	int num = admission_judge(document, VG_PROFILE_RESTRICTED, NULL, count, round);

	for (size_t i = 0; (rule = policy_rule_at(policy, i)) != NULL; i++) {
		if (admission_judge_own(document, rules, rule, count, round) < 0)
			num = -1;
		if (!rule->must)
			check_needs(document, rule->xpath);
	}
	return num;
}

/* What libvirtd gets is what was judged. */
static void
check_text(enum admission_kind kind, struct admission_document *document, unsigned findings, int num)
{
	struct round round = { .fix = NULL };
	struct admission_document *again;
	struct vg_error error;
	size_t len;
	const char *text = admission_text(document, &len);

	FUZZ_ASSERT(text != NULL);
	again = admission_parse(kind, text, len, &error);
	FUZZ_ASSERT(again != NULL || len > ADMISSION_MAX_BYTES);
	if (again != NULL && num >= 0) {
		FUZZ_ASSERT(admission_judge(again, VG_PROFILE_RESTRICTED, NULL, count, &round) == num);
		FUZZ_ASSERT(round.findings <= findings);
	}
	admission_destroy(again);
}

static void
check_fix(enum admission_kind kind, const char *xml, size_t len)
{
	char *text = strndup(xml, len);

	for (unsigned i = 0; text != NULL && i < MAX_CHANGES; i++) {
		struct vg_error error;
		struct admission_document *document = admission_parse(kind, text, strlen(text), &error);
		struct round round = { .fix = document == NULL ? NULL : admission_fix_create(text, strlen(text), &error) };
		bool changed;

		FUZZ_ASSERT(document != NULL || i == 0 || strlen(text) > ADMISSION_MAX_BYTES);
		if (round.fix == NULL || admission_judge(document, VG_PROFILE_BASELINE, NULL, count, &round) < 0) {
			admission_destroy(document);
			admission_fix_destroy(round.fix);
			break;
		}
		admission_destroy(document);
		changed = admission_fix_apply(round.fix);
		free(text);
		text = admission_fix_text(round.fix);
		admission_fix_destroy(round.fix);
		if (!changed)
			break;
	}
	free(text);
}

static void
check_document(const struct policy *policy, const struct admission_rules *rules, const char *xml, size_t len)
{
	struct vg_error error = { .what = "" };
	enum admission_kind kind = kind_of(xml, len);
	struct admission_document *document = admission_parse(kind, xml, len, &error);
	struct round round = { .fix = NULL };
	struct vg_amounts amounts;
	int num;

	(void)admission_amounts(xml, len, &amounts, &error);
	for (size_t i = 0; i < VG_NUM_AMOUNTS; i++)
		FUZZ_ASSERT(amounts.of[i] < UINT64_C(1) << 63);
	if (document == NULL) {
		FUZZ_ASSERT(error.what[0] != '\0');
		return;
	}
	num = judge_all(document, policy, rules, &round);
	check_text(kind, document, round.findings, num);
	admission_destroy(document);
	check_fix(kind, xml, len);
}

static void
ignore(const struct vg_error *error, void *arg)
{
	FUZZ_ASSERT(error->what[0] != '\0');
	(void)arg;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = size == 0 ? NULL : memchr(text, '\0', size);
	struct admission_rules *rules = NULL;
	struct policy *policy;
	struct vg_error error;

	if (end == NULL || size > 64 * 1024)
		return 0;
	xmlInitParser();
	FUZZ_ASSERT(admission_start(&error) == 0);
	policy = policy_parse(text, (size_t)(end - text), "fuzz", ignore, NULL);
	if (policy != NULL)
		rules = own_rules_compile(policy, "fuzz", &error);
	if (rules != NULL)
		check_document(policy, rules, end + 1, size - (size_t)(end - text) - 1);
	admission_rules_destroy(rules);
	policy_destroy(policy);
	return 0;
}
