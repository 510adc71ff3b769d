/*
 * sink_main.c: the process of one sink: reads durable records from the trail, hands them to the collector, notes how
 * far it is. Plain and blocking, because it has one thing to do; every wait also listens to the parent.
 *
 * state      what happens                          next
 * away       the collector takes the connection    sending
 * sending    records are there                     sending
 *            it breaks, or takes nothing           away, from the first record that was not delivered
 * any        LINK_STOP                             what is in the trail is sent, for a second; then it ends
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit/reader.h"
#include "gateway/audit/sink.h"
#include "gateway/audit/sink_net.h"
#include "gateway/core/log.h"
#include "gateway/core/process.h"

#define LOOK_MS		100		/* for new records, when all were sent */
#define FIRST_RETRY_MS	250
#define LAST_RETRY_MS	15000
#define STOP_MS		1000
#define BATCH_BYTES	(256u * 1024u)
#define AWAY_MS		60000		/* so long nobody is bothered by a collector that restarts */

struct sink {
	const char *text;		/* as audit_sinks has it */
	const char *dir;
	struct sink_target target;
	struct sink_net net;
	struct event_base *base;
	struct link *parent;
	int parent_fd, position_fd;
	bool stopping;
	int64_t stop_at;
	struct audit_reader *reader;
	struct sink_position delivered;	/* noted */
	struct sink_position sent;	/* on its way */
	struct buf batch;
	struct {
		size_t end;		/* in the batch */
		struct sink_position at;	/* when it is delivered up to there */
	} *steps;			/* a record each */
	size_t num_steps, room_steps;
	struct audit_line line;		/* the next one, if has_line: not durable yet */
	bool has_line;
	int retry_ms;
	int64_t away_since;		/* 0: it is there */
	bool away_told;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the parent ---- */

static void
on_parent(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	struct sink *sink = arg;

	(void)body;
	(void)len;
	for (size_t i = 0; i < num_fds; i++)
		if (fds[i] != -1)
			close(fds[i]);
	if (type == LINK_RELOAD)	/* nothing here can change while it runs */
		(void)link_send(link, LINK_RELOADED, NULL, 0, NULL, 0);
	if (type != LINK_STOP || sink->stopping)
		return;
	sink->stopping = true;
	sink->stop_at = now_ms() + STOP_MS;
}

static void
on_parent_gone(struct link *link, void *arg)
{
	struct sink *sink = arg;

	(void)link;
	sink->stopping = true;
	sink->stop_at = 0;
}

static int
wait_for(int fd, short events, int ms, void *arg)
{
	struct sink *sink = arg;
	int64_t until = now_ms() + ms;

	for (;;) {
		struct pollfd polls[2] = { { sink->parent_fd, POLLIN, 0 }, { fd, events, 0 } };
		bool was_stopping = sink->stopping;
		int64_t now = now_ms(), end = sink->stopping && sink->stop_at < until ? sink->stop_at : until;

		if (now >= end)
			return sink->stopping && end == sink->stop_at ? -1 : 0;
		if (poll(polls, fd == -1 ? 1 : 2, (int)(end - now)) == -1 && errno != EINTR)
			return -1;
		if (polls[0].revents != 0)
			(void)event_base_loop(sink->base, EVLOOP_NONBLOCK);
		if (fd != -1 && polls[1].revents != 0)
			return polls[1].revents;
		if (sink->stopping && !was_stopping && fd == -1)
			return 0;		/* there may be something to send before the end */
	}
}

/* ---- the trail ---- */

/* Begins to read where the last delivered record ended. */
static int
rewind_reader(struct sink *sink, struct vg_error *error)
{
	audit_reader_close(sink->reader);
	sink->has_line = false;
	sink->sent = sink->delivered;
	sink->reader = audit_reader_open(sink->dir, sink->delivered.segment, error);
	if (sink->reader == NULL)
		return -1;
	if (sink->delivered.segment > 0)
		audit_reader_seek(sink->reader, sink->delivered.segment, sink->delivered.offset);
	return 0;
}

/* Records that were removed before they were sent: nobody can send them any more. */
static void
tell_gap(const struct sink *sink, const struct scan_line *facts)
{
	if (facts->seq > sink->sent.seq + 1)
		log_error("audit sink %s: the records %llu to %llu were removed before they could be sent", sink->text,
		    (unsigned long long)sink->sent.seq + 1, (unsigned long long)facts->seq - 1);
}

static int
note_step(struct sink *sink)
{
	if (sink->num_steps == sink->room_steps) {
		size_t room = sink->room_steps == 0 ? 64 : sink->room_steps * 2;
		void *more = reallocarray(sink->steps, room, sizeof(*sink->steps));

		if (more == NULL)
			return -1;
		sink->steps = more;
		sink->room_steps = room;
	}
	sink->steps[sink->num_steps].end = buf_len(&sink->batch);
	sink->steps[sink->num_steps++].at = sink->sent;
	return 0;
}

/*
 * Takes the next durable record into the batch. 1, 0 when there is none (yet), -1 with `error`. What is no record is
 * verify's business; it is left out.
 */
static int
take_record(struct sink *sink, uint64_t durable, struct vg_error *error)
{
	struct scan_line facts;
	int result = sink->has_line ? 1 : audit_reader_next(sink->reader, &sink->line, error);

	if (result != 1)
		return result;
	sink->has_line = true;
	if (sink->line.whole && scan_line(sink->line.text, sink->line.len, &facts)) {
		if (facts.seq > durable)
			return 0;
		tell_gap(sink, &facts);
		if (sink->target.kind->put(&sink->batch, &facts, sink->line.text, sink->line.len) == -1)
			return vg_fail(error, "out of memory");
		sink->sent.seq = facts.seq;
	}
	sink->sent.segment = sink->line.segment;
	sink->sent.offset = sink->line.offset + sink->line.len + 1;
	sink->has_line = false;
	return note_step(sink) == -1 ? vg_fail(error, "out of memory") : 1;
}

/* A datagram is one record; of a stream as many as are there. */
static int
fill_batch(struct sink *sink, struct vg_error *error)
{
	size_t most = sink_is_datagram(sink->target.kind->transport) ? 1 : BATCH_BYTES;
	char hash[AUDIT_HASH_LEN + 1];
	uint64_t durable;
	int result = 0;

	if (!audit_head_read(sink->dir, &durable, hash))
		return 0;
	while (buf_len(&sink->batch) < most && (result = take_record(sink, durable, error)) == 1)
		;
	return result == -1 ? -1 : 0;
}

/* ---- the collector ---- */

static void
collector_away(struct sink *sink, const struct vg_error *error)
{
	sink_net_close(&sink->net);
	buf_free(&sink->batch);
	sink->num_steps = 0;
	if (sink->away_since == 0)
		sink->away_since = now_ms();
	if (!sink->away_told && now_ms() - sink->away_since >= AWAY_MS) {
		log_error("audit sink %s: %s; it gets what it missed when it is back", sink->text, error->what);
		sink->away_told = true;
	} else {
		log_info("audit sink %s: %s", sink->text, error->what);
	}
}

static void
collector_back(struct sink *sink)
{
	if (sink->away_told)
		log_warn("audit sink %s: it is back; it gets the records from %llu on", sink->text,
		    (unsigned long long)sink->delivered.seq + 1);
	sink->away_since = 0;
	sink->away_told = false;
	sink->retry_ms = FIRST_RETRY_MS;
}

static void
note_delivered(struct sink *sink, const struct sink_position *position)
{
	sink->delivered = *position;
	if (sink_position_write(sink->position_fd, &sink->delivered) == -1)
		log_error("audit sink %s: its position cannot be noted: %s; records may be sent twice", sink->text, strerror(errno));
}

/* The connection is over: of the batch the collector has so many bytes. */
static void
note_part_delivered(struct sink *sink, size_t bytes)
{
	size_t num = 0;

	while (num < sink->num_steps && sink->steps[num].end <= bytes)
		num++;
	if (num > 0)
		note_delivered(sink, &sink->steps[num - 1].at);
}

/* Sends what is there. 1: there may be more; 0: that was all; -1 with `error`: the connection is no good any more. */
static int
send_batch(struct sink *sink, struct vg_error *error)
{
	if (!sink_net_stands(&sink->net))
		return vg_fail(error, "the collector closed the connection");
	if (fill_batch(sink, error) == -1)
		return -1;
	if (buf_len(&sink->batch) > 0) {
		if (sink_net_send(&sink->net, buf_head(&sink->batch), buf_len(&sink->batch), error) == -1 ||
		    sink_net_confirm(&sink->net, error) == -1) {
			note_part_delivered(sink, sink_net_delivered(&sink->net));
			return -1;
		}
		collector_back(sink);
	} else if (memcmp(&sink->sent, &sink->delivered, sizeof(sink->sent)) == 0) {
		return 0;
	}
	buf_drop(&sink->batch, buf_len(&sink->batch));
	sink->num_steps = 0;
	note_delivered(sink, &sink->sent);
	return 1;
}

static bool
time_is_over(const struct sink *sink)
{
	return sink->stopping && now_ms() >= sink->stop_at;
}

static void
run(struct sink *sink)
{
	struct vg_error error = { "", "" };
	int more;

	while (!time_is_over(sink)) {
		if (sink->net.fd == -1) {
			if (rewind_reader(sink, &error) == -1 || sink_net_open(&sink->net, &error) == -1) {
				collector_away(sink, &error);
				if (sink->stopping)
					return;
				(void)wait_for(-1, 0, sink->retry_ms, sink);
				sink->retry_ms = sink->retry_ms * 2 < LAST_RETRY_MS ? sink->retry_ms * 2 : LAST_RETRY_MS;
				continue;
			}
		}
		more = send_batch(sink, &error);
		if (more == -1) {
			collector_away(sink, &error);
			(void)wait_for(-1, 0, sink->retry_ms, sink);
		} else if (more == 0) {
			if (sink->stopping)
				return;
			(void)wait_for(-1, 0, LOOK_MS, sink);
		}
		if (sink->parent_fd != -1)
			(void)event_base_loop(sink->base, EVLOOP_NONBLOCK);
	}
}

static void
open_position(struct sink *sink, const struct settings *settings)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/" SETTINGS_SINKS_DIR "/%s", settings->state_dir, sink->target.name) >= (int)sizeof(path))
		log_fatal("state_dir is too long");
	sink->position_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sink->position_fd == -1)
		log_fatal("audit sink %s: %s: %s", sink->text, path, strerror(errno));
	sink_position_read(sink->position_fd, &sink->delivered);
}

