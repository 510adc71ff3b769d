/*
 * lint.c: what is no mistake in a policy but hardly meant: it says something that has no effect, or more than it seems to.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/lint.h"
#include "gateway/policy/parse.h"
#include "gateway/policy/texts.h"

struct lint {
	const struct policy *policy;
	const char *text;
	size_t len;
	const char *file;
	time_t now;
	json_t *root;
	policy_problem_cb *each;
	void *arg;
	unsigned told;
};

__attribute__((format(printf, 4, 5)))
static void
warn(struct lint *lint, const struct at *at, const char *hint, const char *format, ...)
{
	struct vg_error error = { .hint = "" };
	va_list args;
	int len;

	if (lint->told++ >= POLICY_MAX_PROBLEMS)	/* finding a line costs a walk through the text */
		return;
	len = snprintf(error.what, sizeof(error.what), "%s:%u: ", lint->file, locate(lint->text, lint->len, at));
	if (len < 0 || (size_t)len >= sizeof(error.what))
		len = 0;
	va_start(args, format);
	(void)vsnprintf(error.what + len, sizeof(error.what) - (size_t)len, format, args);
	va_end(args);
	vg_hint(&error, "%s", hint);
	lint->each(&error, lint->arg);
}

/* ---- what a binding says ---- */

/* "domain:start, domain:stop and 3 more". */
static void
list_permissions(const struct permset *set, char *buf, size_t size)
{
	size_t len = 0, num = 0;

	buf[0] = '\0';
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		if (!permset_has(set, (enum vg_permission)i) || num++ >= 4 || len >= size)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", num > 1 ? ", " : "", permission_name((enum vg_permission)i));
	}
	if (num > 4 && len < size)
		snprintf(buf + len, size - len, " and %zu more", num - 4);
}

/* Those permissions of the host that change something, or are about the gateway itself. */
static struct permset
host_powers(const struct lint *lint, const struct permset *set)
{
	struct permset powers = { 0 };

	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_class class = permission_class((enum vg_permission)i);

		if (permset_has(set, (enum vg_permission)i) && class_is_host(class) &&
		    (class_is_own(class) || !permset_has(&lint->policy->reads, (enum vg_permission)i)))
			permset_add(&powers, (enum vg_permission)i);
	}
	return powers;
}

/* `on` narrows nothing for permissions that have no object. */
static void
check_host(struct lint *lint, const struct at *at, const struct binding *binding)
{
	struct permset allow = host_powers(lint, &binding->allow), deny = host_powers(lint, &binding->deny);
	struct at role = { .up = at, .key = "role" };
	char list[400];

	if (binding->everything)
		return;
	list_permissions(&allow, list, sizeof(list));
	if (list[0] != '\0')
		warn(lint, &role, "bind a role without them (vm-admin has none), or deny them in a role of your own",
		    "binding '%s' is on some objects only, but its role '%s' allows %s on the host as a whole, whatever 'on' says", binding->id,
		    binding->role->name, list);
	list_permissions(&deny, list, sizeof(list));
	if (list[0] != '\0')
		warn(lint, &role, "if that is meant, bind the role on \"*\"",
		    "binding '%s' is on some objects only, but its role '%s' denies %s on the host as a whole, whatever 'on' says", binding->id,
		    binding->role->name, list);
}

static bool
concerns(const struct pattern *pattern, enum vg_class class)
{
	return pattern->class == VG_CLASS_none || pattern->class == class ||
	    (class_parent(class) != VG_CLASS_none && pattern->class == class_parent(class));
}

