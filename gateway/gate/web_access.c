/*
 * web_access.c: the verbs about rights: who he is, what he may on which objects, and why. The verdicts are decide_one()'s: those of the calls
 * that would follow.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/core/handover.h"
#include "gateway/gate/class.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/resolve.h"
#include "gateway/gate/sessions.h"
#include "gateway/gate/web_verbs.h"
#include "gateway/policy/about.h"
#include "gateway/policy/question.h"
#include "gateway/policy/words.h"

#define MAX_OBJECTS 1000u
#define MAX_PERMISSIONS 32u

static void
add_text(json_t *json, const char *key, const char *text)
{
	(void)json_object_set_new(json, key, text == NULL ? json_null() : audit_text(text, strlen(text)));
}

/* ---- me ---- */

static json_t *
proofs_json(unsigned proofs)
{
	static const struct { unsigned proof; const char *name; } rows[] = { { VG_PROOF_X509, "x509" }, { VG_PROOF_SASL, "sasl" },
		{ VG_PROOF_UNIX, "unix" } };
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((proofs & rows[i].proof) != 0)
			(void)json_array_append_new(list, json_string(rows[i].name));
	return list;
}

static void
add_binding(const struct binding *binding, bool holds, bool now, void *arg)
{
	json_t *list = arg, *json = json_object(), *on = json_array();
	char text[700];

	for (size_t i = 0; policy_binding_on(binding, i, text, sizeof(text)); i++)
		(void)json_array_append_new(on, audit_text(text, strlen(text)));
	add_text(json, "id", policy_binding_id(binding));
	add_text(json, "role", policy_binding_role(binding));
	(void)json_object_set_new(json, "on", on);
	add_text(json, "until", policy_binding_until(binding));
	add_text(json, "hours", policy_binding_hours(binding));
	(void)json_object_set_new(json, "mode", json_string(policy_binding_permissive(binding) ? "permissive" : "enforce"));
	(void)json_object_set_new(json, "holds", json_boolean(holds));
	(void)json_object_set_new(json, "now", json_boolean(now));
	(void)json_array_append_new(list, json);
}

/*
 * {} -> {"name", "sasl", "x509", "address", "proofs": [...], "session": ID, "bindings": [{"id", "role", "on": [...], "until", "hours", "mode",
 * "holds", "now"}], "permissions": {"audit:read": bool, …: the gateway's own}, "mode": of the whole policy}.
 */
void
web_me(struct call *call, const json_t *request)
{
	struct session *session = call->session;
	const struct vg_identity *identity = &session->identity;
	json_t *json = json_object(), *bindings = json_array(), *permissions = json_object();

	(void)request;
	add_text(json, "name", identity_name(identity));
	add_text(json, "sasl", identity->sasl_name);
	add_text(json, "x509", identity->x509_dn);
	add_text(json, "address", identity->address);
	add_text(json, "session", session->id);
	(void)json_object_set_new(json, "proofs", proofs_json(identity->proofs));
	policy_each_about(session->gate->policy, identity, gate_now(session->gate), add_binding, bindings);
	(void)json_object_set_new(json, "bindings", bindings);
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_class class = permission_class((enum vg_permission)i);

		if (class == VG_CLASS_audit || class == VG_CLASS_session || class == VG_CLASS_policy)
			(void)json_object_set_new(permissions, permission_name((enum vg_permission)i),
			    json_boolean(web_may(session, (enum vg_permission)i)));
	}
	(void)json_object_set_new(json, "permissions", permissions);
	(void)json_object_set_new(json, "mode", json_string(sessions_mode(session->gate)));
	web_answer(call, json);
}

/* ---- objects as the browser names them ---- */

/* Room for the name of an object's parent. */
struct web_object {
	struct vg_object object;
	char parent[256];
};

