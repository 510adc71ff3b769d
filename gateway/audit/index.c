/*
 * index.c: making the index.
 */
#include "gateway/audit/index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/ids.h"

#define VERSION_OF_LAYOUT 1
#define MAX_WORD	4096u		/* bytes; a longer one is INDEX_LONG_WORD */
#define NUM_CACHED	4096u		/* words; a power of two */
#define COMMIT_SECONDS	2		/* at the latest, and whenever the end is reached */
#define LOOK_EVERY	64u		/* records between looks at the clock */
/* How long to wait for the other: who writes can come back later, who reads cannot. */
#define WRITER_BUSY_MS	100
#define READER_BUSY_MS	5000

static const char layout[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE word (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, num INTEGER NOT NULL DEFAULT 0, UNIQUE (kind, text));"
    "CREATE TABLE record (seq INTEGER PRIMARY KEY, place INTEGER NOT NULL, len INTEGER NOT NULL, second INTEGER NOT NULL,"
    " user INTEGER NOT NULL, object INTEGER NOT NULL, what INTEGER NOT NULL, mark INTEGER NOT NULL, op INTEGER NOT NULL);"
    "CREATE INDEX by_user ON record (user);"
    "CREATE INDEX by_object ON record (object);"
    "CREATE INDEX by_what ON record (what);"
    "CREATE INDEX by_op ON record (op);";

enum statement { PUT_RECORD, GET_WORD, PUT_WORD, COUNT_WORD, PUT_META, NUM_STATEMENTS };

static const char *const statements[NUM_STATEMENTS] = {
	[PUT_RECORD] = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[GET_WORD] = "SELECT id FROM word WHERE kind = ? AND text = ?",
	[PUT_WORD] = "INSERT INTO word (kind, text) VALUES (?, ?)",
	[COUNT_WORD] = "UPDATE word SET num = num + ? WHERE id = ?",
	[PUT_META] = "INSERT OR REPLACE INTO meta VALUES (?, ?)",
};

/* A word that came lately; what was counted since is written when it leaves, or at the commit. */
struct cached {
	char *text;
	size_t len;
	int kind;
	int64_t id, added;
};

struct audit_index {
	char *file, *dir;
	bool writes;
	sqlite3 *db;
	sqlite3_stmt *statements[NUM_STATEMENTS];
	struct audit_reader *reader;	/* NULL: to be opened where `next` says */
	bool open;			/* a transaction is */
	time_t opened;			/* it, monotonic */
	bool spoiled;
	struct audit_place first, last;	/* records; seq 0: none */
	char first_hash[AUDIT_HASH_LEN + 1], last_hash[AUDIT_HASH_LEN + 1];
	struct audit_place next;	/* where the next line begins */
	struct audit_index_state state;
	struct cached cache[NUM_CACHED];
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

int64_t
audit_index_op(const char *op)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	int64_t value = 0;

	/* 48 bits of time and ten at random: ops of one time are neighbours, and few are taken for each other. */
	for (size_t i = 0; i < 12 && op[i] != '\0'; i++) {
		const char *at = strchr(digits, op[i]);

		value = value << 5 | (at == NULL ? 0 : at - digits);
	}
	return value;
}

unsigned
audit_index_status(const char *status, size_t len)
{
	static const char *const known[] = { "ok", "error", "denied", "unknown" };

	if (len == 0)
		return 0;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == len && memcmp(known[i], status, len) == 0)
			return i + 1;
	return 7;
}

/* ---- the database ---- */

static int
fail(struct audit_index *index, struct vg_error *error)
{
	return vg_fail(error, "%s: %s", index->file, index->db == NULL ? "out of memory" : sqlite3_errmsg(index->db));
}

