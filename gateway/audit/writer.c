/*
 * writer.c: senders, groups and answers.
 */
#include "gateway/audit/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/audit/pack.h"
#include "gateway/audit/writer_private.h"
#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"

/* A group is closed at the latest when it has this many bytes, so that nobody waits for a sender that never pauses. */
#define GROUP_BYTES	(512u * 1024u)
#define GROUP_RECORDS	1024u
/* Nobody waits for an event (a log-in, a refusal): it may wait that long for company, or go with the next change. */
#define EVENT_WAIT_US	10000

/* ---- answers ---- */

static void
answer(struct sender *sender, enum audit_answer how)
{
	struct audit_ack ack = { .upto = sender->received, .answer = how };

	if (how != AUDIT_BACK && sender->answered == sender->received)
		return;
	if (link_send(sender->link, LINK_ACK, &ack, sizeof(ack), NULL, 0) == -1)
		log_warn("audit: an answer to process kind %d did not go out: %s", (int)sender->kind, strerror(errno));
	if (how != AUDIT_BACK)
		sender->answered = sender->received;
}

static void
answer_all(struct writer *writer, enum audit_answer how)
{
	struct sender *sender;

	LIST_FOREACH(sender, &writer->senders, entry)
		answer(sender, how);
}

/* ---- groups ---- */

void
writer_close_group_later(struct writer *writer)
{
	event_active(writer->flush, EV_TIMEOUT, 0);
}

static uint64_t
now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* After `us` at the latest. */
static void
close_group_within(struct writer *writer, unsigned us)
{
	const struct timeval wait = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };
	uint64_t at = now_us() + us;

	if (evtimer_pending(writer->wait, NULL) && writer->wait_ends <= at)
		return;
	writer->wait_ends = at;
	(void)event_add(writer->wait, &wait);
}

bool
writer_add_to_group(struct writer *writer, const struct record *record)
{
	if (chain_add(&writer->chain, record, &writer->group) == -1)
		return false;
	recent_add(writer->recent, record->op, record->stage);
	writer->group_records++;
	if (record->stage == AUDIT_STAGE_OUTCOME)
		intents_close(&writer->intents, record->op);
	return true;
}

static void
retry_later(struct writer *writer)
{
	struct timeval wait = { writer->next_retry_ms / 1000, (suseconds_t)(writer->next_retry_ms % 1000) * 1000 };

	(void)event_add(writer->retry, &wait);
	if (writer->next_retry_ms < writer->retry_ms * 16)
		writer->next_retry_ms *= 2;
}

static void
group_failed(struct writer *writer)
{
	writer->counts.failures++;
	writer->chain = writer->durable;
	recent_take_back(writer->recent, writer->group_records);
	intents_group_done(&writer->intents, false);
	clock_told(&writer->clock, false);
	if (!writer->broken)
		log_error("audit: the trail cannot be made durable; changes are refused until it can");
	writer->broken = true;
	retry_later(writer);
}

static void
forget_group(struct writer *writer)
{
	buf_free(&writer->group);
	buf_free(&writer->documents);
	writer->group_records = 0;
}

/* Write, sync. The group is empty afterwards. */
static bool
commit_group(struct writer *writer)
{
	uint64_t began = now_us(), ended;
	bool durable = true;

	if (writer->group_records > 0) {
		durable = store_append_with(writer->store, buf_head(&writer->group), buf_len(&writer->group), buf_head(&writer->documents),
		    buf_len(&writer->documents), &writer->chain) == 0;
		if (durable) {
			writer->durable = writer->chain;
			writer->counts.groups++;
			writer->counts.records += writer->group_records;
			ended = now_us();
			pace_group_done(&writer->pace, writer->group_records, intents_num(&writer->intents), (unsigned)(ended - began), ended);
			intents_group_done(&writer->intents, true);
			clock_told(&writer->clock, true);
		} else {
			group_failed(writer);
		}
	}
	forget_group(writer);
	return durable;
}

