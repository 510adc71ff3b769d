/*
 * web_policy.c: the verbs about the policy itself: policy.show, and for a draft of another one policy.check, policy.diff, policy.replay. Nothing is written here or
 * kept: a policy comes into force by a reload, from its file. Drafts are looked at by the audit reader (audit/answers_policy.c says what it answers), as that may take
 * seconds; here it is asked whether he may, and what only the gate can do is done: the XPath of own rules.
 *
 * policy:read is enough for all of it: who may read the policy could ask the same on the command line. policy.replay shows the trail, and takes audit:read too.
 */
#include <string.h>

#include "gateway/gate/own_rules.h"
#include "gateway/gate/web_verbs.h"

static json_t *
role_names(const struct policy *policy)
{
	json_t *list = json_array();
	const struct role *role;

	for (size_t i = 0; (role = policy_role_at(policy, i)) != NULL; i++)
		(void)json_array_append_new(list, json_string(policy_role_name(role)));
	return list;
}

/* {} -> {"text": of the policy in force, "file": where it was read, "roles": [names], "max_bytes": of a draft}. */
void
web_policy_show(struct call *call, const json_t *request)
{
	const struct gate *gate = call->session->gate;
	json_t *text = gate->policy_text == NULL ? NULL : json_string(gate->policy_text);

	(void)request;
	if (text == NULL)
		web_fail(call, "the policy has more than %u bytes: this is for smaller ones, `virtgate policy` for all", WEB_MAX_POLICY);
	else
		web_answer(call, json_pack("{s:o, s:s, s:o, s:i}", "text", text, "file", gate->settings->policy_file, "roles", role_names(gate->policy),
		    "max_bytes", (int)WEB_MAX_POLICY));
}

/* What is wrong with the XPath of the draft's own rules; NULL: nothing, or there is more that is wrong, which the reader tells. */
static json_t *
wrong_rules(const char *text, size_t len)
{
	struct admission_rules *rules;
	struct policy *policy;
	struct vg_error error = { .what = "", .hint = "" };

	if (strstr(text, "\"rules\"") == NULL)
		return NULL;
	policy = policy_parse(text, len, "draft", NULL, NULL);
	if (policy == NULL)
		return NULL;
	rules = own_rules_compile(policy, "draft", &error);
	admission_rules_destroy(rules);
	policy_destroy(policy);
	return rules != NULL ? NULL : json_pack("{s:s, s:s}", "what", error.what, "hint", error.hint);
}

/* {"draft": TEXT, "days"?: 1 to 3660} -> what the reader says of it. */
void
web_policy_draft(struct call *call, const json_t *request)
{
	const char *verb = json_string_value(json_object_get(request, "verb"));
	const json_t *draft = json_object_get(request, "draft"), *days = json_object_get(request, "days");
	const struct gate *gate = call->session->gate;
	json_t *question;

	if (!json_is_string(draft) || json_string_length(draft) > WEB_MAX_POLICY) {
		web_refuse(call, "%s needs \"draft\": the text of a policy, at most %u bytes", verb, WEB_MAX_POLICY);
		return;
	}
	if (gate->policy_text == NULL) {
		web_fail(call, "the policy in force has more than %u bytes: `virtgate policy` compares larger ones", WEB_MAX_POLICY);
		return;
	}
	question = json_pack("{s:s, s:O}", "verb", verb, "draft", draft);
	if (strcmp(verb, "policy.check") == 0) {
		json_t *wrong = wrong_rules(json_string_value(draft), json_string_length(draft));

		if (wrong != NULL)
			(void)json_object_set_new(question, "also", wrong);
	} else {
		(void)json_object_set_new(question, "policy", json_string(gate->policy_text));
		if (days != NULL)
			(void)json_object_set(question, "days", (json_t *)(uintptr_t)days);
	}
	call->trail_ticket = question == NULL ? 0 : trail_ask(gate->trail, question, web_take_answer, call);
	json_decref(question);
	if (call->trail_ticket == 0)
		web_fail(call, "the audit reader, which looks at drafts, is away: ask again");
}
