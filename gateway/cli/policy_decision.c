/*
 * policy_decision.c: `virtgate policy explain --decision ID`: a decision of the past, by its record in the audit trail, put to the
 * policy of today.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/audit_match.h"
#include "gateway/cli/audit_source.h"
#include "gateway/cli/calls.h"
#include "gateway/cli/harmless.h"
#include "gateway/cli/policy_args.h"
#include "gateway/cli/policy_decision.h"
#include "gateway/cli/policy_load.h"
#include "gateway/cli/policy_say.h"
#include "gateway/policy/record.h"
#include "virtgate/member.h"

/* One permission of the decision, then and now. */
struct now {
	struct record_question question;
	const char *then;		/* "allow", "deny", "would-deny" */
	struct decision decision;
	bool changed;
};

/* ---- the record ---- */

/* Of the records of an operation the first that has a decision. */
static int
take_decision(const char *line, size_t len, const struct audit_fields *fields, void *arg)
{
	json_t *record = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL), **found = arg;

	(void)fields;
	if (*found == NULL && json_is_object(json_object_get(record, "decision")))
		*found = json_incref(record);
	json_decref(record);
	return 0;
}

/* What was asked and did not simply pass; where all of it passed, all of it. */
static size_t
asked_permissions(json_t *record, struct record_lack lacks[RECORD_MAX_LACKS])
{
	const char *verdict = audit_member(record, "decision", "verdict");

	return strcmp(verdict, "allow") == 0 ? record_permissions(record, lacks) : record_lacks(record, lacks);
}

/* A conflict of names is refused before any permission is asked for. */
static bool
is_conflict(json_t *record)
{
	return strcmp(audit_member(record, "event", NULL), "session.identity_conflict") == 0;
}

/* ---- what was ---- */

static void
put_member(const char *label, json_t *record, const char *first, const char *second, const char *prefix)
{
	const char *text = audit_member(record, first, second);

	if (*text == '\0')
		return;
	printf("%s%s", label, prefix);
	harmless_put(stdout, text);
}

static void
print_record(json_t *record, const char *id)
{
	const char *call = audit_member(record, "call", NULL), *status = audit_member(record, "result", "status");
	const struct rpc_proc *proc = rpc_proc_by_name(call);
	char name[CALL_NAME_SIZE];
	const char *public_name = proc != NULL ? call_public_name(proc, name) : NULL;

	printf("decision    %s, record %lld, %s\n", id, (long long)json_integer_value(json_object_get(record, "seq")),
	    audit_member(record, "time", NULL));
	printf("who         ");
	put_member("", record, "user", "sasl", "sasl:");
	put_member(*audit_member(record, "user", "sasl") != '\0' ? " + " : "", record, "user", "x509", "x509:");
	put_member("", record, "user", "unix", "unix:");
	put_member(", from ", record, "source", "address", "");
	put_member(" (", record, "source", "via", "");
	printf(")\ncall        %s%s", public_name != NULL ? public_name : "", public_name != NULL ? " (" : "");
	harmless_put(stdout, call);
	printf("%s", public_name != NULL ? ")" : "");
	put_member(" on ", record, "connection", "uri", "");
	printf("\nanswer      %s", *status != '\0' ? status : audit_member(record, "decision", "verdict"));
	put_member(": ", record, "result", "message", "");
	printf("\n");
	if (*audit_member(record, "decision", "rule") != '\0') {
		put_member("rule        ", record, "decision", "rule", "");
		printf(": a rule refused what the call says, not a permission\n");
	}
	if (is_conflict(record))
		printf("conflict    name, UUID and id of the call did not belong to one object: no policy allows that\n");
}

/* ---- what would be now ---- */

static int
ask(const struct policy *policy, json_t *record, const struct record_lack *lack, const char *at, struct now *now,
    struct vg_error *error)
{
	record_question(record, lack, &now->question);
	if (at != NULL && !policy_parse_time(at, &now->question.when)) {
		vg_fail(error, "--at: '%s' is not a time", at);
		return vg_hint(error, "for example 2027-01-01T08:30:00Z");
	}
	now->then = audit_member(record, "decision", "verdict");
	now->decision = record_decide(policy, &now->question);
	now->changed = strcmp(now->then, policy_verdict_name(now->decision.verdict)) != 0;
	return 0;
}

