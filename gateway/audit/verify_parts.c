/*
 * verify_parts.c: keys and pairs.
 */
#include "gateway/audit/verify_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/audit_wire.h"

/* ---- keys ---- */

static bool
is_root(const struct audit_verify_options *options, const char *key)
{
	for (size_t i = 0; i < options->num_roots; i++)
		if (strcmp(options->roots[i], key) == 0)
			return true;
	return false;
}

/* May the chain of keys begin here? With roots that are known by one of them; else once, at the beginning. */
static bool
may_begin(const struct verify_keys *keys, const struct checkpoint *checkpoint, char *why, size_t size)
{
	if (checkpoint->epoch != 0) {
		(void)snprintf(why, size, "the checkpoint is of epoch %llu, and none before it vouches for its key: checkpoints were "
		    "removed", (unsigned long long)checkpoint->epoch);
		return false;
	}
	if (is_root(keys->options, checkpoint->key))
		return true;
	if (keys->options->num_roots > 0) {
		(void)snprintf(why, size, "the keys that signed begin with %s, which is not the root that is known", checkpoint->key);
		return false;
	}
	if (!keys->begun)
		return true;
	(void)snprintf(why, size, "the chain of keys begins anew with %s: the key was lost, or somebody wrote the trail anew",
	    checkpoint->key);
	return false;
}

static bool
vouched_for(const struct verify_keys *keys, const struct checkpoint *checkpoint)
{
	return keys->begun && checkpoint->epoch == keys->epoch && strcmp(checkpoint->key, keys->key) == 0;
}

static bool
follow(struct verify_keys *keys, const struct checkpoint *checkpoint, char *why, size_t size)
{
	if (!vouched_for(keys, checkpoint)) {
		if (keys->begun && checkpoint->epoch != 0) {
			(void)snprintf(why, size, "the checkpoint is signed by a key of epoch %llu that no checkpoint before it vouches for",
			    (unsigned long long)checkpoint->epoch);
			return false;
		}
		if (!may_begin(keys, checkpoint, why, size))
			return false;
	}
	if (!checkpoint_right(checkpoint)) {
		(void)snprintf(why, size, "the signature of the checkpoint is wrong");
		return false;
	}
	keys->begun = true;
	keys->epoch = checkpoint->epoch + (checkpoint->next[0] != '\0');
	memcpy(keys->key, checkpoint->next[0] != '\0' ? checkpoint->next : checkpoint->key, sizeof(keys->key));
	return true;
}

bool
verify_keys_take(struct verify_keys *keys, const struct checkpoint *checkpoint, uint64_t seq, const char *hash,
    char *why, size_t size)
{
	if (checkpoint->seq + 1 != seq || strcmp(checkpoint->hash, hash) != 0) {
		(void)snprintf(why, size, "the checkpoint is about another record than the one before it");
		return false;
	}
	return follow(keys, checkpoint, why, size);
}

/* Those of epochs that ended in what was removed: the list also has those that are still here, which follow anew. */
bool
verify_keys_read(struct verify_keys *keys, const char *dir, uint64_t first_seq, char *why, size_t size)
{
	char path[4096], *line = NULL;
	struct checkpoint checkpoint;
	uint64_t last_seq = 0;
	size_t room = 0;
	ssize_t len;
	FILE *file;
	bool good = true;

	if (snprintf(path, sizeof(path), "%s/%s", dir, AUDIT_KEYS_FILE) >= (int)sizeof(path) || (file = fopen(path, "re")) == NULL)
		return true;
	while (good && (len = getline(&line, &room, file)) > 0) {
		/* A line that a crash cut off is there again, whole; one whose sync failed may be there twice. */
		if (line[len - 1] != '\n' || !checkpoint_parse(line, (size_t)len - 1, &checkpoint) || checkpoint.seq <= last_seq)
			continue;
		last_seq = checkpoint.seq;
		if (checkpoint.seq + 1 >= first_seq)
			break;
		good = follow(keys, &checkpoint, why, size);
	}
	free(line);
	fclose(file);
	return good;
}

/* ---- pairs: a table of chains ---- */

#define NONE UINT32_MAX

struct waiting {
	char op[ID_LEN];
	uint32_t next;			/* in its chain, or of those that are free */
};

struct verify_pairs {
	struct waiting *all;
	uint32_t *chains;
	uint32_t size;			/* of both; a power of 2 */
	uint32_t free;
	uint64_t num;
};

