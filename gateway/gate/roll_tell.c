/*
 * roll_tell.c: what is not as it was: is it explained by the trail, and if not, its record.
 */
#include "gateway/gate/roll_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/core/linediff.h"
#include "gateway/gate/documents.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/outside.h"
#include "virtgate/member.h"

#define MAX_DIFF	(12u * 1024u)
#define MAX_RECORDS	100	/* about one thing that are looked at, the newest */

static const struct {
	unsigned change, flag;
	const char *is, *is_not;	/* by the flag now; `is_not` NULL: there is no such */
} words[] = {
	{ CHANGE_APPEARED, 0, "is there, and was not before", NULL },
	{ CHANGE_GONE, 0, "is not there any more", NULL },
	{ CHANGE_RENAMED, 0, "was renamed", NULL },
	{ CHANGE_DEFINITION, 0, "is defined otherwise", NULL },
	{ CHANGE_ACTIVE, THING_ACTIVE, "runs, and did not before", "does not run any more" },
	{ CHANGE_PERSISTENT, THING_PERSISTENT, "is persistent, and was not before", "is not persistent any more" },
	{ CHANGE_AUTOSTART, THING_AUTOSTART, "is started with the host, and was not before", "is not started with the host any more" },
};

/* ---- is it explained ---- */

/* What of `changes` this record, made after the thing was last looked at, leaves unexplained. */
static unsigned
left_by(const struct roll *roll, const json_t *record, unsigned changes)
{
	static const unsigned states = CHANGE_ACTIVE | CHANGE_PERSISTENT | CHANGE_RENAMED;
	const char *event = audit_member(record, "event", NULL), *status = audit_member(record, "result", "status");
	const char *after = audit_member(record, "documents", "after");
	bool outcome = strcmp(audit_member(record, "stage", NULL), "outcome") == 0, outside = strncmp(event, "outside.", 8) == 0;

	if (outcome && strcmp(status, "unknown") == 0)		/* settle.c tells what became of it */
		return 0;
	if (outside && roll->lapping)		/* what it told was looked at since */
		return changes;
	if (strcmp(status, "ok") != 0 || (!outcome && !outside && strcmp(event, "change.settled") != 0))
		return changes;
	if (roll_kinds[roll->at->kind].parts.ask != NULL)
		return outside || roll_parts_explained_by(roll->at, audit_member(record, "call", NULL)) ? 0 : changes;
	changes &= ~states;
	if (*audit_member(record, "found_by", NULL) != '\0' || outside_may_autostart(audit_member(record, "call", NULL)))
		changes &= ~(unsigned)CHANGE_AUTOSTART;
	if (*after == '\0')
		changes &= ~(unsigned)CHANGE_GONE;
	/* An event tells that it was defined and not how; of a change whose documents were left out it is not known either. */
	if ((*after != '\0' && strcmp(after, roll->digest) == 0) || (outside && *after == '\0') || json_object_get(record, "documents_left_out") != NULL)
		changes &= ~(unsigned)(CHANGE_APPEARED | CHANGE_DEFINITION);
	return changes;
}

static const char *
name_of(const struct thing *thing)
{
	return thing->name_now != NULL ? thing->name_now : thing->name != NULL ? thing->name : "";
}

static bool
is_of_volumes(const struct thing *thing)
{
	return roll_kinds[thing->kind].parts.ask != NULL && thing->class == VG_CLASS_storage_pool;
}

/* One that was found by the UUID is; by a name as a glob, and of a definition without a UUID, it has to be looked at. */
static bool
is_about(const struct roll *roll, const json_t *record)
{
	if (roll->by_name && is_of_volumes(roll->at))
		return strcmp(audit_member(record, "object", "parent"), name_of(roll->at)) == 0;
	return !roll->by_name || (*audit_member(record, "object", "uuid") == '\0' && strcmp(audit_member(record, "object", "name"), name_of(roll->at)) == 0);
}

static void
on_records(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct roll *roll = arg;
	json_t *answer = result == TRAIL_ANSWERED ? json_loadb(text, len, 0, NULL) : NULL, *record;
	size_t i;

	roll->ticket = 0;
	if (answer == NULL)
		return;		/* asked again */
	json_array_foreach(json_object_get(answer, "records"), i, record)
		if (is_about(roll, record))
			roll->changes = left_by(roll, record, roll->changes);
	json_decref(answer);
	if (roll_lap_leaves_out(roll)) {
		roll->phase = ROLL_LOOKING;
	} else if (roll->changes == 0 || roll->at->touched) {
		roll_accept(roll);
		roll->phase = ROLL_LOOKING;
	} else if (!roll->by_name) {
		roll->by_name = true;
	} else {
		roll->phase = ROLL_RECALLING;
	}
	roll_go_on(roll);
}

