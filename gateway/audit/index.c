/*
 * index.c: making the index: the database, and what of the trail is in it.
 */
#include "gateway/audit/index_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VERSION_OF_LAYOUT 3
#define COMMIT_SECONDS	2		/* at the latest, and whenever the end is reached */
#define LOOK_EVERY	64u		/* records between looks at the clock */
/* How long to wait for the other: who writes can come back later, who reads cannot. */
#define WRITER_BUSY_MS	100
#define READER_BUSY_MS	5000

/* In bytes 68 to 71 of the file, as SQLite has it. */
#define APPLICATION_ID	"0x76674931"	/* "vgI1" */

static const char layout[] =
    "PRAGMA application_id = " APPLICATION_ID ";"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE word (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, num INTEGER NOT NULL DEFAULT 0, UNIQUE (kind, text));"
    "CREATE TABLE record (seq INTEGER PRIMARY KEY, place INTEGER NOT NULL, len INTEGER NOT NULL, second INTEGER NOT NULL,"
    " user INTEGER NOT NULL, object INTEGER NOT NULL, what INTEGER NOT NULL, mark INTEGER NOT NULL, op INTEGER NOT NULL);"
    "CREATE TABLE later (op INTEGER, seq INTEGER, PRIMARY KEY (op, seq)) WITHOUT ROWID;"
    "CREATE TABLE turn (seq INTEGER PRIMARY KEY);"
    "CREATE INDEX by_user ON record (user);"
    "CREATE INDEX by_object ON record (object);"
    "CREATE INDEX by_what ON record (what);"
    "CREATE INDEX by_op ON record (op);";

static const char *const statements[NUM_STATEMENTS] = {
	[PUT_RECORD] = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_LATER] = "INSERT OR IGNORE INTO later VALUES (?, ?)",
	[PUT_TURN] = "INSERT OR IGNORE INTO turn VALUES (?)",
	[GET_WORD] = "SELECT id FROM word WHERE kind = ? AND text = ?",
	[PUT_WORD] = "INSERT INTO word (kind, text) VALUES (?, ?)",
	[COUNT_WORD] = "UPDATE word SET num = num + ? WHERE id = ?",
	[PUT_META] = "INSERT OR REPLACE INTO meta VALUES (?, ?)",
	[GET_OP] = "SELECT " INDEX_COLUMNS " FROM record WHERE op = ?1 OR seq IN (SELECT seq FROM later WHERE op = ?1) ORDER BY seq",
	[GET_SEQ] = "SELECT " INDEX_COLUMNS " FROM record WHERE seq = ?",
};

int64_t
audit_place_pack(unsigned segment, uint64_t offset)
{
	return (int64_t)((uint64_t)segment << 40 | (offset & ((UINT64_C(1) << 40) - 1)));
}

void
audit_place_unpack(int64_t packed, struct audit_place *place)
{
	place->segment = (unsigned)((uint64_t)packed >> 40);
	place->offset = (uint64_t)packed & ((UINT64_C(1) << 40) - 1);
}

/* ---- the database ---- */

static int
fail(struct audit_index *index, struct vg_error *error)
{
	return vg_fail(error, "%s: %s", index->file, index->db == NULL ? "out of memory" : sqlite3_errmsg(index->db));
}