/* Has any permission of the role to do with anything that the binding is on? A permissive one says something of every permission. */
static void
check_role(struct lint *lint, const struct at *at, const struct binding *binding)
{
	struct at role = { .up = at, .key = "role" };
	struct permset all = binding->allow;

	permset_add_all(&all, &binding->deny);
	if (binding->permissive)
		return;
	if (permset_is_empty(&all)) {
		warn(lint, &role, "give the role permissions, or take the binding out", "binding '%s' says nothing: its role '%s' has no permission",
		    binding->id, binding->role->name);
		return;
	}
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		enum vg_class class = permission_class((enum vg_permission)i);

		if (!permset_has(&all, (enum vg_permission)i))
			continue;
		if (class_is_host(class))
			return;
		for (size_t j = 0; j < binding->num_on; j++) {
			if (concerns(&binding->on[j], class))
				return;
		}
	}
	warn(lint, at, "look at the classes of 'on' and of the role's permissions",
	    "binding '%s' says nothing: no permission of its role '%s' is about what it is on", binding->id, binding->role->name);
}

/* ---- when it applies ---- */

/* What somebody of this kind has proven; 0: anything. */
static unsigned
proof_of(enum who_kind kind)
{
	switch (kind) {
	case WHO_SASL:
		return VG_PROOF_SASL;
	case WHO_X509:
	case WHO_X509_CN:
	case WHO_X509_SAN:
	case WHO_X509_SHA256:
		return VG_PROOF_X509;
	case WHO_UNIX:
	case WHO_UNIX_GROUP:
		return VG_PROOF_UNIX;
	case WHO_ANYONE:
	case WHO_GROUP:
		break;
	}
	return 0;
}

/* Somebody on the local socket has proven that and nothing else, and has no address. */
static const char *
why_never(const struct when *when, enum who_kind kind)
{
	unsigned proofs = when->proofs | proof_of(kind);

	if ((proofs & VG_PROOF_UNIX) != 0 && (proofs & ~(unsigned)VG_PROOF_UNIX) != 0)
		return "nobody comes both over the local socket and with a certificate or SASL";
	if ((proofs & VG_PROOF_UNIX) != 0 && when->num_from > 0)
		return "who comes over the local socket has no address for 'from'";
	return NULL;
}

static void
check_when(struct lint *lint, const struct at *at, const struct binding *binding)
{
	struct at when = { .up = at, .key = "when" }, until = { .up = &when, .key = "until" };
	const char *why = NULL;
	size_t never = 0;
	char who[256];

	if (binding->when.ends && lint->now >= binding->when.until)
		warn(lint, &until, "take it out, or give it another end", "binding '%s' does not apply any more: it ended at %s", binding->id,
		    binding->when.until_text);
	for (size_t i = 0; i < binding->num_who; i++) {
		const char *one = why_never(&binding->when, binding->who[i].kind);

		if (one == NULL)
			continue;
		if (never++ == 0)
			who_text(&binding->who[i], who, sizeof(who));
		why = one;
	}
	if (never > 0 && never == binding->num_who)
		warn(lint, &when, "look at 'who' and 'when' together", "binding '%s' can never apply: %s", binding->id, why);
	else if (never > 0)
		warn(lint, &when, "look at 'who' and 'when' together", "binding '%s' can never apply to %s%s: %s", binding->id, who,
		    never > 1 ? " and others" : "", why);
}

/* ---- what a deny leaves of it ---- */

static bool
is_firm(const struct binding *binding)
{
	const struct when *when = &binding->when;

	return !binding->permissive && !permset_is_empty(&binding->deny) && when->proofs == 0 && when->num_from == 0 && when->week == NULL &&
	    !when->ends;
}

static bool
has_who(const struct binding *binding, const struct who *who)
{
	for (size_t i = 0; i < binding->num_who; i++) {
		const struct who *one = &binding->who[i];

		if (one->kind == WHO_ANYONE || (one->kind == who->kind && (glob_is_all(one->text) || strcmp(one->text, who->text) == 0)))
			return true;
	}
	return false;
}

static bool
has_pattern(const struct binding *binding, const struct pattern *pattern)
{
	for (size_t i = 0; i < binding->num_on; i++) {
		const struct pattern *one = &binding->on[i];

		if (one->kind == PATTERN_ALL && (one->class == VG_CLASS_none || one->class == pattern->class))
			return true;
		if (one->class != pattern->class || one->kind != pattern->kind)
			continue;
		if (one->kind == PATTERN_UUID ? memcmp(one->uuid, pattern->uuid, VG_UUID_LEN) == 0 :
		    strcmp(one->name, pattern->name) == 0 && (one->parent == NULL || strcmp(one->parent, pattern->parent) == 0))
			return true;
	}
	return false;
}

