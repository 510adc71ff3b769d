/*
 * audit_client.c: hands records to the audit process and keeps what must not be lost.
 *
 * A pending record is in one of two lists: `sent` (on this link, waiting for the answer) or `kept` (waiting for the
 * trail to come back). Answers come in the order of sending, so they only count.
 */
#include "gateway/core/audit_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/link.h"
#include "gateway/core/log.h"

/* Intents under way leave room for what must be kept. */
#define AUDIT_MAX_INTENTS (AUDIT_MAX_KEPT / 2)
#define AUDIT_MAX_REFUSALS (AUDIT_MAX_KEPT / 4)

struct pending {
	TAILQ_ENTRY(pending) entry;
	uint64_t ticket;
	uint64_t number;		/* which one on the link it was sent as */
	enum audit_need need;
	audit_done_cb *done;		/* NULL: nobody asks, or nobody asks any more */
	void *arg;
	bool forgotten;
	json_t *record;			/* of an intent, for the outcome that it may need from here */
	struct buf body;
	struct buf documents;		/* that it names, packed */
};
TAILQ_HEAD(pending_list, pending);

struct audit_client {
	struct event_base *base;
	struct link *link;		/* NULL: no audit process */
	bool healthy;			/* it took the last record; only then anything is sent */
	bool again;			/* there was a link before this one */
	char first[ID_LEN + 1];		/* before all ids that this process makes from here on */
	uint64_t last_ticket;
	uint64_t num_sent;		/* on this link */
	struct pending_list sent, kept;
	size_t pending_bytes;
	uint64_t lost;			/* not yet told */
};

struct audit_client *
audit_client_create(struct event_base *base)
{
	struct audit_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return NULL;
	client->base = base;
	id_make(client->first);
	TAILQ_INIT(&client->sent);
	TAILQ_INIT(&client->kept);
	return client;
}

static void
pending_free(struct pending *pending)
{
	json_decref(pending->record);
	buf_free(&pending->body);
	buf_free(&pending->documents);
	free(pending);
}

static void
free_list(struct pending_list *list)
{
	struct pending *pending;

	while ((pending = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, pending, entry);
		pending_free(pending);
	}
}

void
audit_client_destroy(struct audit_client *client)
{
	if (client == NULL)
		return;
	link_destroy(client->link);
	free_list(&client->sent);
	free_list(&client->kept);
	free(client);
}

bool
audit_client_healthy(const struct audit_client *client)
{
	return client->link != NULL && client->healthy;
}

size_t
audit_client_pending(const struct audit_client *client)
{
	const struct pending *pending;
	size_t num = 0;

	TAILQ_FOREACH(pending, &client->sent, entry)
		num++;
	TAILQ_FOREACH(pending, &client->kept, entry)
		num++;
	return num;
}

static void
count_lost(struct audit_client *client)
{
	if (client->lost++ == 0)
		log_error("audit records are being lost: too many wait for the audit process");
}

/* ---- sending ---- */

/* Before their record. What is left of a row that was not sent whole is forgotten at the other end. */
static int
send_documents(struct audit_client *client, const struct buf *documents)
{
	const uint8_t *bytes = buf_head(documents);
	size_t len = buf_len(documents), piece;
	uint8_t message[LINK_MAX_BODY] = { AUDIT_WIRE_DOCUMENTS };

	for (size_t at = 0; at < len; at += piece) {
		piece = len - at < sizeof(message) - 2 ? len - at : sizeof(message) - 2;
		message[1] = at == 0;
		memcpy(message + 2, bytes + at, piece);
		if (link_send(client->link, LINK_RECORD, message, piece + 2, NULL, 0) == -1)
			return -1;
	}
	return 0;
}

/* On the link, at the end of `sent`. -1: the link does not take it. */
static int
send_pending(struct audit_client *client, struct pending *pending)
{
	if (send_documents(client, &pending->documents) == -1 ||
	    link_send(client->link, LINK_RECORD, buf_head(&pending->body), buf_len(&pending->body), NULL, 0) == -1)
		return -1;
	pending->number = ++client->num_sent;
	TAILQ_INSERT_TAIL(&client->sent, pending, entry);
	return 0;
}

static size_t
bytes_of(const struct pending *pending)
{
	return buf_len(&pending->body) + buf_len(&pending->documents);
}

