/*
 * roll.c: the life of a roll: what was kept is read, rounds are begun, what they found is kept.
 */
#include "gateway/gate/roll_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"
#include "gateway/gate/inventory.h"
#include "virtgate/member.h"

#define GRACE_SECONDS	2	/* what libvirtd was told when a gate fell it may still be doing */
#define PAUSE_SECONDS	2	/* between rounds */
#define ALIVE_SECONDS	60	/* so exactly is known when a gateway ended that could not say so */
#define PATIENCE_SECONDS 60	/* with the reader */
#define HOLD_SECONDS	15	/* then a record goes out without its difference */
#define MAX_LEFT	(8u * 1024u * 1024u)	/* bytes that calls of ours left and that were not looked at yet */
#define MAX_LOOKED_BACK	100	/* records inventory.*, of all URIs */

/* ---- the reader ---- */

bool
roll_ask(struct roll *roll, json_t *question, trail_answer_cb *answer)
{
	roll->ticket = question == NULL ? 0 : trail_ask(roll->gate->trail, question, answer, roll);
	json_decref(question);
	return roll->ticket != 0;
}

/* What is kept cannot be used, or not be kept: all is read again, after a while. */
static void
begin_anew(struct roll *roll, time_t wait)
{
	roll_clear(roll);
	roll->due = roll->at = NULL;
	json_array_clear(roll->put);
	json_array_clear(roll->gone);
	roll->put_len = 0;
	roll->known = roll->anew = false;
	memset(roll->had, 0, sizeof(roll->had));
	roll->lap = 0;
	roll->next_lap = 0;
	free(roll->lost);
	roll->lost = NULL;
	roll->phase = ROLL_LOADING;
	roll->next = gate_steady() + wait;
}

/* ---- what was kept ---- */

static void
take_thing(struct roll *roll, json_t *row)
{
	const char *class, *uuid, *name, *digest;
	json_int_t flags, seen;
	uint8_t bytes[VG_UUID_LEN];
	struct thing *thing = NULL;

	if (json_unpack(row, "[s, s, s, I, s, I]", &class, &uuid, &name, &flags, &digest, &seen) < 0 || !uuid_parse(uuid, bytes))
		return;
	for (unsigned i = 0; i < ROLL_KINDS; i++)
		if (strcmp(roll_kinds[i].word, class) == 0 && (thing = roll_find_kind(roll, i, bytes)) == NULL)
			thing = roll_add(roll, i, bytes);
	if (thing == NULL || thing->known || (thing->name = strdup(name)) == NULL)
		return;
	thing->known = roll->had[thing->kind] = true;
	thing->flags = (unsigned)flags;
	thing->seen = seen;
	(void)snprintf(thing->digest, sizeof(thing->digest), "%s", digest);
}

static void load(struct roll *roll, const char *class, const char *uuid);

static void
on_loaded(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct roll *roll = arg;
	json_t *answer = result == TRAIL_ANSWERED ? json_loadb(text, len, 0, NULL) : NULL, *things, *row;
	size_t i;

	roll->ticket = 0;
	if (answer == NULL) {
		if (result == TRAIL_REFUSED)
			log_warn("%s: what there was when the gateway ended cannot be read: %s", inventory_uri(roll->inventory), text);
		begin_anew(roll, result == TRAIL_REFUSED ? PATIENCE_SECONDS : 0);
		return;
	}
	roll->alive = json_integer_value(json_object_get(answer, "alive"));
	roll->compared = json_integer_value(json_object_get(answer, "compared"));
	/* A first round that did not come to its end left things, and nothing to compare with. */
	roll->known = json_is_true(json_object_get(answer, "known")) && roll->compared != 0;
	if (*audit_member(answer, "lost", NULL) != '\0')
		roll->lost = strdup(audit_member(answer, "lost", NULL));
	things = json_object_get(answer, "things");
	json_array_foreach(things, i, row)
		if (roll->known)
			take_thing(roll, row);
	row = json_array_get(things, json_array_size(things) - 1);
	if (roll->known && json_is_true(json_object_get(answer, "more")))
		load(roll, json_string_value(json_array_get(row, 0)), json_string_value(json_array_get(row, 1)));
	else
		roll->phase = ROLL_TRUSTING;
	json_decref(answer);
	roll_go_on(roll);
}

static void
load(struct roll *roll, const char *class, const char *uuid)
{
	if (!roll_ask(roll, json_pack("{s:s, s:s, s:s, s:s}", "verb", "census.load", "uri", inventory_uri(roll->inventory), "class", class, "uuid", uuid),
	    on_loaded))
		begin_anew(roll, 0);
}

/* ---- is it what was kept ---- */

