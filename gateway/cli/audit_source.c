/*
 * audit_source.c: reading the trail with its index or without.
 */
#include "gateway/cli/audit_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/audit_open.h"
#include "gateway/core/settings.h"

/* --index, else that of the settings, unless --dir names another trail. Freed by the caller; NULL: none. */
static char *
index_file(const struct cli *cli)
{
	const char *named = cli_option(cli, "index", 0), *config = cli->config != NULL ? cli->config : CLI_DEFAULT_CONFIG;
	char dir[SETTINGS_MAX_PATH], *file = NULL;
	struct settings *settings;
	struct vg_error error;

	if (cli_option(cli, "no-index", 0) != NULL)
		return NULL;
	if (named != NULL)
		return strdup(named);
	if (cli_option(cli, "dir", 0) != NULL)
		return NULL;
	settings = access(config, F_OK) == 0 ? settings_load(config, &error) : NULL;
	if (settings != NULL && settings_index_dir(settings, dir, sizeof(dir)) == 0 && asprintf(&file, "%s/" AUDIT_INDEX_FILE, dir) < 0)
		file = NULL;
	settings_destroy(settings);
	return file;
}

int
audit_source_open(struct audit_source *source, const struct cli *cli, struct vg_error *error)
{
	struct vg_error trouble = { "", "" };
	unsigned first, last;
	char *file;

	*source = (struct audit_source){ .dir = audit_open_dir(cli, error), .record = malloc(sizeof(*source->record)) };
	if (source->dir == NULL || source->record == NULL)
		return source->dir == NULL ? -1 : vg_fail(error, "out of memory");
	if (audit_reader_range(source->dir, &first, &last, NULL, error) < 0)
		return vg_hint(error, errno == EACCES ? "the trail belongs to the gateway's user: ask as root" :
		    "--dir names the directory of the trail, --config the settings that have audit_dir");
	file = index_file(cli);
	if (file == NULL || access(file, F_OK) < 0) {
		bool named = file != NULL && cli_option(cli, "index", 0) != NULL;

		if (named)
			(void)vg_fail(error, "%s: %s", file, strerror(errno));
		free(file);
		return named ? vg_hint(error, "`virtgate audit index FILE` makes one") : 0;
	}
	source->index = audit_index_open(file, source->dir, false, &trouble);
	source->lines = source->index == NULL ? NULL : audit_lines_open(source->dir, &trouble);
	if (source->lines == NULL) {
		fprintf(stderr, "virtgate: the index is not used, all of the trail is read: %s\n", trouble.what);
		audit_index_close(source->index);
		source->index = NULL;
	} else {
		audit_index_state(source->index, &source->state);
	}
	free(file);
	return 0;
}

void
audit_source_close(struct audit_source *source)
{
	audit_index_close(source->index);
	audit_lines_close(source->lines);
	free(source->record);
	free(source->dir);
}

void
audit_source_forget_index(struct audit_source *source)
{
	audit_index_close(source->index);
	source->index = NULL;
}

void
audit_source_tell(const struct audit_source *source)
{
	if (source->no_records > 0)
		fprintf(stderr, "virtgate: %zu lines are no records; `virtgate audit verify` tells where the first bad one is\n", source->no_records);
}

static void
turn_around(struct audit_place *places, size_t num)
{
	for (size_t i = 0; i < num / 2; i++) {
		struct audit_place place = places[i];

		places[i] = places[num - 1 - i];
		places[num - 1 - i] = place;
	}
}

/* All of them at once: the index is free again for its writer while they are read and shown. */
int
audit_source_find(struct audit_source *source, const struct audit_match *match, size_t most, struct audit_place **places, size_t *num,
    struct vg_error *error)
{
	const struct audit_query query = { .match = match, .newest_first = most > 0 };
	struct audit_cursor *cursor = audit_query_open(source->index, &query, error);
	size_t room = 0;
	int result = -1;

	*places = NULL;
	*num = 0;
	while (cursor != NULL) {
		struct audit_place place, *more;

		result = most > 0 && *num == most ? 0 : audit_query_next(cursor, &place, error);
		if (result <= 0)
			break;
		if (result == 2)
			continue;
		if (*num == room) {
			room = room == 0 ? 1024 : room * 2;
			more = room > SIZE_MAX / sizeof(**places) ? NULL : realloc(*places, room * sizeof(**places));
			if (more == NULL) {
				result = vg_fail(error, "out of memory");
				break;
			}
			*places = more;
		}
		(*places)[(*num)++] = place;
	}
	audit_query_close(cursor);
	if (result < 0) {
		free(*places);
		*places = NULL;
	} else if (query.newest_first) {
		turn_around(*places, *num);
	}
	return result;
}