/* The first binding that denies all of this, or NULL. */
static const struct binding *
denier(const struct lint *lint, enum vg_permission permission, const struct who *who, const struct pattern *pattern)
{
	for (size_t i = 0; i < lint->policy->num_bindings; i++) {
		const struct binding *other = &lint->policy->bindings[i];

		if (permset_has(&other->deny, permission) && is_firm(other) && has_who(other, who) &&
		    (class_is_host(permission_class(permission)) || has_pattern(other, pattern)))
			return other;
	}
	return NULL;
}

/* Is everything that it allows denied, to everybody, everywhere? Only by who and what are written alike; a hint, no proof. */
static void
check_denied(struct lint *lint, const struct at *at, const struct binding *binding)
{
	const struct binding *by = NULL;

	if (binding->permissive)
		return;
	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS; i++) {
		if (!permset_has(&binding->allow, (enum vg_permission)i))
			continue;
		for (size_t w = 0; w < binding->num_who; w++) {
			for (size_t o = 0; o < binding->num_on; o++) {
				by = denier(lint, (enum vg_permission)i, &binding->who[w], &binding->on[o]);
				if (by == NULL)
					return;
			}
		}
	}
	if (by != NULL)
		warn(lint, at, "a deny wins over every allow, in whatever order they stand",
		    "binding '%s' allows nothing: all that it allows is denied, among others by binding '%s'", binding->id, by->id);
}

/* ---- what is of no use without another permission ---- */

/*
 * Does any binding about this text give the permission, on anything? Of somebody among many it cannot be told who he is: any
 * binding will do. Where none gives it to anybody, this is a part of a policy, as `policy suggest` prints it: no complaint.
 */
static bool
gives(const struct lint *lint, const struct who *who, enum vg_permission permission)
{
	bool many = who->kind == WHO_ANYONE || strpbrk(who->text, "*?") != NULL, some = false;

	for (size_t i = 0; i < lint->policy->num_bindings; i++) {
		const struct binding *other = &lint->policy->bindings[i];

		if (!permset_has(&other->allow, permission) && !other->permissive)
			continue;
		if (many || has_who(other, who))
			return true;
		some = true;
	}
	return !some;
}

static enum vg_permission
getattr_of(enum vg_class class)
{
	char name[PERMISSION_MAX_NAME];

	snprintf(name, sizeof(name), "%s:getattr", class_name(class));
	return permission_find(name);
}

/*
 * Who lacks connect:getattr cannot connect, and what somebody lacks getattr on is not there for him. He may be named in another way
 * elsewhere (by his certificate here, by SASL there); then he is told for nothing, so only a binding of whose people nobody gets it.
 */
static void
check_getattr(struct lint *lint, const struct at *at, const struct binding *binding)
{
	struct at role = { .up = at, .key = "role" };
	enum vg_permission getattr = VG_PERM_connect_getattr, for_what = VG_PERM_NONE;

	for (unsigned i = VG_PERM_NONE + 1; i < VG_NUM_PERMISSIONS && for_what == VG_PERM_NONE; i++) {
		enum vg_class class = permission_class((enum vg_permission)i);
		bool given = false;

		if (!permset_has(&binding->allow, (enum vg_permission)i) || class_is_own(class))
			continue;
		for (size_t w = 0; w < binding->num_who && !given; w++)
			given = gives(lint, &binding->who[w], VG_PERM_connect_getattr);
		if (given && !class_is_host(class)) {
			getattr = getattr_of(class);
			given = false;
			for (size_t w = 0; w < binding->num_who && !given; w++)
				given = gives(lint, &binding->who[w], getattr);
		}
		if (!given)
			for_what = (enum vg_permission)i;
	}
	if (for_what != VG_PERM_NONE)
		warn(lint, &role, "include the role viewer", "binding '%s' allows %s, but nobody gives its people %s: %s", binding->id,
		    permission_name(for_what), permission_name(getattr), getattr == VG_PERM_connect_getattr ?
		    "they cannot open a connection" : "what they may not see does not exist for them");
}

