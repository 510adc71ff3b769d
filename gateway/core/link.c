#include "gateway/core/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway/core/log.h"

/* On the wire: the type, then the body. A packet is never empty, so reading nothing means the end. */
struct header {
	uint32_t type;
};

#define LINK_BUFFER	(256 * 1024)
#define LINK_TURN	32		/* messages per wake-up, so that one busy link does not starve the others */

/* A message that did not go out at once. */
struct waiting {
	TAILQ_ENTRY(waiting) next;
	struct header header;
	int fds[LINK_MAX_FDS];
	size_t num_fds;
	size_t len;
	uint8_t body[];
};

struct link {
	int fd;
	bool over;			/* link_send met the end, which the loop reports, or has reported */
	bool *destroyed;		/* of the callback that is running, if any */
	struct event *read_event;
	struct event *write_event;	/* added only while something waits */
	TAILQ_HEAD(waiting_list, waiting) queue;
	size_t queued;
	link_message_cb *message;
	link_closed_cb *closed;
	void *arg;
};

/* Most descriptors that may come with a type; a type that is not here is unknown. */
static const struct {
	bool known;
	size_t max_fds;
} types[] = {
	[LINK_READY] = { true, 0 },
	[LINK_FAILED] = { true, 0 },
	[LINK_PEER] = { true, 1 },
	[LINK_RELOAD] = { true, LINK_MAX_FDS },
	[LINK_RELOADED] = { true, 0 },
	[LINK_ASK_RELOAD] = { true, 0 },
	[LINK_STOP] = { true, 0 },
	[LINK_SESSION] = { true, 2 },
	[LINK_RECORD] = { true, 0 },
	[LINK_ACK] = { true, 0 },
	[LINK_ASK] = { true, 0 },
	[LINK_ANSWER] = { true, 0 },
};

/* A process is single-threaded where links are concerned, and no callback reads a link: one buffer serves all of them. */
static uint8_t receive_buffer[sizeof(struct header) + LINK_MAX_BODY];

int
link_pair(int fds[2])
{
	static const int size = LINK_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ||
		    setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0) {
			int saved = errno;

			close(fds[0]);
			close(fds[1]);
			errno = saved;
			return -1;
		}
	}
	return 0;
}

static void
close_all(const int *fds, size_t num_fds)
{
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
}

static void
waiting_free(struct waiting *waiting)
{
	close_all(waiting->fds, waiting->num_fds);
	free(waiting);
}

/* ---- receiving ---- */

enum received { RECEIVED_MESSAGE, RECEIVED_NOTHING, RECEIVED_END };

struct message {
	enum link_type type;
	size_t len;
	int fds[LINK_MAX_FDS];		/* -1 behind num_fds */
	size_t num_fds;
};

/* Descriptors of the ancillary data into `message`; those beyond LINK_MAX_FDS were cut off by the kernel. */
static void
take_descriptors(struct msghdr *msg, struct message *message)
{
	memset(message->fds, 0xff, sizeof(message->fds));
	message->num_fds = 0;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t num = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		memcpy(message->fds, CMSG_DATA(cmsg), num * sizeof(int));
		message->num_fds = num;
	}
}