static void
close_group(struct writer *writer)
{
	bool durable = false;
	size_t bytes = 0;

	(void)event_del(writer->wait);
	if (!writer->broken) {
		own_add_clock_step(writer);
		own_add_due_outcomes(writer);
		own_add_removal(writer);
		own_add_checkpoint(writer);
		bytes = buf_len(&writer->group);
		durable = commit_group(writer);
		if (durable)
			writer->next_retry_ms = writer->retry_ms;
	}
	answer_all(writer, durable ? AUDIT_DURABLE : AUDIT_FAILED);
	seal_group_done(&writer->seal, &writer->chain, bytes, durable);
	own_finish_removal(writer, durable);
}

static void
on_checkpoint_due(evutil_socket_t fd, short what, void *arg)
{
	struct writer *writer = arg;

	(void)fd;
	(void)what;
	writer->seal.due = true;
	writer_close_group_later(writer);
}

static void
on_retention(evutil_socket_t fd, short what, void *arg)
{
	struct writer *writer = arg;

	(void)fd;
	(void)what;
	writer->retention_due = true;
	writer_close_group_later(writer);
}

static void
on_clock(evutil_socket_t fd, short what, void *arg)
{
	struct writer *writer = arg;

	(void)fd;
	(void)what;
	if (clock_stepped(&writer->clock))
		writer_close_group_later(writer);
}

/* All that has arrived is in the group. */
static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct writer *writer = arg;

	(void)fd;
	(void)what;
	if (writer->broken || pace_enough(&writer->pace, writer->group_records))
		close_group(writer);
	else
		close_group_within(writer, writer->pace.wait_us);
}

static void
on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	close_group(arg);
}

/* Begins a new segment; its first record says why. */
static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct writer *writer = arg;

	(void)fd;
	(void)what;
	own_add_retired(writer);
	if (writer->group_records == 0) {
		retry_later(writer);
		return;
	}
	if (!commit_group(writer))
		return;
	log_warn("audit: the trail takes records again");
	/* What came while it did not was dropped; the group that follows must not answer for it. */
	answer_all(writer, AUDIT_FAILED);
	writer->broken = false;
	answer_all(writer, AUDIT_BACK);
	writer_close_group_later(writer);	/* outcomes that fell due meanwhile */
}

/* ---- senders ---- */

static void
sender_gone(struct sender *sender)
{
	struct writer *writer = sender->writer;

	LIST_REMOVE(sender, entry);
	link_destroy(sender->link);
	intents_owner_gone(&writer->intents, sender);
	buf_free(&sender->documents);
	free(sender);
	writer_close_group_later(writer);
}

static void
reject(struct sender *sender, size_t len)
{
	struct writer *writer = sender->writer;

	log_error("audit: process kind %d sent a malformed record of %zu bytes", (int)sender->kind, len);
	writer->counts.rejected++;
	close_group(writer);		/* what came before it has its own answer */
	sender->received++;
	answer(sender, AUDIT_REJECTED);
}

/*
 * First on every link. Only the gate makes intents: a new one cannot tell what became of the old one's, also when it had a link to a writer that has
 * died since.
 */
static void
take_hello(struct sender *sender, const uint8_t *body)
{
	bool again = body[1] == 1;

	if (sender->kind != PROCESS_GATE)
		return;
	intents_adopt(&sender->writer->intents, again ? sender : NULL, (const char *)body + 2);
	writer_close_group_later(sender->writer);
}

/* False: no sender of ours sends that. */
static bool
take_documents(struct sender *sender, const uint8_t *body, size_t len)
{
	if (body[1] == 1)
		buf_free(&sender->documents);
	return buf_len(&sender->documents) + len <= AUDIT_DOCUMENTS_MAX && buf_add(&sender->documents, body + 2, len - 2) == 0;
}

