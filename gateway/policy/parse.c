/*
 * parse.c: from the bytes of policy.json to a struct policy: the document itself, and what all its parts share.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/parse.h"

__attribute__((format(printf, 2, 0)))
static void
tell(struct parse *parse, const char *format, va_list args, unsigned line, const char *hint)
{
	struct vg_error error;
	int len = snprintf(error.what, sizeof(error.what), "%s:%u: ", parse->file, line);

	if (len < 0 || (size_t)len >= sizeof(error.what))
		len = 0;
	(void)vsnprintf(error.what + len, sizeof(error.what) - (size_t)len, format, args);
	error.hint[0] = '\0';
	if (hint != NULL)
		vg_hint(&error, "%s", hint);
	if (parse->problem != NULL)
		parse->problem(&error, parse->arg);
}

void
problem(struct parse *parse, const struct at *at, const char *hint, const char *format, ...)
{
	va_list args;

	if (parse->num_problems++ > POLICY_MAX_PROBLEMS || parse->problem == NULL)	/* to nobody: finding the line would be for nothing */
		return;
	va_start(args, format);
	if (parse->num_problems > POLICY_MAX_PROBLEMS)
		tell(parse, "too many mistakes; this and what follows is not told", args, locate(parse->text, parse->len, at), NULL);
	else
		tell(parse, format, args, locate(parse->text, parse->len, at), hint);
	va_end(args);
}

void
advice_start(struct advice *advice, const char *written, const char *kind)
{
	advice->nearest = (struct nearest){ .word = written };
	advice->len = (size_t)snprintf(advice->text, sizeof(advice->text), "known %s:", kind);
}

void
advice_offer(struct advice *advice, const char *known)
{
	static const char more[] = ", …";
	size_t room = sizeof(advice->text) - advice->len;
	bool first = advice->text[advice->len - 1] == ':';

	nearest_offer(&advice->nearest, known);
	if (room <= sizeof(more))	/* full: "…" stands at the end already */
		return;
	if (strlen(known) + 2 + sizeof(more) >= room) {
		memcpy(advice->text + advice->len, more, sizeof(more));
		advice->len = sizeof(advice->text) - sizeof(more);
		return;
	}
	advice->len += (size_t)snprintf(advice->text + advice->len, room, "%s %s", first ? "" : ",", known);
}

const char *
advice_text(struct advice *advice)
{
	if (advice->nearest.best != NULL)
		snprintf(advice->text, sizeof(advice->text), "did you mean '%s'?", advice->nearest.best);
	return advice->text;
}

void *
parse_alloc(struct parse *parse, size_t num, size_t size)
{
	void *result = num > SIZE_MAX / 2 / size ? NULL : arena_alloc(&parse->policy->arena, num * size + 1);

	if (result == NULL)
		parse->out_of_memory = true;
	return result;
}

const char *
parse_text(struct parse *parse, const char *text, size_t len)
{
	const char *copy = arena_text(&parse->policy->arena, text, len);

	if (copy == NULL)
		parse->out_of_memory = true;
	return copy;
}

bool
is_not_too_much(struct parse *parse, const struct at *at, size_t num)
{
	if (num > POLICY_MAX_FLAT - parse->num_flat) {
		problem(parse, at, "bind on globs instead of many names",
		    "with groups and sets replaced by their members, the bindings have more than %u elements", POLICY_MAX_FLAT);
		return false;
	}
	parse->num_flat += num;
	return true;
}

/* Is `key` one of the space-separated words? */
static bool
is_known(const char *key, const char *known)
{
	size_t len = strcspn(key, " ");

	if (len == 0 || key[len] != '\0')
		return false;
	for (const char *word = known; (word = strstr(word, key)) != NULL; word++) {
		if ((word == known || word[-1] == ' ') && (word[len] == ' ' || word[len] == '\0'))
			return true;
	}
	return false;
}

static const char *
nearest_key(const char *key, const char *known, char *buf, size_t size)
{
	char words[256];
	char *rest = words;
	struct nearest nearest = { .word = key };

	snprintf(words, sizeof(words), "%s", known);
	for (char *word; (word = strsep(&rest, " ")) != NULL;)
		nearest_offer(&nearest, word);
	if (nearest.best == NULL)
		return NULL;
	snprintf(buf, size, "did you mean '%s'?", nearest.best);
	return buf;
}

