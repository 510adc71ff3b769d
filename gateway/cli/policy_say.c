/*
 * policy_say.c: decisions and objects in words.
 */
#include "gateway/cli/policy_say.h"

#include <stdio.h>
#include <string.h>

#include "gateway/cli/harmless.h"

void
policy_say_decision(struct decision decision)
{
	char text[POLICY_DECISION_SIZE];

	puts(policy_decision_text(decision, text));
}

json_t *
policy_decision_json(struct decision decision)
{
	return json_pack("{s:b, s:s, s:s?}", "allowed", decision.verdict != VERDICT_DENY, "verdict",
	    policy_verdict_name(decision.verdict), "binding", decision.binding);
}

void
policy_say_binding(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	json_t *list = arg;

	if (list != NULL) {
		json_array_append_new(list, json_pack("{s:s, s:b, s:s?, s:s}", "binding", binding, "applies", applies,
		    "verdict", applies ? policy_verdict_name(verdict) : NULL, "why", why));
		return;
	}
	printf("  %-10s  %s: ", applies ? policy_verdict_name(verdict) : "-", binding);
	harmless_put(stdout, why);	/* names an object that a record may have brought */
	putchar('\n');
}