/* Adds what the gate knows: a name to a UUID and the reverse. False: they do not belong together, or there is no such domain. */
static bool
complete(const struct session *session, struct vg_object *object)
{
	const struct inventory_domain *domain;
	const uint8_t *uuid;

	if (session->inventory == NULL || object->any)
		return true;
	if (object->class == VG_CLASS_domain) {
		domain = object->has_uuid ? inventory_by_uuid(session->inventory, object->uuid) :
		    object->name != NULL ? inventory_by_name(session->inventory, object->name) : NULL;
		if (domain == NULL || (object->name != NULL && strcmp(domain->name, object->name) != 0))
			return false;
		object->name = domain->name;
		object->has_uuid = true;
		memcpy(object->uuid, domain->uuid, VG_UUID_LEN);
		return true;
	}
	if (object->parent != NULL) {
		uuid = inventory_uuid_of(session->inventory, object->class == VG_CLASS_storage_vol ? VG_CLASS_storage_pool : VG_CLASS_network,
		    object->parent);
		object->has_parent_uuid = uuid != NULL;
		if (uuid != NULL)
			memcpy(object->parent_uuid, uuid, VG_UUID_LEN);
	}
	if ((object->class != VG_CLASS_network && object->class != VG_CLASS_storage_pool) || object->name == NULL)
		return true;
	uuid = inventory_uuid_of(session->inventory, object->class, object->name);
	if (uuid == NULL || (object->has_uuid && memcmp(object->uuid, uuid, VG_UUID_LEN) != 0))
		return false;
	object->has_uuid = true;
	memcpy(object->uuid, uuid, VG_UUID_LEN);
	return true;
}

/* Is it there for him, and what it is in? */
static bool
sees(struct session *session, const struct vg_object *object)
{
	struct vg_object parent = { .class = object->class == VG_CLASS_storage_vol ? VG_CLASS_storage_pool : VG_CLASS_network,
		.name = object->parent, .has_uuid = object->has_parent_uuid };

	memcpy(parent.uuid, object->parent_uuid, VG_UUID_LEN);
	return (object->parent == NULL || resolve_sees(session, &parent)) && resolve_sees(session, object);
}

/* {"class", "uuid", "name"}: at least one of the two; a volume is POOL/NAME. -1: it is not that. */
static int
read_object(const json_t *json, struct web_object *out)
{
	const char *class = json_string_value(json_object_get(json, "class")), *uuid = json_string_value(json_object_get(json, "uuid"));
	struct vg_object *object = &out->object;
	const char *slash;

	*object = (struct vg_object){ .class = class == NULL ? VG_CLASS_none : class_find(class),
		.name = json_string_value(json_object_get(json, "name")), .has_uuid = uuid != NULL };
	if (object->class == VG_CLASS_none || class_getattr(object->class) == VG_PERM_NONE || (object->name == NULL && uuid == NULL))
		return -1;
	if (uuid != NULL && !policy_parse_uuid(uuid, object->uuid))
		return -1;
	if (object->class != VG_CLASS_storage_vol && object->class != VG_CLASS_network_port) {
		/* Of these libvirt goes by the UUID, and the gate does not know the name to it: one that is only claimed counts for nothing. */
		if ((object->class == VG_CLASS_secret || object->class == VG_CLASS_nwfilter) && object->has_uuid)
			object->name = NULL;
		return 0;
	}
	slash = object->name == NULL ? NULL : strchr(object->name, '/');
	if (slash == NULL || slash == object->name || slash[1] == '\0' || (size_t)(slash - object->name) >= sizeof(out->parent))
		return -1;
	memcpy(out->parent, object->name, (size_t)(slash - object->name));
	out->parent[slash - object->name] = '\0';
	object->parent = out->parent;
	object->name = slash + 1;
	return 0;
}

/* ---- may ---- */

