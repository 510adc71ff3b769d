#include "gateway/gate/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/core/log.h"

/* remote_auth_type, libvirt src/remote/remote_protocol.x */
enum { AUTH_TYPE_NONE = 0, AUTH_TYPE_POLKIT = 2 };

#define READ_SIZE (256u * 1024u)

struct pending {
	struct pending *next;
	uint32_t serial;
	const struct rpc_proc *proc;
	upstream_reply_cb *reply;
	void *arg;
};

struct upstream {
	struct gate *gate;
	int fd;
	struct event read_event, write_event;
	struct buf in, out;
	char *uri;
	struct upstream_handlers handlers;
	uint32_t last_serial;
	struct pending *pending;
	bool in_callback, destroyed;
	int descriptor;			/* received, not yet taken; -1: none */
};

int
upstream_dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, size = END_READ_SIZE;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* A stream packet is larger than the default buffer: without this an upload wakes both sides twice a packet. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* A UNIX socket connects at once, or not: EAGAIN means that libvirtd's backlog is full. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

size_t
upstream_put_call(uint8_t *buf, size_t size, const struct rpc_proc *proc, uint32_t serial, const void *body, size_t len)
{
	struct rpc_header header = { .program = proc->program, .version = RPC_VERSION, .procedure = (int32_t)proc->number,
		.type = RPC_CALL, .serial = serial, .status = RPC_STATUS_OK };

	if (len > size || size - len < RPC_HEADER_LEN)
		return 0;
	header.length = (uint32_t)(RPC_HEADER_LEN + len);
	rpc_header_put(buf, &header);
	if (len > 0)
		memcpy(buf + RPC_HEADER_LEN, body, len);
	return RPC_HEADER_LEN + len;
}

int
upstream_auth_wanted(const uint8_t *body, size_t len)
{
	const struct rpc_proc *proc = rpc_proc_by_name("auth_list");
	struct xdr_items items;
	struct xdr_span item;
	bool polkit = false;

	if (xdr_check(proc->ret, body, len) != VG_OK || !xdr_items(proc->ret, body, len, "types", &items))
		return -1;
	if (items.count == 0)
		return 0;
	while (xdr_items_next(&items, &item)) {
		if (xdr_span_i32(item) == AUTH_TYPE_NONE)
			return 0;
		if (xdr_span_i32(item) == AUTH_TYPE_POLKIT)
			polkit = true;
	}
	return polkit ? 1 : -1;
}

static void
upstream_free(struct upstream *upstream)
{
	struct pending *pending;

	while ((pending = upstream->pending) != NULL) {
		upstream->pending = pending->next;
		free(pending);
	}
	if (upstream->fd >= 0) {
		event_del(&upstream->read_event);
		event_del(&upstream->write_event);
		close(upstream->fd);
	}
	if (upstream->descriptor >= 0)
		close(upstream->descriptor);
	buf_free(&upstream->in);
	buf_free(&upstream->out);
	free(upstream->uri);
	free(upstream);
}

void
upstream_destroy(struct upstream *upstream)
{
	if (upstream == NULL)
		return;
	upstream->destroyed = true;
	if (!upstream->in_callback)
		upstream_free(upstream);
}

static void
flush(struct upstream *upstream)
{
	while (buf_len(&upstream->out) > 0) {
		ssize_t n = send(upstream->fd, buf_head(&upstream->out), buf_len(&upstream->out), MSG_NOSIGNAL);

		if (n < 0) {
			/* Any other failure shows up on the reading side too. */
			if (errno == EAGAIN)
				event_add(&upstream->write_event, NULL);
			return;
		}
		buf_drop(&upstream->out, (size_t)n);
	}
}

static void
on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

uint32_t
upstream_call(struct upstream *upstream, const struct rpc_proc *proc, const void *body, size_t len, upstream_reply_cb *reply, void *arg)
{
	struct pending *pending;
	uint8_t *room;

	pending = calloc(1, sizeof(*pending));
	room = pending == NULL ? NULL : buf_room(&upstream->out, RPC_HEADER_LEN + len);
	if (room == NULL) {
		free(pending);
		return 0;
	}
	if (++upstream->last_serial == 0)
		upstream->last_serial = 1;
	buf_added(&upstream->out, upstream_put_call(room, RPC_HEADER_LEN + len, proc, upstream->last_serial, body, len));
	pending->serial = upstream->last_serial;
	pending->proc = proc;
	pending->reply = reply;
	pending->arg = arg;
	pending->next = upstream->pending;
	upstream->pending = pending;
	flush(upstream);
	return pending->serial;
}

int
upstream_take_descriptor(struct upstream *upstream)
{
	int descriptor = upstream->descriptor;

	upstream->descriptor = -1;
	return descriptor;
}