static int64_t
last_seen(const struct roll *roll, const struct thing *thing)
{
	return thing->seen > roll->compared ? thing->seen : roll->compared;
}

void
roll_explain(struct roll *roll)
{
	const struct thing *thing = roll->at;
	char uuid[VG_UUID_TEXT_LEN + 1], since[ROLL_TIME_LEN];
	json_t *question;

	uuid_text(thing->uuid, uuid);
	/* What was done before it was looked at does not explain what is different now. */
	roll_time_text(roll->lapping && thing->accepted != 0 ? thing->accepted : last_seen(roll, thing), since);
	if (roll->by_name && is_of_volumes(thing))	/* their records have the pool as the parent */
		question = json_pack("{s:s, s:s, s:s, s:i}", "verb", "audit.search", "event", "storage_vol.*", "since", since, "limit", MAX_RECORDS);
	else
		question = json_pack("{s:s, s:o, s:s, s:i}", "verb", "audit.search", "object", json_sprintf("%s:%s", class_name(thing->class),
		    roll->by_name ? name_of(thing) : uuid), "since", since, "limit", MAX_RECORDS);
	(void)roll_ask(roll, question, on_records);
}

static void
on_definition(enum trail_result result, const char *text, size_t len, void *arg)
{
	struct roll *roll = arg;
	json_t *answer = result == TRAIL_ANSWERED ? json_loadb(text, len, 0, NULL) : NULL;
	const json_t *definition = json_object_get(answer, "definition");
	char digest[DOCUMENT_NAME_LEN + 1];

	roll->ticket = 0;
	if (result == TRAIL_AWAY)
		return;		/* asked again */
	roll_text_digest(json_string_value(definition), json_string_length(definition), digest);
	if (strcmp(digest, roll->at->digest) == 0)
		roll_tell(roll, (struct text){ (char *)(uintptr_t)json_string_value(definition), json_string_length(definition) });
	else
		roll_tell(roll, (struct text){ .bytes = NULL });
	json_decref(answer);
}

void
roll_recall(struct roll *roll)
{
	char uuid[VG_UUID_TEXT_LEN + 1];

	if ((roll->changes & (CHANGE_DEFINITION | CHANGE_RENAMED | CHANGE_GONE)) == 0 || roll->at->digest[0] == '\0') {
		roll_tell(roll, (struct text){ .bytes = NULL });
		return;
	}
	uuid_text(roll->at->uuid, uuid);
	(void)roll_ask(roll, json_pack("{s:s, s:s, s:s, s:s}", "verb", "census.definition", "uri", inventory_uri(roll->inventory), "class",
	    roll_kinds[roll->at->kind].word, "uuid", uuid), on_definition);
}

/* ---- records ---- */

static json_t *
begin_record(const struct roll *roll, enum audit_event event)
{
	json_t *record = audit_record_event(event);

	if (record != NULL)
		(void)json_object_set_new(record, "connection", json_pack("{s:s}", "uri", inventory_uri(roll->inventory)));
	return record;
}

static void
add_time(json_t *record, const char *member, int64_t when)
{
	char text[ROLL_TIME_LEN];

	if (when == 0)
		return;
	roll_time_text(when, text);
	(void)json_object_set_new(record, member, json_string(text));
}

/* Between when and when it can have happened, and what was away. */
static void
add_away(const struct roll *roll, json_t *record)
{
	json_t *away = json_pack("{s:s}", "what", roll->libvirtd ? "libvirtd" : "gateway");

	add_time(away, "from", roll->away);
	add_time(away, "to", roll->began);
	(void)json_object_set_new(record, "away", away);
}

static json_t *
object_json(const struct thing *thing)
{
	char uuid[VG_UUID_TEXT_LEN + 1];

	uuid_text(thing->uuid, uuid);
	return json_pack("{s:s, s:s, s:s}", "class", class_name(thing->class), "name", name_of(thing), "uuid", uuid);
}

