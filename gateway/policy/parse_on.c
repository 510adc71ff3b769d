/*
 * parse_on.c: "sets", and the texts that name objects: "web-*", "uuid:…", "POOL/NAME" of one class.
 */
#include <string.h>

#include "gateway/policy/pairs.h"
#include "gateway/policy/parse.h"

/* Classes that have objects to bind on. */
static bool
has_objects(enum vg_class class)
{
	return class != VG_CLASS_none && !class_is_host(class);
}

static int
hex_value(char digit)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

	if (found == NULL)
		return -1;
	return found - digits < 16 ? (int)(found - digits) : (int)(found - digits) - 6;
}

/* 8-4-4-4-12 hex digits. */
bool
policy_parse_uuid(const char *text, uint8_t uuid[VG_UUID_LEN])
{
	size_t num = 0;

	if (strlen(text) != VG_UUID_TEXT_LEN)
		return false;
	for (size_t i = 0; i < VG_UUID_TEXT_LEN;) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return false;
			continue;
		}
		if (hex_value(text[i]) < 0 || hex_value(text[i + 1]) < 0)
			return false;
		uuid[num++] = (uint8_t)(hex_value(text[i]) * 16 + hex_value(text[i + 1]));
		i += 2;
	}
	return true;
}

/* What stands behind CLASS: or in a set: NAME-GLOB, "uuid:…", POOL/NAME. */
static bool
parse_pattern(struct parse *parse, const struct at *at, enum vg_class class, const char *text, struct pattern *pattern)
{
	const char *slash = strchr(text, '/'), *parent = class_name(class_parent(class));

	*pattern = (struct pattern){ .class = class, .kind = PATTERN_NAME };
	if (strncmp(text, "uuid:", 5) == 0) {
		pattern->kind = PATTERN_UUID;
		if (!class_has_uuid(class)) {
			problem(parse, at, NULL, "a %s has no uuid; name it", class_name(class));
			return false;
		}
		if (!policy_parse_uuid(text + 5, pattern->uuid)) {
			problem(parse, at, "for example uuid:6695eb01-f6a4-8304-79aa-97f2502e193f; a uuid takes no globs",
			    "'%s' is not a uuid", text + 5);
			return false;
		}
		return true;
	}
	if (glob_is_all(text)) {
		if (*text == '\0') {
			problem(parse, at, "for every one of the class, write CLASS:*", "empty %s name", class_name(class));
			return false;
		}
		pattern->kind = PATTERN_ALL;
		return true;
	}
	if (class_parent(class) == VG_CLASS_none) {
		pattern->name = parse_text(parse, text, strlen(text));
		pattern->name_pairs = glob_pairs(text);
		return pattern->name != NULL;
	}
	if (slash == NULL || slash == text || slash[1] == '\0') {
		char hint[160];

		snprintf(hint, sizeof(hint), "write %s:%.40s/* for all of that %s, or bind on %s:%.40s", class_name(class),
		    text, parent, parent, text);
		problem(parse, at, slash == NULL ? hint : NULL, "a %s is named by its %s and its own name: expected %s/NAME",
		    class_name(class), parent, parent);
		return false;
	}
	pattern->parent = parse_text(parse, text, (size_t)(slash - text));
	pattern->name = parse_text(parse, slash + 1, strlen(slash + 1));
	if (pattern->parent == NULL || pattern->name == NULL)
		return false;
	pattern->name_pairs = glob_pairs(pattern->name);
	return true;
}

/* The class of "CLASS:…" or of a set's key; told when there is none with objects. */
static enum vg_class
object_class(struct parse *parse, const struct at *at, const char *name)
{
	enum vg_class class = class_find(name);
	struct advice advice;

	if (has_objects(class))
		return class;
	if (class != VG_CLASS_none) {
		problem(parse, at, "leave it out: such permissions of a role hold for the host, whatever the binding is on",
		    "class '%s' has no objects", name);
		return VG_CLASS_none;
	}
	advice_start(&advice, name, "classes");
	for (unsigned i = 0; i < VG_NUM_CLASSES; i++) {
		if (has_objects((enum vg_class)i))
			advice_offer(&advice, class_name((enum vg_class)i));
	}
	problem(parse, at, advice_text(&advice), "unknown class '%.*s'", (int)POLICY_MAX_NAME, name);
	return VG_CLASS_none;
}

static void
parse_set_class(struct parse *parse, const struct at *at, enum vg_class class, const json_t *names, struct set *set)
{
	json_t *item;
	size_t i;

	json_array_foreach(names, i, item) {
		struct at element = { .up = at, .index = i };

		if (parse_pattern(parse, &element, class, json_string_value(item), &set->on[set->num_on]))
			set->num_on++;
	}
}

