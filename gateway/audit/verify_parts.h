/*
 * verify_parts.h: what verify keeps in mind from record to record beside the chain: whose turn it is to sign, and
 * which intents wait for their outcome.
 */
#ifndef AUDIT_VERIFY_PARTS_H
#define AUDIT_VERIFY_PARTS_H

#include "gateway/audit/checkpoint.h"
#include "gateway/audit/reader.h"
#include "gateway/core/document.h"

/* ---- keys ---- */

struct verify_keys {
	const struct audit_verify_options *options;
	bool begun;
	uint64_t epoch;			/* of the checkpoint that must come next, and its key */
	char key[CHECKPOINT_KEY_LEN + 1];
};

/* A checkpoint in the record `seq`, whose record before has `hash`. Why it is not good, in `why`; false then. */
bool verify_keys_take(struct verify_keys *keys, const struct checkpoint *checkpoint, uint64_t seq, const char *hash,
    char *why, size_t size);

/* The keys of what was removed before the record `first_seq`, from AUDIT_KEYS_FILE in `dir`. False with `why`; a file that is not there holds none. */
bool verify_keys_read(struct verify_keys *keys, const char *dir, uint64_t first_seq, char *why, size_t size);

/* ---- intents without an outcome ---- */

struct verify_pairs;

struct verify_pairs *verify_pairs_create(void);
void verify_pairs_free(struct verify_pairs *pairs);
enum verify_pair {
	PAIR_GOOD,
	PAIR_TWICE,			/* the intent is there already */
	PAIR_ALONE,			/* an outcome without its intent */
	PAIR_NO_MEMORY
};
enum verify_pair verify_pairs_take(struct verify_pairs *pairs, unsigned stage, const char *op);
uint64_t verify_pairs_open(const struct verify_pairs *pairs);

/* ---- documents ---- */

#define VERIFY_MAX_DOCUMENTS 8

/* The names in a record's member "documents". How many; -1: it is not what the gate writes. */
int verify_documents(const char *line, size_t len, char names[VERIFY_MAX_DOCUMENTS][DOCUMENT_NAME_LEN + 1]);

#endif