/* Only the callback is missing; the caller has checked need and health. Takes `record`. */
static struct pending *
pending_create(struct audit_client *client, json_t *record, struct buf *documents, enum audit_need need)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (pending == NULL || record == NULL || audit_wire_record(&pending->body, record) == -1) {
		if (pending != NULL)
			pending_free(pending);
		json_decref(record);
		return NULL;
	}
	pending->ticket = ++client->last_ticket;
	pending->need = need;
	if (need == AUDIT_OR_REFUSE)
		pending->record = record;
	else
		json_decref(record);
	if (documents != NULL) {
		pending->documents = *documents;
		*documents = (struct buf){ 0 };
	}
	client->pending_bytes += bytes_of(pending);
	return pending;
}

static void
discard(struct audit_client *client, struct pending *pending)
{
	client->pending_bytes -= bytes_of(pending);
	pending_free(pending);
}

/* Refusals are told too (I59), as one event each. They take at most a quarter of the room. */
static void
keep_refusal(struct audit_client *client, json_t *record)
{
	struct pending *pending = NULL;
	const char *code = json_string_value(json_object_get(record, "code"));

	if (client->pending_bytes <= AUDIT_MAX_REFUSALS && record != NULL) {
		if (code != NULL && strlen(code) > 0)
			(void)json_object_set_new(record, "code", json_sprintf("%.*sE", (int)strlen(code) - 1, code));
		(void)json_object_set_new(record, "stage", json_string("event"));
		(void)json_object_del(record, "documents");	/* which are not kept then */
		audit_add_result(record, "error", 0, "refused: the audit trail could not be written");
		pending = pending_create(client, record, NULL, AUDIT_KEEP);
	} else {
		json_decref(record);
	}
	if (pending != NULL)
		TAILQ_INSERT_TAIL(&client->kept, pending, entry);
	else
		count_lost(client);
}

static size_t
most_bytes(enum audit_need need)
{
	return need == AUDIT_KEEP ? AUDIT_MAX_KEPT : AUDIT_MAX_INTENTS;
}

size_t
audit_client_room(const struct audit_client *client, enum audit_need need)
{
	return client->pending_bytes >= most_bytes(need) ? 0 : most_bytes(need) - client->pending_bytes;
}

uint64_t
audit_submit(struct audit_client *client, json_t *record, enum audit_need need, audit_done_cb *done, void *arg)
{
	return audit_submit_with(client, record, NULL, need, done, arg);
}

uint64_t
audit_submit_with(struct audit_client *client, json_t *record, struct buf *documents, enum audit_need need, audit_done_cb *done, void *arg)
{
	struct pending *pending = NULL;

	if (need == AUDIT_OR_REFUSE && !audit_client_healthy(client))
		keep_refusal(client, record);
	else
		pending = pending_create(client, record, documents, need);
	if (documents != NULL)
		buf_free(documents);
	if (need == AUDIT_OR_REFUSE && !audit_client_healthy(client))
		return 0;
	if (pending == NULL || client->pending_bytes > most_bytes(need)) {
		if (pending != NULL)
			discard(client, pending);
		if (need == AUDIT_KEEP)
			count_lost(client);
		return 0;
	}
	pending->done = done;
	pending->arg = arg;
	if (audit_client_healthy(client) && send_pending(client, pending) == 0)
		return pending->ticket;
	if (need == AUDIT_OR_REFUSE) {
		discard(client, pending);
		return 0;
	}
	TAILQ_INSERT_TAIL(&client->kept, pending, entry);
	return pending->ticket;
}

void
audit_forget(struct audit_client *client, uint64_t ticket)
{
	struct pending_list *const lists[] = { &client->sent, &client->kept };
	struct pending *pending;

	for (int i = 0; i < 2; i++) {
		TAILQ_FOREACH(pending, lists[i], entry) {
			if (pending->ticket != ticket)
				continue;
			pending->done = NULL;
			pending->forgotten = true;
			return;
		}
	}
}

/* ---- answers ---- */

/* The outcome of an intent that nobody else will write one for. */
static void
submit_outcome(struct audit_client *client, struct pending *intent, const char *why)
{
	json_t *record = intent->record;

	intent->record = NULL;
	(void)json_object_set_new(record, "stage", json_string("outcome"));
	(void)json_object_del(record, "args");
	(void)json_object_del(record, "documents");
	audit_add_result(record, "error", 0, why);
	(void)audit_submit(client, record, AUDIT_KEEP, NULL, NULL);
}

