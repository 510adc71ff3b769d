#include "gateway/admission/needs.h"

#include <ctype.h>
#include <string.h>

#define MAX_NAME 64u

/* FNV-1a, 32 bits. */
void
needs_add(struct needs_names *names, const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	hash ^= hash >> 16;
	names->bits[hash / 64 % NEEDS_WORDS] |= UINT64_C(1) << hash % 64;
}

bool
needs_are_there(const struct needs *needs, const struct needs_names *there)
{
	for (unsigned i = 0; i < needs->num; i++) {
		unsigned word = 0;

		while (word < NEEDS_WORDS && (needs->paths[i].bits[word] & ~there->bits[word]) == 0)
			word++;
		if (word == NEEDS_WORDS)
			return true;
	}
	return needs->always;
}

/* Behind a predicate, which begins here; NULL: it does not end. */
static const char *
skip_predicate(const char *at)
{
	unsigned depth = 0;

	for (; *at != '\0'; at++) {
		if (*at == '\'' || *at == '"') {
			at = strchr(at + 1, *at);
			if (at == NULL)
				return NULL;
		} else if (*at == '[') {
			depth++;
		} else if (*at == ']' && --depth == 0) {
			return at + 1;
		}
	}
	return NULL;
}

static bool
is_name(const char *text, size_t len)
{
	if (len == 0 || len >= MAX_NAME || !(isalpha((unsigned char)text[0]) || text[0] == '_'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && strchr("_-.", text[i]) == NULL)
			return false;
	return true;
}

/* A step without its predicates: its name is needed, unless it is an attribute's. False: it is not one that is understood. */
static bool
take_step(const char *text, size_t len, struct needs_names *names)
{
	const char *axis = memchr(text, ':', len);
	char name[MAX_NAME];

	if (len > 0 && text[0] == '@')
		return len == 2 ? text[1] == '*' || is_name(text + 1, 1) : is_name(text + 1, len - 1);
	if (axis != NULL) {
		size_t axis_len = (size_t)(axis - text);

		if (!is_name(text, axis_len) || axis[1] != ':' || memcmp(text, "namespace", axis_len < 9 ? axis_len : 9) == 0)
			return false;
		text = axis + 2;
		len -= axis_len + 2;
		if (axis_len == 9 && memcmp(axis - 9, "attribute", 9) == 0)
			return is_name(text, len) || (len == 1 && text[0] == '*');
	}
	if ((len == 1 && (text[0] == '*' || text[0] == '.')) || (axis == NULL && len == 2 && memcmp(text, "..", 2) == 0))
		return true;
	if (!is_name(text, len))
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	needs_add(names, name);
	return true;
}

/* One path, up to '|' or the end. NULL: not understood. */
static const char *
take_path(const char *at, struct needs_names *names)
{
	at += strspn(at, " \t\n");
	if (*at != '/')		/* an expression of another kind, or a path from nowhere in particular */
		return NULL;
	while (*at == '/') {
		const char *step = at + strspn(at, "/");
		size_t len = strcspn(step, "/[| \t\n");

		if (step - at > 2 || !take_step(step, len, names))
			return NULL;
		at = step + len;
		while (at != NULL && *at == '[')
			at = skip_predicate(at);
		if (at == NULL)
			return NULL;
	}
	at += strspn(at, " \t\n");
	return *at == '|' || *at == '\0' ? at : NULL;
}

void
needs_of(const char *xpath, struct needs *needs)
{
	const char *at = xpath;

	*needs = (struct needs){ .always = false };
	do {
		if (needs->num == NEEDS_MAX) {
			needs->always = true;
			return;
		}
		at = take_path(at + (needs->num > 0), &needs->paths[needs->num]);
		needs->num++;
	} while (at != NULL && *at == '|');
	needs->always = at == NULL;
}