/* A word's text is borrowed until the statement is reset. */
static sqlite3_stmt *
prepared(struct audit_index *index, enum statement which)
{
	sqlite3_stmt **statement = &index->statements[which];

	if (*statement == NULL)
		(void)sqlite3_prepare_v3(index->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
	else
		(void)sqlite3_reset(*statement);
	return *statement;
}

static bool
done(sqlite3_stmt *statement)
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

static void
forget_words(struct audit_index *index)
{
	for (size_t i = 0; i < NUM_CACHED; i++) {
		free(index->cache[i].text);
		index->cache[i] = (struct cached){ .text = NULL };
	}
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
	if (sqlite3_prepare_v2(index->db, "SELECT place, len FROM record WHERE seq = ?", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 1, (int64_t)seq) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
		audit_place_unpack(sqlite3_column_int64(statement, 0), place);
		place->len = (size_t)sqlite3_column_int64(statement, 1);
		place->seq = seq;
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
	forget_words(index);
	audit_reader_close(index->reader);
	index->reader = NULL;
	index->spoiled = false;
	index->first = index->last = index->next = (struct audit_place){ .seq = 0 };
	index->first_hash[0] = index->last_hash[0] = '\0';
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
	forget_words(index);
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

/* ---- words ---- */

static bool
write_count(struct audit_index *index, struct cached *cached)
{
	sqlite3_stmt *statement = prepared(index, COUNT_WORD);
	bool written = cached->added == 0 || (statement != NULL && sqlite3_bind_int64(statement, 1, cached->added) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 2, cached->id) == SQLITE_OK && done(statement));

	cached->added = 0;
	return written;
}

static uint32_t
hash_of(int kind, const char *text, size_t len)
{
	uint32_t hash = 2166136261u + (uint32_t)kind;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	return hash;
}

static bool
bind_word(sqlite3_stmt *statement, int kind, const char *text, size_t len)
{
	return statement != NULL && sqlite3_bind_int(statement, 1, kind) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 2, text, (int)len, SQLITE_STATIC) == SQLITE_OK;
}

/* Its id, which is made where there is none; counts it. 0: the database failed. */
static int64_t
word_id(struct audit_index *index, int kind, const char *text, size_t len)
{
	struct cached *cached = &index->cache[hash_of(kind, text, len) & (NUM_CACHED - 1)];
	sqlite3_stmt *statement;
	int64_t id = 0;

	if (cached->text != NULL && cached->kind == kind && cached->len == len && memcmp(cached->text, text, len) == 0) {
		cached->added++;
		return cached->id;
	}
	if (cached->text != NULL && !write_count(index, cached))
		return 0;
	free(cached->text);
	*cached = (struct cached){ .text = NULL };
	statement = prepared(index, GET_WORD);
	if (!bind_word(statement, kind, text, len))
		return 0;
	if (sqlite3_step(statement) == SQLITE_ROW)
		id = sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	if (id == 0) {
		statement = prepared(index, PUT_WORD);
		if (!bind_word(statement, kind, text, len) || !done(statement))
			return 0;
		id = sqlite3_last_insert_rowid(index->db);
	}
	cached->text = malloc(len);
	if (cached->text != NULL) {
		memcpy(cached->text, text, len);
		*cached = (struct cached){ .text = cached->text, .len = len, .kind = kind, .id = id, .added = 1 };
	}
	return id;
}

/* ---- records ---- */

/* What of a record is a word: these members of it, as an object of its own. Sorted, as in the record. */
static const char *const members[INDEX_NUM_KINDS][4] = {
	[INDEX_USER] = { "by", "user" }, [INDEX_OBJECT] = { "object" }, [INDEX_WHAT] = { "call", "code", "event" },
};

/* Words of a record under way. */
struct words {
	char text[INDEX_NUM_KINDS][MAX_WORD];
	size_t len[INDEX_NUM_KINDS];	/* MAX_WORD: too long */
};

static void
add_member(struct words *words, const struct scan_member *member)
{
	for (int kind = 0; kind < INDEX_NUM_KINDS; kind++) {
		for (size_t i = 0; i < 4 && members[kind][i] != NULL; i++) {
			size_t *len = &words->len[kind], more = member->key_len + member->value_len + 4;

			if (strlen(members[kind][i]) != member->key_len || memcmp(members[kind][i], member->key, member->key_len) != 0)
				continue;
			if (*len + more + 2 > MAX_WORD) {
				*len = MAX_WORD;
				return;
			}
			*len += (size_t)snprintf(words->text[kind] + *len, MAX_WORD - *len, "%c\"%.*s\":%.*s", *len == 0 ? '{' : ',',
			    (int)member->key_len, member->key, (int)member->value_len, member->value);
			return;
		}
	}
}

/* The string member `key` of an object, without its quotes; an empty one where there is none. */
static struct scan_member
string_in(const struct scan_member *object, const char *key)
{
	struct scan_member member;
	struct scan scan;

	scan_begin(&scan, object->value, object->value_len);
	while (scan_next(&scan, &member)) {
		if (member.key_len == strlen(key) && memcmp(member.key, key, member.key_len) == 0 && member.value_len >= 2 && member.value[0] == '"') {
			member.value++;
			member.value_len -= 2;
			return member;
		}
	}
	return (struct scan_member){ .value = "", .value_len = 0 };
}

static bool
is(const struct scan_member *member, const char *key)
{
	return member->key_len == strlen(key) && memcmp(member->key, key, member->key_len) == 0;
}

static int64_t
second_of(const char *time)
{
	struct tm tm = { .tm_isdst = 0 };

	if (sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm);
}

/* False: the database failed. */
static bool
put_record(struct audit_index *index, const struct audit_line *line, const struct scan_line *facts)
{
	static struct words words;
	int64_t values[9] = { (int64_t)facts->seq, audit_place_pack(line->segment, line->offset), (int64_t)line->len, second_of(facts->time),
		[8] = audit_index_op(facts->op) };
	struct scan_member member, text;
	sqlite3_stmt *statement;
	struct scan scan;
	int64_t mark = (int64_t)(facts->stage & MARK_STAGE);

	memset(words.len, 0, sizeof(words.len));
	scan_begin(&scan, line->text, line->len);
	while (scan_next(&scan, &member)) {
		add_member(&words, &member);
		if (is(&member, "result")) {
			text = string_in(&member, "status");
			mark |= (int64_t)audit_index_status(text.value, text.value_len) << MARK_STATUS_SHIFT;
		} else if (is(&member, "decision")) {
			text = string_in(&member, "verdict");
			if (text.value_len == 10 && memcmp(text.value, "would-deny", 10) == 0)
				mark |= MARK_WOULD_DENY;
		}
	}
	for (int kind = 0; kind < INDEX_NUM_KINDS; kind++) {
		size_t *len = &words.len[kind];

		if (*len == 0)
			words.text[kind][(*len)++] = '{';
		if (*len < MAX_WORD)
			words.text[kind][(*len)++] = '}';
		values[4 + kind] = *len >= MAX_WORD ? INDEX_LONG_WORD : word_id(index, kind, words.text[kind], *len);
		if (values[4 + kind] == 0)
			return false;
	}
	values[7] = mark;
	statement = prepared(index, PUT_RECORD);
	for (int i = 0; statement != NULL && i < 9; i++)
		if (sqlite3_bind_int64(statement, i + 1, values[i]) != SQLITE_OK)
			return false;
	return statement != NULL && done(statement);
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
	sqlite3_stmt *statement = prepared(index, PUT_META);

	return statement != NULL && sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_bind_int64(statement, 2, value) == SQLITE_OK && done(statement);
}

static bool
put_hash(struct audit_index *index, const char *key, const char *hash)
{
	sqlite3_stmt *statement = prepared(index, PUT_META);

	return statement != NULL && sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
	    sqlite3_bind_text(statement, 2, hash, -1, SQLITE_STATIC) == SQLITE_OK && done(statement);
}

/* 0, also when somebody reads just now and it has to wait; -1. */
static int
commit(struct audit_index *index, struct vg_error *error)
{
	if (!index->open)
		return 0;
	for (size_t i = 0; i < NUM_CACHED; i++)
		if (index->cache[i].text != NULL && !write_count(index, &index->cache[i]))
			return fail(index, error);
	if (!put_number(index, "version", VERSION_OF_LAYOUT) || !put_number(index, "first", (int64_t)index->first.seq) ||
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
	if (!put_record(index, line, &facts))
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