static enum received
receive(int fd, struct message *message)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(LINK_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { receive_buffer, sizeof(receive_buffer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct header header;
	ssize_t got;

	/* ECONNRESET is told once, by a peer that closed with bytes of ours unread: what it had sent is still there. */
	do {
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return errno == EAGAIN ? RECEIVED_NOTHING : RECEIVED_END;
	if (got == 0)
		return RECEIVED_END;
	take_descriptors(&msg, message);
	if ((size_t)got < sizeof(header) || (msg.msg_flags & MSG_TRUNC) != 0)
		goto bad;
	memcpy(&header, receive_buffer, sizeof(header));
	if (header.type >= sizeof(types) / sizeof(types[0]) || !types[header.type].known ||
	    message->num_fds > types[header.type].max_fds)
		goto bad;
	if ((msg.msg_flags & MSG_CTRUNC) != 0) {
		/* The table of descriptors is full (or the peer sent too many): better none than some. */
		log_warn("link: descriptors beside a message of type %u were lost; is the limit of open files reached?",
		    header.type);
		close_all(message->fds, message->num_fds);
		memset(message->fds, 0xff, sizeof(message->fds));
		message->num_fds = 0;
	}
	message->type = (enum link_type)header.type;
	message->len = (size_t)got - sizeof(header);
	return RECEIVED_MESSAGE;
bad:
	log_error("link: a message that does not add up (%zd bytes, %zu descriptors); closing", got, message->num_fds);
	close_all(message->fds, message->num_fds);
	return RECEIVED_END;
}

/* No more events; the owner is told and usually destroys the link. */
static void
end(struct link *link)
{
	link->over = true;
	(void)event_del(link->read_event);
	(void)event_del(link->write_event);
	link->closed(link, link->arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct message message;
	bool destroyed = false;

	(void)fd;
	(void)what;
	for (int turn = 0; turn < LINK_TURN; turn++) {
		switch (receive(link->fd, &message)) {
		case RECEIVED_NOTHING:
			return;
		case RECEIVED_END:
			end(link);
			return;
		case RECEIVED_MESSAGE:
			link->destroyed = &destroyed;
			link->message(link, message.type, receive_buffer + sizeof(struct header), message.len, message.fds,
			    message.num_fds, link->arg);
			if (destroyed)
				return;
			link->destroyed = NULL;
			break;
		}
	}
}

/* ---- sending ---- */

/* One packet. 0, or -1 with errno. */
static int
transmit(int fd, const struct header *header, const void *body, size_t len, const int *fds, size_t num_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(LINK_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov[2] = { { (void *)(uintptr_t)header, sizeof(*header) }, { (void *)(uintptr_t)body, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = len > 0 ? 2 : 1 };
	ssize_t sent;

	if (num_fds > 0) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, num_fds * sizeof(int));
	}
	do {
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -1 : 0;
}

/* Sending met the end: the loop will read what is left and then report it, outside the caller's frames. */
static void
break_off(struct link *link)
{
	link->over = true;
	(void)event_del(link->write_event);
	event_active(link->read_event, EV_READ, 0);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct waiting *first;

	(void)fd;
	(void)what;
	while ((first = TAILQ_FIRST(&link->queue)) != NULL) {
		if (transmit(link->fd, &first->header, first->body, first->len, first->fds, first->num_fds) < 0) {
			if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
				break_off(link);
			return;
		}
		TAILQ_REMOVE(&link->queue, first, next);
		link->queued -= first->len;
		waiting_free(first);
	}
	(void)event_del(link->write_event);
}

static int
enqueue(struct link *link, const struct header *header, const void *body, size_t len, const int *fds, size_t num_fds)
{
	struct waiting *waiting;

	if (len > LINK_MAX_QUEUED - link->queued) {
		errno = ENOBUFS;
		return -1;
	}
	waiting = malloc(sizeof(*waiting) + len);
	if (waiting == NULL)
		return -1;
	waiting->header = *header;
	waiting->len = len;
	if (len > 0)
		memcpy(waiting->body, body, len);
	for (waiting->num_fds = 0; waiting->num_fds < num_fds; waiting->num_fds++) {
		int copy = fcntl(fds[waiting->num_fds], F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			goto fail;
		waiting->fds[waiting->num_fds] = copy;
	}
	if (TAILQ_EMPTY(&link->queue) && event_add(link->write_event, NULL) < 0) {
		errno = ENOMEM;
		goto fail;
	}
	TAILQ_INSERT_TAIL(&link->queue, waiting, next);
	link->queued += len;
	return 0;
fail:;
	int saved = errno;

	waiting_free(waiting);
	errno = saved;
	return -1;
}

int
link_send(struct link *link, enum link_type type, const void *body, size_t len, const int *fds, size_t num_fds)
{
	struct header header = { (uint32_t)type };

	if (len > LINK_MAX_BODY || num_fds > LINK_MAX_FDS) {
		errno = EMSGSIZE;
		return -1;
	}
	if (link->over) {
		errno = EPIPE;
		return -1;
	}
	if (!TAILQ_EMPTY(&link->queue))
		return enqueue(link, &header, body, len, fds, num_fds);
	if (transmit(link->fd, &header, body, len, fds, num_fds) == 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return enqueue(link, &header, body, len, fds, num_fds);
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
		break_off(link);
		errno = EPIPE;
	}
	return -1;
}

size_t
link_queued(const struct link *link)
{
	return link->queued;
}

/* ---- life ---- */

struct link *
link_create(struct event_base *base, int fd, link_message_cb *message, link_closed_cb *closed, void *arg)
{
	struct link *link = calloc(1, sizeof(*link));

	if (link == NULL) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	link->fd = fd;
	link->message = message;
	link->closed = closed;
	link->arg = arg;
	TAILQ_INIT(&link->queue);
	link->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->write_event = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
	if (link->read_event == NULL || link->write_event == NULL || event_add(link->read_event, NULL) < 0) {
		link_destroy(link);
		errno = ENOMEM;
		return NULL;
	}
	return link;
}

void
link_destroy(struct link *link)
{
	struct waiting *waiting;

	if (link == NULL)
		return;
	if (link->destroyed != NULL)
		*link->destroyed = true;
	if (link->read_event != NULL)
		event_free(link->read_event);
	if (link->write_event != NULL)
		event_free(link->write_event);
	while ((waiting = TAILQ_FIRST(&link->queue)) != NULL) {
		TAILQ_REMOVE(&link->queue, waiting, next);
		waiting_free(waiting);
	}
	close(link->fd);
	free(link);
}