/* The record, and what it names, belong to one group. */
static bool
add_with_documents(struct sender *sender, const struct record *record)
{
	struct writer *writer = sender->writer;
	const struct buf *documents = &sender->documents;

	own_add_clock_step(writer);
	return (buf_len(documents) == 0 || buf_add(&writer->documents, buf_head(documents), buf_len(documents)) == 0) &&
	    writer_add_to_group(writer, record);
}

static void
take_record(struct sender *sender, const uint8_t *body, size_t len)
{
	struct writer *writer = sender->writer;
	struct record record;
	bool added;

	if (!record_get(&record, body, len) || !pack_are_whole(buf_head(&sender->documents), buf_len(&sender->documents))) {
		buf_free(&sender->documents);
		reject(sender, len);
		return;
	}
	sender->received++;
	if (record.stage == AUDIT_STAGE_EVENT && !writer->broken)
		close_group_within(writer, EVENT_WAIT_US);
	else
		writer_close_group_later(writer);
	if (writer->broken || recent_has(writer->recent, record.op, record.stage)) {
		writer->counts.repeats += !writer->broken;
		buf_free(&sender->documents);
		return;
	}
	added = add_with_documents(sender, &record);
	buf_free(&sender->documents);
	if (!added) {
		log_error("audit: out of memory");
		group_failed(writer);
		forget_group(writer);
		answer_all(writer, AUDIT_FAILED);
		return;
	}
	if (record.stage == AUDIT_STAGE_INTENT)
		intents_add_record(&writer->intents, &record, sender);
	if (buf_len(&writer->group) + buf_len(&writer->documents) >= GROUP_BYTES || writer->group_records >= GROUP_RECORDS)
		close_group(writer);
}

static void
on_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	struct sender *sender = arg;

	(void)link;
	(void)fds;
	if (type != LINK_RECORD || num_fds != 0) {
		log_error("audit: process kind %d sent what is no record (type %d)", (int)sender->kind, (int)type);
		sender_gone(sender);
		return;
	}
	if (len == AUDIT_WIRE_HELLO_LEN && body[0] == AUDIT_WIRE_HELLO) {
		take_hello(sender, body);
	} else if (len > 2 && body[0] == AUDIT_WIRE_DOCUMENTS) {
		if (!take_documents(sender, body, len)) {
			log_error("audit: process kind %d sent more documents than one record has", (int)sender->kind);
			sender_gone(sender);
		}
	} else {
		take_record(sender, body, len);
	}
}

static void
on_closed(struct link *link, void *arg)
{
	(void)link;
	sender_gone(arg);
}

int
writer_add(struct writer *writer, int fd, enum process_kind kind)
{
	struct sender *sender = calloc(1, sizeof(*sender));

	if (sender == NULL)
		return -1;
	sender->writer = writer;
	sender->kind = kind;
	sender->link = link_create(writer->base, fd, on_message, on_closed, sender);
	if (sender->link == NULL) {
		free(sender);
		return -1;
	}
	LIST_INSERT_HEAD(&writer->senders, sender, entry);
	return 0;
}

/* ---- life ---- */

static void
take_old_record(const struct scan_line *facts, const char *line, size_t len, void *arg)
{
	struct writer *writer = arg;

	recent_add(writer->recent, facts->op, facts->stage);
	seal_take_line(&writer->seal, facts, line, len);
	clock_take_line(&writer->clock, facts, line, len);
	if (facts->stage == AUDIT_STAGE_INTENT) {
		intents_add_line(&writer->intents, facts->op, line, len);
	} else if (facts->stage == AUDIT_STAGE_OUTCOME) {
		intents_close(&writer->intents, facts->op);
		intents_group_done(&writer->intents, true);
	}
}

static int
before_segment(void *arg)
{
	struct writer *writer = arg;

	return seal_list(&writer->seal);
}

