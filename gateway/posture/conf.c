#include "gateway/posture/conf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *at;
	unsigned line;
};

/* Blanks; ends of lines too, if `lines`. Inside lists virconf knows no comments. */
static void
skip(struct cursor *cursor, bool lines)
{
	for (;; cursor->at++) {
		if ((*cursor->at == '\n' || *cursor->at == '\r') && lines)
			cursor->line += *cursor->at == '\n';
		else if (*cursor->at != ' ' && *cursor->at != '\t')
			return;
	}
}

/* To the next entry: over empty lines and comments. */
static void
skip_to_entry(struct cursor *cursor)
{
	for (skip(cursor, true); *cursor->at == '#'; skip(cursor, true))
		cursor->at += strcspn(cursor->at, "\n");
}

/* A text in quotes of any kind, or a number. NULL: neither. */
static char *
take_value(struct cursor *cursor)
{
	static const char three[] = "\"\"\"";
	const char *from = cursor->at, *end;
	char *value;

	if (strncmp(from, three, 3) == 0) {
		from += 3;
		end = strstr(from, three);
		if (end == NULL)
			return NULL;
		cursor->at = end + 3;
		for (const char *c = from; c < end; c++)
			cursor->line += *c == '\n';
	} else if (*from == '"' || *from == '\'') {
		const char quote = *from++;

		/* No escapes, and a text ends on its line. */
		end = from + strcspn(from, quote == '"' ? "\"\r\n" : "'\r\n");
		if (*end != quote)
			return NULL;
		cursor->at = end + 1;
	} else {
		end = from + (*from == '-' || *from == '+');
		while (isdigit((unsigned char)*end))
			end++;
		if (end == from || !isdigit((unsigned char)end[-1]))
			return NULL;
		cursor->at = end;
	}
	value = strndup(from, (size_t)(end - from));
	return value;
}

static int
add_item(struct posture_conf_entry *entry, char *value)
{
	char **items;

	if (value == NULL || entry->num == CONF_MAX_ITEMS || (items = realloc(entry->items, (entry->num + 1) * sizeof(*items))) == NULL) {
		free(value);
		return -1;
	}
	entry->items = items;
	entry->items[entry->num++] = value;
	return 0;
}

static int
take_list(struct cursor *cursor, struct posture_conf_entry *entry)
{
	entry->list = true;
	cursor->at++;
	for (;;) {
		skip(cursor, true);
		if (*cursor->at == ']')
			break;
		if (add_item(entry, take_value(cursor)) < 0)
			return -1;
		skip(cursor, true);
		if (*cursor->at == ',')
			cursor->at++;
		else if (*cursor->at != ']')
			return -1;
	}
	cursor->at++;
	return 0;
}

static int
take_entry(struct cursor *cursor, struct posture_conf *conf)
{
	struct posture_conf_entry *entries = realloc(conf->entries, (conf->num + 1) * sizeof(*entries)), *entry;
	size_t len = 0;

	if (entries == NULL)
		return -1;
	conf->entries = entries;
	entry = &entries[conf->num++];
	*entry = (struct posture_conf_entry){ 0 };
	while (isalnum((unsigned char)cursor->at[len]) || cursor->at[len] == '_')
		len++;
	if (!isalpha((unsigned char)cursor->at[0]) || (entry->key = strndup(cursor->at, len)) == NULL)
		return -1;
	cursor->at += len;
	skip(cursor, false);
	if (*cursor->at != '=')
		return -1;
	cursor->at++;
	skip(cursor, false);
	if (*cursor->at == '[' ? take_list(cursor, entry) < 0 : add_item(entry, take_value(cursor)) < 0)
		return -1;
	skip(cursor, false);
	if (*cursor->at == ';') {
		cursor->at++;
		return 0;
	}
	return strchr("\r\n#", *cursor->at) != NULL ? 0 : -1;	/* or at the end */
}

int
posture_conf_parse(struct posture_conf *conf, const char *text)
{
	struct cursor cursor = { .at = text, .line = 1 };

	for (skip_to_entry(&cursor); *cursor.at != '\0'; skip_to_entry(&cursor)) {
		if (take_entry(&cursor, conf) == 0)
			continue;
		posture_conf_clear(conf);
		conf->state = CONF_UNSEEN;
		(void)snprintf(conf->unseen, sizeof(conf->unseen), "%s:%u: not understood", conf->path, cursor.line);
		return -1;
	}
	conf->state = CONF_READ;
	return 0;
}

void
posture_conf_clear(struct posture_conf *conf)
{
	for (size_t i = 0; i < conf->num; i++) {
		for (size_t item = 0; item < conf->entries[i].num; item++)
			free(conf->entries[i].items[item]);
		free(conf->entries[i].items);
		free(conf->entries[i].key);
	}
	free(conf->entries);
	conf->entries = NULL;
	conf->num = 0;
}

const struct posture_conf_entry *
posture_conf_find(const struct posture_conf *conf, const char *key)
{
	for (size_t i = 0; i < conf->num; i++)
		if (strcmp(conf->entries[i].key, key) == 0)
			return &conf->entries[i];
	return NULL;
}

const char *
posture_conf_text(const struct posture_conf *conf, const char *key, const char *otherwise)
{
	const struct posture_conf_entry *entry = posture_conf_find(conf, key);

	return entry == NULL || entry->num == 0 ? otherwise : entry->items[0];
}

long
posture_conf_number(const struct posture_conf *conf, const char *key, long otherwise)
{
	const char *text = posture_conf_text(conf, key, NULL);

	return text == NULL ? otherwise : strtol(text, NULL, 10);
}
