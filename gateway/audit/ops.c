/*
 * ops.c: memory of operations.
 */
#include "gateway/audit/ops.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"

/* ---- records that came lately: a ring, found through a table of chains ---- */

#define NUM_CHAINS	(2 * RECENT_MAX)
#define NONE		UINT32_MAX

struct seen {
	char op[ID_LEN];
	unsigned stage;
	uint32_t chain, next;		/* in the ring */
};

struct recent {
	size_t num;			/* added in all; the ring has the last RECENT_MAX */
	size_t oldest;			/* the first that is still there */
	uint32_t chains[NUM_CHAINS];	/* newest of each, or NONE */
	struct seen ring[RECENT_MAX];
};

struct recent *
recent_create(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (recent != NULL)
		memset(recent->chains, 0xff, sizeof(recent->chains));
	return recent;
}

void
recent_destroy(struct recent *recent)
{
	free(recent);
}

/* FNV-1a; ops are random in their second half already. */
static uint32_t
chain_of(const char *op, unsigned stage)
{
	uint32_t hash = 2166136261u ^ stage;

	for (size_t i = 0; i < ID_LEN; i++)
		hash = (hash ^ (uint8_t)op[i]) * 16777619u;
	return hash % NUM_CHAINS;
}

bool
recent_has(const struct recent *recent, const char *op, unsigned stage)
{
	for (uint32_t i = recent->chains[chain_of(op, stage)]; i != NONE; i = recent->ring[i].next)
		if (recent->ring[i].stage == stage && memcmp(recent->ring[i].op, op, ID_LEN) == 0)
			return true;
	return false;
}

/* Takes entry `index` out of its chain. */
static void
unchain(struct recent *recent, uint32_t index)
{
	uint32_t *at = &recent->chains[recent->ring[index].chain];

	while (*at != index)
		at = &recent->ring[*at].next;
	*at = recent->ring[index].next;
}

void
recent_add(struct recent *recent, const char *op, unsigned stage)
{
	uint32_t index = (uint32_t)(recent->num % RECENT_MAX);
	struct seen *seen = &recent->ring[index];

	if (recent->num - recent->oldest == RECENT_MAX) {
		unchain(recent, index);
		recent->oldest++;
	}
	memcpy(seen->op, op, ID_LEN);
	seen->stage = stage;
	seen->chain = chain_of(op, stage);
	seen->next = recent->chains[seen->chain];
	recent->chains[seen->chain] = index;
	recent->num++;
}

void
recent_take_back(struct recent *recent, size_t num)
{
	while (num-- > 0 && recent->num > recent->oldest) {
		recent->num--;
		unchain(recent, (uint32_t)(recent->num % RECENT_MAX));
	}
}

/* ---- intents without an outcome ---- */

static const char unknown[] =
    "{\"code\":0,\"message\":\"the gateway ended before the outcome was known\",\"status\":\"unknown\"}";

/* Who, what and where go from the intent into its unknown outcome; arguments and decision need not be told twice. */
static bool
is_carried(const char *key, size_t len)
{
	static const char *const keys[] = { "call", "code", "connection", "event", "object", "session", "source", "user" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i]) == len && memcmp(keys[i], key, len) == 0)
			return true;
	return false;
}

/* Members arrive in order; "result" is put in where it belongs. */
struct carry {
	struct buf *out;
	bool has_result, failed;
};

static void
carry_result(struct carry *carry)
{
	if (!carry->has_result && audit_wire_member(carry->out, "result", unknown, sizeof(unknown) - 1) == -1)
		carry->failed = true;
	carry->has_result = true;
}

static void
carry_member(struct carry *carry, const char *key, size_t key_len, const char *value, size_t value_len)
{
	char name[AUDIT_KEY_MAX + 1], code[16];

	if (!is_carried(key, key_len))
		return;
	memcpy(name, key, key_len);
	name[key_len] = '\0';
	if (strcmp(name, "result") > 0)
		carry_result(carry);
	if (strcmp(name, "code") == 0 && value_len == 9 && value[0] == '"') {	/* "VG2104I": this one ends in E */
		memcpy(code, value, 9);
		code[7] = 'E';
		value = code;
	}
	if (audit_wire_member(carry->out, name, value, value_len) == -1)
		carry->failed = true;
}