const char *
audit_source_line(struct audit_source *source, const struct audit_place *place, struct vg_error *error)
{
	const char *line = NULL;
	int found = audit_lines_get(source->lines, place, &line);

	if (found == 1)
		return line;
	if (found < 0) {
		vg_fail(error, "record %llu is not where the index says", (unsigned long long)place->seq);
		vg_hint(error, "the trail or its index was changed: `virtgate audit verify` tells; --no-index reads all of the trail");
	}
	return NULL;
}

struct audit_reader *
audit_source_rest(struct audit_source *source, struct vg_error *error)
{
	struct audit_reader *reader = audit_reader_open(source->dir, source->index == NULL ? 0 : source->state.segment, error);

	if (reader != NULL && source->index != NULL)
		audit_reader_seek(reader, source->state.segment, source->state.offset);
	return reader;
}

static int
give(struct audit_source *source, const struct audit_match *match, const char *line, size_t len, audit_each_cb *each, void *arg)
{
	if (!audit_fields_read(source->record, line, len))
		source->no_records++;
	else if (audit_match(match, source->record))
		return each(line, len, source->record, arg);
	return 0;
}

int
audit_source_each(struct audit_source *source, const struct audit_match *match, audit_each_cb *each, void *arg, struct vg_error *error)
{
	struct audit_place *places = NULL;
	struct audit_reader *reader = NULL;
	struct audit_line line;
	size_t num = 0;
	int result = -1;

	if (!audit_match_is_narrow(match))
		audit_source_forget_index(source);
	if (source->index != NULL && audit_source_find(source, match, 0, &places, &num, error) < 0)
		return -1;
	error->what[0] = '\0';
	for (size_t i = 0; i < num; i++) {
		const char *text = audit_source_line(source, &places[i], error);

		if (error->what[0] != '\0' || (text != NULL && give(source, match, text, places[i].len, each, arg) != 0))
			goto out;
	}
	reader = audit_source_rest(source, error);
	while (reader != NULL && (result = audit_reader_next(reader, &line, error)) == 1) {
		if (!line.whole)
			source->no_records++;
		else if (give(source, match, line.text, line.len, each, arg) != 0)
			break;
	}
	result = result == 0 ? 0 : -1;
out:
	audit_reader_close(reader);
	free(places);
	return result;
}

/* 1 when it is one of them and `each` took it, 0 when it is not, -1. */
static int
give_id(struct audit_source *source, const char *id, const char *line, size_t len, audit_each_cb *each, void *arg)
{
	if (!audit_fields_read(source->record, line, len) || !audit_fields_id(source->record, id))
		return 0;
	return each(line, len, source->record, arg) == 0 ? 1 : -1;
}

static int
by_index(struct audit_source *source, const char *id, audit_each_cb *each, void *arg, struct vg_error *error)
{
	struct audit_place places[32];
	int num, found = 0;

	if (strlen(id) < 19 && strspn(id, "0123456789") == strlen(id))
		num = audit_query_seq(source->index, strtoull(id, NULL, 10), places, error);
	else
		num = audit_query_op(source->index, id, places, sizeof(places) / sizeof(places[0]), error);
	for (int i = 0; i < num; i++) {
		const char *line = audit_source_line(source, &places[i], error);
		int given;

		source->segment = places[i].segment;
		given = line == NULL ? 0 : give_id(source, id, line, places[i].len, each, arg);

		if (given < 0 || error->what[0] != '\0')
			return -1;
		found += given;
	}
	return num < 0 ? -1 : found;
}

int
audit_source_id(struct audit_source *source, const char *id, audit_each_cb *each, void *arg, struct vg_error *error)
{
	struct audit_reader *reader;
	struct audit_line line;
	int found = source->index == NULL ? 0 : by_index(source, id, each, arg, error), result = -1;

	if (found < 0)
		return -1;
	if (found == 0)		/* nothing is believed of an index, also not that there is nothing */
		audit_source_forget_index(source);
	reader = audit_source_rest(source, error);
	while (reader != NULL && (result = audit_reader_next(reader, &line, error)) == 1) {
		int given;

		source->segment = line.segment;
		given = line.whole ? give_id(source, id, line.text, line.len, each, arg) : 0;

		if (given < 0)
			break;
		found += given;
	}
	audit_reader_close(reader);
	return result == 0 ? found : -1;
}
