/*
 * writer_own.c: records that the writer makes itself: what became of intents whose sender is gone, checkpoints, what was
 * removed, what was found at the start. They go into the group that is being made.
 */
#include <string.h>

#include <jansson.h>

#include "gateway/audit/writer_private.h"
#include "gateway/core/audit_client.h"
#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"

/* Takes `value`. False when memory is out. */
static bool
own_add(struct writer *writer, enum audit_event event, const char *key, json_t *value)
{
	json_t *record = audit_record_event(event);
	struct buf body = { 0 };
	struct record parsed;
	bool added;

	if (record != NULL)
		(void)json_object_set(record, key, value);
	added = value != NULL && record != NULL && audit_wire_record(&body, record) == 0 &&
	    record_get(&parsed, buf_head(&body), buf_len(&body)) && writer_add_to_group(writer, &parsed);
	if (!added)
		log_error("audit: out of memory for a record of its own");
	buf_free(&body);
	json_decref(record);
	json_decref(value);
	return added;
}

void
own_add_retired(struct writer *writer)
{
	const struct store_failure *failure = store_failure(writer->store);

	(void)own_add(writer, AUDIT_RETIRED, "args", json_pack("{s:s, s:I, s:s, s:s}", "segment", failure->segment, "durable_bytes",
	    (json_int_t)failure->durable_bytes, "call", failure->call, "error", strerror(failure->error)));
}

void
own_add_checkpoint(struct writer *writer)
{
	char text[CHECKPOINT_TEXT_MAX];

	if (seal_wanted(&writer->seal, &writer->chain) && seal_make(&writer->seal, &writer->chain, text) == 0 &&
	    !own_add(writer, AUDIT_CHECKPOINT, CHECKPOINT_MEMBER, json_string(text)))
		seal_forget(&writer->seal);
}

void
own_add_clock_step(struct writer *writer)
{
	char was[AUDIT_TIME_LEN + 1], is[AUDIT_TIME_LEN + 1];
	int64_t step, held, left, now;

	if (!clock_stepped(&writer->clock))
		return;
	step = clock_tell(&writer->clock);
	held = clock_held(&writer->clock, &left);
	now = clock_wall_us();
	clock_text(now - step, was);
	clock_text(now, is);
	log_warn("the host's clock stepped by %.1f s%s: it shows %s, and would have shown %s", (double)step / 1e6,
	    writer->clock.down ? " while no gateway ran, or none ran for that long" : "", is, was);
	if (step < 0)
		writer->chain.time[0] = '\0';
	(void)own_add(writer, AUDIT_CLOCK_STEP, "args", json_pack("{s:I, s:s, s:s, s:s, s:I, s:I}", "by_ms", (json_int_t)(step / 1000), "was", was, "is", is,
	    "while", writer->clock.down ? "down" : "running", CLOCK_HELD_MEMBER, (json_int_t)held, CLOCK_LEFT_MEMBER, (json_int_t)left));
}

/* Told again in each segment, and so found at the next start. */
static void
add_removal_waits(struct writer *writer, int64_t held, int64_t left)
{
	(void)own_add(writer, AUDIT_REMOVAL_WAITS, "args", json_pack("{s:I, s:I}", CLOCK_HELD_MEMBER, (json_int_t)held, CLOCK_LEFT_MEMBER, (json_int_t)left));
}

void
own_add_removal(struct writer *writer)
{
	struct vg_error error = { "", "" };
	const struct removal *removal = &writer->removal;
	int64_t held, left;
	int result;

	if (!writer->retention_due)
		return;
	writer->retention_due = false;
	held = clock_held(&writer->clock, &left);
	if (held > 0 && writer->retention.days > 0)
		add_removal_waits(writer, held, left);
	result = retention_plan(writer->dir, &writer->retention, clock_wall_us(), held, &writer->removal, &error);
	if (result == -1)
		log_error("audit: %s", error.what);
	if (result != 1)
		return;
	writer->removing = own_add(writer, AUDIT_REMOVED, "args", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "first_segment",
	    (json_int_t)removal->first, "last_segment", (json_int_t)removal->last, "seq_from", (json_int_t)removal->seq_from,
	    "seq_to", (json_int_t)removal->seq_to, "records", (json_int_t)(removal->seq_to - removal->seq_from + 1), "bytes",
	    (json_int_t)removal->bytes, "last_hash", removal->last_hash, "time_from", removal->time_from, "time_until",
	    removal->time_until));
}

/* The record about it is durable: now they may go. Or it is not: they stay. */
void
own_finish_removal(struct writer *writer, bool durable)
{
	struct vg_error error = { "", "" };

	if (writer->removing && durable && retention_remove(writer->dir, &writer->removal, &error) == -1)
		log_error("audit: %s", error.what);
	writer->removing = false;
	if (writer->segment != store_segment(writer->store)) {
		writer->segment = store_segment(writer->store);
		writer->retention_due = true;
		writer_close_group_later(writer);
	}
}

/* An "unknown" for each intent that nobody can tell the outcome of any more. */
void
own_add_due_outcomes(struct writer *writer)
{
	struct intent *intent;
	struct record record;

	TAILQ_FOREACH(intent, &writer->intents, entry) {
		if (intent->state != INTENT_DUE)
			continue;
		if (!record_get(&record, buf_head(&intent->outcome), buf_len(&intent->outcome)) ||
		    recent_has(writer->recent, record.op, record.stage)) {
			intent->before = intent->state;
			intent->state = INTENT_CLOSING;
		} else if (!writer_add_to_group(writer, &record)) {
			return;
		}
	}
}

/* What was found at the start is the first that this writer tells. */
void
own_add_found(struct writer *writer, const struct store_found *found)
{
	char what[256];

	writer->retention_due = true;
	if (found->failed)
		own_add_retired(writer);
	own_add_clock_step(writer);
	if (found->torn)
		(void)own_add(writer, AUDIT_TORN, "args", json_pack("{s:s, s:I, s:I, s:s}", "segment", found->torn_segment, "offset",
		    (json_int_t)found->torn_offset, "bytes", (json_int_t)found->torn_bytes, "kept_in", found->torn_file));
	if (found->damaged) {
		log_error("audit trail is damaged: %s", found->damage);
		(void)own_add(writer, AUDIT_DAMAGED, "args", json_pack("{s:s}", "what", found->damage));
	}
	if (!seal_settle(&writer->seal, &writer->durable, what, sizeof(what))) {
		log_error("audit trail: %s", what);
		(void)own_add(writer, AUDIT_DAMAGED, "args", json_pack("{s:s}", "what", what));
	}
	if (seal_root_untold(&writer->seal)) {
		(void)own_add(writer, AUDIT_KEY, "args", json_pack("{s:s}", "root", signer_root(writer->seal.signer)));
		writer->seal.due = true;
	}
}
