/*
 * roll_things.c: the table of things, and its digest.
 */
#include "gateway/gate/roll_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

int64_t
roll_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
roll_time_text(int64_t when, char text[ROLL_TIME_LEN])
{
	time_t second = (time_t)(when / 1000000);
	char head[24] = "";
	struct tm tm;

	if (gmtime_r(&second, &tm) != NULL)
		(void)strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, ROLL_TIME_LEN, "%.19s.%06uZ", head, (unsigned)(when % 1000000));
}

/* FNV-1a. */
static size_t
bucket_of(unsigned kind, const uint8_t *uuid)
{
	uint32_t hash = 2166136261u ^ kind;

	for (size_t i = 0; i < VG_UUID_LEN; i++)
		hash = (hash ^ uuid[i]) * 16777619u;
	return hash % ROLL_BUCKETS;
}

unsigned
roll_kind_of(enum vg_class class)
{
	unsigned kind = 0;

	while (kind < ROLL_KINDS && (roll_kinds[kind].class != class || roll_kinds[kind].parts.ask != NULL))
		kind++;
	return kind;
}

struct thing *
roll_find(const struct roll *roll, enum vg_class class, const uint8_t uuid[VG_UUID_LEN])
{
	return roll_find_kind(roll, roll_kind_of(class), uuid);
}

struct thing *
roll_find_kind(const struct roll *roll, unsigned kind, const uint8_t uuid[VG_UUID_LEN])
{
	struct thing *thing = roll->buckets[bucket_of(kind, uuid)];

	while (thing != NULL && (thing->kind != kind || memcmp(thing->uuid, uuid, VG_UUID_LEN) != 0))
		thing = thing->next;
	return thing;
}

struct thing *
roll_add(struct roll *roll, unsigned kind, const uint8_t uuid[VG_UUID_LEN])
{
	struct thing *thing = calloc(1, sizeof(*thing)), **bucket = &roll->buckets[bucket_of(kind, uuid)];

	if (thing == NULL)
		return NULL;
	thing->kind = kind;
	thing->class = roll_kinds[kind].class;
	memcpy(thing->uuid, uuid, VG_UUID_LEN);
	thing->next = *bucket;
	*bucket = thing;
	roll->num++;
	return thing;
}

void
roll_mark(struct roll *roll, struct thing *thing, unsigned explained)
{
	thing->touched = roll->touched = true;
	thing->explained |= explained;
	thing->touched_at = roll_now();
	thing->doubted = 0;
}

struct text
roll_take_left(struct roll *roll, struct thing *thing)
{
	struct text text = thing->left;

	roll->left_len -= text.len;
	thing->left = (struct text){ .bytes = NULL };
	return text;
}

void
roll_remove(struct roll *roll, struct thing *thing)
{
	struct thing **link = &roll->buckets[bucket_of(thing->kind, thing->uuid)];

	while (*link != thing)
		link = &(*link)->next;
	*link = thing->next;
	roll->num--;
	roll_release(roll, thing);
	free(roll_take_left(roll, thing).bytes);
	free(thing->name);
	free(thing->name_now);
	free(thing);
}

void
roll_clear(struct roll *roll)
{
	for (size_t i = 0; i < ROLL_BUCKETS; i++)
		while (roll->buckets[i] != NULL)
			roll_remove(roll, roll->buckets[i]);
}

/* ---- digests ---- */

void
roll_text_digest(const char *text, size_t len, char digest[DOCUMENT_NAME_LEN + 1])
{
	uint8_t bytes[EVP_MAX_MD_SIZE];

	digest[0] = '\0';
	if (text != NULL && EVP_Digest(text, len, bytes, NULL, EVP_sha256(), NULL) == 1)
		document_name(bytes, digest);
}

/* By the word of the kind and the UUID, as their texts are ordered. */
static int
compare(const void *a, const void *b)
{
	const struct thing *first = *(struct thing *const *)a, *second = *(struct thing *const *)b;
	int order = strcmp(roll_kinds[first->kind].word, roll_kinds[second->kind].word);

	return order != 0 ? order : memcmp(first->uuid, second->uuid, VG_UUID_LEN);
}

int
roll_digest(const struct roll *roll, char digest[DOCUMENT_NAME_LEN + 1], size_t *num)
{
	struct thing **all = calloc(roll->num + 1, sizeof(struct thing *));
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint8_t bytes[EVP_MAX_MD_SIZE];
	int r = -1;

	*num = 0;
	if (all == NULL || hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		goto out;
	for (size_t i = 0; i < ROLL_BUCKETS; i++)
		for (struct thing *thing = roll->buckets[i]; thing != NULL; thing = thing->next)
			if (thing->known)
				all[(*num)++] = thing;
	qsort(all, *num, sizeof(struct thing *), compare);
	for (size_t i = 0; i < *num; i++) {
		const char *class = roll_kinds[all[i]->kind].word, *name = all[i]->name == NULL ? "" : all[i]->name;
		char line[DOCUMENT_NAME_LEN + 16];
		int len = snprintf(line, sizeof(line), "%u %s\n", all[i]->flags, all[i]->digest);

		/* With the ends of the texts, so that no two inventories read the same. */
		if (EVP_DigestUpdate(hash, class, strlen(class) + 1) != 1 || EVP_DigestUpdate(hash, all[i]->uuid, VG_UUID_LEN) != 1 ||
		    EVP_DigestUpdate(hash, name, strlen(name) + 1) != 1 || EVP_DigestUpdate(hash, line, (size_t)len) != 1)
			goto out;
	}
	if (EVP_DigestFinal_ex(hash, bytes, NULL) == 1) {
		document_name(bytes, digest);
		r = 0;
	}
out:
	EVP_MD_CTX_free(hash);
	free(all);
	return r;
}
