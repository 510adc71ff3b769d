/* failures.c: a set-associative table under a secret hash: nobody outside chooses on whose place he falls. */
#include "gateway/auth/failures.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "gateway/core/log.h"
#include "proto/rpc.h"

#define NUM_SETS 128u
#define NUM_WAYS 8u

struct slot {
	uint64_t key;
	time_t since;
	unsigned count;			/* 0: free. That of whom it was taken from included */
	unsigned beyond;		/* of `count`, its own that were too many */
};

struct failures {
	time_t window;
	unsigned most;
	uint64_t secret;
	struct slot slots[2][NUM_SETS][NUM_WAYS];	/* begun only; tried */
};

struct failures *
failures_create(unsigned window, unsigned most)
{
	struct failures *failures = calloc(1, sizeof(*failures));

	if (failures == NULL)
		return NULL;
	failures->window = (time_t)window;
	failures->most = most;
	if (getrandom(&failures->secret, sizeof(failures->secret), 0) != (ssize_t)sizeof(failures->secret)) {
		free(failures);
		return NULL;
	}
	return failures;
}

void
failures_destroy(struct failures *failures)
{
	free(failures);
}

/* FNV-1a, from a secret start. */
static uint64_t
hash(uint64_t value, const char *text)
{
	do
		value = (value ^ (uint8_t)*text) * 1099511628211u;
	while (*text++ != '\0');
	return value;
}

static uint64_t
key_of(const struct failures *failures, const char *kind, const char *text)
{
	return hash(hash(failures->secret, kind), text);
}

static bool
is_over(const struct failures *failures, const struct slot *slot, time_t now)
{
	return slot->count == 0 || now - slot->since >= failures->window;
}

static struct slot *
find_set(struct failures *failures, uint64_t key, bool tried)
{
	return failures->slots[tried][key >> 32 & (NUM_SETS - 1)];
}

/* Is `a` given up before `b`? What is over before what counts, few before many, old before young. */
static bool
gives_way(const struct failures *failures, const struct slot *a, const struct slot *b, time_t now)
{
	bool a_over = is_over(failures, a, now);

	if (a_over != is_over(failures, b, now))
		return a_over;
	return a->count != b->count ? a->count < b->count : a->since < b->since;
}

/*
 * Its own place, or that of the least. Who takes one that still counts goes on counting from there: too careful with some when the table is
 * full, but then also no more than so many pass, and nobody who failed often is forgotten (Metwally and others' "space saving").
 */
static struct slot *
find(struct failures *failures, uint64_t key, bool tried, time_t now)
{
	struct slot *set = find_set(failures, key, tried), *least = &set[0];

	for (size_t i = 0; i < NUM_WAYS; i++) {
		if (set[i].count > 0 && set[i].key == key)
			return &set[i];
		if (gives_way(failures, &set[i], least, now))
			least = &set[i];
	}
	if (is_over(failures, least, now))
		*least = (struct slot){ .key = key };
	else
		*least = (struct slot){ .key = key, .since = least->since, .count = least->count };
	return least;
}

bool
failures_too_many(struct failures *failures, const char *kind, const char *text, time_t now)
{
	const uint64_t key = key_of(failures, kind, text);
	const struct slot *set = find_set(failures, key, true);

	for (size_t i = 0; i < NUM_WAYS; i++)
		if (set[i].count > 0 && set[i].key == key)
			return set[i].count >= failures->most && !is_over(failures, &set[i], now);
	return false;
}

bool
failures_count(struct failures *failures, const char *kind, const char *text, bool tried, time_t now, unsigned *beyond)
{
	struct slot *slot = find(failures, key_of(failures, kind, text), tried, now);

	*beyond = 0;
	if (is_over(failures, slot, now)) {
		*beyond = slot->beyond;
		*slot = (struct slot){ .key = slot->key, .since = now };
	}
	if (slot->count < UINT_MAX)
		slot->count++;
	if (slot->count <= failures->most)
		return true;
	slot->beyond++;
	return false;
}

const char *
failures_origin(const char *address, char buf[FAILURES_ORIGIN_LEN])
{
	struct in6_addr v6;

	if (inet_pton(AF_INET6, address, &v6) == 1) {
		memset(v6.s6_addr + 8, 0, 8);
		if (inet_ntop(AF_INET6, &v6, buf, FAILURES_ORIGIN_LEN) != NULL)
			return buf;
	}
	(void)snprintf(buf, FAILURES_ORIGIN_LEN, "%s", address);
	return buf;
}

void
failures_record(struct failures *failures, struct audit_client *audit, const struct vg_identity *identity, const char *reason, bool tried,
    time_t now)
{
	bool named = identity->x509_dn != NULL || identity->sasl_name != NULL || identity->unix_user != NULL;
	char origin[FAILURES_ORIGIN_LEN], message[768];
	unsigned left_out = 0;
	json_t *record;

	if (!named && !failures_count(failures, reason, failures_origin(identity->address, origin), tried, now, &left_out))
		return;
	record = audit_record_event(AUDIT_LOGIN_FAILED);
	if (record == NULL) {
		log_error("no memory to record a failed log-in: %s", reason);
		return;
	}
	if (left_out > 0)
		(void)snprintf(message, sizeof(message), "%s (and %u more like it)", reason, left_out);
	else
		(void)snprintf(message, sizeof(message), "%s", reason);
	audit_add_identity(record, identity, NULL);
	audit_add_result(record, "denied", RPC_ERR_AUTH_FAILED, message);
	(void)audit_submit(audit, record, AUDIT_KEEP, NULL, NULL);
}