static const char *
type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a string";
	case JSON_INTEGER: case JSON_REAL: return "a number";
	case JSON_TRUE: case JSON_FALSE: return "a boolean";
	default: return "null";
	}
}

bool
is_object(struct parse *parse, const struct at *at, const json_t *value, const char *what, const char *known)
{
	char hint[128];
	const char *key;
	json_t *member;

	if (!json_is_object(value)) {
		problem(parse, at, NULL, "%s must be an object with the keys %s; this is %s", what, known, type_name(value));
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, member) {
		struct at here = { .up = at, .key = key };

		if (!is_known(key, known))
			problem(parse, &here, nearest_key(key, known, hint, sizeof(hint)), "unknown key '%.*s' in %s; known keys: %s",
			    (int)POLICY_MAX_NAME, key, what, known);
		else if (strcmp(key, "description") == 0 && !json_is_string(member))
			problem(parse, &here, NULL, "'description' must be a string; this is %s", type_name(member));
	}
	return true;
}

bool
is_good_name(struct parse *parse, const struct at *at, const char *name, const char *what)
{
	size_t len = strlen(name);

	if (len == 0 || len > POLICY_MAX_NAME) {
		problem(parse, at, NULL, "the name of %s must have 1 to %u bytes; this one has %zu", what, POLICY_MAX_NAME, len);
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
			problem(parse, at, NULL, "the name of %s must not contain control characters", what);
			return false;
		}
	}
	return true;
}

bool
is_named_object(struct parse *parse, const struct at *at, json_t *value, const char *what)
{
	const char *key;
	json_t *member;

	if (!json_is_object(value)) {
		problem(parse, at, NULL, "'%ss' must be an object: { \"NAME\": … }; this is %s", what, type_name(value));
		return false;
	}
	if (json_object_size(value) > POLICY_MAX_ITEMS) {
		problem(parse, at, NULL, "more than %u %ss", POLICY_MAX_ITEMS, what);
		return false;
	}
	json_object_foreach(value, key, member) {
		struct at here = { .up = at, .key = key };
		char kind[32];

		snprintf(kind, sizeof(kind), "a %s", what);
		(void)is_good_name(parse, &here, key, kind);
	}
	return true;
}

json_t *
get_strings(struct parse *parse, const struct at *at, const json_t *object, const char *key, bool required)
{
	json_t *value = json_object_get(object, key), *item;
	struct at here = { .up = at, .key = key };
	size_t i;
	bool good = true;

	if (value == NULL) {
		if (required)
			problem(parse, at, NULL, "missing key '%s': an array of strings", key);
		return NULL;
	}
	if (!json_is_array(value)) {
		problem(parse, &here, json_is_string(value) ? "put it in brackets: [\"…\"]" : NULL,
		    "'%s' must be an array of strings; this is %s", key, type_name(value));
		return NULL;
	}
	if (json_array_size(value) == 0 && required) {
		problem(parse, &here, NULL, "'%s' must not be empty", key);
		return NULL;
	}
	json_array_foreach(value, i, item) {
		struct at element = { .up = &here, .index = i };

		if (json_is_string(item) && json_string_length(item) > 0)
			continue;
		problem(parse, &element, NULL, "'%s' must hold non-empty strings; this is %s", key,
		    json_is_string(item) ? "an empty one" : type_name(item));
		good = false;
	}
	return good ? value : NULL;
}

const char *
get_string(struct parse *parse, const struct at *at, const json_t *object, const char *key, bool required)
{
	json_t *value = json_object_get(object, key);
	struct at here = { .up = at, .key = key };

	if (value == NULL) {
		if (required)
			problem(parse, at, NULL, "missing key '%s': a string", key);
		return NULL;
	}
	if (!json_is_string(value) || json_string_length(value) == 0) {
		problem(parse, &here, NULL, "'%s' must be a non-empty string; this is %s", key,
		    json_is_string(value) ? "an empty one" : type_name(value));
		return NULL;
	}
	return json_string_value(value);
}

