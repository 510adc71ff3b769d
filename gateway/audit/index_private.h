/*
 * index_private.h: what the files of index.h share.
 */
#ifndef AUDIT_INDEX_PRIVATE_H
#define AUDIT_INDEX_PRIVATE_H

#include <time.h>

#include "gateway/audit/index.h"

#define INDEX_NUM_CACHED 4096u		/* words; a power of two */

enum index_statement { PUT_RECORD, PUT_LATER, PUT_TURN, GET_WORD, PUT_WORD, COUNT_WORD, PUT_META, GET_OP, GET_SEQ, NUM_STATEMENTS };

/* What a row of `record` is asked for. */
#define INDEX_COLUMNS "seq, place, len, user, object, what, mark, second"

/* A word that came lately; what was counted since is written when it leaves, or at the commit. */
struct index_cached {
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
	int64_t last_second;		/* of `last` */
	struct audit_index_state state;
	struct index_cached cache[INDEX_NUM_CACHED];
};

/* ---- index.c: the database ---- */

/* Reset, to be bound. A word's text is borrowed until the statement is reset. NULL: the database failed. */
sqlite3_stmt *audit_index_prepared(struct audit_index *index, enum index_statement which);
/* Steps one that gives no rows, and resets it. */
bool audit_index_done(sqlite3_stmt *statement);

/* ---- index_words.c: what of a record is in it ---- */

/* False: the database failed. */
bool audit_index_put(struct audit_index *index, const struct audit_line *line, const struct scan_line *facts);
/* Writes down how often the words at hand were counted. */
bool audit_index_write_counts(struct audit_index *index);
void audit_index_forget_words(struct audit_index *index);

#endif
