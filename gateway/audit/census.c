/*
 * census.c: the database of census.h.
 */
#include "gateway/audit/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "gateway/core/document.h"

#define VERSION_OF_LAYOUT 1
#define BUSY_MS		1000	/* nobody else writes; somebody may read */

static const char layout[] =
    "CREATE TABLE world (uri TEXT PRIMARY KEY, alive INTEGER NOT NULL, compared INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE thing (uri TEXT NOT NULL, class TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL, flags INTEGER NOT NULL,"
    " digest TEXT NOT NULL, seen INTEGER NOT NULL, definition BLOB, PRIMARY KEY (uri, class, uuid)) WITHOUT ROWID;"
    "PRAGMA user_version = 1";

enum statement { GET_WORLD, PUT_WORLD, LIST, GET_DEFINITION, PUT, REMOVE, REMOVE_ALL, NUM_STATEMENTS };

static const char *const statements[NUM_STATEMENTS] = {
	[GET_WORLD] = "SELECT alive, compared FROM world WHERE uri = ?",
	[PUT_WORLD] = "INSERT OR REPLACE INTO world VALUES (?, ?, ?)",
	[LIST] = "SELECT class, uuid, name, flags, digest, seen FROM thing WHERE uri = ? AND (class, uuid) > (?, ?) ORDER BY class, uuid LIMIT ?",
	[GET_DEFINITION] = "SELECT definition FROM thing WHERE uri = ? AND class = ? AND uuid = ?",
	[PUT] = ("INSERT INTO thing VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (uri, class, uuid) DO UPDATE SET name = ?4, flags = ?5, seen = ?7,"
	    " definition = CASE WHEN ?8 IS NULL AND digest = ?6 THEN definition ELSE ?8 END, digest = ?6"),
	[REMOVE] = "DELETE FROM thing WHERE uri = ? AND class = ? AND uuid = ?",
	[REMOVE_ALL] = "DELETE FROM thing WHERE uri = ?",
};

struct census {
	char *file;
	sqlite3 *db;
	sqlite3_stmt *statements[NUM_STATEMENTS];
	char lost[512];		/* why; empty: not */
};

/* ---- the database ---- */

static void
close_database(struct census *census)
{
	for (size_t i = 0; i < NUM_STATEMENTS; i++) {
		sqlite3_finalize(census->statements[i]);
		census->statements[i] = NULL;
	}
	(void)sqlite3_close(census->db);
	census->db = NULL;
}

