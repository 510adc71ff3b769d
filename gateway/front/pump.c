/*
 * pump.c: an authenticated client's bytes to and from the gate. Towards the gate as they come; towards the client one
 * put per RPC message, or piece of one, so that no TLS record holds bytes of two messages.
 *
 * Reading from one side stops while the other cannot take more: then at most one chunk per direction is kept.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/core/log.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"

/* Shared by all clients: filled and emptied within one turn of the loop. */
static uint8_t chunk[TRANSPORT_CHUNK];

/* Bytes that the gate took of them, -1 when the gate is gone. */
static ssize_t
send_to_gate(struct client *client, const uint8_t *data, size_t len)
{
	ssize_t n;

	do
		n = send(client->gate_fd, data, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n;
}

/* The client will send no more: the gate learns it when it has taken what is left. */
static void
client_ended(struct client *client)
{
	client_enter(client, CLIENT_HALF_CLOSED);
	if (buf_len(&client->to_gate) == 0)
		shutdown(client->gate_fd, SHUT_WR);
}

static void
to_gate(struct client *client, const uint8_t *data, size_t len)
{
	ssize_t taken = send_to_gate(client, data, len);

	if (taken < 0) {
		/* The gate's end is closed; what it said last is still to be read. */
		event_del(&client->readable);
		return;
	}
	if ((size_t)taken == len)
		return;
	if (buf_add(&client->to_gate, data + taken, len - (size_t)taken) < 0) {
		client_close(client, CLOSE_NO_MEMORY, NULL);
		return;
	}
	event_del(&client->readable);
	event_add(&client->gate_writable, NULL);
}

void
pump_client_readable(struct client *client)
{
	ssize_t n = transport_read(&client->transport, chunk, sizeof(chunk));

	/* Reading may have made TLS answer something. */
	if (transport_flush(&client->transport) < 0)
		n = TRANSPORT_FAILED;
	switch (n) {
	case TRANSPORT_AGAIN:
		return;
	case TRANSPORT_EOF:
		client_ended(client);
		return;
	case TRANSPORT_FAILED:
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
		return;
	}
	to_gate(client, chunk, (size_t)n);
	/* A full chunk: more may wait where poll() does not see it. Others get their turn first. */
	if ((size_t)n == sizeof(chunk) && client->state == CLIENT_OPEN && buf_len(&client->to_gate) == 0)
		event_active(&client->readable, EV_READ, 0);
}

void
pump_gate_writable(struct client *client)
{
	ssize_t taken = send_to_gate(client, buf_head(&client->to_gate), buf_len(&client->to_gate));

	if (taken < 0) {
		buf_free(&client->to_gate);
		return;
	}
	buf_drop(&client->to_gate, (size_t)taken);
	client_progress(client);
	if (buf_len(&client->to_gate) > 0) {
		event_add(&client->gate_writable, NULL);
		return;
	}
	if (client->state == CLIENT_HALF_CLOSED)
		shutdown(client->gate_fd, SHUT_WR);
	if (client->state != CLIENT_OPEN)
		return;
	event_add(&client->readable, NULL);
	/* TLS may hold bytes that it had read ahead. */
	event_active(&client->readable, EV_READ, 0);
}

/* 0, or -1 when the client was closed. */
static int
to_client(struct client *client, const uint8_t *data, size_t len)
{
	size_t piece;

	for (; len > 0; data += piece, len -= piece) {
		/* RFB has no messages that a TLS record must not share. */
		piece = listener_is_vnc(client->listener) ? len : framing_piece(&client->framing, data, len);
		if (piece == 0) {
			client_close(client, CLOSE_GATE_FRAMING, NULL);
			return -1;
		}
		if (transport_put(&client->transport, data, piece) < 0) {
			client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
			return -1;
		}
	}
	if (transport_flush(&client->transport) < 0) {
		client_close(client, CLOSE_CLIENT_LOST, client->transport.problem);
		return -1;
	}
	return 0;
}

/*
 * SecurityResult goes out in the clear, as QEMU and gtk-vnc have it; behind it the layer begins. A refusal and its reason stay in the clear.
 * How many of the bytes do.
 */
static size_t
result_piece(struct client *client, const uint8_t *data, size_t len)
{
	size_t missing = sizeof(client->result) - client->result_len, piece = missing < len ? missing : len;

	if (missing == 0)
		return len;
	memcpy(client->result + client->result_len, data, piece);
	client->result_len += piece;
	return piece;
}

static bool
is_accepted(const struct client *client)
{
	static const uint8_t accepted[sizeof(client->result)];

	return client->result_len == sizeof(accepted) && memcmp(client->result, accepted, sizeof(accepted)) == 0;
}

void
pump_gate_readable(struct client *client)
{
	size_t piece = 0;		/* of what came, that is sent already */
	ssize_t n;

	do
		n = recv(client->gate_fd, chunk, sizeof(chunk), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		/* What it wrote before is flushed; a client that closed first is not told again. */
		event_del(&client->gate_readable);
		client_close_flushed(client, client->state == CLIENT_HALF_CLOSED ? CLOSE_CLIENT_LEFT : CLOSE_GATE_ENDED,
		    NULL);
		return;
	}
	client_progress(client);
	if (client->state == CLIENT_VNC_RESULT) {
		piece = result_piece(client, chunk, (size_t)n);
		if (to_client(client, chunk, piece) < 0)
			return;
		if (is_accepted(client)) {
			transport_push_sasl(&client->transport, client->sasl);
			client_enter(client, CLIENT_OPEN);
		}
	}
	if (to_client(client, chunk + piece, (size_t)n - piece) < 0)
		return;
	if (transport_blocked(&client->transport)) {
		event_del(&client->gate_readable);
		event_add(&client->writable, NULL);
	}
}

void
pump_client_writable(struct client *client)
{
	event_add(&client->gate_readable, NULL);
}

void
pump_start(struct client *client)
{
	/* What came behind the last authentication message, and what TLS has already read, belongs to the session. */
	if (buf_len(&client->received) > 0)
		to_gate(client, buf_head(&client->received), buf_len(&client->received));
	buf_free(&client->received);
	if (client->state == CLIENT_OPEN && buf_len(&client->to_gate) == 0)
		pump_client_readable(client);
}
