/*
 * parse_bindings.c: "bindings": who has which role on what and when; and the shape of "admission".
 */
#include <string.h>

#include "gateway/policy/parse.h"

/* The member "id", checked and not one of those that were seen before (an object whose keys are the ids). */
static const char *
get_id(struct parse *parse, const struct at *at, const json_t *object, json_t *seen, const char *what)
{
	struct at here = { .up = at, .key = "id" };
	const char *id = get_string(parse, at, object, "id", true);

	if (id == NULL || !is_good_name(parse, &here, id, what))
		return NULL;
	if (json_object_get(seen, id) != NULL) {
		problem(parse, &here, "audit records name the binding by its id", "the id '%s' is used twice", id);
		return NULL;
	}
	if (json_object_set_new(seen, id, json_true()) != 0)
		parse->out_of_memory = true;
	return parse_text(parse, id, strlen(id));
}

static void
parse_binding_who(struct parse *parse, const struct at *at, const json_t *object, struct binding *binding)
{
	struct at here = { .up = at, .key = "who" };
	json_t *strings = get_strings(parse, at, object, "who", true), *item;
	size_t i, num = 0;
	struct who *who;

	if (strings == NULL)
		return;
	who = parse_alloc(parse, json_array_size(strings), sizeof(*who));
	if (who == NULL)
		return;
	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };

		if (parse_who(parse, &element, json_string_value(item), &who[num]))
			num++;
	}
	binding->num_who = flatten_who(parse, &here, who, num, &binding->who);
}

static void
parse_binding_on(struct parse *parse, const struct at *at, const json_t *object, struct binding *binding)
{
	struct at here = { .up = at, .key = "on" };
	json_t *strings = get_strings(parse, at, object, "on", true);

	if (strings == NULL)
		return;
	binding->num_on = parse_on(parse, &here, strings, &binding->on);
	for (size_t i = 0; i < binding->num_on; i++)
		binding->everything = binding->everything || binding->on[i].class == VG_CLASS_none;
}

static void
parse_binding(struct parse *parse, const struct at *at, json_t *object, json_t *seen, struct binding *binding)
{
	static const char *const modes[] = { "enforce", "permissive" };
	struct at role = { .up = at, .key = "role" }, when = { .up = at, .key = "when" };
	const char *name;

	if (!is_object(parse, at, object, "a binding", "id who role on when mode description"))
		return;
	binding->id = get_id(parse, at, object, seen, "a binding");
	parse_binding_who(parse, at, object, binding);
	name = get_string(parse, at, object, "role", true);
	binding->role = name != NULL ? find_role(parse, &role, name) : NULL;
	if (binding->role != NULL) {
		binding->allow = binding->role->allow;
		binding->deny = binding->role->deny;
	}
	parse_binding_on(parse, at, object, binding);
	parse_when(parse, &when, json_object_get(object, "when"), &binding->when);
	binding->permissive = get_choice(parse, at, object, "mode", modes, 2) == 1;
}

/* An array of at most POLICY_MAX_ITEMS; its length, 0 when told. */
static size_t
array_size(struct parse *parse, const struct at *at, const json_t *array)
{
	if (!json_is_array(array))
		problem(parse, at, NULL, "'%s' must be an array of objects", at->key);
	else if (json_array_size(array) > POLICY_MAX_ITEMS)
		problem(parse, at, NULL, "'%s' has more than %u elements", at->key, POLICY_MAX_ITEMS);
	else
		return json_array_size(array);
	return 0;
}

void
parse_bindings(struct parse *parse, const struct at *at, json_t *array)
{
	struct binding *bindings;
	json_t *seen = NULL;
	size_t num;

	if (array == NULL) {
		problem(parse, at->up, "\"bindings\": [] permits nothing to anybody", "missing key 'bindings': an array of objects");
		return;
	}
	num = array_size(parse, at, array);
	bindings = parse_alloc(parse, num, sizeof(*bindings));
	seen = json_object();
	if (bindings == NULL || seen == NULL) {
		parse->out_of_memory = true;
		goto out;
	}
	for (size_t i = 0; i < num; i++) {
		struct at element = { .up = at, .index = i };

		parse_binding(parse, &element, json_array_get(array, i), seen, &bindings[i]);
	}
	parse->policy->bindings = bindings;
	parse->policy->num_bindings = num;
out:
	json_decref(seen);
}

/* "role:NAME", or who. */
static void
parse_except(struct parse *parse, const struct at *at, const json_t *object)
{
	struct at here = { .up = at, .key = "except" };
	json_t *strings = get_strings(parse, at, object, "except", false), *item;
	struct who who;
	size_t i;

	json_array_foreach(strings, i, item) {
		struct at element = { .up = &here, .index = i };
		const char *text = json_string_value(item);

		if (strncmp(text, "role:", 5) == 0)
			(void)find_role(parse, &element, text + 5);
		else
			(void)parse_who(parse, &element, text, &who);
	}
}

void
parse_admission(struct parse *parse, const struct at *at, json_t *array)
{
	static const char *const profiles[] = { "privileged", "baseline", "restricted" };
	static const char *const modes[] = { "enforce", "warn", "audit" };
	json_t *seen = json_object();
	size_t num = array != NULL ? array_size(parse, at, array) : 0;

	if (seen == NULL)
		parse->out_of_memory = true;
	for (size_t i = 0; i < num && seen != NULL; i++) {
		struct at element = { .up = at, .index = i };
		json_t *object = json_array_get(array, i);

		if (!is_object(parse, &element, object, "an admission rule", "id profile mode except description"))
			continue;
		(void)get_id(parse, &element, object, seen, "an admission rule");
		if (json_object_get(object, "profile") == NULL)
			problem(parse, &element, "known profiles: privileged, baseline, restricted", "missing key 'profile': a string");
		(void)get_choice(parse, &element, object, "profile", profiles, 3);
		(void)get_choice(parse, &element, object, "mode", modes, 3);
		parse_except(parse, &element, object);
	}
	json_decref(seen);
}
