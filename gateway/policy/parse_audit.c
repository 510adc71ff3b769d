/*
 * parse_audit.c: "audit": what of reads the trail is told. Changes are always on record, whatever stands here.
 */
#include <string.h>

#include "gateway/policy/parse.h"

static const char *const levels[] = {
	[POLICY_READS_NONE] = "none", [POLICY_READS_DENIED] = "denied", [POLICY_READS_METADATA] = "metadata", [POLICY_READS_FULL] = "full"
};

#define NUM_LEVELS (sizeof(levels) / sizeof(levels[0]))

const char *
policy_reads_name(enum policy_reads level)
{
	return levels[level];
}

enum policy_reads
policy_reads(const struct policy *policy, enum vg_class class)
{
	return policy->recorded[class];
}

/* -1: told. */
static int
parse_level(struct parse *parse, const struct at *at, const json_t *reads, const char *key)
{
	const char *text = get_string(parse, at, reads, key, true);
	struct at here = { .up = at, .key = key };
	struct advice advice;

	if (text == NULL)
		return -1;
	advice_start(&advice, text, "levels");
	for (size_t i = 0; i < NUM_LEVELS; i++) {
		if (strcmp(levels[i], text) == 0)
			return (int)i;
		advice_offer(&advice, levels[i]);
	}
	problem(parse, &here, advice_text(&advice), "unknown level '%.*s'", (int)POLICY_MAX_NAME, text);
	return -1;
}

/* Of one class, or of all ("*"). */
static void
parse_class(struct parse *parse, const struct at *at, const json_t *reads, const char *key)
{
	struct at here = { .up = at, .key = key };
	enum vg_class class = class_find(key);
	bool every = strcmp(key, "*") == 0;
	struct advice advice;
	int level;

	if (!every && class == VG_CLASS_none) {
		advice_start(&advice, key, "classes");
		for (unsigned i = VG_CLASS_none + 1; i < VG_NUM_CLASSES; i++)
			advice_offer(&advice, class_name((enum vg_class)i));
		problem(parse, &here, advice_text(&advice), "unknown class '%.*s'", (int)POLICY_MAX_NAME, key);
		return;
	}
	level = parse_level(parse, at, reads, key);
	for (unsigned i = 0; level >= 0 && i < VG_NUM_CLASSES; i++)
		if (every || i == class)
			parse->policy->recorded[i] = (enum policy_reads)level;
}

void
parse_audit(struct parse *parse, const struct at *at, json_t *audit)
{
	struct at here = { .up = at, .key = "reads" };
	json_t *reads, *value;
	const char *key;

	for (unsigned i = 0; i < VG_NUM_CLASSES; i++)
		parse->policy->recorded[i] = POLICY_READS_DENIED;
	if (audit == NULL || !is_object(parse, at, audit, "'audit'", "reads description"))
		return;
	reads = json_object_get(audit, "reads");
	if (reads == NULL) {
		problem(parse, at, "\"reads\": { \"*\": \"denied\" } is what holds without it", "an 'audit' that says nothing");
		return;
	}
	if (!json_is_object(reads)) {
		problem(parse, &here, "\"reads\": { \"domain\": \"metadata\" }", "'reads' must be an object of classes");
		return;
	}
	/* What is said of a class counts beside what is said of all, whichever stands first. */
	if (json_object_get(reads, "*") != NULL)
		parse_class(parse, &here, reads, "*");
	json_object_foreach(reads, key, value)
		if (strcmp(key, "*") != 0)
			parse_class(parse, &here, reads, key);
}