/* ---- what nobody uses ---- */

/* Marks every "PREFIX NAME" of an array of strings in `used`. */
static void
mark_strings(json_t *used, json_t *strings, const char *prefix)
{
	json_t *item;
	size_t i;

	json_array_foreach(strings, i, item) {
		const char *text = json_string_value(item);

		if (text != NULL && strncmp(text, prefix, strlen(prefix)) == 0)
			json_object_set_new(used, text + strlen(prefix), json_true());
	}
}

static void
warn_unused(struct lint *lint, const char *part, const char *what, json_t *used)
{
	struct at top = { 0 }, up = { .up = &top, .key = part };
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(lint->root, part), name, value) {
		struct at at = { .up = &up, .key = name };

		if ((strcmp(name, "description") == 0 && json_is_string(value)) || json_object_get(used, name) != NULL)
			continue;
		warn(lint, &at, "take it out, or use it", "nobody uses the %s '%.*s'", what, (int)POLICY_MAX_NAME, name);
	}
}

static void
check_unused(struct lint *lint)
{
	static const char *const rows[] = { "admission", "rules", "quotas" };
	json_t *roles = json_object(), *groups = json_object(), *sets = json_object(), *value;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(lint->root, "bindings"), i, value) {
		if (json_string_value(json_object_get(value, "role")) != NULL)
			json_object_set_new(roles, json_string_value(json_object_get(value, "role")), json_true());
		mark_strings(groups, json_object_get(value, "who"), "group:");
		mark_strings(sets, json_object_get(value, "on"), "set:");
	}
	json_object_foreach(json_object_get(lint->root, "roles"), name, value)
		mark_strings(roles, json_object_get(value, "include"), "");
	json_object_foreach(json_object_get(lint->root, "groups"), name, value)
		mark_strings(groups, value, "group:");
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		json_array_foreach(json_object_get(lint->root, rows[k]), i, value) {
			mark_strings(roles, json_object_get(value, "except"), "role:");
			mark_strings(groups, json_object_get(value, "except"), "group:");
			mark_strings(groups, json_object_get(value, "who"), "group:");
			mark_strings(sets, json_object_get(value, "on"), "set:");
		}
	}
	json_array_foreach(json_object_get(lint->root, "rules"), i, value) {
		mark_strings(roles, json_object_get(value, "except"), "role:");
		mark_strings(groups, json_object_get(value, "except"), "group:");
		mark_strings(groups, json_object_get(value, "who"), "group:");
	}
	warn_unused(lint, "groups", "group", groups);
	warn_unused(lint, "sets", "set", sets);
	warn_unused(lint, "roles", "role", roles);
	json_decref(roles);
	json_decref(groups);
	json_decref(sets);
}

/* ---- all of it ---- */

void
policy_lint(const struct policy *policy, const char *text, size_t len, const char *file, time_t now, policy_problem_cb *each, void *arg)
{
	struct lint lint = { .policy = policy, .text = text, .len = len, .file = file, .now = now, .each = each, .arg = arg,
		.root = json_loadb(text, len, 0, NULL) };
	struct at top = { 0 }, mode = { .up = &top, .key = "mode" }, bindings = { .up = &top, .key = "bindings" };

	if (policy->permissive)
		warn(&lint, &mode, "take 'mode' out when the policy is to count",
		    "THE GATEWAY ONLY WATCHES: the mode of the policy is permissive; what it denies is let through and recorded");
	for (size_t i = 0; i < policy->num_bindings; i++) {
		const struct binding *binding = &policy->bindings[i];
		struct at at = { .up = &bindings, .index = i };

		check_host(&lint, &at, binding);
		check_role(&lint, &at, binding);
		check_when(&lint, &at, binding);
		check_denied(&lint, &at, binding);
		check_getattr(&lint, &at, binding);
	}
	check_unused(&lint);
	json_decref(lint.root);
}
