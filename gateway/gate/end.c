/*
 * end.c: moving bytes. One read and, when the other side takes them, one write per wake-up; what does not fit waits in
 * `out`, and while much waits there the source is not read.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gate/console.h"
#include "gateway/gate/inventory.h"

/* Where bytes land that can be handled at once: shared by all sessions, so that an idle one holds no buffer. */
static uint8_t scratch[END_READ_SIZE];

/* What is read at a time behind the begin of a message that is not whole yet. */
#define PARTIAL_READ_SIZE (128u * 1024u)

static struct end *
end_other(struct end *end)
{
	return end == &end->session->client ? &end->session->backend : &end->session->client;
}

static bool
is_client(const struct end *end)
{
	return end == &end->session->client;
}

static void
gone(struct end *end)
{
	struct session *session = end->session;

	if (is_client(end)) {
		session_close(session, CLOSE_CLIENT_GONE);
	} else if (session->state == SESSION_CONSOLE) {
		session_close(session, CLOSE_CONSOLE_GONE);
	} else if (session->closing) {
		session_close(session, CLOSE_CLIENT_CLOSED);
	} else {
		reply_abandon_all(session, "libvirtd closed the connection", true);
		session_close(session, CLOSE_BACKEND_GONE);
	}
}

static size_t
consume(struct end *end, const uint8_t *data, size_t len)
{
	if (end->session->state == SESSION_CONSOLE)
		return is_client(end) ? console_take_client(end->session, data, len) : console_take_backend(end->session, data, len);
	return is_client(end) ? take_consume(end->session, data, len) : reply_consume(end->session, data, len);
}

/* Is its reply judged by what the inventory knows of the objects in it? */
static bool
needs_inventory(const struct call *call)
{
	return call->domain_name != NULL || call->proc->list.form == RPC_LIST_NAME || call->proc->returns.class == VG_CLASS_storage_vol;
}

/*
 * What libvirtd told of objects before it wrote what has just been read: then the inventory is as new as the replies that are
 * now judged by it. libvirtd writes an event before the replies to calls that came after it.
 */
static void
catch_up(const struct end *end)
{
	const struct call *call = is_client(end) ? NULL : end->session->calls;

	while (call != NULL && (!needs_inventory(call) || call_is_stream(call)))
		call = call->next;
	if (call != NULL)
		inventory_catch_up(end->session->inventory);
}

/* Bytes straight from the scratch buffer; a rest that is not a whole message moves to `in`. */
static void
read_fresh(struct end *end)
{
	ssize_t n = recv(end->fd, scratch, sizeof(scratch), 0);
	size_t eaten;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		gone(end);
		return;
	}
	catch_up(end);
	eaten = consume(end, scratch, (size_t)n);
	if (end->fd >= 0 && eaten < (size_t)n && buf_add(&end->in, scratch + eaten, (size_t)n - eaten) < 0)
		session_close(end->session, CLOSE_NO_MEMORY);
}

static void
consume_rest(struct end *end)
{
	size_t eaten = consume(end, buf_head(&end->in), buf_len(&end->in));

	if (end->fd >= 0)
		buf_drop(&end->in, eaten);
}

static void
read_behind_rest(struct end *end)
{
	uint8_t *room = buf_room(&end->in, PARTIAL_READ_SIZE);
	ssize_t n;

	if (room == NULL) {
		session_close(end->session, CLOSE_NO_MEMORY);
		return;
	}
	n = recv(end->fd, room, PARTIAL_READ_SIZE, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		gone(end);
		return;
	}
	buf_added(&end->in, (size_t)n);
	catch_up(end);
	if (end->fd >= 0)
		consume_rest(end);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct end *end = arg;

	(void)fd;
	if (end->fd < 0)
		return;
	if (is_client(end)) {
		end->session->heard = gate_steady();
		end->session->unanswered = 0;
	}
	if (what & EV_TIMEOUT)		/* woken by session_update_reading: parse what waits already */
		consume_rest(end);
	else if (buf_len(&end->in) == 0)
		read_fresh(end);
	else
		read_behind_rest(end);
	session_update_reading(end->session);
}