static int
open_database(struct census *census, struct vg_error *error)
{
	/* Nobody else's to read: SQLite would go by the umask. */
	int fd = open(census->file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return vg_fail(error, "%s: %s", census->file, strerror(errno));
	close(fd);
	if (sqlite3_open_v2(census->file, &census->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) == SQLITE_OK) {
		(void)sqlite3_busy_timeout(census->db, BUSY_MS);
		(void)sqlite3_db_config(census->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		(void)sqlite3_db_config(census->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		if (sqlite3_exec(census->db, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
		    "PRAGMA cell_size_check = ON", NULL, NULL, NULL) == SQLITE_OK)
			return 0;
	}
	return vg_fail(error, "%s: %s", census->file, census->db == NULL ? "out of memory" : sqlite3_errmsg(census->db));
}

/* One number, or one word in `text`. False: an error. */
static bool
ask(struct census *census, const char *question, int *number, char *text, size_t size)
{
	sqlite3_stmt *statement = NULL;
	bool found = sqlite3_prepare_v2(census->db, question, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;

	if (found && number != NULL)
		*number = sqlite3_column_int(statement, 0);
	if (found && text != NULL)
		(void)snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return found;
}

/* Can it be used, as it is or made now? Otherwise `why`. */
static bool
is_sound(struct census *census, char *why, size_t size)
{
	int version = -1, tables = -1;
	char check[200] = "";

	if (!ask(census, "PRAGMA user_version", &version, NULL, 0) || !ask(census, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0) ||
	    !ask(census, "PRAGMA quick_check(1)", NULL, check, sizeof(check)))
		(void)snprintf(why, size, "%s cannot be read: %s", census->file, sqlite3_errmsg(census->db));
	else if (strcmp(check, "ok") != 0)
		(void)snprintf(why, size, "%s is broken: %s", census->file, check);
	else if (version == 0 && tables == 0 && sqlite3_exec(census->db, layout, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	else if (version == VERSION_OF_LAYOUT)
		return true;
	else
		(void)snprintf(why, size, "%s has another layout", census->file);
	return false;
}

static int
make_anew(struct census *census, const char *why, struct vg_error *error)
{
	char journal[4096], again[512];

	(void)snprintf(census->lost, sizeof(census->lost), "%s", why);
	close_database(census);
	(void)snprintf(journal, sizeof(journal), "%s-journal", census->file);
	(void)unlink(census->file);
	(void)unlink(journal);
	if (open_database(census, error) < 0)
		return -1;
	return is_sound(census, again, sizeof(again)) ? 0 : vg_fail(error, "%s", again);
}

struct census *
census_open(const char *file, struct vg_error *error)
{
	struct census *census = calloc(1, sizeof(*census));
	char why[512];

	if (census == NULL || (census->file = strdup(file)) == NULL) {
		free(census);
		vg_fail(error, "out of memory");
		return NULL;
	}
	if (open_database(census, error) < 0)
		(void)snprintf(why, sizeof(why), "%s", error->what);
	else if (is_sound(census, why, sizeof(why)))
		return census;
	if (make_anew(census, why, error) == 0)
		return census;
	census_close(census);
	return NULL;
}

void
census_close(struct census *census)
{
	if (census == NULL)
		return;
	close_database(census);
	free(census->file);
	free(census);
}

const char *
census_lost(const struct census *census)
{
	return census->lost[0] == '\0' ? NULL : census->lost;
}

/* ---- statements ---- */

/* Of a database that turns out to be broken nothing is believed any more. Always -1. */
static int
fail(struct census *census, struct vg_error *error)
{
	struct vg_error again;
	char why[400];
	int code = census->db == NULL ? SQLITE_CANTOPEN : sqlite3_errcode(census->db);

	(void)snprintf(why, sizeof(why), "%.200s: %.180s", census->file, census->db == NULL ? "it is not open" : sqlite3_errmsg(census->db));
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_CANTOPEN)
		(void)make_anew(census, why, &again);
	return vg_fail(error, "%s", why);
}

static sqlite3_stmt *
prepared(struct census *census, enum statement which)
{
	sqlite3_stmt **statement = &census->statements[which];

	if (*statement == NULL && census->db != NULL)
		(void)sqlite3_prepare_v3(census->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
	else
		(void)sqlite3_reset(*statement);
	return *statement;
}

static bool
put_text(sqlite3_stmt *statement, int at, const char *text)
{
	return sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT) == SQLITE_OK;
}

/* Which one: uri, class, uuid. */
static bool
put_key(sqlite3_stmt *statement, const char *uri, const char *class, const char *uuid)
{
	return statement != NULL && put_text(statement, 1, uri) && (class == NULL || (put_text(statement, 2, class) && put_text(statement, 3, uuid)));
}

static int
end(struct census *census, sqlite3_stmt *statement, bool bound, struct vg_error *error)
{
	bool done = bound && sqlite3_step(statement) == SQLITE_DONE;

	(void)sqlite3_reset(statement);
	return done ? 0 : fail(census, error);
}

static const char *
text_at(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text == NULL ? "" : text;
}

/* ---- reading ---- */

int
census_world(struct census *census, const char *uri, struct census_world *world, struct vg_error *error)
{
	sqlite3_stmt *statement = prepared(census, GET_WORLD);
	int result = put_key(statement, uri, NULL, NULL) ? sqlite3_step(statement) : SQLITE_ERROR;

	*world = (struct census_world){ .alive = 0 };
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return fail(census, error);
	if (result == SQLITE_ROW)
		*world = (struct census_world){ .alive = sqlite3_column_int64(statement, 0), .compared = sqlite3_column_int64(statement, 1) };
	(void)sqlite3_reset(statement);
	return result == SQLITE_ROW;
}

int
census_things(struct census *census, const char *uri, const char *class, const char *uuid, unsigned max, census_take_cb *take, void *arg,
    struct vg_error *error)
{
	sqlite3_stmt *statement = prepared(census, LIST);
	int result = put_key(statement, uri, class, uuid) && sqlite3_bind_int64(statement, 4, max) == SQLITE_OK ? SQLITE_ROW : SQLITE_ERROR;

	while (result == SQLITE_ROW && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		struct census_thing thing = { .class = text_at(statement, 0), .uuid = text_at(statement, 1), .name = text_at(statement, 2),
			.flags = sqlite3_column_int64(statement, 3), .digest = text_at(statement, 4), .seen = sqlite3_column_int64(statement, 5) };

		if (!take(&thing, arg))
			result = SQLITE_DONE;
	}
	if (result != SQLITE_DONE)
		return fail(census, error);
	(void)sqlite3_reset(statement);
	return 0;
}

char *
census_definition(struct census *census, const char *uri, const char *class, const char *uuid, size_t *len)
{
	sqlite3_stmt *statement = prepared(census, GET_DEFINITION);
	char *text = NULL;

	if (put_key(statement, uri, class, uuid) && sqlite3_step(statement) == SQLITE_ROW) {
		const uint8_t *packed = sqlite3_column_blob(statement, 0);
		size_t packed_len = (size_t)sqlite3_column_bytes(statement, 0);

		if (packed != NULL && document_packed_len(packed, packed_len) == packed_len)
			text = document_unpack(packed, packed_len, len);
	}
	(void)sqlite3_reset(statement);
	return text;
}

/* ---- writing ---- */

int
census_begin(struct census *census, struct vg_error *error)
{
	return census->db != NULL && sqlite3_exec(census->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(census, error);
}

int
census_end(struct census *census, bool keep, struct vg_error *error)
{
	if (keep && sqlite3_exec(census->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	if (keep)
		(void)vg_fail(error, "%s: %s", census->file, sqlite3_errmsg(census->db));
	if (census->db != NULL)
		(void)sqlite3_exec(census->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int
census_begin_anew(struct census *census, const char *uri, struct vg_error *error)
{
	sqlite3_stmt *statement = prepared(census, REMOVE_ALL);

	return end(census, statement, put_key(statement, uri, NULL, NULL), error);
}

int
census_put(struct census *census, const char *uri, const struct census_thing *thing, const char *definition, size_t len, struct vg_error *error)
{
	sqlite3_stmt *statement = prepared(census, PUT);
	struct buf packed = { .data = NULL };
	char name[DOCUMENT_NAME_LEN + 1];
	bool bound = put_key(statement, uri, thing->class, thing->uuid) && put_text(statement, 4, thing->name) &&
	    sqlite3_bind_int64(statement, 5, thing->flags) == SQLITE_OK && put_text(statement, 6, thing->digest) &&
	    sqlite3_bind_int64(statement, 7, thing->seen) == SQLITE_OK;

	if (definition == NULL || document_pack(&packed, definition, len, name) < 0)
		bound = bound && sqlite3_bind_null(statement, 8) == SQLITE_OK;
	else
		bound = bound && sqlite3_bind_blob64(statement, 8, buf_head(&packed), buf_len(&packed), SQLITE_TRANSIENT) == SQLITE_OK;
	buf_free(&packed);
	return end(census, statement, bound, error);
}

int
census_remove(struct census *census, const char *uri, const char *class, const char *uuid, struct vg_error *error)
{
	sqlite3_stmt *statement = prepared(census, REMOVE);

	return end(census, statement, put_key(statement, uri, class, uuid), error);
}

int
census_put_world(struct census *census, const char *uri, const struct census_world *world, struct vg_error *error)
{
	sqlite3_stmt *statement = prepared(census, PUT_WORLD);
	bool bound = put_key(statement, uri, NULL, NULL) && sqlite3_bind_int64(statement, 2, world->alive) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 3, world->compared) == SQLITE_OK;

	return end(census, statement, bound, error);
}