/* Tells everybody that nothing more comes, the owner last. */
static void
fail(struct upstream *upstream, const char *why)
{
	struct rpc_error error = { .code = RPC_ERR_SYSTEM, .origin = RPC_ORIGIN_RPC };
	struct pending *pending;

	(void)snprintf(error.message, sizeof(error.message), "%s", why);
	event_del(&upstream->read_event);
	event_del(&upstream->write_event);
	if (upstream->descriptor >= 0)		/* of a reply that was not taken */
		close(upstream_take_descriptor(upstream));
	while (!upstream->destroyed && (pending = upstream->pending) != NULL) {
		upstream->pending = pending->next;
		pending->reply(pending->proc, NULL, 0, &error, pending->arg);
		free(pending);
	}
	if (!upstream->destroyed)
		upstream->handlers.closed(why, upstream->handlers.arg);
}

static int
take_reply(struct upstream *upstream, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	struct pending **link, *pending;
	struct rpc_error error;
	bool failed = header->status != RPC_STATUS_OK;

	for (link = &upstream->pending; *link != NULL && (*link)->serial != header->serial; link = &(*link)->next)
		;
	pending = *link;
	if (pending == NULL || pending->proc->number != (uint32_t)header->procedure)
		return -1;
	if (xdr_check(failed ? rpc_error_fields : pending->proc->ret, body, len) != VG_OK)
		return -1;
	*link = pending->next;
	if (failed)
		rpc_get_error(body, len, &error);
	pending->reply(pending->proc, failed ? NULL : body, failed ? 0 : len, failed ? &error : NULL, pending->arg);
	free(pending);
	return 0;
}

/*
 * A reply with descriptors: their number stands in front of the body, and each comes with a byte of its own behind the
 * message (libvirt src/rpc/virnetmessage.c, virnetsocket.c). We ask only for calls that bring one. 1: taken, with the
 * length of all of it in `used`; 0: the rest has not come.
 */
static int
take_reply_with_descriptor(struct upstream *upstream, const struct rpc_header *header, const uint8_t *message, size_t len, size_t *used)
{
	struct rpc_header plain = *header;
	const struct rpc_proc *proc = rpc_header_proc(header);
	const uint8_t one[4] = { 0, 0, 0, 1 };

	if (proc == NULL || !proc->descriptors || header->status != RPC_STATUS_OK || header->length < RPC_HEADER_LEN + sizeof(one))
		return -1;
	if (len < (size_t)header->length + 1)
		return 0;
	if (memcmp(message + RPC_HEADER_LEN, one, sizeof(one)) != 0 || upstream->descriptor < 0)
		return -1;
	plain.type = RPC_REPLY;
	if (rpc_check_backend(&plain) != VG_OK || take_reply(upstream, &plain, message + RPC_HEADER_LEN + sizeof(one),
	    header->length - RPC_HEADER_LEN - sizeof(one)) < 0)
		return -1;
	if (upstream->descriptor >= 0)
		close(upstream_take_descriptor(upstream));
	*used = (size_t)header->length + 1;
	return 1;
}

static int
take_message(struct upstream *upstream, const struct rpc_header *header, const uint8_t *body, size_t len)
{
	const struct rpc_proc *proc;
	uint8_t pong[RPC_HEADER_LEN];

	if (rpc_check_backend(header) != VG_OK)
		return -1;
	if (header->program == RPC_PROGRAM_KEEPALIVE) {
		if (header->procedure == RPC_KEEPALIVE_PING) {
			rpc_put_keepalive(pong, RPC_KEEPALIVE_PONG);
			if (buf_add(&upstream->out, pong, sizeof(pong)) == 0)
				flush(upstream);
		}
		return 0;
	}
	if (header->type == RPC_REPLY)
		return take_reply(upstream, header, body, len);
	proc = rpc_proc_find(header->program, (uint32_t)header->procedure);
	if (header->type != RPC_EVENT || proc == NULL || proc->kind != RPC_KIND_EVENT || xdr_check(proc->args, body, len) != VG_OK)
		return -1;
	upstream->handlers.event(proc, body, len, upstream->handlers.arg);
	return 0;
}

/* Whole messages out of the input buffer. -1: libvirtd talks nonsense. */
static int
take_messages(struct upstream *upstream)
{
	while (!upstream->destroyed) {
		struct rpc_header header;
		size_t len = buf_len(&upstream->in);
		enum vg_parse parse = rpc_header_get(buf_head(&upstream->in), len, &header);

		if (parse == VG_BAD)
			return -1;
		if (parse == VG_MORE || header.length > len)
			return 0;
		if (header.type == RPC_REPLY_WITH_FDS) {
			size_t used = 0;
			int taken = take_reply_with_descriptor(upstream, &header, buf_head(&upstream->in), len, &used);

			if (taken <= 0)
				return taken;
			buf_drop(&upstream->in, used);
			continue;
		}
		if (take_message(upstream, &header, buf_head(&upstream->in) + RPC_HEADER_LEN, header.length - RPC_HEADER_LEN) < 0)
			return -1;
		buf_drop(&upstream->in, header.length);
	}
	return 0;
}

