/*
 * own_rules.c: see own_rules.h.
 */
#include "gateway/gate/own_rules.h"

#include <stdlib.h>

struct admission_rules *
own_rules_compile(const struct policy *policy, const char *file, struct vg_error *error)
{
	struct admission_rules *rules = NULL;
	const struct vg_rule **list;
	struct vg_error why;
	size_t num = 0, which = 0;

	while (policy_rule_at(policy, num) != NULL)
		num++;
	list = calloc(num + 1, sizeof(*list));
	if (list == NULL) {
		(void)vg_fail(error, "%s: out of memory", file);
		return NULL;
	}
	for (size_t i = 0; i < num; i++)
		list[i] = policy_rule_at(policy, i);
	rules = admission_compile(list, num, &which, &why);
	if (rules == NULL) {
		(void)vg_fail(error, "%s:%u: %s", file, which < num ? list[which]->line : 1, why.what);
		(void)vg_hint(error, "%s", why.hint);
	}
	free(list);
	return rules;
}