void
sink_main(struct process *process)
{
	static struct sink sink;
	struct vg_error error = { "", "" };
	const struct settings *settings = process->settings;
	char text[sizeof(error.what) + sizeof(error.hint) + 64];
	int prepared;

	sink.text = settings->audit_sinks.items[process->index];
	sink.dir = settings->audit_dir;
	sink.net.wait = wait_for;
	sink.net.arg = &sink;
	sink.retry_ms = FIRST_RETRY_MS;
	prepared = sink_parse(sink.text, &sink.target) ? sink_net_prepare(&sink.net, &sink.target, settings, &error) :
	    vg_fail(&error, "'%.100s' is no sink", sink.text);
	process_start(process);
	process_close_files(process->files);
	sink.base = event_base_new();
	sink.parent_fd = process->parent_fd;
	sink.parent = sink.base != NULL ? link_create(sink.base, process->parent_fd, on_parent, on_parent_gone, &sink) : NULL;
	if (sink.parent == NULL)
		log_fatal("no link to the parent");
	if (prepared == -1) {
		(void)snprintf(text, sizeof(text), "audit_sinks: %s%s%s", error.what, error.hint[0] != '\0' ? "; hint: " : "",
		    error.hint);
		(void)link_send(sink.parent, LINK_FAILED, text, strlen(text), NULL, 0);
		_exit(1);
	}
	open_position(&sink, settings);
	(void)link_send(sink.parent, LINK_READY, NULL, 0, NULL, 0);
	run(&sink);
	sink_net_close(&sink.net);
	audit_reader_close(sink.reader);
	buf_free(&sink.batch);
	free(sink.steps);
	SSL_CTX_free(sink.net.context);
	link_destroy(sink.parent);
	event_base_free(sink.base);
	exit(0);
}