/* recv() that keeps one descriptor; a second one before the first is taken was never asked for, and is closed. */
static ssize_t
receive(struct upstream *upstream, uint8_t *room, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { .iov_base = room, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
	    .msg_controllen = CMSG_LEN(sizeof(int)) };	/* not CMSG_SPACE: its padding has room for a second one */
	ssize_t n = recvmsg(upstream->fd, &message, MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *at = n < 0 ? NULL : CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
		int descriptor;

		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS || at->cmsg_len != CMSG_LEN(sizeof(int)))
			continue;
		memcpy(&descriptor, CMSG_DATA(at), sizeof(descriptor));
		if (upstream->descriptor >= 0)
			close(descriptor);
		else
			upstream->descriptor = descriptor;
	}
	return n;
}

/* One read and what is whole of it. False: nothing more is there for now, or the upstream is over and may be freed. */
static bool
read_some(struct upstream *upstream)
{
	uint8_t *room = buf_room(&upstream->in, READ_SIZE);
	bool more = false;
	ssize_t n;

	upstream->in_callback = true;
	if (room == NULL) {
		fail(upstream, "out of memory");
		goto out;
	}
	n = receive(upstream, room, READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		goto out;
	if (n <= 0) {
		fail(upstream, n == 0 ? "libvirtd closed the connection" : strerror(errno));
		goto out;
	}
	buf_added(&upstream->in, (size_t)n);
	if (take_messages(upstream) < 0)
		fail(upstream, "libvirtd sent a message that does not decode");
	else
		more = n == READ_SIZE;
out:
	if (buf_len(&upstream->in) == 0)
		buf_free(&upstream->in);
	upstream->in_callback = false;
	if (upstream->destroyed) {
		upstream_free(upstream);
		more = false;
	}
	return more;
}

static void
on_readable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)read_some(arg);
}

void
upstream_catch_up(struct upstream *upstream)
{
	while (read_some(upstream))
		;
}

static void
on_opened(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct upstream *upstream = arg;

	(void)proc;
	(void)body;
	(void)len;
	if (error == NULL)
		upstream->handlers.ready(upstream->handlers.arg);
	else
		upstream->handlers.closed(error->message, upstream->handlers.arg);
}

static void
open_uri(struct upstream *upstream)
{
	uint8_t body[1024];
	struct xdr_out out;

	xdr_out_init(&out, body, sizeof(body));
	xdr_put_optional_string(&out, upstream->uri);
	xdr_put_u32(&out, 0);
	if (out.failed || upstream_call(upstream, rpc_proc_by_name("connect_open"), body, out.len, on_opened, upstream) == 0)
		upstream->handlers.closed("out of memory", upstream->handlers.arg);
}

static void
on_polkit(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct upstream *upstream = arg;

	(void)proc;
	(void)body;
	(void)len;
	if (error == NULL)
		open_uri(upstream);
	else
		upstream->handlers.closed(error->message, upstream->handlers.arg);
}

static void
on_auth_list(const struct rpc_proc *proc, const uint8_t *body, size_t len, const struct rpc_error *error, void *arg)
{
	struct upstream *upstream = arg;
	int wanted = error != NULL ? -1 : upstream_auth_wanted(body, len);

	(void)proc;
	if (wanted == 0)
		open_uri(upstream);
	else if (wanted == 1)
		(void)upstream_call(upstream, rpc_proc_by_name("auth_polkit"), NULL, 0, on_polkit, upstream);
	else
		upstream->handlers.closed(error != NULL ? error->message :
		    "libvirtd demands SASL on its local socket; set auth_unix_rw = \"none\" or \"polkit\" there", upstream->handlers.arg);
}

struct upstream *
upstream_create(struct gate *gate, const char *path, const char *uri, const struct upstream_handlers *handlers)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (upstream == NULL)
		return NULL;
	upstream->gate = gate;
	upstream->descriptor = -1;
	upstream->handlers = *handlers;
	upstream->uri = strdup(uri);
	upstream->fd = upstream_dial(path);
	if (upstream->uri == NULL || upstream->fd < 0) {
		int saved = errno;

		upstream_free(upstream);
		errno = saved;
		return NULL;
	}
	event_assign(&upstream->read_event, gate->base, upstream->fd, EV_READ | EV_PERSIST, on_readable, upstream);
	event_assign(&upstream->write_event, gate->base, upstream->fd, EV_WRITE, on_writable, upstream);
	event_add(&upstream->read_event, NULL);
	if (upstream_call(upstream, rpc_proc_by_name("auth_list"), NULL, 0, on_auth_list, upstream) == 0) {
		upstream_free(upstream);
		errno = ENOMEM;
		return NULL;
	}
	return upstream;
}