static void
print_now(const struct policy *policy, json_t *record, const struct now *now)
{
	const struct record_question *question = &now->question;
	const char *binding = audit_member(record, "decision", "binding");
	char object[POLICY_OBJECT_SIZE];

	printf("\n%s on ", permission_name(question->permission));
	harmless_put(stdout, policy_object_text(&question->object, object));
	printf("\nthen        %s%s%s\ntoday\n", now->then, *binding != '\0' ? " by binding " : ": no binding said anything", binding);
	(void)policy_explain(policy, &question->identity, question->permission, &question->object, question->when, policy_say_binding, NULL);
	policy_say_decision(now->decision);
	if (now->changed)
		printf("THE VERDICT IS ANOTHER NOW: then %s, today %s\n", now->then, policy_verdict_name(now->decision.verdict));
}

static json_t *
now_json(const struct policy *policy, const struct now *now)
{
	const struct record_question *question = &now->question;
	json_t *bindings = json_array(), *json = policy_decision_json(now->decision);
	char object[POLICY_OBJECT_SIZE];

	(void)policy_explain(policy, &question->identity, question->permission, &question->object, question->when, policy_say_binding,
	    bindings);
	json_object_set_new(json, "permission", json_string(permission_name(question->permission)));
	json_object_set_new(json, "object", json_string(policy_object_text(&question->object, object)));
	json_object_set_new(json, "changed", json_boolean(now->changed));
	json_object_set_new(json, "bindings", bindings);
	return json;
}

static int
explain_record(const struct cli *cli, const struct policy *policy, json_t *record, const char *id)
{
	struct record_lack lacks[RECORD_MAX_LACKS];
	size_t num = is_conflict(record) ? 0 : asked_permissions(record, lacks);
	json_t *list = json_array();
	struct vg_error error = { 0 };
	bool denied = num == 0, changed = false;

	if (!cli->json)
		print_record(record, id);
	for (size_t i = 0; i < num; i++) {
		struct now now;

		if (ask(policy, record, &lacks[i], cli_option(cli, "at", 0), &now, &error) != 0)
			break;
		denied = denied || now.decision.verdict == VERDICT_DENY;
		changed = changed || now.changed;
		if (cli->json)
			json_array_append_new(list, now_json(policy, &now));
		else
			print_now(policy, record, &now);
	}
	if (error.what[0] != '\0') {
		json_decref(list);
		return cli_fail(&error, CLI_USAGE);
	}
	if (num == 0 && !is_conflict(record) && *audit_member(record, "decision", "rule") == '\0' && !cli->json)
		printf("\nthe record does not say which permission it was about\n");
	if (cli->json)
		return cli_print_json(json_pack("{s:O, s:b, s:o}", "record", record, "changed", changed, "permissions", list),
		    denied ? CLI_NO : CLI_DONE);
	json_decref(list);
	return denied ? CLI_NO : CLI_DONE;
}

int
policy_explain_decision(const struct cli *cli, const char *id)
{
	struct vg_error error = { 0 };
	json_t *record = NULL;
	struct policy *policy = NULL;
	struct audit_source source;
	int status = CLI_USAGE;

	if (audit_source_open(&source, cli, &error) == 0)
		(void)audit_source_id(&source, id, take_decision, &record, &error);
	if (error.what[0] != '\0') {
		status = cli_fail(&error, CLI_USAGE);
	} else if (record == NULL) {
		vg_fail(&error, "no record of %s with a decision has the id or number '%s'", source.dir, id);
		vg_hint(&error, "the refusal that the client saw ends in (decision ID); `virtgate audit search --result denied` finds others");
		status = cli_fail(&error, CLI_NO);
	} else if ((policy = policy_load_configured(cli, &status)) != NULL) {
		status = explain_record(cli, policy, record, id);
	}
	policy_destroy(policy);
	json_decref(record);
	audit_source_close(&source);
	return status;
}