int
get_choice(struct parse *parse, const struct at *at, const json_t *object, const char *key, const char *const *known,
    size_t num)
{
	struct at here = { .up = at, .key = key };
	const char *text = get_string(parse, at, object, key, false);
	struct advice advice;
	char kind[16];

	if (text == NULL)
		return 0;
	snprintf(kind, sizeof(kind), "%ss", key);
	advice_start(&advice, text, kind);
	for (size_t i = 0; i < num; i++) {
		if (strcmp(known[i], text) == 0)
			return (int)i;
		advice_offer(&advice, known[i]);
	}
	problem(parse, &here, advice_text(&advice), "unknown %s '%.*s'", key, (int)POLICY_MAX_NAME, text);
	return -1;
}

static void
parse_version(struct parse *parse, const struct at *at, const json_t *root)
{
	json_t *version = json_object_get(root, "version");
	struct at here = { .up = at, .key = "version" };

	if (version == NULL)
		problem(parse, at, NULL, "missing key 'version': the number 1");
	else if (!json_is_integer(version))
		problem(parse, &here, NULL, "'version' must be the number 1; this is %s", type_name(version));
	else if (json_integer_value(version) != 1)
		problem(parse, &here, "this virtgate reads version 1", "unknown version %lld",
		    (long long)json_integer_value(version));
}

static void
parse_document(struct parse *parse, json_t *root)
{
	static const struct {
		const char *key;
		void (*read)(struct parse *parse, const struct at *at, json_t *value);
	} parts[] = {
		{ "groups", parse_groups }, { "sets", parse_sets }, { "roles", parse_roles },
		{ "bindings", parse_bindings }, { "admission", parse_admission },
		{ "rules", parse_rules }, { "quotas", parse_quotas }, { "audit", parse_audit },
	};
	static const char *const modes[] = { "enforce", "permissive" };
	struct at top = { 0 };

	if (!is_object(parse, &top, root, "a policy", "version mode groups sets roles bindings admission rules quotas audit description"))
		return;
	parse_version(parse, &top, root);
	parse->policy->permissive = get_choice(parse, &top, root, "mode", modes, 2) == 1;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct at here = { .up = &top, .key = parts[i].key };

		parts[i].read(parse, &here, json_object_get(root, parts[i].key));
	}
	parse->policy->roles = parse->roles;
}

/* The parser's own complaint, with its line. */
static void
tell_syntax(struct parse *parse, const json_error_t *error)
{
	struct vg_error told;

	parse->num_problems++;
	vg_fail(&told, "%s:%d: not valid JSON: %s", parse->file, error->line > 0 ? error->line : 1, error->text);
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		vg_hint(&told, "a key may stand only once in an object; the later one would silently win");
		break;
	case json_error_premature_end_of_input:
		vg_hint(&told, "a bracket, brace or quote is not closed");
		break;
	case json_error_invalid_utf8:
		vg_hint(&told, "the file must be UTF-8");
		break;
	default:
		vg_hint(&told, "look for a missing or superfluous comma before this place; comments are not allowed");
	}
	if (parse->problem != NULL)
		parse->problem(&told, parse->arg);
}

struct policy *
policy_parse(const char *text, size_t len, const char *file, policy_problem_cb *problem_cb, void *arg)
{
	static uint64_t last_serial;
	struct parse parse = { .text = text, .len = len, .file = file, .problem = problem_cb, .arg = arg };
	struct at top = { 0 };
	json_error_t error;
	json_t *root = NULL;

	parse.policy = calloc(1, sizeof(*parse.policy));
	if (parse.policy == NULL) {
		problem(&parse, &top, NULL, "out of memory");
		return NULL;
	}
	parse.policy->serial = ++last_serial;
	if (len > POLICY_MAX_BYTES)
		problem(&parse, &top, NULL, "larger than %u bytes", POLICY_MAX_BYTES);
	else if ((root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error)) == NULL)
		tell_syntax(&parse, &error);
	else
		parse_document(&parse, root);
	json_decref(root);
	if (parse.out_of_memory)
		problem(&parse, &top, NULL, "out of memory");
	if (parse.num_problems > 0) {
		policy_destroy(parse.policy);
		return NULL;
	}
	return parse.policy;
}

void
policy_destroy(struct policy *policy)
{
	if (policy == NULL)
		return;
	arena_free(&policy->arena);
	free(policy);
}