static void
changes_text(const struct roll *roll, char *text, size_t size)
{
	size_t len = 0;

	if (roll_kinds[roll->at->kind].parts.ask != NULL) {
		(void)snprintf(text, size, "%s", roll_kinds[roll->at->kind].parts.told);
		return;
	}
	text[0] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *word = words[i].is_not == NULL || (roll->at->flags_now & words[i].flag) != 0 ? words[i].is : words[i].is_not;

		if ((roll->changes & words[i].change) != 0 && len < size)
			len += (size_t)snprintf(text + len, size - len, "%s%s", len == 0 ? "" : "; ", word);
	}
}

/* Members "diff" and "documents": what the definition was, as far as that is known, and is. Submits the record. */
static void
submit(struct roll *roll, json_t *record, const struct text *before, const struct text *after)
{
	const char *what = roll_kinds[roll->at->kind].parts.ask == NULL ? "definition" : roll_kinds[roll->at->kind].word;
	struct documents documents = { .packed = { 0 } };
	bool both = before->bytes != NULL || (roll->changes & CHANGE_APPEARED) != 0;
	char *diff = both ? linediff(before->bytes, before->len, after->bytes, after->len, MAX_DIFF) : NULL;

	if (record != NULL && diff != NULL && diff[0] != '\0')
		(void)json_object_set_new(record, "diff", json_sprintf("--- %s\n+++ %s\n%s", what, what, diff));
	documents_put(&documents, "before", before->bytes, before->len);
	documents_put(&documents, "after", after->bytes, after->len);
	documents_add(&documents, record, roll->gate->audit, AUDIT_KEEP);
	(void)audit_submit_with(roll->gate->audit, record, &documents.packed, AUDIT_KEEP, NULL, NULL);
	free(diff);
}

bool
roll_add_held(struct roll *roll, struct thing *thing, json_t *record, struct text definition)
{
	struct held *held = calloc(1, sizeof(*held)), **last = &thing->held;

	if (held == NULL)
		return false;
	if (thing->held == NULL)
		thing->held_since = gate_steady();
	while (*last != NULL)
		last = &(*last)->next;
	*last = held;
	held->record = record;
	held->before = roll_take_left(roll, thing);
	held->definition = definition;
	roll->num_held++;
	return true;
}

static void
drop_held(struct roll *roll, struct held *held)
{
	roll->num_held--;
	free(held->before.bytes);
	free(held->definition.bytes);
	free(held);
}

void
roll_release(struct roll *roll, struct thing *thing)
{
	struct held *held;

	while ((held = thing->held) != NULL) {
		thing->held = held->next;
		(void)audit_submit(roll->gate->audit, held->record, AUDIT_KEEP, NULL, NULL);
		drop_held(roll, held);
	}
}

/* Of several that changed it one after the other, and of which nothing is known between, the last has the difference that all of them made. */
static void
tell_held(struct roll *roll, struct text before, const struct text *after)
{
	struct thing *thing = roll->at;
	struct held *held, *former = NULL;

	while ((held = thing->held) != NULL) {
		thing->held = held->next;
		if (held->definition.bytes == NULL && thing->held != NULL) {
			(void)audit_submit(roll->gate->audit, held->record, AUDIT_KEEP, NULL, NULL);
			drop_held(roll, held);
			continue;
		}
		submit(roll, held->record, held->before.bytes != NULL ? &held->before : &before, held->definition.bytes != NULL ? &held->definition : after);
		before = held->definition;
		if (former != NULL)
			drop_held(roll, former);
		former = held;		/* what it was before the next */
	}
	if (former != NULL)
		drop_held(roll, former);
}

static void
tell_found(struct roll *roll, const struct text *before, const struct text *after)
{
	const struct thing *thing = roll->at;
	json_t *record = begin_record(roll, roll->all ? AUDIT_OUTSIDE_AWAY : AUDIT_OUTSIDE_HOST);
	char text[512];

	if (record != NULL) {
		changes_text(roll, text, sizeof(text));
		(void)json_object_set_new(record, "object", object_json(thing));
		if ((roll->changes & CHANGE_RENAMED) != 0)
			(void)json_object_set_new(record, "former_name", json_string(thing->name));
		if (roll->all)
			add_away(roll, record);
		else
			(void)json_object_set_new(record, "found_by", json_string("comparison"));
		if (thing->known)
			add_time(record, "last_seen", last_seen(roll, thing));
		audit_add_result(record, "ok", 0, text);
	}
	submit(roll, record, before, after);
	roll->gate->counters.outside++;
	roll->num_told++;
}

