#include "tests/session/libvirtd.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_CONNECTIONS 64

const uint8_t uuid_web1[16] = { 0x11, 1 }, uuid_web2[16] = { 0x22, 2 }, uuid_db1[16] = { 0x33, 3 };

static const struct {
	const char *name;
	const uint8_t *uuid;
	int32_t id;
} domains[] = { { "web-1", uuid_web1, 1 }, { "web-2", uuid_web2, -1 }, { "db-1", uuid_db1, 3 } };

static int listener;
static pthread_t acceptor;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum mischief current;
static size_t num_forwarded, num_connections;
static struct message last_forwarded;
static int connections[MAX_CONNECTIONS];
static size_t num_consoles;
static int console = -1;

void
harness_mischief(enum mischief mischief)
{
	pthread_mutex_lock(&lock);
	current = mischief;
	pthread_mutex_unlock(&lock);
}

size_t
harness_num_forwarded(void)
{
	size_t num;

	pthread_mutex_lock(&lock);
	num = num_forwarded;
	pthread_mutex_unlock(&lock);
	return num;
}

void
harness_last_forwarded(struct message *last)
{
	pthread_mutex_lock(&lock);
	*last = last_forwarded;
	pthread_mutex_unlock(&lock);
}

static bool
read_all(int fd, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(fd, (uint8_t *)data + at, len - at, 0);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static void
write_message(int fd, struct rpc_header header, const void *body, size_t len)
{
	uint8_t head[RPC_HEADER_LEN];

	header.length = (uint32_t)(RPC_HEADER_LEN + len);
	rpc_header_put(head, &header);
	(void)!send(fd, head, sizeof(head), MSG_NOSIGNAL);
	if (len > 0)
		(void)!send(fd, body, len, MSG_NOSIGNAL);
}

size_t
put_domain(uint8_t *buf, const char *name, const uint8_t uuid[16], int32_t id)
{
	struct xdr_out out;

	xdr_out_init(&out, buf, 1024);
	xdr_put_string(&out, name);
	xdr_put_raw(&out, uuid, 16);
	xdr_put_i32(&out, id);
	return out.len;
}

static size_t
list_domains(uint8_t *body, size_t size, bool results)
{
	struct xdr_out out;

	xdr_out_init(&out, body, size);
	xdr_put_u32(&out, results ? 3 : 0);
	for (size_t i = 0; results && i < 3; i++) {
		uint8_t domain[1024];

		xdr_put_raw(&out, domain, put_domain(domain, domains[i].name, domains[i].uuid, domains[i].id));
	}
	xdr_put_u32(&out, 3);
	return out.len;
}

/* The domain that a look-up means, or -1. */
static int
looked_up(const char *proc, const uint8_t *body, size_t len)
{
	const struct xdr_span span = { body, len };
	struct xdr_span name;

	for (int i = 0; i < 3; i++) {
		if (strcmp(proc, "domain_lookup_by_uuid") == 0 && memcmp(body, domains[i].uuid, 16) == 0)
			return i;
		if (strcmp(proc, "domain_lookup_by_id") == 0 && xdr_span_i32(span) == domains[i].id)
			return i;
		if (strcmp(proc, "domain_lookup_by_name") == 0 && xdr_span_string(span, &name) && name.len == strlen(domains[i].name) &&
		    memcmp(name.data, domains[i].name, name.len) == 0)
			return i;
	}
	return -1;
}

/* As versions of libvirt did that wrote passwords whether they were asked for or not. */
static size_t
put_leaky_xml(uint8_t *body, size_t size)
{
	struct xdr_out out;

	xdr_out_init(&out, body, size);
	xdr_put_string(&out, "<domain type='test'><metadata><app:keep xmlns:app='urn:app' passwd='of-the-app'/></metadata><devices>"
	    "<disk><source protocol='https'><cookies><cookie name='c'>secret-cookie</cookie></cookies></source></disk>"
	    "<graphics type='vnc' passwd='secret-vnc' port='5900'/></devices></domain>");
	return out.len;
}

static void
refuse(int fd, const struct rpc_header *header, int code, const char *text)
{
	struct rpc_error error = { .code = code, .origin = RPC_ORIGIN_QEMU };
	uint8_t reply[RPC_MAX_ERROR_LEN];

	(void)snprintf(error.message, sizeof(error.message), "%s", text);
	(void)!send(fd, reply, rpc_put_error(reply, sizeof(reply), header, &error), MSG_NOSIGNAL);
}

size_t
harness_num_consoles(void)
{
	size_t num;

	pthread_mutex_lock(&lock);
	num = num_consoles;
	pthread_mutex_unlock(&lock);
	return num;
}

int
libvirtd_take_console(void)
{
	int fd;

	pthread_mutex_lock(&lock);
	fd = console;
	console = -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

/* The byte that carries descriptors behind a reply. */
static void
send_descriptors(int fd, const int *descriptors, size_t num)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = "", byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(num * sizeof(int)) };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(num * sizeof(int));
	memcpy(CMSG_DATA(head), descriptors, num * sizeof(int));
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void
answer_console(int fd, struct rpc_header reply, enum mischief mischief)
{
	const uint8_t num[] = { 0, 0, 0, mischief == TWO_DESCRIPTORS ? 2 : 1 };
	int pair[2];

	pthread_mutex_lock(&lock);
	num_consoles++;
	pthread_mutex_unlock(&lock);
	if (mischief == STAY_SILENT)
		return;
	if (mischief == NO_DESCRIPTOR) {
		write_message(fd, reply, NULL, 0);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	reply.type = RPC_REPLY_WITH_FDS;
	write_message(fd, reply, num, sizeof(num));
	send_descriptors(fd, (const int[]){ pair[1], pair[1] }, mischief == TWO_DESCRIPTORS ? 2 : 1);
	close(pair[1]);
	pthread_mutex_lock(&lock);
	if (console >= 0)
		close(console);
	console = pair[0];
	pthread_mutex_unlock(&lock);
}

/* domain_get_info as it should be, or one of the ways it should not. False: hang up. */
static bool
answer_info(int fd, struct rpc_header reply, enum mischief mischief)
{
	static const uint8_t info[4 + 8 + 8 + 4 + 8 + 4] = { 0, 0, 0, 1 };
	size_t len = 4 + 8 + 8 + 4 + 8;

	switch (mischief) {
	case TRAILING_BYTES:
		len += 4;
		break;
	case SHORT_REPLY:
		len -= 4;
		break;
	case WRONG_SERIAL:
		reply.serial += 1000;
		break;
	case WRONG_PROCEDURE:
		reply.procedure = 17;
		break;
	case REPLY_TWICE:
		write_message(fd, reply, info, len);
		break;
	case CALL_TO_CLIENT:
		reply.type = RPC_CALL;
		break;
	case HANG_UP:
		return false;
	case STAY_SILENT:
		return true;
	case ASK_POLKIT:
	case NO_DESCRIPTOR:
	case TWO_DESCRIPTORS:
	case BEHAVE:
		break;
	}
	write_message(fd, reply, info, len);
	return true;
}

/* A screenshot, of which half a packet of the stream is sent; the rest follows when the next domain_get_info comes. */
static struct rpc_header half_packet;

static void
answer_screenshot(int fd, struct rpc_header reply)
{
	uint8_t packet[RPC_HEADER_LEN + 4] = { 0 };

	write_message(fd, reply, "\0\0\0\0", 4);
	reply.type = RPC_STREAM;
	reply.status = RPC_STATUS_CONTINUE;
	reply.length = RPC_HEADER_LEN + 8;
	rpc_header_put(packet, &reply);
	memcpy(packet + RPC_HEADER_LEN, "half", 4);
	(void)!send(fd, packet, sizeof(packet), MSG_NOSIGNAL);
	half_packet = reply;
}

static void
send_rest_of_packet(int fd)
{
	if (half_packet.length > 0)
		(void)!send(fd, "rest", 4, MSG_NOSIGNAL);
	half_packet.length = 0;
}

/* False: hang up. */
static bool
answer(int fd, const struct rpc_header *header, const uint8_t *body, size_t len, bool *authenticated)
{
	const char *proc = rpc_proc_find(header->program, (uint32_t)header->procedure)->name;
	struct rpc_header reply = *header;
	enum mischief mischief;
	uint8_t out[4096];
	int i;

	pthread_mutex_lock(&lock);
	mischief = current;
	pthread_mutex_unlock(&lock);
	reply.type = RPC_REPLY;
	if (strcmp(proc, "domain_get_info") == 0) {
		send_rest_of_packet(fd);
		return answer_info(fd, reply, mischief);
	}
	if (strcmp(proc, "domain_screenshot") == 0) {
		answer_screenshot(fd, reply);
		return true;
	}
	if (strcmp(proc, "domain_open_graphics_fd") == 0) {
		answer_console(fd, reply, mischief);
		return true;
	}
	if (strcmp(proc, "auth_list") == 0) {
		*authenticated = mischief != ASK_POLKIT;
		write_message(fd, reply, *authenticated ? "\0\0\0\1\0\0\0\0" : "\0\0\0\1\0\0\0\2", 8);
	} else if (strcmp(proc, "auth_polkit") == 0) {
		*authenticated = true;
		write_message(fd, reply, "\0\0\0\1", 4);
	} else if (!*authenticated) {
		refuse(fd, header, RPC_ERR_RPC, "authentication required");
	} else if (strcmp(proc, "connect_open") == 0 || strcmp(proc, "domain_create") == 0) {
		write_message(fd, reply, NULL, 0);
	} else if (strcmp(proc, "connect_domain_event_callback_register_any") == 0) {
		write_message(fd, reply, "\0\0\0\7", 4);
	} else if (strcmp(proc, "connect_supports_feature") == 0) {
		write_message(fd, reply, "\0\0\0\1", 4);
	} else if (strcmp(proc, "connect_list_all_domains") == 0) {
		write_message(fd, reply, out, list_domains(out, sizeof(out), body[3] != 0));
	} else if (strcmp(proc, "domain_get_xml_desc") == 0) {
		write_message(fd, reply, out, put_leaky_xml(out, sizeof(out)));
	} else if (strncmp(proc, "domain_lookup_by_", 17) == 0) {
		i = looked_up(proc, body, len);
		if (i < 0)
			refuse(fd, header, RPC_ERR_NO_DOMAIN, "Domain not found: no such domain");
		else
			write_message(fd, reply, out, put_domain(out, domains[i].name, domains[i].uuid, domains[i].id));
	} else {
		refuse(fd, header, RPC_ERR_NO_SUPPORT, "this function is not supported by the test");
	}
	return true;
}

static void
note_forwarded(const struct rpc_header *header, const uint8_t *body, size_t len)
{
	pthread_mutex_lock(&lock);
	num_forwarded++;
	last_forwarded.header = *header;
	last_forwarded.len = len;
	memcpy(last_forwarded.body, body, len);
	pthread_mutex_unlock(&lock);
}

static void
forget_connection(int fd)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < num_connections; i++)
		if (connections[i] == fd)
			connections[i] = connections[--num_connections];
	pthread_mutex_unlock(&lock);
	close(fd);
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t head[RPC_HEADER_LEN], *body = malloc(MAX_MESSAGE);
	bool inventory = false, first = true, authenticated = false;
	struct rpc_header header;

	while (body != NULL && read_all(fd, head, sizeof(head)) && rpc_header_get(head, sizeof(head), &header) == VG_OK &&
	    header.length - RPC_HEADER_LEN <= MAX_MESSAGE && read_all(fd, body, header.length - RPC_HEADER_LEN)) {
		size_t len = header.length - RPC_HEADER_LEN;

		/* The inventory counts its serials from 1; the gate logs in for a session with a high one. */
		if (first)
			inventory = header.serial == 1;
		else if (!inventory && header.procedure != 1 && header.procedure != 70)
			note_forwarded(&header, body, len);
		first = false;
		if (!answer(fd, &header, body, len, &authenticated))
			break;
	}
	free(body);
	forget_connection(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	pthread_t thread;
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_mutex_lock(&lock);
		connections[num_connections++] = fd;
		pthread_mutex_unlock(&lock);
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
	return NULL;
}

void
harness_event(const char *name, const uint8_t uuid[16])
{
	harness_event_id(name, uuid, 1);
}

void
harness_event_id(const char *name, const uint8_t uuid[16], int32_t id)
{
	const struct rpc_proc *proc = rpc_proc_by_name("domain_event_callback_lifecycle");
	struct rpc_header header = { .program = proc->program, .version = 1, .procedure = (int32_t)proc->number, .type = RPC_EVENT };
	uint8_t body[1100] = { 0, 0, 0, 7 };
	size_t len = 4 + put_domain(body + 4, name, uuid, id);

	memcpy(body + len, "\0\0\0\4\0\0\0\0", 8);	/* resumed */
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < num_connections; i++)
		write_message(connections[i], header, body, len + 8);
	pthread_mutex_unlock(&lock);
}

void
libvirtd_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	current = BEHAVE;
	num_consoles = 0;
	num_forwarded = 0;
	memcpy(address.sun_path, path, strlen(path) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(listen(listener, 64), 0);
}

void
libvirtd_serve(void)
{
	assert_int_equal(pthread_create(&acceptor, NULL, accept_all, NULL), 0);
}

void
libvirtd_start(const char *path)
{
	libvirtd_listen(path);
	libvirtd_serve();
}

void
libvirtd_stop(void)
{
	shutdown(listener, SHUT_RDWR);
	pthread_join(acceptor, NULL);
	close(listener);
	if (console >= 0)
		close(console);
	console = -1;
}