/* Tells the asker and lets go of a record that is durable, or never will be. `pending` is in no list. */
static void
finish(struct audit_client *client, struct pending *pending, bool durable)
{
	audit_done_cb *done = pending->done;
	void *arg = pending->arg;

	if (pending->need == AUDIT_OR_REFUSE) {
		if (!durable)
			submit_outcome(client, pending, "not forwarded: the audit trail could not be made durable");
		else if (pending->forgotten)
			submit_outcome(client, pending, "not forwarded: the client was gone");
	}
	discard(client, pending);
	if (done != NULL)
		done(durable, arg);
}

/* Each record that was sent up to `number` and has no answer yet. Askers may submit and forget meanwhile. */
static void
answer(struct audit_client *client, uint64_t number, enum audit_answer how)
{
	struct pending *pending;

	while ((pending = TAILQ_FIRST(&client->sent)) != NULL && pending->number <= number) {
		TAILQ_REMOVE(&client->sent, pending, entry);
		if (how == AUDIT_FAILED && pending->need == AUDIT_KEEP) {
			TAILQ_INSERT_TAIL(&client->kept, pending, entry);
			continue;
		}
		if (how == AUDIT_REJECTED && pending->number == number) {
			log_error("the audit process rejected a record");
			if (pending->need == AUDIT_KEEP)
				count_lost(client);
		}
		finish(client, pending, how == AUDIT_DURABLE);
	}
}

static void
tell_lost(struct audit_client *client)
{
	json_t *record;

	if (client->lost == 0)
		return;
	record = audit_record_event(AUDIT_LOST);
	if (record != NULL)
		(void)json_object_set_new(record, "args", json_pack("{s:I}", "records", (json_int_t)client->lost));
	if (audit_submit(client, record, AUDIT_KEEP, NULL, NULL) != 0)
		client->lost = 0;
}

/* What was kept, in order. */
static void
send_kept(struct audit_client *client)
{
	struct pending *pending;

	while (audit_client_healthy(client) && (pending = TAILQ_FIRST(&client->kept)) != NULL) {
		TAILQ_REMOVE(&client->kept, pending, entry);
		if (send_pending(client, pending) == -1) {
			TAILQ_INSERT_HEAD(&client->kept, pending, entry);
			return;
		}
	}
	tell_lost(client);
}

static void
back(struct audit_client *client)
{
	if (!client->healthy)
		log_info("the audit trail takes records again");
	client->healthy = true;
	send_kept(client);
}

static void
on_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	struct audit_client *client = arg;
	struct audit_ack ack;

	(void)link;
	(void)fds;
	if (type != LINK_ACK || len != sizeof(ack) || num_fds != 0) {
		log_error("the audit process sent what is no answer (type %d, %zu bytes)", (int)type, len);
		return;
	}
	memcpy(&ack, body, sizeof(ack));
	switch ((enum audit_answer)ack.answer) {
	case AUDIT_DURABLE:
	case AUDIT_REJECTED:
		answer(client, ack.upto, (enum audit_answer)ack.answer);
		send_kept(client);	/* what a full link did not take */
		return;
	case AUDIT_FAILED:
		if (client->healthy)
			log_error("the audit trail cannot be made durable: changes are refused");
		client->healthy = false;
		answer(client, ack.upto, AUDIT_FAILED);
		return;
	case AUDIT_BACK:
		back(client);
		return;
	}
	log_error("the audit process sent an unknown answer %u", ack.answer);
}

static void
on_closed(struct link *link, void *arg)
{
	struct audit_client *client = arg;

	log_error("the audit process is gone: changes are refused until it is back");
	link_destroy(link);
	client->link = NULL;
	client->healthy = false;
	answer(client, UINT64_MAX, AUDIT_FAILED);
}

void
audit_client_connect(struct audit_client *client, int fd)
{
	uint8_t hello[AUDIT_WIRE_HELLO_LEN] = { AUDIT_WIRE_HELLO, client->again };

	if (client->link != NULL) {
		link_destroy(client->link);
		client->link = NULL;
		client->healthy = false;
		answer(client, UINT64_MAX, AUDIT_FAILED);
	}
	memcpy(hello + 2, client->first, ID_LEN);
	client->num_sent = 0;
	client->link = link_create(client->base, fd, on_message, on_closed, client);
	if (client->link == NULL || link_send(client->link, LINK_RECORD, hello, sizeof(hello), NULL, 0) == -1) {
		log_error("no link to the audit process: %s", strerror(errno));
		link_destroy(client->link);
		client->link = NULL;
		return;
	}
	client->again = true;
	/* Taken for healthy until it says otherwise: it answers each record anyway. */
	client->healthy = true;
	send_kept(client);
}