static uint32_t
chain_of(const struct verify_pairs *pairs, const char *op)
{
	uint64_t words[2];

	memcpy(words, op + ID_LEN - sizeof(words), sizeof(words));	/* the random part of an id */
	return (uint32_t)((words[0] ^ words[1] * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu >> 32) & (pairs->size - 1);
}

static int
resize(struct verify_pairs *pairs, uint32_t size)
{
	struct waiting *all = reallocarray(pairs->all, size, sizeof(*all));
	uint32_t *chains = malloc(size * sizeof(*chains));
	uint32_t old = pairs->size;

	if (all != NULL)
		pairs->all = all;
	if (all == NULL || chains == NULL) {
		free(chains);
		return -1;
	}
	free(pairs->chains);
	pairs->chains = chains;
	pairs->size = size;
	memset(chains, 0xff, size * sizeof(*chains));
	for (uint32_t i = 0; i < old; i++) {	/* it grows only when none is free */
		uint32_t *chain = &chains[chain_of(pairs, all[i].op)];

		all[i].next = *chain;
		*chain = i;
	}
	for (uint32_t i = old; i < size; i++)
		all[i].next = i + 1 < size ? i + 1 : NONE;
	pairs->free = old;
	return 0;
}

struct verify_pairs *
verify_pairs_create(void)
{
	struct verify_pairs *pairs = calloc(1, sizeof(*pairs));

	if (pairs != NULL && resize(pairs, 1024) == -1) {
		verify_pairs_free(pairs);
		return NULL;
	}
	return pairs;
}

void
verify_pairs_free(struct verify_pairs *pairs)
{
	if (pairs == NULL)
		return;
	free(pairs->all);
	free(pairs->chains);
	free(pairs);
}

/* Where the chain names it, or where it ends. */
static uint32_t *
find(struct verify_pairs *pairs, const char *op)
{
	uint32_t *at = &pairs->chains[chain_of(pairs, op)];

	while (*at != NONE && memcmp(pairs->all[*at].op, op, ID_LEN) != 0)
		at = &pairs->all[*at].next;
	return at;
}

enum verify_pair
verify_pairs_take(struct verify_pairs *pairs, unsigned stage, const char *op)
{
	uint32_t *at, index;

	if (stage == AUDIT_STAGE_EVENT)
		return PAIR_GOOD;
	at = find(pairs, op);
	if (stage == AUDIT_STAGE_OUTCOME) {
		if (*at == NONE)
			return PAIR_ALONE;
		index = *at;
		*at = pairs->all[index].next;
		pairs->all[index].next = pairs->free;
		pairs->free = index;
		pairs->num--;
		return PAIR_GOOD;
	}
	if (*at != NONE)
		return PAIR_TWICE;
	if (pairs->free == NONE) {
		if (pairs->size > UINT32_MAX / 4 || resize(pairs, pairs->size * 2) == -1)
			return PAIR_NO_MEMORY;
		at = find(pairs, op);
	}
	index = pairs->free;
	pairs->free = pairs->all[index].next;
	memcpy(pairs->all[index].op, op, ID_LEN);
	pairs->all[index].next = *at;	/* the end of its chain */
	*at = index;
	pairs->num++;
	return PAIR_GOOD;
}

uint64_t
verify_pairs_open(const struct verify_pairs *pairs)
{
	return pairs->num;
}

/* ---- documents ---- */

int
verify_documents(const char *line, size_t len, char names[VERIFY_MAX_DOCUMENTS][DOCUMENT_NAME_LEN + 1])
{
	static const char member[] = "\"documents\":{";
	struct scan_member document;
	struct scan scan, inner;
	int num = 0;

	if (memmem(line, len, member, sizeof(member) - 1) == NULL)	/* most records name none */
		return 0;
	scan_begin(&scan, line, len);
	while (scan_next(&scan, &document)) {
		if (document.key_len != 9 || memcmp(document.key, "documents", 9) != 0)
			continue;
		scan_begin(&inner, document.value, document.value_len);
		while (scan_next(&inner, &document)) {
			if (num == VERIFY_MAX_DOCUMENTS || document.value_len != DOCUMENT_NAME_LEN + 2)
				return -1;
			memcpy(names[num], document.value + 1, DOCUMENT_NAME_LEN);
			names[num++][DOCUMENT_NAME_LEN] = '\0';
		}
		return inner.bad ? -1 : num;
	}
	return scan.bad ? -1 : num;
}