struct writer *
writer_create(struct event_base *base, const struct writer_options *options, struct vg_error *error)
{
	static const struct timeval often = { RETENTION_SECONDS, 0 }, look = { CLOCK_LOOK_SECONDS, 0 };
	struct writer *writer = calloc(1, sizeof(*writer));
	struct store_found found;

	if (writer == NULL || (writer->recent = recent_create()) == NULL) {
		free(writer);
		vg_fail(error, "out of memory");
		return NULL;
	}
	writer->base = base;
	writer->retry_ms = writer->next_retry_ms = options->retry_ms;
	writer->dir = options->dir;
	writer->retention = options->retention;
	clock_begin(&writer->clock);
	TAILQ_INIT(&writer->intents);
	LIST_INIT(&writer->senders);
	writer->flush = event_new(base, -1, 0, on_flush, writer);
	writer->wait = event_new(base, -1, 0, on_wait_over, writer);
	writer->retry = event_new(base, -1, 0, on_retry, writer);
	writer->retention_timer = event_new(base, -1, EV_PERSIST, on_retention, writer);
	writer->clock_timer = event_new(base, -1, EV_PERSIST, on_clock, writer);
	if (writer->flush == NULL || writer->wait == NULL || writer->retry == NULL ||
	    writer->retention_timer == NULL || event_add(writer->retention_timer, &often) == -1 || writer->clock_timer == NULL ||
	    event_add(writer->clock_timer, &look) == -1 || event_priority_set(writer->flush, WRITER_PRIORITIES - 1) == -1) {
		vg_fail(error, "the event loop does not take the audit writer's events");
		goto fail;
	}
	if (seal_open(&writer->seal, base, options->key_fd, options->epoch_seconds, options->dir, options->calls, on_checkpoint_due,
	    writer, error) == -1)
		goto fail;
	writer->store = store_open(options->dir, options->calls, options->segment_bytes, &writer->chain, take_old_record,
	    writer, &found, error);
	if (writer->store == NULL)
		goto fail;
	store_before_segment(writer->store, before_segment, writer);
	writer->durable = writer->chain;
	clock_settle(&writer->clock, writer->chain.time);
	if (!seal_all_listed(&writer->seal)) {
		vg_fail(error, "audit_dir %s: %s cannot be written, where keys of the trail are missing", options->dir, AUDIT_KEYS_FILE);
		vg_hint(error, "make room on the disk; the log says what failed");
		goto fail;
	}
	own_add_found(writer, &found);
	close_group(writer);
	return writer;
fail:
	writer_destroy(writer);
	return NULL;
}

void
writer_destroy(struct writer *writer)
{
	struct sender *sender;

	if (writer == NULL)
		return;
	if (writer->store != NULL) {
		writer->seal.due = true;
		close_group(writer);
	}
	while ((sender = LIST_FIRST(&writer->senders)) != NULL) {
		LIST_REMOVE(sender, entry);
		link_destroy(sender->link);
		buf_free(&sender->documents);
		free(sender);
	}
	if (writer->flush != NULL)
		event_free(writer->flush);
	if (writer->wait != NULL)
		event_free(writer->wait);
	if (writer->retry != NULL)
		event_free(writer->retry);
	if (writer->retention_timer != NULL)
		event_free(writer->retention_timer);
	if (writer->clock_timer != NULL)
		event_free(writer->clock_timer);
	if (writer->store != NULL)
		store_close(writer->store);
	seal_close(&writer->seal);
	intents_clear(&writer->intents);
	recent_destroy(writer->recent);
	forget_group(writer);
	free(writer);
}

const struct writer_counts *
writer_counts(const struct writer *writer)
{
	return &writer->counts;
}

bool
writer_healthy(const struct writer *writer)
{
	return !writer->broken;
}

const char *
writer_root(const struct writer *writer, bool *is_new)
{
	if (writer->seal.signer == NULL)
		return NULL;
	*is_new = seal_root_untold(&writer->seal);
	return signer_root(writer->seal.signer);
}
