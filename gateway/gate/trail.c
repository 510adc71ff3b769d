/*
 * trail.c: questions to the audit reader, under way.
 */
#include "gateway/gate/trail.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/core/log.h"

#define ANSWER_SECONDS	60
#define MAX_ANSWER	(4u * 1024u * 1024u)	/* the reader bounds its answers to a quarter of it */

struct waiting {
	TAILQ_ENTRY(waiting) entry;
	uint64_t ticket;
	trail_answer_cb *answer;
	void *arg;
	time_t until;
	struct buf text;		/* pieces so far */
};

struct trail {
	struct gate *gate;
	struct link *link;		/* NULL: the reader is away */
	uint64_t last_ticket;
	TAILQ_HEAD(, waiting) waiting;
};

static struct waiting *
find(struct trail *trail, uint64_t ticket)
{
	struct waiting *waiting;

	TAILQ_FOREACH(waiting, &trail->waiting, entry)
		if (waiting->ticket == ticket)
			return waiting;
	return NULL;
}

static void
drop(struct trail *trail, struct waiting *waiting)
{
	TAILQ_REMOVE(&trail->waiting, waiting, entry);
	buf_free(&waiting->text);
	free(waiting);
}

/* Tells it and forgets it; the callback may ask again, or forget others. */
static void
end_with(struct trail *trail, struct waiting *waiting, enum trail_result result, const char *why)
{
	struct waiting ended = *waiting;

	TAILQ_REMOVE(&trail->waiting, waiting, entry);
	free(waiting);
	if (why == NULL && buf_add(&ended.text, "", 1) < 0)
		why = "out of memory";
	if (why != NULL)
		ended.answer(result == TRAIL_ANSWERED ? TRAIL_AWAY : result, why, strlen(why), ended.arg);
	else
		ended.answer(result, (const char *)buf_head(&ended.text), buf_len(&ended.text) - 1, ended.arg);
	buf_free(&ended.text);
}

static void
on_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct trail *trail = arg;
	struct link_answer head;
	struct waiting *waiting;

	(void)link;
	(void)fds;
	(void)num_fds;		/* this type has none */
	if (type != LINK_ANSWER || len < sizeof(head)) {
		log_error("the audit reader sent an unexpected message");
		return;
	}
	memcpy(&head, body, sizeof(head));
	waiting = find(trail, head.ticket);
	if (waiting == NULL)
		return;		/* who asked is gone */
	len -= sizeof(head);
	if (buf_len(&waiting->text) + len > MAX_ANSWER || (len > 0 && buf_add(&waiting->text, body + sizeof(head), len) < 0))
		end_with(trail, waiting, TRAIL_AWAY, "the answer is too long");
	else if (head.kind != ANSWER_PIECE)
		end_with(trail, waiting, head.kind == ANSWER_LAST ? TRAIL_ANSWERED : TRAIL_REFUSED, NULL);
}

static void
end_all(struct trail *trail, const char *why)
{
	/* Those that are there now: a callback may ask anew. */
	uint64_t last = trail->last_ticket;
	struct waiting *waiting;

	while ((waiting = TAILQ_FIRST(&trail->waiting)) != NULL && waiting->ticket <= last)
		end_with(trail, waiting, TRAIL_AWAY, why);
}

static void
on_closed(struct link *link, void *arg)
{
	struct trail *trail = arg;

	link_destroy(link);
	trail->link = NULL;
	end_all(trail, "the audit reader ended before it answered: ask again");
}

struct trail *
trail_create(struct gate *gate)
{
	struct trail *trail = calloc(1, sizeof(*trail));

	if (trail == NULL)
		return NULL;
	trail->gate = gate;
	TAILQ_INIT(&trail->waiting);
	return trail;
}

void
trail_destroy(struct trail *trail)
{
	if (trail == NULL)
		return;
	while (!TAILQ_EMPTY(&trail->waiting))
		drop(trail, TAILQ_FIRST(&trail->waiting));
	link_destroy(trail->link);
	free(trail);
}

void
trail_connect(struct trail *trail, int fd)
{
	link_destroy(trail->link);
	trail->link = link_create(trail->gate->base, fd, on_message, on_closed, trail);
	end_all(trail, "the audit reader was started again: ask again");
}

/* In as many messages as it takes. */
static bool
send_question(struct trail *trail, uint64_t ticket, const char *text)
{
	const size_t len = strlen(text), room = LINK_MAX_BODY - sizeof(struct link_ask);
	bool sent = len <= LINK_ASK_MAX && link_queued(trail->link) + len < LINK_MAX_QUEUED / 2;

	for (size_t at = 0, piece; sent && at < len; at += piece) {
		struct buf message = { .data = NULL };
		struct link_ask head;

		piece = len - at < room ? len - at : room;
		head.ticket = at + piece < len ? LINK_ASK_PIECE : ticket;
		sent = buf_add(&message, &head, sizeof(head)) == 0 && buf_add(&message, text + at, piece) == 0 &&
		    link_send(trail->link, LINK_ASK, buf_head(&message), buf_len(&message), NULL, 0) == 0;
		buf_free(&message);
	}
	return sent;
}

uint64_t
trail_ask(struct trail *trail, const json_t *question, trail_answer_cb *answer, void *arg)
{
	char *text = trail->link == NULL ? NULL : json_dumps(question, JSON_COMPACT);
	struct waiting *waiting = text == NULL ? NULL : calloc(1, sizeof(*waiting));
	bool sent = waiting != NULL && send_question(trail, trail->last_ticket + 1, text);

	free(text);
	if (!sent) {
		free(waiting);
		return 0;
	}
	*waiting = (struct waiting){ .ticket = ++trail->last_ticket, .answer = answer, .arg = arg, .until = gate_steady() + ANSWER_SECONDS };
	TAILQ_INSERT_TAIL(&trail->waiting, waiting, entry);
	return waiting->ticket;
}

void
trail_forget(struct trail *trail, uint64_t ticket)
{
	struct waiting *waiting = find(trail, ticket);

	if (waiting != NULL)
		drop(trail, waiting);
}

void
trail_tick(struct trail *trail, time_t now)
{
	struct waiting *waiting;

	/* All wait equally long, so the first is the next to be overdue. */
	while ((waiting = TAILQ_FIRST(&trail->waiting)) != NULL && waiting->until < now)
		end_with(trail, waiting, TRAIL_AWAY, "the audit reader did not answer in time");
}