static void
on_trusted(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct roll *roll = arg;
	json_t *answer = result == TRAIL_ANSWERED ? json_loadb(text, len, 0, NULL) : NULL, *record, *last = NULL;
	char digest[DOCUMENT_NAME_LEN + 1];
	size_t i, num;

	roll->ticket = 0;
	if (answer == NULL)
		return;		/* asked again */
	json_array_foreach(json_object_get(answer, "records"), i, record)
		if (last == NULL && strcmp(audit_member(record, "connection", "uri"), inventory_uri(roll->inventory)) == 0)
			last = record;
	if (!roll->known && roll->lost != NULL)
		roll_tell_lost(roll, roll->lost);
	else if (!roll->known && last != NULL)
		roll_tell_lost(roll, "what the gateway noted of the inventory is not there any more: what was changed meanwhile cannot be told");
	else if (roll->known && strcmp(audit_member(last, "event", NULL), "inventory.kept") == 0 &&
	    (roll_digest(roll, digest, &num) < 0 || strcmp(digest, audit_member(last, "digest", NULL)) != 0))
		roll_tell_lost(roll, "what was noted of the inventory is not what it was when the gateway ended: it was changed by somebody else");
	json_decref(answer);
	roll->anew = !roll->known;
	roll->wants_all = true;
	roll->libvirtd = false;
	roll->away = roll->alive;
	roll->phase = ROLL_IDLE;
}

/* ---- keeping ---- */

/* Records do not wait for the pause between rounds. */
void
roll_hurry(struct roll *roll)
{
	if (roll->phase == ROLL_IDLE && roll->num_held > 0 && inventory_ready(roll->inventory))
		roll_begin(roll);
}

static void
on_kept(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct roll *roll = arg;

	(void)len;
	roll->ticket = 0;
	if (result == TRAIL_AWAY)
		return;		/* asked again */
	if (result == TRAIL_REFUSED) {
		log_warn("%s: what there is cannot be noted for the next start: %s", inventory_uri(roll->inventory), text);
		begin_anew(roll, PATIENCE_SECONDS);
		return;
	}
	json_array_clear(roll->put);
	json_array_clear(roll->gone);
	roll->put_len = 0;
	roll->anew = false;
	roll->told_alive = gate_steady();
	if (roll->due != NULL) {
		roll->phase = ROLL_LOOKING;
	} else {
		if (roll->all && roll->compared != 0)
			roll->known = true;
		roll->phase = ROLL_IDLE;
		if (!roll->lapping)
			roll->next = gate_steady() + PAUSE_SECONDS;
	}
	roll_go_on(roll);
}

static void
keep(struct roll *roll)
{
	if (roll->all && roll->due == NULL)
		roll->compared = roll->began;
	roll->alive = roll_now();
	(void)roll_ask(roll, json_pack("{s:s, s:s, s:I, s:I, s:b, s:O, s:O}", "verb", "census.keep", "uri", inventory_uri(roll->inventory), "alive",
	    (json_int_t)roll->alive, "compared", (json_int_t)roll->compared, "anew", (int)roll->anew, "put", roll->put, "gone", roll->gone), on_kept);
}

static void
on_recorded(bool durable, void *arg)
{
	struct roll *roll = arg;

	(void)durable;		/* it is sent again until it is */
	roll->audit_ticket = 0;
	roll->phase = ROLL_KEEPING;
	roll_go_on(roll);
}

/*
 * What was compared is on record before anything else is kept: until then the last record is that of the orderly end, and what is kept is what its digest
 * says.
 */
static void
record(struct roll *roll)
{
	bool complete = roll->due == NULL;

	if (roll->all && (roll->known || complete)) {
		roll->audit_ticket = roll_tell_round(roll, complete, on_recorded);
		if (roll->audit_ticket != 0)
			return;
	}
	roll->phase = ROLL_KEEPING;
	roll_go_on(roll);
}

/* ---- the phases ---- */

void
roll_go_on(struct roll *roll)
{
	if (roll->ticket != 0 || roll->asked || roll->audit_ticket != 0)
		return;
	switch (roll->phase) {
	case ROLL_LOADING:
		return;		/* roll_tick() */
	case ROLL_IDLE:
		roll_hurry(roll);
		return;
	case ROLL_TRUSTING:
		(void)roll_ask(roll, json_pack("{s:s, s:s, s:i}", "verb", "audit.search", "event", "inventory.*", "limit", MAX_LOOKED_BACK), on_trusted);
		return;
	case ROLL_LISTING:
		roll_list(roll);
		return;
	case ROLL_LOOKING:
		roll_look(roll);
		return;
	case ROLL_EXPLAINING:
		roll_explain(roll);
		return;
	case ROLL_RECALLING:
		roll_recall(roll);
		return;
	case ROLL_RECORDING:
		record(roll);
		return;
	case ROLL_KEEPING:
		keep(roll);
		return;
	}
}

/* Those that are held since before `since`. */
static void
release(struct roll *roll, time_t since)
{
	for (size_t i = 0; i < ROLL_BUCKETS && roll->num_held > 0; i++)
		for (struct thing *thing = roll->buckets[i]; thing != NULL; thing = thing->next)
			if (thing->held != NULL && thing->held_since < since)
				roll_release(roll, thing);
}

