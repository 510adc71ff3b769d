/*
 * policy_wants.c: from audit records to who lacked which permission on what.
 */
#include "gateway/cli/policy_wants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/audit_match.h"
#include "gateway/policy/record.h"
#include "virtgate/member.h"

int
wants_init(struct wants *wants)
{
	wants->index = json_object();
	wants->on_purpose = json_object();
	wants->no_names = json_object();
	wants->rules = json_object();
	return wants->index != NULL && wants->on_purpose != NULL && wants->no_names != NULL && wants->rules != NULL ? 0 : -1;
}

void
wants_clear(struct wants *wants)
{
	for (size_t i = 0; i < wants->num; i++) {
		free(wants->list[i].who);
		free(wants->list[i].on);
		json_decref(wants->list[i].record);
		json_decref(wants->list[i].calls);
	}
	free(wants->list);
	json_decref(wants->index);
	json_decref(wants->on_purpose);
	json_decref(wants->no_names);
	json_decref(wants->rules);
}

static void
count(json_t *counters, const char *key)
{
	json_object_set_new(counters, key, json_integer(json_integer_value(json_object_get(counters, key)) + 1));
}

struct decision
wants_decide(const struct policy *policy, const struct want *want)
{
	const struct record_lack lack = { .permission = want->permission, .object = want->object, .every = want->whole };
	struct record_question question;

	record_question(want->record, &lack, &question);
	return record_decide(policy, &question);
}

/* ---- names that a policy can write ---- */

/* No glob, no control character, and nothing that stands in the record for a byte that was no text (U+10FE00 on). */
static bool
is_plain(const char *text)
{
	if (*text == '\0' || strpbrk(text, "*?") != NULL)
		return false;
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		if (*c < 0x20 || *c == 0x7f || (c[0] == 0xf4 && c[1] == 0x8f && c[2] >= 0xb8))
			return false;
	}
	return true;
}

/* Who he is to a policy, "" when no text means him and nobody else. */
static void
name_person(json_t *record, struct want *want, char *who, size_t size)
{
	static const struct {
		const char *member, *kind;
	} kinds[] = { { "sasl", "sasl" }, { "x509", "x509" }, { "x509_sha256", "x509-sha256" }, { "unix", "unix" } };
	bool sasl = *audit_member(record, "user", "sasl") != '\0', x509 = *audit_member(record, "user", "x509") != '\0';

	want->proofs = sasl && x509 ? VG_PROOF_SASL | VG_PROOF_X509 : 0;
	who[0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *text = audit_member(record, "user", kinds[i].member);

		if (is_plain(text) && (size_t)snprintf(who, size, "%s:%s", kinds[i].kind, text) < size)
			return;
		who[0] = '\0';
	}
}

static bool
class_is_of_host(enum vg_class class)
{
	return class == VG_CLASS_connect || class == VG_CLASS_audit || class == VG_CLASS_session || class == VG_CLASS_policy;
}

static const char *
object_member(const struct want *want, const char *member)
{
	const char *text = json_string_value(json_object_get(want->object, member));

	return text != NULL ? text : "";
}

/* What to bind on, "" when no text means that object and no other. */
static void
name_object(struct want *want, char *on, size_t size)
{
	enum vg_class class = permission_class(want->permission);
	const char *name = object_member(want, "name"), *parent = object_member(want, "parent"), *uuid = object_member(want, "uuid");
	bool in_parent = class == VG_CLASS_storage_vol || class == VG_CLASS_network_port;
	uint8_t ignored[VG_UUID_LEN];

	want->name = 0;
	if (class_is_of_host(class)) {
		snprintf(on, size, "*");
		return;
	}
	want->whole = want->whole || strcmp(object_member(want, "class"), class_name(class)) != 0 ||
	    (*name == '\0' && *uuid == '\0');
	if (want->whole) {
		snprintf(on, size, "%s:*", class_name(class));
		return;
	}
	if (is_plain(name) && strncmp(name, "uuid:", 5) != 0 &&
	    (!in_parent || (is_plain(parent) && strchr(parent, '/') == NULL && strncmp(parent, "uuid:", 5) != 0)) &&
	    (size_t)snprintf(on, size, "%s:%s%s%s", class_name(class), in_parent ? parent : "", in_parent ? "/" : "",
	    name) < size) {
		want->name = strlen(on) - strlen(name);
		return;
	}
	on[0] = '\0';
	if (class != VG_CLASS_storage_vol && policy_parse_uuid(uuid, ignored))
		snprintf(on, size, "%s:uuid:%s", class_name(class), uuid);
}

