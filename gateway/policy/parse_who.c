/*
 * parse_who.c: "groups", and the texts that name people: "sasl:alice", "x509:*CN=bob,*", "group:webops", "anyone".
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/policy/pairs.h"
#include "gateway/policy/parse.h"

static const struct {
	const char *prefix;
	enum who_kind kind;
} kinds[] = {
	{ "sasl:", WHO_SASL }, { "x509:", WHO_X509 }, { "x509-cn:", WHO_X509_CN }, { "x509-san:", WHO_X509_SAN },
	{ "x509-sha256:", WHO_X509_SHA256 }, { "unix:", WHO_UNIX }, { "unix-group:", WHO_UNIX_GROUP },
	 { "group:", WHO_GROUP }, { "anyone", WHO_ANYONE },
};

#define NUM_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
unknown_kind(struct parse *parse, const struct at *at, const char *text)
{
	static const char known[] = "known: sasl:NAME, x509:DN, x509-cn:NAME, x509-san:TYPE:NAME, x509-sha256:HEX, unix:USER, "
	    "unix-group:NAME, group:NAME, anyone";
	const char *colon = strchr(text, ':');
	char prefix[32], hint[64];
	struct nearest nearest = { .word = prefix };

	snprintf(prefix, sizeof(prefix), "%.*s", colon != NULL ? (int)nearest_min((size_t)(colon + 1 - text), 31) : 31, text);
	for (size_t i = 0; i < NUM_KINDS; i++)
		nearest_offer(&nearest, kinds[i].prefix);
	snprintf(hint, sizeof(hint), "did you mean '%s'?", nearest.best != NULL ? nearest.best : "");
	problem(parse, at, nearest.best != NULL ? hint : known, "'%s' does not say who: expected KIND:NAME or anyone", text);
}

/* 64 hex digits, colons between them as openssl prints; to lower case without colons. */
static const char *
parse_fingerprint(struct parse *parse, const struct at *at, const char *text)
{
	char hex[65];
	size_t num = 0;

	for (; *text != '\0' && num < 64; text++) {
		if (*text == ':' && num > 0 && num % 2 == 0)
			continue;
		if (strchr("0123456789abcdefABCDEF", *text) == NULL)
			break;
		hex[num++] = *text >= 'A' && *text <= 'F' ? (char)(*text - 'A' + 'a') : *text;
	}
	if (num != 64 || *text != '\0') {
		problem(parse, at, "`openssl x509 -in CERT -noout -fingerprint -sha256` prints it",
		    "a fingerprint has 64 hex digits; globs are not allowed in it");
		return NULL;
	}
	return parse_text(parse, hex, 64);
}

static bool
find_group(struct parse *parse, const struct at *at, const char *name, size_t *found)
{
	struct advice advice;

	for (size_t i = 0; i < parse->num_groups; i++) {
		if (strcmp(parse->groups[i].name, name) == 0) {
			*found = i;
			return true;
		}
	}
	advice_start(&advice, name, "groups");
	for (size_t i = 0; i < parse->num_groups; i++)
		advice_offer(&advice, parse->groups[i].name);
	problem(parse, at, parse->num_groups > 0 ? advice_text(&advice) : "this policy has no groups",
	    "unknown group '%.*s'", (int)POLICY_MAX_NAME, name);
	return false;
}

static bool
is_good_san(struct parse *parse, const struct at *at, const char *text)
{
	static const char *const types[] = { "dns:", "email:", "uri:", "ip:" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strncmp(text, types[i], strlen(types[i])) == 0)
			return true;
	}
	if (text[0] == '*')
		return true;
	problem(parse, at, "for example x509-san:email:bob@example.com",
	    "x509-san: needs the type of the name: dns:, email:, uri: or ip:");
	return false;
}

