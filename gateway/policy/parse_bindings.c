/*
 * parse_bindings.c: "bindings": who has which role on what and when.
 */
#include <string.h>

#include "gateway/policy/parse.h"

const char *
parse_id(struct parse *parse, const struct at *at, const json_t *object, json_t *seen, const char *what)
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
	binding->id = parse_id(parse, at, object, seen, "a binding");
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

size_t
parse_array_size(struct parse *parse, const struct at *at, const json_t *array)
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
	num = parse_array_size(parse, at, array);
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