sqlite3_stmt *
audit_index_prepared(struct audit_index *index, enum index_statement which)
{
	sqlite3_stmt **statement = &index->statements[which];

	if (*statement == NULL)
		(void)sqlite3_prepare_v3(index->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
	else
		(void)sqlite3_reset(*statement);
	return *statement;
}

bool
audit_index_done(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	(void)sqlite3_reset(statement);
	return result == SQLITE_DONE;
}

static void
close_database(struct audit_index *index)
{
	for (size_t i = 0; i < NUM_STATEMENTS; i++) {
		sqlite3_finalize(index->statements[i]);
		index->statements[i] = NULL;
	}
	(void)sqlite3_close(index->db);
	index->db = NULL;
	index->open = false;
}

static int
open_database(struct audit_index *index, struct vg_error *error)
{
	int flags = index->writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	/* Nobody else's to read: SQLite would go by the umask. Its journal gets the mode of the file. */
	int fd = index->writes ? open(index->file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600) : -1;

	if (index->writes && fd < 0)
		return vg_fail(error, "%s: %s", index->file, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (sqlite3_open_v2(index->file, &index->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK)
		return fail(index, error);
	(void)sqlite3_busy_timeout(index->db, index->writes ? WRITER_BUSY_MS : READER_BUSY_MS);
	(void)sqlite3_db_config(index->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(index->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_limit(index->db, SQLITE_LIMIT_LENGTH, 1 << 20);
	/*
	 * Not the write-ahead log: who only reads could not read it without writing beside it. Nothing is written before a commit, so that only there
	 * a reader can be in the way; commits are frequent, and what they hold fits into memory.
	 */
	if (sqlite3_exec(index->db, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;"
	    "PRAGMA cache_spill = OFF; PRAGMA cell_size_check = ON", NULL, NULL, NULL) != SQLITE_OK)
		return fail(index, error);
	return 0;
}

static int64_t
meta_number(struct audit_index *index, const char *key)
{
	sqlite3_stmt *statement = NULL;
	int64_t value = 0;

	if (sqlite3_prepare_v2(index->db, "SELECT value FROM meta WHERE key = ?", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

static void
meta_hash(struct audit_index *index, const char *key, char hash[AUDIT_HASH_LEN + 1])
{
	sqlite3_stmt *statement = NULL;
	const unsigned char *text;

	hash[0] = '\0';
	if (sqlite3_prepare_v2(index->db, "SELECT value FROM meta WHERE key = ?", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW &&
	    (text = sqlite3_column_text(statement, 0)) != NULL)
		(void)snprintf(hash, AUDIT_HASH_LEN + 1, "%s", (const char *)text);
	sqlite3_finalize(statement);
}

static void
read_place(struct audit_index *index, uint64_t seq, struct audit_place *place)
{
	sqlite3_stmt *statement = NULL;

	*place = (struct audit_place){ .seq = 0 };
	if (sqlite3_prepare_v2(index->db, "SELECT place, len, second FROM record WHERE seq = ?", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 1, (int64_t)seq) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
		audit_place_unpack(sqlite3_column_int64(statement, 0), place);
		place->len = (size_t)sqlite3_column_int64(statement, 1);
		place->seq = seq;
		index->last_second = sqlite3_column_int64(statement, 2);	/* `last` is read last */
	}
	sqlite3_finalize(statement);
}

/* Does the record stand there, with this hash? */
static bool
stands(struct audit_lines *lines, const struct audit_place *place, const char *hash, bool may_be_gone)
{
	struct scan_line facts;
	const char *text;
	int found;

	if (place->seq == 0)
		return hash[0] == '\0';
	found = audit_lines_get(lines, place, &text);
	return (found == 0 && may_be_gone) || (found == 1 && scan_line(text, place->len, &facts) && strcmp(facts.hash, hash) == 0);
}

/* Reads how far it has come. False, with `why`: it is not about this trail, or not in this layout. */
static bool
read_meta(struct audit_index *index, char *why, size_t size)
{
	struct audit_lines *lines;
	bool fits;

	if (meta_number(index, "version") != VERSION_OF_LAYOUT) {
		(void)snprintf(why, size, "%s", "it is not there, or in another layout");
		return false;
	}
	read_place(index, (uint64_t)meta_number(index, "first"), &index->first);
	read_place(index, (uint64_t)meta_number(index, "last"), &index->last);
	meta_hash(index, "first_hash", index->first_hash);
	meta_hash(index, "last_hash", index->last_hash);
	audit_place_unpack(meta_number(index, "next"), &index->next);
	lines = audit_lines_open(index->dir, NULL);
	fits = lines != NULL && stands(lines, &index->first, index->first_hash, true) &&
	    stands(lines, &index->last, index->last_hash, false);
	audit_lines_close(lines);
	if (!fits)
		(void)snprintf(why, size, "%s", "it does not fit the trail");
	return fits;
}

/* Throws it away and begins anew. */
static int
begin_anew(struct audit_index *index, const char *why, struct vg_error *error)
{
	char journal[4096];

	close_database(index);
	audit_index_forget_words(index);
	audit_reader_close(index->reader);
	index->reader = NULL;
	index->spoiled = false;
	index->first = index->last = index->next = (struct audit_place){ .seq = 0 };
	index->first_hash[0] = index->last_hash[0] = '\0';
	index->last_second = 0;
	index->state.rebuilt = true;
	(void)snprintf(index->state.why, sizeof(index->state.why), "%s", why);
	(void)snprintf(journal, sizeof(journal), "%s-journal", index->file);
	(void)unlink(index->file);
	(void)unlink(journal);
	if (open_database(index, error) < 0)
		return -1;
	if (sqlite3_exec(index->db, layout, NULL, NULL, NULL) != SQLITE_OK)
		return fail(index, error);
	return 0;
}

bool
audit_index_may_replace(const char *file, struct vg_error *error)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char head[72];
	ssize_t len;

	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0) {
		vg_fail(error, "%s: %s", file, strerror(errno));
		return false;
	}
	len = read(fd, head, sizeof(head));
	close(fd);
	if (len == 0 || (len == sizeof(head) && memcmp(head, "SQLite format 3", 16) == 0 && memcmp(head + 68, "vgI1", 4) == 0))
		return true;
	vg_fail(error, "%s: is there, and is no index of a trail", file);
	vg_hint(error, "name a file that there is not, or remove this one");
	return false;
}

struct audit_index *
audit_index_open(const char *file, const char *dir, bool writes, struct vg_error *error)
{
	struct audit_index *index = calloc(1, sizeof(*index));
	char why[sizeof(index->state.why)] = "it cannot be read";
	bool opened;

	if (index == NULL || (index->file = strdup(file)) == NULL || (index->dir = strdup(dir)) == NULL) {
		vg_fail(error, "out of memory");
		audit_index_close(index);
		return NULL;
	}
	index->writes = writes;
	opened = open_database(index, error) == 0;
	if (opened && read_meta(index, why, sizeof(why)))
		return index;
	if (!writes) {
		if (opened)
			vg_fail(error, "%s: %s", file, why);
	} else if (begin_anew(index, why, error) == 0) {
		return index;
	}
	audit_index_close(index);
	return NULL;
}

void
audit_index_close(struct audit_index *index)
{
	if (index == NULL)
		return;
	if (index->open)
		(void)sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
	audit_index_forget_words(index);
	close_database(index);
	audit_reader_close(index->reader);
	free(index->file);
	free(index->dir);
	free(index);
}

void
audit_index_spoiled(struct audit_index *index, const char *why)
{
	index->spoiled = true;
	(void)snprintf(index->state.why, sizeof(index->state.why), "%s", why);
}

bool
audit_index_is_spoiled(const struct audit_index *index)
{
	return index->spoiled;
}

sqlite3 *
audit_index_db(struct audit_index *index)
{
	return index->db;
}

/* ---- bringing it up to date ---- */

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
put_number(struct audit_index *index, const char *key, int64_t value)
{
	sqlite3_stmt *statement = audit_index_prepared(index, PUT_META);

	return statement != NULL && sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 2, value) == SQLITE_OK && audit_index_done(statement);
}

static bool
put_hash(struct audit_index *index, const char *key, const char *hash)
{
	sqlite3_stmt *statement = audit_index_prepared(index, PUT_META);

	return statement != NULL && sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 2, hash, -1, SQLITE_STATIC) == SQLITE_OK && audit_index_done(statement);
}

/* 0, also when somebody reads just now and it has to wait; -1. */
static int
commit(struct audit_index *index, struct vg_error *error)
{
	if (!index->open)
		return 0;
	if (!audit_index_write_counts(index) || !put_number(index, "version", VERSION_OF_LAYOUT) || !put_number(index, "first", (int64_t)index->first.seq) ||
	    !put_number(index, "last", (int64_t)index->last.seq) || !put_number(index, "next", audit_place_pack(index->next.segment, index->next.offset)) ||
	    !put_hash(index, "first_hash", index->first_hash) || !put_hash(index, "last_hash", index->last_hash))
		return fail(index, error);
	switch (sqlite3_exec(index->db, "COMMIT", NULL, NULL, NULL)) {
	case SQLITE_OK:
		index->open = false;
		return 0;
	case SQLITE_BUSY:
		return 0;
	default:
		return fail(index, error);
	}
}

static int
begin(struct audit_index *index, struct vg_error *error)
{
	if (index->open)
		return 0;
	if (sqlite3_exec(index->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return fail(index, error);
	index->open = true;
	index->opened = (time_t)(now_ms() / 1000);
	return 0;
}

static int
take_line(struct audit_index *index, const struct audit_line *line, struct vg_error *error)
{
	struct scan_line facts;

	index->next.segment = line->segment;
	index->next.offset = line->offset + line->len + line->whole;
	if (!line->whole || line->too_long || !scan_line(line->text, line->len, &facts))
		return 0;		/* not a record: verify tells */
	if (begin(index, error) < 0)
		return -1;
	if (!audit_index_put(index, line, &facts))
		return fail(index, error);
	index->last = (struct audit_place){ facts.seq, line->segment, line->offset, line->len };
	memcpy(index->last_hash, facts.hash, sizeof(index->last_hash));
	if (index->first.seq == 0) {
		index->first = index->last;
		memcpy(index->first_hash, facts.hash, sizeof(index->first_hash));
	}
	return 0;
}

/* 1: the time is over; 0: the end of the trail; -1. */
static int
take_lines(struct audit_index *index, int64_t until, struct vg_error *error)
{
	struct audit_line line;
	unsigned num = 0;
	int result;

	if (index->reader == NULL) {
		index->reader = audit_reader_open(index->dir, index->next.segment, error);
		if (index->reader == NULL)
			return -1;
		audit_reader_seek(index->reader, index->next.segment, index->next.offset);
	}
	while ((result = audit_reader_next(index->reader, &line, error)) == 1) {
		if (take_line(index, &line, error) < 0)
			return -1;
		if (++num % LOOK_EVERY == 0 && now_ms() >= until)
			break;
	}
	return result;
}

int
audit_index_update(struct audit_index *index, unsigned budget_ms, struct vg_error *error)
{
	int64_t until = now_ms() + budget_ms;
	char why[sizeof(index->state.why)];
	int result;

	if (index->spoiled) {
		memcpy(why, index->state.why, sizeof(why));
		if (begin_anew(index, why, error) < 0) {
			index->spoiled = true;
			return -1;
		}
	}
	result = take_lines(index, until, error);
	if (result >= 0 && (result == 0 || now_ms() / 1000 - index->opened >= COMMIT_SECONDS) && commit(index, error) < 0)
		result = -1;
	if (result < 0)
		audit_index_spoiled(index, error->what);
	return result;
}

/* What lies behind the next line, in its segment and in those after it. */
static uint64_t
bytes_left(const struct audit_index *index)
{
	unsigned first, last, from = index->next.segment;
	uint64_t left = 0;
	struct stat st;
	int dir;

	if (audit_reader_range(index->dir, &first, &last, NULL, NULL) < 0 || last == 0)
		return 0;
	dir = open(index->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned segment = from > first ? from : first; dir >= 0 && segment <= last; segment++) {
		char name[AUDIT_NAME_MAX];

		audit_segment_name(name, segment);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			left += (uint64_t)st.st_size;
		if (segment == from && left >= index->next.offset)
			left -= index->next.offset;
	}
	if (dir >= 0)
		close(dir);
	return left;
}

void
audit_index_state(struct audit_index *index, struct audit_index_state *state)
{
	*state = index->state;
	state->last_seq = index->last.seq;
	state->segment = index->next.segment;
	state->offset = index->next.offset;
	state->lag_bytes = bytes_left(index);
}
