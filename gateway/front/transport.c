/* transport.c: sockets without a layer, and the stage that all transports write through. */
#include "gateway/front/transport.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A chunk of messages, each in its own TLS records, with room for what the records add. */
#define STAGE_SIZE (2 * TRANSPORT_CHUNK)

/* One for the process: it is filled and emptied within one turn of the loop. */
static struct {
	const struct transport *owner;
	size_t len;
	uint8_t bytes[STAGE_SIZE];
} stage;

/* Sends what it can; 0 or more bytes sent, -1 when the socket failed. */
static ssize_t
send_some(struct transport *transport, const uint8_t *data, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		ssize_t n = send(transport->fd, data + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			transport->lost = true;
			transport->problem = strerrordesc_np(errno);
			return -1;
		}
		sent += (size_t)n;
	}
	return (ssize_t)sent;
}

static int
flush_unsent(struct transport *transport)
{
	ssize_t sent;

	if (!transport_blocked(transport))
		return 0;
	sent = send_some(transport, buf_head(&transport->unsent), buf_len(&transport->unsent));
	if (sent < 0)
		return -1;
	buf_drop(&transport->unsent, (size_t)sent);
	return 0;
}

/* Empties the stage: to the socket, and what that does not take behind the unsent bytes. */
static int
flush_stage(struct transport *transport)
{
	size_t sent = 0, len = stage.len;

	if (stage.owner != transport)
		return 0;
	stage.owner = NULL;
	stage.len = 0;
	if (transport->lost)
		return -1;
	if (!transport_blocked(transport)) {
		ssize_t n = send_some(transport, stage.bytes, len);

		if (n < 0)
			return -1;
		sent = (size_t)n;
	}
	if (sent < len && buf_add(&transport->unsent, stage.bytes + sent, len - sent) < 0) {
		transport->lost = true;
		return -1;
	}
	return 0;
}

int
transport_flush(struct transport *transport)
{
	if (transport->lost || flush_unsent(transport) < 0) {
		if (stage.owner == transport) {
			stage.owner = NULL;
			stage.len = 0;
		}
		return -1;
	}
	return flush_stage(transport);
}

int
transport_stage(struct transport *transport, const void *data, size_t len)
{
	assert(stage.owner == NULL || stage.owner == transport);
	if (len > STAGE_SIZE - stage.len && flush_stage(transport) < 0)
		return -1;
	if (len > STAGE_SIZE - stage.len)
		return -1;
	memcpy(stage.bytes + stage.len, data, len);
	stage.owner = transport;
	stage.len += len;
	return 0;
}

ssize_t
transport_recv(struct transport *transport, void *buf, size_t size)
{
	ssize_t n;

	if (transport->drained)
		return TRANSPORT_AGAIN;
	do
		n = recv(transport->fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
		transport->problem = strerrordesc_np(errno);
		return TRANSPORT_FAILED;
	}
	/* A short read has taken everything: the next event tells when there is more, and spares one fruitless call. */
	transport->ended = n == 0;
	transport->drained = n != 0 && n < (ssize_t)size;
	return n < 0 ? TRANSPORT_AGAIN : n;
}

void
transport_goodbye(struct transport *transport)
{
	transport->ops->goodbye(transport);
	(void)transport_flush(transport);
}

void
transport_finish(struct transport *transport)
{
	if (stage.owner == transport) {
		stage.owner = NULL;
		stage.len = 0;
	}
	if (transport->ops != NULL)
		transport->ops->finish(transport);
	buf_free(&transport->unsent);
	if (transport->fd >= 0)
		close(transport->fd);
	transport->fd = -1;
	transport->ops = NULL;
}

static ssize_t
plain_read(struct transport *transport, uint8_t *buf, size_t size)
{
	return transport_recv(transport, buf, size);
}

static int
plain_put(struct transport *transport, const uint8_t *data, size_t len)
{
	return transport_stage(transport, data, len);
}

static void
plain_goodbye(struct transport *transport)
{
	(void)transport;
}

static void
plain_finish(struct transport *transport)
{
	(void)transport;
}

static const struct transport_ops plain_ops = { "plain", plain_read, plain_put, plain_goodbye, plain_finish };

void
transport_init_plain(struct transport *transport, int fd)
{
	*transport = (struct transport){ .ops = &plain_ops, .fd = fd };
}