bool
parse_who(struct parse *parse, const struct at *at, const char *text, struct who *who)
{
	for (size_t i = 0; i < NUM_KINDS; i++) {
		size_t len = strlen(kinds[i].prefix);
		const char *name = text + len;

		if (strncmp(text, kinds[i].prefix, len) != 0)
			continue;
		if (kinds[i].kind == WHO_ANYONE) {
			if (*name != '\0')
				break;
			*who = (struct who){ .kind = WHO_ANYONE };
			return true;
		}
		if (*name == '\0') {
			problem(parse, at, "for everybody who is authenticated, write \"anyone\"", "'%s' names nobody", text);
			return false;
		}
		*who = (struct who){ .kind = kinds[i].kind };
		if (who->kind == WHO_GROUP)
			return find_group(parse, at, name, &who->group);
		if (who->kind == WHO_X509_SAN && !is_good_san(parse, at, name))
			return false;
		who->text = who->kind == WHO_X509_SHA256 ? parse_fingerprint(parse, at, name) :
		    parse_text(parse, name, strlen(name));
		if (who->text == NULL)
			return false;
		who->pairs = glob_pairs(who->text);
		return true;
	}
	unknown_kind(parse, at, text);
	return false;
}

static void
parse_group(struct parse *parse, const struct at *at, json_t *members, struct group *group)
{
	json_t *item;
	size_t i;

	group->who = parse_alloc(parse, json_array_size(members), sizeof(*group->who));
	if (group->who == NULL)
		return;
	json_array_foreach(members, i, item) {
		struct at element = { .up = at, .index = i };

		if (parse_who(parse, &element, json_string_value(item), &group->who[group->num_who]))
			group->num_who++;
	}
}

void
parse_groups(struct parse *parse, const struct at *at, json_t *groups)
{
	const char *name;
	json_t *members;
	size_t i = 0;

	if (groups == NULL || !is_named_object(parse, at, groups, "group"))
		return;
	/* All names first: a group may hold one that stands further down. */
	parse->groups = parse_alloc(parse, json_object_size(groups), sizeof(*parse->groups));
	if (parse->groups == NULL)
		return;
	json_object_foreach(groups, name, members) {
		if (strcmp(name, "description") != 0 || !json_is_string(members))
			parse->groups[parse->num_groups++].name = parse_text(parse, name, strlen(name));
	}
	if (parse->out_of_memory)
		return;
	json_object_foreach(groups, name, members) {
		struct at here = { .up = at, .key = name };
		json_t *strings;

		if (strcmp(name, "description") == 0 && json_is_string(members))
			continue;
		strings = get_strings(parse, at, groups, name, false);
		if (strings != NULL)
			parse_group(parse, &here, strings, &parse->groups[i]);
		i++;
	}
}

/* Which groups do these people name, directly or through groups? A circle of groups is the union of them all. */
static size_t
reach_groups(const struct parse *parse, const struct who *who, size_t num, bool *seen, size_t *groups)
{
	size_t num_groups = 0, next = 0;

	for (;;) {
		for (size_t i = 0; i < num; i++) {
			if (who[i].kind != WHO_GROUP || seen[who[i].group])
				continue;
			seen[who[i].group] = true;
			groups[num_groups++] = who[i].group;
		}
		if (next == num_groups)
			return num_groups;
		who = parse->groups[groups[next]].who;
		num = parse->groups[groups[next++]].num_who;
	}
}

static size_t
copy_people(struct who *to, const struct who *who, size_t num)
{
	size_t used = 0;

	for (size_t i = 0; i < num; i++) {
		if (who[i].kind == WHO_GROUP)
			continue;
		if (to != NULL)
			to[used] = who[i];
		used++;
	}
	return used;
}

size_t
flatten_who(struct parse *parse, const struct at *at, const struct who *who, size_t num, const struct who **flat)
{
	bool *seen = calloc(parse->num_groups + 1, sizeof(*seen));
	size_t *groups = calloc(parse->num_groups + 1, sizeof(*groups));
	size_t num_groups, used = 0, most;
	struct who *result = NULL;

	if (seen == NULL || groups == NULL) {
		parse->out_of_memory = true;
		goto out;
	}
	num_groups = reach_groups(parse, who, num, seen, groups);
	most = copy_people(NULL, who, num);
	for (size_t i = 0; i < num_groups; i++)
		most += copy_people(NULL, parse->groups[groups[i]].who, parse->groups[groups[i]].num_who);
	result = is_not_too_much(parse, at, most) ? parse_alloc(parse, most, sizeof(*result)) : NULL;
	if (result == NULL)
		goto out;
	used = copy_people(result, who, num);
	for (size_t i = 0; i < num_groups; i++)
		used += copy_people(result + used, parse->groups[groups[i]].who, parse->groups[groups[i]].num_who);
out:
	free(seen);
	free(groups);
	*flat = result;
	return used;
}
