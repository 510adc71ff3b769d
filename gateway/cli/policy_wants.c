/*
 * policy_wants.c: from audit records to who lacked which permission on what.
 */
#include "gateway/cli/policy_wants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/audit_match.h"

int
wants_init(struct wants *wants)
{
	wants->index = json_object();
	wants->on_purpose = json_object();
	wants->no_names = json_object();
	return wants->index != NULL && wants->on_purpose != NULL && wants->no_names != NULL ? 0 : -1;
}

void
wants_clear(struct wants *wants)
{
	for (size_t i = 0; i < wants->num; i++) {
		free(wants->list[i].who);
		free(wants->list[i].on);
		json_decref(wants->list[i].record);
	}
	free(wants->list);
	json_decref(wants->index);
	json_decref(wants->on_purpose);
	json_decref(wants->no_names);
}

static void
count(json_t *counters, const char *key)
{
	json_object_set_new(counters, key, json_integer(json_integer_value(json_object_get(counters, key)) + 1));
}

/* ---- the question that a record answers ---- */

/* The member's text as the identity has it: not const, never written. */
static char *
text_or_null(json_t *record, const char *member)
{
	const char *text = json_string_value(json_object_get(json_object_get(record, "user"), member));

	return (char *)(uintptr_t)text;
}

struct asked {
	struct vg_identity identity;	/* borrows from the record, but for the CN */
	struct vg_object object;
	char cn[256];
	time_t when;
};

static void
read_asked(struct asked *asked, json_t *record, enum vg_permission permission, bool whole)
{
	struct vg_identity *identity = &asked->identity;
	json_t *object = json_object_get(record, "object");
	const char *uuid = audit_member(record, "object", "uuid"), *cn;
	size_t len;

	memset(asked, 0, sizeof(*asked));
	identity->sasl_name = text_or_null(record, "sasl");
	identity->x509_dn = text_or_null(record, "x509");
	identity->x509_sha256 = text_or_null(record, "x509_sha256");
	identity->unix_user = text_or_null(record, "unix");
	identity->proofs = (identity->sasl_name != NULL ? VG_PROOF_SASL : 0u) | (identity->x509_dn != NULL ? VG_PROOF_X509 : 0u) |
	    (identity->unix_user != NULL ? VG_PROOF_UNIX : 0u);
	len = identity->x509_dn != NULL ? policy_dn_cn(identity->x509_dn, &cn) : 0;
	if (len > 0 && len < sizeof(asked->cn)) {
		memcpy(asked->cn, cn, len);
		identity->x509_cn = asked->cn;
	}
	snprintf(identity->address, sizeof(identity->address), "%s", audit_member(record, "source", "address"));
	asked->object.class = permission_class(permission);
	asked->object.any = whole;
	if (!whole) {
		asked->object.name = json_string_value(json_object_get(object, "name"));
		asked->object.parent = json_string_value(json_object_get(object, "parent"));
		asked->object.has_uuid = policy_parse_uuid(uuid, asked->object.uuid);
	}
	(void)policy_parse_time(audit_member(record, "time", NULL), &asked->when);
}

struct decision
wants_decide(const struct policy *policy, const struct want *want)
{
	struct asked asked;

	read_asked(&asked, want->record, want->permission, want->whole);
	return policy_decide(policy, &asked.identity, want->permission, &asked.object, asked.when);
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

/* What to bind on, "" when no text means that object and no other. */
static void
name_object(json_t *record, struct want *want, char *on, size_t size)
{
	enum vg_class class = permission_class(want->permission);
	const char *name = audit_member(record, "object", "name"), *parent = audit_member(record, "object", "parent");
	const char *uuid = audit_member(record, "object", "uuid");
	bool in_parent = class == VG_CLASS_storage_vol || class == VG_CLASS_network_port;
	uint8_t ignored[VG_UUID_LEN];

	want->name = 0;
	if (class_is_of_host(class)) {
		snprintf(on, size, "*");
		return;
	}
	want->whole = want->whole || strcmp(audit_member(record, "object", "class"), class_name(class)) != 0 ||
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
	if (strlen(time) < sizeof(kept->last) && policy_parse_time(time, &ignored) && strcmp(kept->last, time) < 0)
		snprintf(kept->last, sizeof(kept->last), "%s", time);
}

static void
add_permission(struct wants *wants, json_t *record, enum vg_permission permission, bool whole)
{
	struct want want = { .permission = permission, .whole = whole, .record = record };
	struct decision decision = { VERDICT_DENY, NULL };
	char who[1200], on[1200];

	name_object(record, &want, on, sizeof(on));
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
		count(wants->no_names, audit_member(record, "object", "name"));
	else
		keep(wants, record, &want, who, on);
}

/*
 * A refusal says in its message what was missing, "access denied: 'domain:start' on …"; without that it is the last of
 * the permissions, as the gate asks for no more after the first that is missing.
 */
static enum vg_permission
missing_permission(json_t *record, bool *whole)
{
	const char *quote = strchr(audit_member(record, "result", "message"), '\'');
	const char *end = quote != NULL ? strchr(quote + 1, '\'') : NULL;
	json_t *list = json_object_get(json_object_get(record, "decision"), "permissions");
	const char *last = json_string_value(json_array_get(list, json_array_size(list) - 1));
	enum vg_permission permission = VG_PERM_NONE;
	char name[64];

	*whole = false;
	if (end != NULL && (size_t)(end - quote) < sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)(end - quote - 1), quote + 1);
		permission = permission_find(name);
	}
	if (permission != VG_PERM_NONE) {
		*whole = strncmp(end, "' on every ", 11) == 0 || strstr(end, "it takes a binding on \"*\"") != NULL;
		return permission;
	}
	return last != NULL ? permission_find(last) : VG_PERM_NONE;
}

static void
add_denial(struct wants *wants, json_t *record)
{
	const char *binding = audit_member(record, "decision", "binding");
	bool whole;
	enum vg_permission permission = missing_permission(record, &whole);

	wants->denied++;
	if (permission == VG_PERM_NONE)
		wants->unclear++;
	else if (*binding != '\0')
		count(wants->on_purpose, binding);
	else
		add_permission(wants, record, permission, whole);
}

static void
add_would_deny(struct wants *wants, json_t *record)
{
	json_t *list = json_object_get(json_object_get(record, "decision"), "permissions"), *item;
	bool some = false;
	size_t i;

	wants->would_deny++;
	json_array_foreach(list, i, item) {
		enum vg_permission permission = json_is_string(item) ? permission_find(json_string_value(item)) : VG_PERM_NONE;

		if (permission != VG_PERM_NONE)
			add_permission(wants, record, permission, false);
		some = some || permission != VG_PERM_NONE;
	}
	wants->unclear += !some;
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
