/*
 * policy_suggestion.c: roles and bindings out of what people wanted, and whether they do what they are for.
 */
#include "gateway/cli/policy_suggestion.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/policy_also.h"
#include "gateway/policy/permset.h"

#define FOLD_LEAST 5	/* objects with one beginning, to make a glob of it */
#define STEM_LEAST 2	/* letters of the beginning */

void
suggestion_tell(json_t *list, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Cut in the middle of a character it is no UTF-8 any more. */
	for (size_t len = strlen(text); len > 0 && json_array_append_new(list, json_string(text)) != 0; len--)
		text[len - 1] = '\0';
}

/* ---- folding ---- */

/* "web-12" begins with "web-", "web-a" too, "web" with nothing: 0. */
static size_t
stem_len(const char *name)
{
	size_t len = strlen(name), all = len;

	while (len > 0 && name[len - 1] >= '0' && name[len - 1] <= '9')
		len--;
	if (len == all) {
		while (len > 0 && strchr("-_.", name[len - 1]) == NULL)
			len--;
	}
	return len >= STEM_LEAST && len < all ? len : 0;
}

static char *
stem_of(const char *on, size_t name)
{
	size_t len = name > 0 ? stem_len(on + name) : 0;

	return len > 0 ? strndup(on, name + len) : NULL;
}

/* What the binding is on: the objects, many with one beginning as a glob. */
static json_t *
fold(struct suggestion *suggestion, json_t *objects, const char *id)
{
	json_t *stems = json_object(), *list = json_array(), *value;
	const char *on;
	char *stem, glob[1300];

	json_object_foreach(objects, on, value) {
		stem = suggestion->exact ? NULL : stem_of(on, (size_t)json_integer_value(value));
		if (stem != NULL)
			json_object_set_new(stems, stem, json_integer(json_integer_value(json_object_get(stems, stem)) + 1));
		free(stem);
	}
	json_object_foreach(objects, on, value) {
		json_int_t seen;

		stem = suggestion->exact ? NULL : stem_of(on, (size_t)json_integer_value(value));
		seen = stem != NULL ? json_integer_value(json_object_get(stems, stem)) : 0;
		if (seen == 0 || (seen > 0 && seen < FOLD_LEAST)) {
			json_array_append_new(list, json_string(on));
		} else if (seen >= FOLD_LEAST) {
			snprintf(glob, sizeof(glob), "%s*", stem);
			json_array_append_new(list, json_string(glob));
			suggestion_tell(suggestion->warnings, "%s is on '%s': %lld that were seen stand for every other whose name begins so "
			    "(--exact names each)", id, glob, (long long)seen);
			json_object_set_new(stems, stem, json_integer(-1));
		}
		free(stem);
	}
	json_decref(stems);
	return list;
}

/* ---- roles and bindings ---- */

static bool
has_binding(json_t *list, const char *id)
{
	json_t *binding;
	size_t i;

	json_array_foreach(list, i, binding) {
		const char *text = json_string_value(json_object_get(binding, "id"));

		if (text != NULL && strcmp(text, id) == 0)
			return true;
	}
	return false;
}

static bool
is_raw(json_t *permissions)
{
	return permission_by_name_only(permission_find(json_string_value(json_array_get(permissions, 0))));
}

/* The role of these permissions, made when it is not there yet. Borrowed. */
static const char *
role_for(struct suggestion *suggestion, const char *key, json_t *permissions)
{
	const char *known = json_string_value(json_object_get(suggestion->role_names, key));
	char name[64], meaning[2048];
	json_t *item;
	size_t i, len = 0;

	if (known != NULL)
		return known;
	do {
		snprintf(name, sizeof(name), "%s-%u%s", suggestion->prefix, ++suggestion->next_role,
		    is_raw(permissions) ? "-raw" : "");
	} while (json_object_get(json_object_get(suggestion->policy, "roles"), name) != NULL);
	len = (size_t)snprintf(meaning, sizeof(meaning), "%s", is_raw(permissions) ? "DANGEROUS: " : "");
	json_array_foreach(permissions, i, item) {
		if (len < sizeof(meaning))
			len += (size_t)snprintf(meaning + len, sizeof(meaning) - len, "%s%s", i > 0 ? "; " : "",
			    permission_meaning(permission_find(json_string_value(item))));
	}
	json_object_set_new(suggestion->roles, name, json_pack("{s:s, s:O}", "description", meaning, "allow", permissions));
	json_object_set_new(suggestion->role_names, key, json_string(name));
	return json_string_value(json_object_get(suggestion->role_names, key));
}

static void
add_binding(struct suggestion *suggestion, json_t *group)
{
	json_t *permissions = json_object_get(group, "permissions"), *on, *binding, *item;
	const char *who = json_string_value(json_object_get(group, "who")), *role, *star;
	char id[64], description[256];
	bool raw = is_raw(permissions);
	size_t i;

	role = role_for(suggestion, json_string_value(json_object_get(group, "key")), permissions);
	do {
		snprintf(id, sizeof(id), "%s-%u%s", suggestion->prefix, ++suggestion->next_binding, raw ? "-raw" : "");
	} while (has_binding(json_object_get(suggestion->policy, "bindings"), id));
	on = fold(suggestion, json_object_get(group, "on"), id);
	snprintf(description, sizeof(description), "%slacked %lld times, last %s",
	    raw ? "DANGEROUS, past every other rule of this policy; " : "",
	    (long long)json_integer_value(json_object_get(group, "count")), json_string_value(json_object_get(group, "last")));
	binding = json_pack("{s:s, s:s, s:[s], s:s?, s:O}", "id", id, "description", description, "who", who, "role", role,
	    "on", on);
	if (json_integer_value(json_object_get(group, "proofs")) != 0)
		json_object_set_new(binding, "when", json_pack("{s:[ss]}", "proof", "x509", "sasl"));
	json_object_set(suggestion->groups, id, group);
	if (json_array_append_new(suggestion->bindings, binding) != 0)
		suggestion->wants.out_of_memory = true;
	json_array_foreach(permissions, i, item) {
		if (raw)
			suggestion_tell(suggestion->warnings, "DANGER: %s gives %s %s: %s. This goes straight to QEMU or into the guest, past "
			    "every other rule. Leave it out unless you mean it", id, who, json_string_value(item),
			    permission_meaning(permission_find(json_string_value(item))));
	}
	json_array_foreach(on, i, item) {
		star = strstr(json_string_value(item), ":*");
		if (star != NULL && star[2] == '\0')
			suggestion_tell(suggestion->warnings, "%s is on every %.*s: a call that was refused needs that, because its content is "
			    "not checked or it names no object", id, (int)(star - json_string_value(item)), json_string_value(item));
	}
	json_decref(on);
}