/* ---- records ---- */

static void
keep(struct wants *wants, json_t *record, struct want *want, const char *who, const char *on)
{
	const char *time = audit_member(record, "time", NULL);
	char key[4096];
	json_t *place;
	struct want *kept;
	time_t ignored;

	snprintf(key, sizeof(key), "%u %s %s%s\n%s", want->proofs, permission_name(want->permission),
	    want->whole ? "whole " : "", who, on);
	place = json_object_get(wants->index, key);
	if (place == NULL) {
		if (wants->num == wants->room) {
			size_t room = wants->room * 2 + 64;
			struct want *list = realloc(wants->list, room * sizeof(*list));

			if (list == NULL) {
				wants->out_of_memory = true;
				return;
			}
			wants->list = list;
			wants->room = room;
		}
		kept = &wants->list[wants->num];
		*kept = *want;
		kept->who = strdup(who);
		kept->on = strdup(on);
		kept->record = json_incref(record);
		kept->calls = json_object();
		kept->count = 0;
		kept->last[0] = '\0';
		if (json_object_set_new(wants->index, key, json_integer((json_int_t)wants->num)) != 0 || kept->who == NULL ||
		    kept->on == NULL)
			wants->out_of_memory = true;
		wants->num++;
	} else {
		kept = &wants->list[json_integer_value(place)];
	}
	kept->count++;
	if (*audit_member(record, "call", NULL) != '\0')
		json_object_set_new(kept->calls, audit_member(record, "call", NULL), json_true());
	if (strlen(time) < sizeof(kept->last) && policy_parse_time(time, &ignored) && strcmp(kept->last, time) < 0)
		snprintf(kept->last, sizeof(kept->last), "%s", time);
}

static void
add_permission(struct wants *wants, json_t *record, const struct record_lack *lack)
{
	struct want want = { .permission = lack->permission, .object = lack->object, .whole = lack->every, .record = record };
	struct decision decision = { VERDICT_DENY, NULL };
	char who[1200], on[1200];

	name_object(&want, on, sizeof(on));
	if (wants->policy != NULL)
		decision = wants_decide(wants->policy, &want);
	if (decision.verdict == VERDICT_ALLOW) {
		wants->allowed_now++;
		return;
	}
	if (decision.verdict == VERDICT_DENY && decision.binding != NULL) {
		count(wants->on_purpose, decision.binding);
		return;
	}
	name_person(record, &want, who, sizeof(who));
	if (*who == '\0')
		count(wants->no_names, audit_member(record, "user", "name"));
	else if (*on == '\0')
		count(wants->no_names, object_member(&want, "name"));
	else
		keep(wants, record, &want, who, on);
}

/* What a rule refuses takes more than the permission that was asked for: nothing is made of it. */
static bool
is_by_rule(struct wants *wants, json_t *record)
{
	const char *rule = audit_member(record, "decision", "rule");

	if (*rule != '\0')
		count(wants->rules, rule);
	return *rule != '\0';
}

static void
add_denial(struct wants *wants, json_t *record)
{
	const char *binding = audit_member(record, "decision", "binding");
	struct record_lack lacks[RECORD_MAX_LACKS];

	wants->denied++;
	if (is_by_rule(wants, record))
		return;
	if (record_lacks(record, lacks) == 0)
		wants->unclear++;
	else if (*binding != '\0')
		count(wants->on_purpose, binding);
	else
		add_permission(wants, record, &lacks[0]);
}

static void
add_would_deny(struct wants *wants, json_t *record)
{
	struct record_lack lacks[RECORD_MAX_LACKS];
	size_t num;

	wants->would_deny++;
	if (json_object_get(json_object_get(record, "decision"), "would_hide") != NULL) {
		wants->lists++;
		return;
	}
	if (is_by_rule(wants, record))
		return;
	num = record_lacks(record, lacks);
	for (size_t i = 0; i < num; i++)
		add_permission(wants, record, &lacks[i]);
	wants->unclear += num == 0;
}

void
wants_add(struct wants *wants, json_t *record)
{
	const char *verdict = audit_member(record, "decision", "verdict"), *stage = audit_member(record, "stage", NULL);

	if (strcmp(stage, "outcome") == 0)	/* says the same as its intent */
		return;
	if (strcmp(verdict, "would-deny") == 0)
		add_would_deny(wants, record);
	else if (strcmp(verdict, "deny") == 0 && strcmp(audit_member(record, "result", "status"), "denied") == 0 &&
	    strcmp(audit_member(record, "event", NULL), "session.identity_conflict") != 0)
		add_denial(wants, record);
}