static json_t *
verdicts(struct session *session, struct vg_object *object, const enum vg_permission *permissions, size_t num)
{
	bool there = complete(session, object) && sees(session, object);
	json_t *json = json_object();

	for (size_t i = 0; i < num; i++) {
		const enum vg_class class = permission_class(permissions[i]);
		const struct vg_object whole = { .class = class, .any = class != VG_CLASS_connect };

		(void)json_object_set_new(json, permission_name(permissions[i]), json_boolean(there &&
		    decide_visible(session, permissions[i], class == object->class ? object : &whole)));
	}
	return json;
}

/*
 * {"objects": [{"class", "uuid", "name"}], "permissions": ["domain:start", …]} -> {"may": [{"domain:start": bool, …}]} in the same order. What
 * he does not see, what is not there, and a name that is not that UUID's: all false. A permission of another class than the object's is
 * asked for the host, or for all of that class.
 */
void
web_may_objects(struct call *call, const json_t *request)
{
	const json_t *objects = json_object_get(request, "objects"), *names = json_object_get(request, "permissions"), *item;
	enum vg_permission permissions[MAX_PERMISSIONS];
	size_t num = json_array_size(names), i;
	json_t *list;

	if (!json_is_array(objects) || json_array_size(objects) > MAX_OBJECTS || !json_is_array(names) || num > MAX_PERMISSIONS) {
		web_refuse(call, "may needs \"objects\", at most %u, and \"permissions\", at most %u", MAX_OBJECTS, MAX_PERMISSIONS);
		return;
	}
	json_array_foreach((json_t *)(uintptr_t)names, i, item) {
		const char *name = json_string_value(item);

		permissions[i] = name == NULL ? VG_PERM_NONE : permission_find(name);
		if (permissions[i] == VG_PERM_NONE) {
			web_refuse(call, "unknown permission '%.80s'", name == NULL ? "(not a string)" : name);
			return;
		}
	}
	list = json_array();
	json_array_foreach((json_t *)(uintptr_t)objects, i, item) {
		struct web_object object;

		if (read_object(item, &object) < 0) {
			json_decref(list);
			web_refuse(call, "object %zu is none: expected \"class\" and \"uuid\" or \"name\"", i);
			return;
		}
		(void)json_array_append_new(list, verdicts(call->session, &object.object, permissions, num));
	}
	web_answer(call, json_pack("{s:o}", "may", list));
}

/* ---- can ---- */

/* What is told of the bindings: to him about himself those about him, to who may read the policy all. */
struct explained {
	json_t *list;
	json_t *only;		/* ids; NULL: all */
};

static void
add_id(const struct binding *binding, bool holds, bool now, void *arg)
{
	(void)holds;
	(void)now;
	(void)json_object_set_new(arg, policy_binding_id(binding), json_true());
}

static void
add_explained(const char *binding, bool applies, enum verdict verdict, const char *why, void *arg)
{
	struct explained *explained = arg;
	json_t *json;

	if (explained->only != NULL && json_object_get(explained->only, binding) == NULL)
		return;
	json = json_object();
	add_text(json, "id", binding);
	(void)json_object_set_new(json, "applies", json_boolean(applies));
	(void)json_object_set_new(json, "verdict", applies ? json_string(policy_verdict_name(verdict)) : json_null());
	add_text(json, "why", why);
	(void)json_array_append_new(explained->list, json);
}

/* What it is called, or which UUID it has; only to somebody who sees it. */
static void
complete_if_seen(struct session *session, struct question *question)
{
	struct vg_object known = question->object;

	if (complete(session, &known) && sees(session, &known))
		question->object = known;
}

static json_t *
explain(struct session *session, const struct question *question, bool bindings, bool all)
{
	const struct policy *policy = session->gate->policy;
	struct explained explained = { .list = json_array(), .only = all ? NULL : json_object() };
	struct decision decision;
	char text[POLICY_DECISION_SIZE], obstacle[POLICY_OBSTACLE_SIZE];
	const char *but;
	json_t *json = json_object();

	if (!all)
		policy_each_about(policy, &question->identity, question->now, add_id, explained.only);
	decision = policy_explain(policy, &question->identity, question->permission, &question->object, question->now, add_explained, &explained);
	but = decision.verdict == VERDICT_DENY ? NULL : policy_obstacle(policy, &question->identity, &question->object, question->now, obstacle);
	(void)json_object_set_new(json, "verdict", json_string(policy_verdict_name(decision.verdict)));
	add_text(json, "binding", decision.binding);
	add_text(json, "text", policy_decision_text(decision, text));
	if (but != NULL)
		add_text(json, "but", but);
	if (bindings)
		(void)json_object_set(json, "bindings", explained.list);
	json_decref(explained.list);
	json_decref(explained.only);
	return json;
}

