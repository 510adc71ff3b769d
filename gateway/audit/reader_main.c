/*
 * reader_main.c: the audit reader: a process that reads the trail and answers questions about it. It never writes there; its index is below
 * state_dir. The gate asks, and has asked the policy first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/audit/answers.h"
#include "gateway/audit/index.h"
#include "gateway/core/buf.h"
#include "gateway/core/log.h"
#include "gateway/core/process.h"

#define TURN_MS		20	/* of work, before links are looked at */
#define NICENESS	5	/* nobody's call waits for us */

struct reader {
	struct event_base *base;
	struct link *parent;
	struct answers *answers;
	struct event *work;		/* at once, or after a second */
};

/* A link to a gate; it stays until that gate is gone. */
struct asker {
	struct reader *reader;
	struct link *link;
	struct buf question;		/* pieces of one, so far */
};

static void
work_soon(struct reader *reader)
{
	static const struct timeval now = { .tv_sec = 0 };

	(void)event_add(reader->work, &now);
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { .tv_sec = 0 }, second = { .tv_sec = 1 };
	struct reader *reader = arg;
	bool more;

	(void)fd;
	if (what & EV_TIMEOUT)
		answers_look(reader->answers);
	more = answers_work(reader->answers, TURN_MS);
	(void)event_add(reader->work, more ? &now : &second);
}

static void
send_answer(uint64_t ticket, bool ok, const char *text, size_t len, void *arg)
{
	static uint8_t message[LINK_MAX_BODY];
	struct asker *asker = arg;
	const size_t room = sizeof(message) - sizeof(struct link_answer);

	for (size_t at = 0, piece; at < len || at == 0; at += piece) {
		bool last = len - at <= room;
		struct link_answer head = { .ticket = ticket, .kind = !last ? ANSWER_PIECE : ok ? ANSWER_LAST : ANSWER_REFUSED };

		piece = last ? len - at : room;
		memcpy(message, &head, sizeof(head));
		memcpy(message + sizeof(head), text + at, piece);
		if (link_send(asker->link, LINK_ANSWER, message, sizeof(head) + piece, NULL, 0) < 0) {
			log_error("an answer to the gate was lost: %s", strerror(errno));
			return;		/* its time limit tells the gate */
		}
		if (last)
			return;
	}
}

static void
on_asker(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	static const char busy[] = "too many questions about the trail wait already";
	struct asker *asker = arg;
	struct link_ask ask;

	(void)link;
	for (size_t i = 0; i < num_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (type != LINK_ASK || len < sizeof(ask)) {
		log_error("the gate sent an unexpected message");
		return;
	}
	memcpy(&ask, body, sizeof(ask));
	/* Of a question that is too long, or has no room, the rest is no JSON. */
	if (len > sizeof(ask) && (buf_len(&asker->question) + len > LINK_ASK_MAX + sizeof(ask) ||
	    buf_add(&asker->question, body + sizeof(ask), len - sizeof(ask)) < 0))
		buf_free(&asker->question);
	if (ask.ticket == LINK_ASK_PIECE)
		return;
	if (answers_ask(asker->reader->answers, ask.ticket, buf_len(&asker->question) == 0 ? "" : (const char *)buf_head(&asker->question),
	    buf_len(&asker->question), send_answer, asker) < 0)
		send_answer(ask.ticket, false, busy, sizeof(busy) - 1, asker);
	buf_free(&asker->question);
	work_soon(asker->reader);
}

static void
on_asker_gone(struct link *link, void *arg)
{
	struct asker *asker = arg;

	answers_forget(asker->reader->answers, asker);
	link_destroy(link);
	buf_free(&asker->question);
	free(asker);
}

static void
take_peer(struct reader *reader, const uint8_t *body, size_t len, int fd)
{
	struct link_peer peer;
	struct asker *asker;

	if (len == sizeof(peer))
		memcpy(&peer, body, sizeof(peer));
	asker = len == sizeof(peer) && peer.kind == PROCESS_GATE ? calloc(1, sizeof(*asker)) : NULL;
	if (asker == NULL) {
		log_error("the reader was given a link that it cannot use");
		close(fd);
		return;
	}
	asker->reader = reader;
	asker->link = link_create(reader->base, fd, on_asker, on_asker_gone, asker);
	if (asker->link == NULL)
		free(asker);
}

static void
on_parent(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct reader *reader = arg;

	if (type == LINK_PEER && num_fds == 1) {
		take_peer(reader, body, len, fds[0]);
		return;
	}
	for (size_t i = 0; i < num_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (type == LINK_RELOAD)	/* nothing here can change while it runs */
		(void)link_send(link, LINK_RELOADED, NULL, 0, NULL, 0);
	else if (type == LINK_STOP)
		(void)event_base_loopbreak(reader->base);
}

static void
on_parent_gone(struct link *link, void *arg)
{
	struct reader *reader = arg;

	(void)link;
	(void)event_base_loopbreak(reader->base);
}

void
reader_main(struct process *process)
{
	static struct reader reader;
	char dir[SETTINGS_MAX_PATH], file[SETTINGS_MAX_PATH + sizeof(AUDIT_INDEX_FILE) + 1];

	process_start(process);
	process_close_files(process->files);
	if (settings_index_dir(process->settings, dir, sizeof(dir)) < 0)
		log_fatal("the path of the index is too long");
	(void)snprintf(file, sizeof(file), "%s/%s", dir, AUDIT_INDEX_FILE);
	(void)!nice(NICENESS);
	reader.base = event_base_new();
	reader.answers = answers_create(process->settings->audit_dir, file);
	reader.work = reader.base == NULL ? NULL : event_new(reader.base, -1, 0, on_work, &reader);
	reader.parent = reader.work == NULL ? NULL : link_create(reader.base, process->parent_fd, on_parent, on_parent_gone, &reader);
	if (reader.answers == NULL || reader.parent == NULL)
		log_fatal("cannot start: %s", strerror(errno));
	(void)link_send(reader.parent, LINK_READY, NULL, 0, NULL, 0);
	work_soon(&reader);
	(void)event_base_dispatch(reader.base);
	answers_destroy(reader.answers);
	exit(0);
}