void
roll_tick(struct roll *roll, time_t now)
{
	if (roll->next == 0)
		roll->next = now + GRACE_SECONDS;
	release(roll, now - HOLD_SECONDS);
	if (roll->ticket != 0 || roll->asked || roll->audit_ticket != 0)
		return;
	if (roll->phase == ROLL_LOADING) {
		if (now >= roll->next)
			load(roll, "", "");
	} else if (roll->phase == ROLL_IDLE) {
		if (!inventory_ready(roll->inventory))
			return;
		if (now >= roll->next && (roll->wants_all || roll->touched))
			roll_begin(roll);
		else if (!roll->wants_all && !roll_lap_tick(roll, now) && now >= roll->told_alive + ALIVE_SECONDS)
			keep(roll);
	} else if (roll->phase == ROLL_EXPLAINING && !roll->lapping && now > roll->since + PATIENCE_SECONDS) {
		log_warn("%s: the audit reader does not say whether a record explains a change", inventory_uri(roll->inventory));
		roll_tell(roll, (struct text){ .bytes = NULL });
	} else {
		roll_go_on(roll);
	}
}

/* ---- what happens meanwhile ---- */

static void
touch_volumes(struct roll *roll, const char *pool, size_t len)
{
	char *name = strndup(pool, len);
	const uint8_t *uuid = name == NULL ? NULL : inventory_uuid_of(roll->inventory, VG_CLASS_storage_pool, name);

	if (uuid != NULL)
		roll_parts_touch(roll, VG_CLASS_storage_pool, uuid);
	free(name);
}

void
roll_touch(struct roll *roll, enum vg_class class, const uint8_t *uuid, const char *name, size_t name_len, unsigned explained)
{
	struct thing *thing;
	json_t *key, *text;

	if (roll == NULL || roll->phase == ROLL_LOADING)
		return;		/* what was is not known yet, and all will be looked at */
	if (class == VG_CLASS_storage_vol) {
		touch_volumes(roll, name, name_len);
		return;
	}
	if (roll_kind_of(class) == ROLL_KINDS)
		return;
	if (uuid != NULL && (explained & CHANGE_PARTS) != 0)
		roll_parts_touch(roll, class, uuid);
	roll->touched = true;
	if (uuid != NULL) {
		thing = roll_find(roll, class, uuid);
		if (thing != NULL || (thing = roll_add(roll, roll_kind_of(class), uuid)) != NULL)
			roll_mark(roll, thing, explained);
		return;
	}
	text = audit_text_bounded(name, name_len);
	key = json_is_string(text) ? json_sprintf("%s:%s", class_name(class), json_string_value(text)) : NULL;
	if (key != NULL)
		(void)json_object_set_new(roll->names, json_string_value(key), json_true());
	json_decref(text);
	json_decref(key);
}

bool
roll_left(struct roll *roll, enum vg_class class, const uint8_t *uuid, char *text, size_t len)
{
	struct thing *thing;

	if (roll == NULL || !roll->known || roll_kind_of(class) == ROLL_KINDS || roll->left_len + len > MAX_LEFT ||
	    ((thing = roll_find(roll, class, uuid)) == NULL && (thing = roll_add(roll, roll_kind_of(class), uuid)) == NULL))
		return false;
	free(roll_take_left(roll, thing).bytes);
	thing->left = (struct text){ text, len };
	roll->left_len += len;
	return true;
}

bool
roll_hold(struct roll *roll, enum vg_class class, const uint8_t *uuid, json_t *record)
{
	struct thing *thing = roll == NULL || uuid == NULL || !roll->known || !inventory_ready(roll->inventory) ? NULL : roll_find(roll, class, uuid);

	if (thing == NULL || !roll_add_held(roll, thing, record, (struct text){ .bytes = NULL }))
		return false;
	roll_hurry(roll);
	return true;
}

void
roll_lost(struct roll *roll)
{
	if (roll == NULL || roll->wants_all)	/* not all of it was looked at since it was away before */
		return;
	roll->away = roll_now();
	roll->libvirtd = true;
}

void
roll_back(struct roll *roll)
{
	if (roll != NULL)
		roll->wants_all = true;
}

void
roll_stop(struct roll *roll)
{
	release(roll, gate_steady() + 1);
	if (roll->phase == ROLL_IDLE && roll->known)
		roll_tell_kept(roll);
}

struct roll *
roll_create(struct gate *gate, struct inventory *inventory)
{
	struct roll *roll = calloc(1, sizeof(*roll));

	if (roll == NULL)
		return NULL;
	roll->gate = gate;
	roll->inventory = inventory;
	roll->names = json_object();
	roll->named = json_object();
	roll->put = json_array();
	roll->gone = json_array();
	if (roll->names != NULL && roll->named != NULL && roll->put != NULL && roll->gone != NULL)
		return roll;
	roll_destroy(roll);
	return NULL;
}

void
roll_destroy(struct roll *roll)
{
	if (roll == NULL)
		return;
	if (roll->ticket != 0)
		trail_forget(roll->gate->trail, roll->ticket);
	if (roll->audit_ticket != 0)
		audit_forget(roll->gate->audit, roll->audit_ticket);
	roll_clear(roll);		/* nothing is held after roll_stop() */
	json_decref(roll->names);
	json_decref(roll->named);
	json_decref(roll->put);
	json_decref(roll->gone);
	free(roll->definition.bytes);
	free(roll->left.bytes);
	free(roll->lost);
	free(roll);
}
