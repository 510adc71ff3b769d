/*
 * hand_over.c: who somebody is goes to the gate, with the stream on which it talks to him.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/handover.h"
#include "gateway/front/client.h"
#include "gateway/front/internal.h"

static void
on_gate_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump_gate_readable(arg);
}

static void
on_gate_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump_gate_writable(arg);
}

/*
 * Room for a whole chunk in each direction, so that a stream goes on in large steps (an upload: 10 instead of 17 system
 * calls per MiB in the gate). The kernel grants less when net.core.wmem_max says so.
 */
static void
widen(const int fds[2])
{
	static const int size = TRANSPORT_CHUNK + TRANSPORT_CHUNK / 4;

	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Our end of a new stream to the gate, -1 when the gate cannot take one now. */
static int
offer(struct client *client)
{
	uint8_t body[LINK_MAX_BODY];
	size_t len = handover_put(body, sizeof(body), client->identity);
	int fds[2], sent;

	if (len == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	widen(fds);
	sent = link_send(client->front->gate, LINK_SESSION, body, len, &fds[1], 1);
	close(fds[1]);
	if (sent == 0)
		return fds[0];
	close(fds[0]);
	return -1;
}

void
client_hand_over(struct client *client)
{
	struct front *front = client->front;

	if (front->gate == NULL) {
		if (client->state != CLIENT_HANDOVER)
			client_enter(client, CLIENT_HANDOVER);
		return;
	}
	client->gate_fd = offer(client);
	if (client->gate_fd < 0) {
		client_close(client, CLOSE_NO_MEMORY, strerror(errno));
		return;
	}
	event_assign(&client->gate_readable, front->base, client->gate_fd, EV_READ | EV_PERSIST, on_gate_readable,
	    client);
	event_assign(&client->gate_writable, front->base, client->gate_fd, EV_WRITE, on_gate_writable, client);
	event_add(&client->gate_readable, NULL);
	identity_clear(client->identity);
	free(client->identity);
	client->identity = NULL;
	config_release(client->config);
	client->config = NULL;
	transport_trust(&client->transport);
	if (client->sasl != NULL && listener_is_vnc(client->listener)) {
		client_enter(client, CLIENT_VNC_RESULT);
		return;
	}
	client_enter(client, CLIENT_OPEN);
	pump_start(client);
}
