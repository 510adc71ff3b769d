/*
 * locate.c: walks a JSON text along a path, without recursion. The text was accepted by the parser before; should it
 * not be JSON after all, the walk ends early and within bounds.
 */
#include <stdbool.h>
#include <string.h>

#include "gateway/policy/locate.h"

#define MAX_DEPTH 16

struct cursor {
	const char *pos, *end;
	unsigned line;
};

static bool
at_byte(const struct cursor *cursor, char byte)
{
	return cursor->pos < cursor->end && *cursor->pos == byte;
}

static void
step(struct cursor *cursor)
{
	if (cursor->pos >= cursor->end)
		return;
	if (*cursor->pos == '\n')
		cursor->line++;
	cursor->pos++;
}

static void
skip_space(struct cursor *cursor)
{
	while (cursor->pos < cursor->end && memchr(" \t\r\n,:", *cursor->pos, 6) != NULL)
		step(cursor);
}

static void
skip_string(struct cursor *cursor)
{
	step(cursor);
	while (cursor->pos < cursor->end && *cursor->pos != '"') {
		if (*cursor->pos == '\\')
			step(cursor);
		step(cursor);
	}
	step(cursor);
}

static void
skip_value(struct cursor *cursor)
{
	size_t depth = 0;

	do {
		skip_space(cursor);
		if (at_byte(cursor, '"')) {
			skip_string(cursor);
		} else if (at_byte(cursor, '{') || at_byte(cursor, '[')) {
			depth++;
			step(cursor);
		} else if (at_byte(cursor, '}') || at_byte(cursor, ']')) {
			if (depth > 0)
				depth--;
			step(cursor);
		} else {
			while (cursor->pos < cursor->end && memchr(" \t\r\n,:\"{}[]", *cursor->pos, 11) == NULL)
				step(cursor);
		}
	} while (depth > 0 && cursor->pos < cursor->end);
}

/* Stands on the key's string; is it this key? Keys that are written with escapes are not recognised. */
static bool
is_key(const struct cursor *cursor, const char *key)
{
	size_t len = strlen(key);

	return (size_t)(cursor->end - cursor->pos) >= len + 2 && memcmp(cursor->pos + 1, key, len) == 0 &&
	    cursor->pos[len + 1] == '"';
}

/* From the beginning of a value to the child that `at` names, standing on the child's value; false: not there. */
static bool
enter(struct cursor *cursor, const struct at *at, unsigned *line)
{
	size_t index = 0;

	skip_space(cursor);
	if (!at_byte(cursor, at->key != NULL ? '{' : '['))
		return false;
	step(cursor);
	for (;; index++) {
		skip_space(cursor);
		if (cursor->pos >= cursor->end || at_byte(cursor, '}') || at_byte(cursor, ']'))
			return false;
		if (at->key == NULL && index == at->index) {
			*line = cursor->line;
			return true;
		}
		if (at->key != NULL && is_key(cursor, at->key)) {
			*line = cursor->line;
			skip_string(cursor);
			return true;
		}
		if (at->key != NULL)
			skip_string(cursor);
		skip_value(cursor);
	}
}

unsigned
locate(const char *text, size_t len, const struct at *at)
{
	struct cursor cursor = { text, text + len, 1 };
	const struct at *steps[MAX_DEPTH];
	size_t depth = 0;
	unsigned line;

	for (; at != NULL && at->up != NULL && depth < MAX_DEPTH; at = at->up)
		steps[depth++] = at;
	skip_space(&cursor);
	line = cursor.line;
	while (depth > 0 && enter(&cursor, steps[depth - 1], &line))
		depth--;
	return line;
}
