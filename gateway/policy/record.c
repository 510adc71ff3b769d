/*
 * record.c: what a record of the trail asked of the policy.
 */
#include "gateway/policy/record.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "virtgate/member.h"

/* ---- which permissions ---- */

static enum vg_permission
permission_of(const json_t *name)
{
	return json_is_string(name) ? permission_find(json_string_value(name)) : VG_PERM_NONE;
}

/* "failed" of a decision, or "permission" of one of its "lacked", with its "on". */
static bool
read_lack(json_t *record, json_t *from, const char *member, struct record_lack *lack)
{
	json_t *on = json_object_get(from, "on");

	lack->permission = permission_of(json_object_get(from, member));
	lack->object = json_is_object(on) ? on : json_object_get(record, "object");
	lack->every = json_is_true(json_object_get(on, "every"));
	return lack->permission != VG_PERM_NONE;
}

/*
 * A refusal of before "failed" says in its message what was missing, "access denied: 'domain:start' on …"; without that
 * it is the last of the permissions, as the gate asks for no more after the first that is missing.
 */
static size_t
lack_in_message(json_t *record, struct record_lack *lack)
{
	const char *quote = strchr(audit_member(record, "result", "message"), '\'');
	const char *end = quote != NULL ? strchr(quote + 1, '\'') : NULL;
	json_t *list = json_object_get(json_object_get(record, "decision"), "permissions");
	char name[64];

	*lack = (struct record_lack){ .object = json_object_get(record, "object") };
	if (end != NULL && (size_t)(end - quote) < sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)(end - quote - 1), quote + 1);
		lack->permission = permission_find(name);
	}
	if (lack->permission != VG_PERM_NONE)
		lack->every = strncmp(end, "' on every ", 11) == 0 || strstr(end, "it takes a binding on \"*\"") != NULL;
	else
		lack->permission = permission_of(json_array_get(list, json_array_size(list) - 1));
	return lack->permission != VG_PERM_NONE;
}

size_t
record_permissions(json_t *record, struct record_lack lacks[RECORD_MAX_LACKS])
{
	json_t *list = json_object_get(json_object_get(record, "decision"), "permissions"), *item;
	size_t i, num = 0;

	json_array_foreach(list, i, item) {
		enum vg_permission permission = permission_of(item);

		if (permission != VG_PERM_NONE && num < RECORD_MAX_LACKS)
			lacks[num++] = (struct record_lack){ .permission = permission, .object = json_object_get(record, "object") };
	}
	return num;
}

size_t
record_lacks(json_t *record, struct record_lack lacks[RECORD_MAX_LACKS])
{
	json_t *decision = json_object_get(record, "decision"), *list = json_object_get(decision, "lacked"), *item;
	size_t i, num = 0;

	json_array_foreach(list, i, item) {
		if (num < RECORD_MAX_LACKS && read_lack(record, item, "permission", &lacks[num]))
			num++;
	}
	if (num > 0)
		return num;
	if (json_object_get(decision, "failed") != NULL)
		return read_lack(record, decision, "failed", &lacks[0]);
	if (*audit_member(record, "decision", "rule") != '\0')
		return 0;	/* no permission was missing */
	if (strcmp(audit_member(record, "decision", "verdict"), "would-deny") == 0)
		return record_permissions(record, lacks);
	return lack_in_message(record, &lacks[0]);
}

/* ---- the question ---- */

/* The member's text as the identity has it: not const, never written. */
static char *
text_or_null(json_t *record, const char *member)
{
	const char *text = json_string_value(json_object_get(json_object_get(record, "user"), member));

	return (char *)(uintptr_t)text;
}

/* The texts stay the record's. */
static size_t
read_texts(json_t *record, const char *member, char **texts, size_t most)
{
	json_t *list = json_object_get(json_object_get(record, "user"), member), *text;
	size_t num = 0, i;

	json_array_foreach(list, i, text) {
		if (json_is_string(text) && num < most)
			texts[num++] = (char *)(uintptr_t)json_string_value(text);
	}
	return num;
}

static void
read_identity(json_t *record, struct record_question *question)
{
	struct vg_identity *identity = &question->identity;
	const char *cn;
	size_t len;

	identity->sasl_name = text_or_null(record, "sasl");
	identity->x509_dn = text_or_null(record, "x509");
	identity->x509_sha256 = text_or_null(record, "x509_sha256");
	identity->unix_user = text_or_null(record, "unix");
	identity->num_x509_sans = read_texts(record, "x509_sans", identity->x509_sans, VG_IDENTITY_MAX_SANS);
	identity->num_unix_groups = read_texts(record, "unix_groups", identity->unix_groups, VG_IDENTITY_MAX_GROUPS);
	identity->proofs = (identity->sasl_name != NULL ? VG_PROOF_SASL : 0u) | (identity->x509_dn != NULL ? VG_PROOF_X509 : 0u) |
	    (identity->unix_user != NULL ? VG_PROOF_UNIX : 0u);
	len = identity->x509_dn != NULL ? policy_dn_cn(identity->x509_dn, &cn) : 0;
	if (len > 0 && len < sizeof(question->cn)) {
		memcpy(question->cn, cn, len);
		identity->x509_cn = question->cn;
	}
	snprintf(identity->address, sizeof(identity->address), "%s", audit_member(record, "source", "address"));
}

void
record_question(json_t *record, const struct record_lack *lack, struct record_question *question)
{
	struct vg_object *object = &question->object;
	const char *uuid = json_string_value(json_object_get(lack->object, "uuid"));
	const char *class = json_string_value(json_object_get(lack->object, "class"));

	memset(question, 0, sizeof(*question));
	read_identity(record, question);
	question->permission = lack->permission;
	object->class = permission_class(lack->permission);
	object->name = json_string_value(json_object_get(lack->object, "name"));
	object->parent = json_string_value(json_object_get(lack->object, "parent"));
	object->has_uuid = uuid != NULL && policy_parse_uuid(uuid, object->uuid);
	object->any = lack->every || class == NULL || class_find(class) != object->class || (object->name == NULL && !object->has_uuid);
	if (object->any)
		*object = (struct vg_object){ .class = object->class, .any = true };
	(void)policy_parse_time(audit_member(record, "time", NULL), &question->when);
}

struct decision
record_decide(const struct policy *policy, const struct record_question *question)
{
	return policy_decide(policy, &question->identity, question->permission, &question->object, question->when);
}