static void
parse_set(struct parse *parse, const struct at *at, json_t *object, struct set *set)
{
	const char *key;
	json_t *names;
	size_t num = 0;

	if (!json_is_object(object)) {
		problem(parse, at, NULL, "a set must be an object: { \"CLASS\": [\"NAME\", …], … }");
		return;
	}
	json_object_foreach(object, key, names)
		num += json_array_size(names);
	set->on = parse_alloc(parse, num, sizeof(*set->on));
	if (set->on == NULL)
		return;
	json_object_foreach(object, key, names) {
		struct at here = { .up = at, .key = key };
		enum vg_class class;

		if (strcmp(key, "description") == 0 && json_is_string(names))
			continue;
		class = object_class(parse, &here, key);
		if (class != VG_CLASS_none && get_strings(parse, at, object, key, false) != NULL)
			parse_set_class(parse, &here, class, names, set);
	}
}

void
parse_sets(struct parse *parse, const struct at *at, json_t *sets)
{
	const char *name;
	json_t *object;

	if (sets == NULL || !is_named_object(parse, at, sets, "set"))
		return;
	parse->sets = parse_alloc(parse, json_object_size(sets), sizeof(*parse->sets));
	if (parse->sets == NULL)
		return;
	json_object_foreach(sets, name, object) {
		struct at here = { .up = at, .key = name };
		struct set *set = &parse->sets[parse->num_sets];

		if (strcmp(name, "description") == 0 && json_is_string(object))
			continue;
		set->name = parse_text(parse, name, strlen(name));
		if (set->name == NULL)
			return;
		parse->num_sets++;
		parse_set(parse, &here, object, set);
	}
}

static const struct set *
find_set(struct parse *parse, const struct at *at, const char *name)
{
	struct advice advice;

	for (size_t i = 0; i < parse->num_sets; i++) {
		if (strcmp(parse->sets[i].name, name) == 0)
			return &parse->sets[i];
	}
	advice_start(&advice, name, "sets");
	for (size_t i = 0; i < parse->num_sets; i++)
		advice_offer(&advice, parse->sets[i].name);
	problem(parse, at, parse->num_sets > 0 ? advice_text(&advice) : "this policy has no sets", "unknown set '%.*s'",
	    (int)POLICY_MAX_NAME, name);
	return NULL;
}

/* One element of `on`: how many patterns it stands for; they are copied to `to` unless it is NULL. */
static size_t
parse_on_item(struct parse *parse, const struct at *at, const char *text, struct pattern *to)
{
	const char *colon = strchr(text, ':');
	char class_text[32];
	const struct set *set;
	struct pattern pattern = { .kind = PATTERN_ALL };
	enum vg_class class;

	if (strcmp(text, "*") != 0) {
		if (colon == NULL) {
			problem(parse, at, "for a domain of that name, write domain:NAME",
			    "'%s' does not say which objects: expected set:NAME, CLASS:NAME, CLASS:uuid:UUID or *", text);
			return 0;
		}
		if (strncmp(text, "set:", 4) == 0) {
			set = find_set(parse, at, text + 4);
			if (set != NULL && to != NULL && set->num_on > 0)
				memcpy(to, set->on, set->num_on * sizeof(*to));
			return set != NULL ? set->num_on : 0;
		}
		snprintf(class_text, sizeof(class_text), "%.*s", (int)nearest_min((size_t)(colon - text), 31), text);
		class = object_class(parse, at, class_text);
		if (class == VG_CLASS_none || !parse_pattern(parse, at, class, colon + 1, &pattern))
			return 0;
	}
	if (to != NULL)
		*to = pattern;
	return 1;
}

size_t
parse_on(struct parse *parse, const struct at *at, const json_t *items, const struct pattern **on)
{
	unsigned problems = parse->num_problems;
	struct pattern *patterns;
	size_t num = 0, used = 0, i;
	json_t *item;

	json_array_foreach(items, i, item) {
		struct at element = { .up = at, .index = i };

		num += parse_on_item(parse, &element, json_string_value(item), NULL);
	}
	if (parse->num_problems != problems || !is_not_too_much(parse, at, num))
		return 0;
	patterns = parse_alloc(parse, num, sizeof(*patterns));
	if (patterns == NULL)
		return 0;
	json_array_foreach(items, i, item)
		used += parse_on_item(parse, at, json_string_value(item), patterns + used);
	*on = patterns;
	return used;
}