static void
on_writable(int fd, short what, void *arg)
{
	struct end *end = arg;

	(void)fd;
	(void)what;
	end->writing = false;
	if (end->fd < 0)
		return;
	if (!end->broken) {
		ssize_t n = send(end->fd, buf_head(&end->out), buf_len(&end->out), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			end->broken = true;
		else if (n > 0)
			buf_drop(&end->out, (size_t)n);
	}
	if (end->broken) {
		gone(end);
		return;
	}
	if (buf_len(&end->out) > 0) {
		event_add(&end->write_event, NULL);
		end->writing = true;
	} else if (end->session->state == SESSION_FLUSHING && is_client(end)) {
		session_set_state(end->session, SESSION_CLOSED);
		return;
	}
	session_update_reading(end->session);
}

void
end_init(struct end *end, struct session *session, int fd)
{
	memset(end, 0, sizeof(*end));
	end->session = session;
	end->fd = fd;
	if (fd < 0)
		return;
	event_assign(&end->read_event, session->gate->base, fd, EV_READ | EV_PERSIST, on_readable, end);
	event_assign(&end->write_event, session->gate->base, fd, EV_WRITE, on_writable, end);
}

void
end_close(struct end *end)
{
	if (end->fd < 0)
		return;
	event_del(&end->read_event);
	event_del(&end->write_event);
	close(end->fd);
	end->fd = -1;
	end->reading = end->writing = false;
	buf_free(&end->in);
	buf_free(&end->out);
	buf_free(&end->later);
}

static void
write_out(struct end *end, const void *data, size_t len)
{
	size_t sent = 0;

	if (end->fd < 0 || end->broken || len == 0)
		return;
	if (buf_len(&end->out) == 0) {
		ssize_t n = send(end->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			end->broken = true;
		else if (n > 0)
			sent = (size_t)n;
	}
	if (!end->broken && sent < len && buf_add(&end->out, (const uint8_t *)data + sent, len - sent) < 0)
		end->broken = true;
	if (end->broken) {
		/* Callers are in the middle of something: the session ends from the loop. */
		event_active(&end->write_event, EV_WRITE, 0);
	} else if (sent < len && !end->writing) {
		event_add(&end->write_event, NULL);
		end->writing = true;
	}
}

void
end_send(struct end *end, const void *data, size_t len)
{
	if (!end->amid) {
		write_out(end, data, len);
	} else if (end->fd >= 0 && !end->broken && buf_add(&end->later, data, len) < 0) {
		end->broken = true;
		event_active(&end->write_event, EV_WRITE, 0);
	}
}

void
end_pass(struct end *from, const void *data, size_t len)
{
	struct end *end = end_other(from);

	write_out(end, data, len);
	end->amid = from->pass > 0;
	if (!end->amid && buf_len(&end->later) > 0) {
		write_out(end, buf_head(&end->later), buf_len(&end->later));
		buf_free(&end->later);
	}
}

static void
set_reading(struct end *end, bool wanted)
{
	if (end->fd < 0 || wanted == end->reading)
		return;
	end->reading = wanted;
	if (!wanted) {
		event_del(&end->read_event);
		return;
	}
	event_add(&end->read_event, NULL);
	if (buf_len(&end->in) > 0)
		event_active(&end->read_event, EV_TIMEOUT, 0);
}

void
session_update_reading(struct session *session)
{
	bool client_full = buf_len(&session->client.out) > END_HIGH_WATER;
	bool client_owed = buf_len(&session->client.later) > END_HIGH_WATER;	/* of libvirtd is read: the end of its message must come */
	bool backend_full = buf_len(&session->backend.out) > END_HIGH_WATER;
	bool slots = session->num_calls < (unsigned)session->gate->settings->max_client_requests;

	if (session->state == SESSION_CLOSED)
		return;
	if (session->state == SESSION_CONSOLE) {
		set_reading(&session->client, console_reads(session, &session->client) && !backend_full);
		set_reading(&session->backend, console_reads(session, &session->backend) && !client_full);
		return;
	}
	set_reading(&session->client, (session->state == SESSION_NEW || session->state == SESSION_OPEN) &&
	    !client_full && !client_owed && !backend_full && slots);
	set_reading(&session->backend, session->state >= SESSION_DIALING && session->state <= SESSION_LINGERING && !client_full);
}