static struct intent *
intent_create(const char *op)
{
	struct intent *intent = calloc(1, sizeof(*intent));
	const uint8_t head[2] = { AUDIT_WIRE_RECORD, AUDIT_STAGE_OUTCOME };

	if (intent == NULL)
		return NULL;
	memcpy(intent->op, op, ID_LEN);
	if (buf_add(&intent->outcome, head, sizeof(head)) == 0 && buf_add(&intent->outcome, op, ID_LEN) == 0)
		return intent;
	buf_free(&intent->outcome);
	free(intent);
	return NULL;
}

static void
intent_free(struct intents *intents, struct intent *intent)
{
	TAILQ_REMOVE(intents, intent, entry);
	buf_free(&intent->outcome);
	free(intent);
}

static void
finish(struct intents *intents, struct intent *intent, struct carry *carry)
{
	carry_result(carry);
	TAILQ_INSERT_TAIL(intents, intent, entry);
	if (carry->failed) {
		log_error("out of memory for the intent %s", intent->op);
		intent_free(intents, intent);
	}
}

void
intents_add_record(struct intents *intents, const struct record *record, const void *owner)
{
	struct intent *intent = intent_create(record->op);
	struct audit_member member;
	const uint8_t *at = record->members;
	struct carry carry = { 0 };
	bool bad;

	if (intent == NULL)
		return;
	carry.out = &intent->outcome;
	while (audit_wire_next(&at, record->end, &member, &bad))
		carry_member(&carry, member.key, member.key_len, member.value, member.value_len);
	intent->state = INTENT_OPEN;
	intent->owner = owner;
	finish(intents, intent, &carry);
}

void
intents_add_line(struct intents *intents, const char *op, const char *line, size_t len)
{
	struct intent *intent = intent_create(op);
	struct scan_member member;
	struct carry carry = { 0 };
	struct scan scan;

	if (intent == NULL)
		return;
	carry.out = &intent->outcome;
	scan_begin(&scan, line, len);
	while (scan_next(&scan, &member))
		carry_member(&carry, member.key, member.key_len, member.value, member.value_len);
	intent->state = INTENT_ORPHAN;
	finish(intents, intent, &carry);
}

void
intents_close(struct intents *intents, const char *op)
{
	struct intent *intent;

	TAILQ_FOREACH(intent, intents, entry) {
		if (intent->state == INTENT_CLOSING || strcmp(intent->op, op) != 0)
			continue;
		intent->before = intent->state;
		intent->state = INTENT_CLOSING;
		return;
	}
}

void
intents_group_done(struct intents *intents, bool durable)
{
	struct intent *intent = TAILQ_FIRST(intents), *next;

	for (; intent != NULL; intent = next) {
		next = TAILQ_NEXT(intent, entry);
		if (intent->state != INTENT_CLOSING)
			continue;
		if (durable)
			intent_free(intents, intent);
		else
			intent->state = intent->before;
	}
}

void
intents_owner_gone(struct intents *intents, const void *owner)
{
	struct intent *intent;

	TAILQ_FOREACH(intent, intents, entry) {
		enum intent_state *state = intent->state == INTENT_CLOSING ? &intent->before : &intent->state;

		if (intent->owner == owner && *state == INTENT_OPEN) {
			*state = INTENT_DUE;
			intent->owner = NULL;
		}
	}
}

void
intents_adopt(struct intents *intents, const void *owner, const char *first)
{
	struct intent *intent;

	TAILQ_FOREACH(intent, intents, entry) {
		if (intent->state != INTENT_ORPHAN)
			continue;
		intent->owner = memcmp(intent->op, first, ID_LEN) < 0 ? NULL : owner;
		intent->state = intent->owner != NULL ? INTENT_OPEN : INTENT_DUE;
	}
}

void
intents_clear(struct intents *intents)
{
	struct intent *intent;

	while ((intent = TAILQ_FIRST(intents)) != NULL)
		intent_free(intents, intent);
}

size_t
intents_num(const struct intents *intents)
{
	const struct intent *intent;
	size_t num = 0;

	TAILQ_FOREACH(intent, intents, entry)
		num++;
	return num;
}