/* Than what a call of ours left, or else than when it was last looked at. */
static bool
is_another(const struct thing *thing, const char *text, size_t len)
{
	char digest[DOCUMENT_NAME_LEN + 1];

	if (thing->left.bytes != NULL)
		return thing->left.len != len || memcmp(thing->left.bytes, text, len) != 0;
	if (!thing->known || thing->digest[0] == '\0')
		return false;
	roll_text_digest(text, len, digest);
	return strcmp(digest, thing->digest) != 0;
}

void
roll_saw(struct roll *roll, enum vg_class class, const uint8_t *uuid, const char *text, size_t len)
{
	struct thing *thing = roll == NULL || !roll->known || text == NULL ? NULL : roll_find(roll, class, uuid);
	struct text copy;
	json_t *record;

	if (thing == NULL || roll->wants_all || (roll->all && roll->phase != ROLL_IDLE) || thing->held != NULL || roll->at == thing ||
	    !is_another(thing, text, len) || ((thing->explained | roll_explained(roll, thing)) & CHANGE_DEFINITION) != 0)
		return;
	record = begin_record(roll, AUDIT_OUTSIDE_HOST);
	copy = (struct text){ record == NULL ? NULL : strndup(text, len), len };
	if (record != NULL) {
		(void)json_object_set_new(record, "object", object_json(thing));
		add_time(record, "last_seen", last_seen(roll, thing));
		audit_add_result(record, "ok", 0, "definition changed, of which libvirtd told nothing");
		roll->gate->counters.outside++;
	}
	roll_mark(roll, thing, CHANGE_DEFINITION);
	if (record != NULL && copy.bytes != NULL && roll_add_held(roll, thing, record, copy)) {
		roll_hurry(roll);
		return;
	}
	free(copy.bytes);
	(void)audit_submit(roll->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
roll_tell(struct roll *roll, struct text before)
{
	const struct text none = { .bytes = NULL }, *is = (roll->changes & CHANGE_GONE) != 0 ? &none : &roll->definition;

	if (roll_lap_leaves_out(roll)) {
		roll->phase = ROLL_LOOKING;
		roll_go_on(roll);
		return;
	}
	tell_held(roll, before, is);
	if (roll->news != 0) {
		bool defined = (roll->news & CHANGE_DEFINED) != 0;

		roll->changes = roll->news;
		tell_found(roll, !defined ? &none : roll->left.bytes != NULL ? &roll->left : &before, defined ? is : &none);
	} else if (!roll->quiet) {
		tell_found(roll, &before, is);
	}
	roll_accept(roll);
	roll->phase = ROLL_LOOKING;
	roll_go_on(roll);
}

uint64_t
roll_tell_round(struct roll *roll, bool complete, audit_done_cb *done)
{
	json_t *record = begin_record(roll, roll->known ? AUDIT_INVENTORY_COMPARED : AUDIT_INVENTORY_TAKEN);

	if (record != NULL) {
		(void)json_object_set_new(record, "objects", json_integer((json_int_t)roll->num_looked));
		if (roll->known) {
			(void)json_object_set_new(record, "changed", json_integer((json_int_t)roll->num_told));
			add_away(roll, record);
		}
		audit_add_result(record, "ok", 0, complete ? "all of them" : "so far");
	}
	return audit_submit(roll->gate->audit, record, AUDIT_KEEP, done, roll);
}

void
roll_tell_lost(struct roll *roll, const char *why)
{
	json_t *record = begin_record(roll, AUDIT_INVENTORY_LOST);

	if (record != NULL)
		audit_add_result(record, "error", 0, why);
	(void)audit_submit(roll->gate->audit, record, AUDIT_KEEP, NULL, NULL);
}

void
roll_tell_kept(struct roll *roll)
{
	json_t *record = begin_record(roll, AUDIT_INVENTORY_KEPT);
	char digest[DOCUMENT_NAME_LEN + 1];
	size_t num;

	if (record != NULL && roll_digest(roll, digest, &num) == 0) {
		(void)json_object_set_new(record, "objects", json_integer((json_int_t)num));
		(void)json_object_set_new(record, "digest", json_string(digest));
		audit_add_result(record, "ok", 0, "");
		(void)audit_submit(roll->gate->audit, json_incref(record), AUDIT_KEEP, NULL, NULL);
	}
	json_decref(record);
}
