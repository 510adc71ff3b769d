/*
 * audit_client.h: the writing side of the audit trail, in every room: build a record, hand it over, learn when it is
 * durable. Records not yet acknowledged are kept and sent again when the audit process was replaced; the writer drops
 * repeats by (op, stage).
 */
#ifndef CORE_AUDIT_CLIENT_H
#define CORE_AUDIT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <jansson.h>

#include "gateway/core/buf.h"
#include "virtgate/identity.h"

/* Single events that are not RPC calls; one row each in audit_events.def: name, code, "event", meaning. */
enum audit_event {
#define AUDIT_EVENT(name, code, event, meaning) AUDIT_##name,
#include "gateway/core/audit_events.def"
#undef AUDIT_EVENT
	AUDIT_NUM_EVENTS
};

/*
 * A new event record with code, event, stage "event" and a fresh op, or NULL when memory is out. The caller adds what
 * else it knows with jansson; seq, time, prev and hash are the writer's.
 */
json_t *audit_record_event(enum audit_event event);
/* Code and event of a record that began as another: of a call that turned out to be an event of its own. */
void audit_set_event(json_t *record, enum audit_event event);
/*
 * What a peer sent, as a JSON string, whatever the bytes are: valid UTF-8 stays; NUL, DEL, every byte that is not
 * part of valid UTF-8, and the bytes of U+10FE00..U+10FEFF become U+10FE00 + byte, so that nothing is lost and two
 * different texts never look the same (the file shows \udbff\udeHH for byte HH). NULL when memory is out.
 */
json_t *audit_text(const void *bytes, size_t len);
/* The same up to AUDIT_TEXT_MAX bytes; longer, { "cut_bytes": N, "cut_sha256": HEX of the bytes }. */
#define AUDIT_TEXT_MAX 4096u
json_t *audit_text_bounded(const void *bytes, size_t len);
/* A record of an RPC call: stage "intent", "outcome" or "event", `op` as id_make gave it. */
json_t *audit_record_call(const char *stage, const char *op, const char *code, const char *event);
/* Members "user" and "source" (and "session" when not NULL). */
void audit_add_identity(json_t *record, const struct vg_identity *identity, const char *session);
/* Member "result": status "ok", "error", "denied" or "unknown". */
void audit_add_result(json_t *record, const char *status, int code, const char *message);

struct audit_client;

/*
 * Intents without a future of their own get their outcome from here, so that every intent has exactly one: when an
 * intent that was sent is not durable in time (its `done` says false), or when it became durable after audit_forget,
 * an outcome "error, not forwarded" is kept and sent. What the caller sends for the same op is a repeat then. An intent
 * that is refused at once because the trail is away is kept as a single event "error, refused".
 */
enum audit_need {
	AUDIT_OR_REFUSE,	/* an intent: told durable or not at once when the trail is away; never kept */
	AUDIT_KEEP		/* an outcome or event: kept and sent again until it is durable */
};

/* Durable or refused. Not called after audit_forget. Never called from within audit_submit. */
typedef void audit_done_cb(bool durable, void *arg);

struct audit_client *audit_client_create(struct event_base *base);
void audit_client_destroy(struct audit_client *client);
/* A (new) link to the audit process; takes `fd`. Kept records are sent again. */
void audit_client_connect(struct audit_client *client, int fd);
/* Is there an audit process that took the last record? Changes may be refused early with this. */
bool audit_client_healthy(const struct audit_client *client);
/* Records that are not durable yet: a room that ends waits, for a while, until there are none. */
size_t audit_client_pending(const struct audit_client *client);
/*
 * Takes `record` (also on failure; NULL counts as out of memory). `done` may be NULL. Returns a ticket for
 * audit_forget, 0 when refused outright (done is not called): the trail is away for an intent, memory is out, or more
 * than AUDIT_MAX_KEPT bytes wait. Records of the last kind are counted and told by one AUDIT_LOST event later.
 */
#define AUDIT_MAX_KEPT (8u * 1024u * 1024u)
uint64_t audit_submit(struct audit_client *client, json_t *record, enum audit_need need, audit_done_cb *done,
    void *arg);
/*
 * The same with the packed documents (document.h) that the record names, which become durable before it. They are taken out of
 * `documents`, also on failure.
 */
uint64_t audit_submit_with(struct audit_client *client, json_t *record, struct buf *documents, enum audit_need need, audit_done_cb *done,
    void *arg);
/* Bytes that would still be taken: who has documents leaves them out where they would take the room of records. */
size_t audit_client_room(const struct audit_client *client, enum audit_need need);
/* The asker is gone: its callback is not called any more; the record stays under way. */
void audit_forget(struct audit_client *client, uint64_t ticket);

#endif