void
suggestion_make(struct suggestion *suggestion)
{
	const char *last = "", *key;
	json_t *groups, *group;

	for (size_t i = 0; i < suggestion->wants.num; i++) {
		if (strcmp(suggestion->wants.list[i].last, last) > 0)
			last = suggestion->wants.list[i].last;
	}
	if (strlen(last) >= 10)
		snprintf(suggestion->prefix, sizeof(suggestion->prefix), "suggested-%.4s%.2s%.2s", last, last + 5, last + 8);
	else
		snprintf(suggestion->prefix, sizeof(suggestion->prefix), "suggested");
	groups = wants_groups(&suggestion->wants);
	json_object_foreach(groups, key, group)
		add_binding(suggestion, group);
	json_decref(groups);
}

/* ---- does it do what it is for? ---- */

static void
take_problem(const struct vg_error *error, void *arg)
{
	*(struct vg_error *)arg = *error;
}

/* Today's policy with the suggestion in it. NULL with `error`. */
static struct policy *
merge(struct suggestion *suggestion, struct vg_error *error)
{
	json_t *merged = json_deep_copy(suggestion->policy);
	struct policy *policy = NULL;
	char *text;

	if (json_object_get(merged, "roles") == NULL)
		json_object_set_new(merged, "roles", json_object());
	json_object_update(json_object_get(merged, "roles"), suggestion->roles);
	json_array_extend(json_object_get(merged, "bindings"), suggestion->bindings);
	text = json_dumps(merged, 0);
	json_decref(merged);
	vg_fail(error, "out of memory");
	if (text != NULL)
		policy = policy_parse(text, strlen(text), "the policy with the suggestion in it", take_problem, error);
	free(text);
	return policy;
}

/* Objects of a binding that stand for more than was seen, in words. */
static json_t *
other_objects(json_t *on)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach(on, i, item) {
		const char *text = json_string_value(item), *colon = strchr(text, ':');
		size_t len = strlen(text);

		if (colon == NULL || text[len - 1] != '*')
			continue;
		if (colon[1] == '*')
			json_array_append_new(list, json_sprintf("every other %.*s", (int)(colon - text), text));
		else
			json_array_append_new(list, json_sprintf("every other %.*s whose name begins with '%.*s'", (int)(colon - text), text,
			    (int)(len - 2 - (size_t)(colon - text)), colon + 1));
	}
	return list;
}

/* A policy of this binding alone. NULL: out of memory. */
static struct policy *
alone(struct suggestion *suggestion, json_t *binding)
{
	const char *role = json_string_value(json_object_get(binding, "role"));
	json_t *json = json_pack("{s:i, s:{s:O}, s:[O]}", "version", 1, "roles", role, json_object_get(suggestion->roles, role), "bindings",
	    binding);
	char *text = json_dumps(json, 0);
	struct policy *policy = text != NULL ? policy_parse(text, strlen(text), role, NULL, NULL) : NULL;

	json_decref(json);
	free(text);
	return policy;
}

/* What each binding opens beyond what was asked for. */
static void
find_also(struct suggestion *suggestion)
{
	json_t *binding;
	size_t i;

	json_array_foreach(suggestion->bindings, i, binding) {
		const char *id = json_string_value(json_object_get(binding, "id"));
		json_t *group = json_object_get(suggestion->groups, id), *also;
		struct policy *with = alone(suggestion, binding);
		const struct want *want = &suggestion->wants.list[json_integer_value(json_object_get(group, "first"))];

		if (with == NULL) {
			suggestion->wants.out_of_memory = true;
			return;
		}
		also = policy_also(suggestion->wants.policy, with, want, json_object_get(group, "permissions"), json_object_get(group, "calls"));
		policy_destroy(with);
		json_object_set_new(also, "binding", json_string(id));
		json_object_set_new(also, "objects", other_objects(json_object_get(binding, "on")));
		json_array_append_new(suggestion->also, also);
	}
}

int
suggestion_check(struct suggestion *suggestion, struct vg_error *error)
{
	struct policy *policy = merge(suggestion, error);

	if (policy == NULL)
		return -1;
	for (size_t i = 0; i < suggestion->wants.num; i++) {
		const struct want *want = &suggestion->wants.list[i];
		struct decision decision = wants_decide(policy, want);

		if (decision.verdict == VERDICT_ALLOW)
			continue;
		suggestion_tell(suggestion->warnings, "this is not enough for %s, %s on %s: %s%s%s", want->who,
		    permission_name(want->permission), want->on,
		    decision.verdict == VERDICT_DENY ? "denied" : "recorded as would-be denied",
		    decision.binding != NULL ? " by binding " : "", decision.binding != NULL ? decision.binding : "");
	}
	find_also(suggestion);
	policy_destroy(policy);
	return 0;
}