/* When, from where and with which proof, as `virtgate policy can` has them. */
static struct question_words
words_of(const struct session *session, const json_t *request)
{
	return (struct question_words){ "", json_string_value(json_object_get(request, "from")), json_string_value(json_object_get(request, "at")),
		json_string_value(json_object_get(request, "uuid")), json_string_value(json_object_get(request, "proof")), gate_now(session->gate) };
}

/* `user` NULL: about himself, as he is connected, or about whoever. False: it is refused. */
static bool
read_question(struct call *call, const json_t *request, const char *user, struct question *question)
{
	const char *permission = json_string_value(json_object_get(request, "permission"));
	const char *object = json_string_value(json_object_get(request, "object"));
	const struct question_words words = words_of(call->session, request);
	struct vg_error error = { .what = "", .hint = "" };

	if (permission == NULL || object == NULL) {
		web_refuse(call, "\"permission\" and \"object\" are needed");
		return false;
	}
	if (question_user(question, &words, user, &error) < 0 || question_object(question, &words, permission, object, &error) < 0) {
		web_refuse(call, "%s%s%.100s", error.what, error.hint[0] == '\0' ? "" : "; ", error.hint);
		return false;
	}
	complete_if_seen(call->session, question);
	return true;
}

/*
 * {"permission", "object", "user"?, "from"?, "at"?, "uuid"?, "proof"?, "explain": bool?}, all as `virtgate policy can` has them; without "user"
 * about himself, as he is connected -> {"verdict", "binding", "text", "but"?, "bindings"?: [{"id", "applies", "verdict", "why"}]}.
 */
void
web_can(struct call *call, const json_t *request)
{
	struct session *session = call->session;
	const char *user = json_string_value(json_object_get(request, "user"));
	bool all = web_may(session, VG_PERM_policy_read);
	struct question question = { .permission = VG_PERM_NONE };

	if (user != NULL && !all) {
		web_deny(call, VG_PERM_policy_read);
		return;
	}
	if (read_question(call, request, user, &question)) {
		if (user == NULL)
			question.identity = session->identity;
		web_answer(call, explain(session, &question, json_is_true(json_object_get(request, "explain")), all));
	}
	question_clear(&question);
}

/* ---- who can ---- */

static void
add_person(const char *who, const char *binding, enum verdict verdict, const char *condition, void *arg)
{
	json_t *json = json_object();

	add_text(json, "who", who);
	add_text(json, "binding", binding);
	(void)json_object_set_new(json, "verdict", json_string(policy_verdict_name(verdict)));
	add_text(json, "when", condition);
	(void)json_array_append_new(arg, json);
}

/*
 * {"permission", "object", "at"?, "uuid"?} as `virtgate policy who-can` has them -> {"people": [{"who", "binding", "verdict", "when": conditions, or ""}],
 * "mode": of the whole policy, "permissive" lets everybody through}.
 */
void
web_who_can(struct call *call, const json_t *request)
{
	struct session *session = call->session;
	struct question question = { .permission = VG_PERM_NONE };
	json_t *people;

	if (read_question(call, request, NULL, &question)) {
		people = json_array();
		policy_who_can(session->gate->policy, question.permission, &question.object, question.now, add_person, people);
		web_answer(call, json_pack("{s:o, s:s}", "people", people, "mode", sessions_mode(session->gate)));
	}
	question_clear(&question);
}
