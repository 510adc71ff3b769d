#include "gateway/cli/libvirt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/rpc.h"
#include "proto/table.h"
#include "proto/xdr.h"

#define WAIT_SECONDS	30	/* for one answer */

/* VIR_CONNECT_RO, libvirt-host.h; VIR_DOMAIN_XML_INACTIVE, libvirt-domain.h */
enum { CONNECT_RO = 1, DOMAIN_XML_INACTIVE = 2 };

struct client {
	const char *socket;
	int fd;
	uint32_t serial;
	uint8_t *answer;		/* the last one, with its header */
	size_t len;
};

/* ---- one call ---- */

static int
broken(const struct client *client, struct vg_error *error)
{
	return vg_fail(error, "libvirtd at '%.200s' does not answer as libvirtd does", client->socket);
}

static int
send_all(struct client *client, const uint8_t *data, size_t len, struct vg_error *error)
{
	while (len > 0) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return vg_fail(error, "libvirtd at '%.200s': %s", client->socket, strerror(errno));
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
receive_all(struct client *client, uint8_t *data, size_t len, struct vg_error *error)
{
	while (len > 0) {
		ssize_t n = recv(client->fd, data, len, 0);

		if (n <= 0)
			return vg_fail(error, "libvirtd at '%.200s': %s", client->socket, n == 0 ? "closed the connection" : strerror(errno));
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
receive_message(struct client *client, struct rpc_header *header, struct vg_error *error)
{
	uint8_t head[RPC_HEADER_LEN];

	if (receive_all(client, head, sizeof(head), error) < 0)
		return -1;
	if (rpc_header_get(head, sizeof(head), header) != VG_OK || rpc_check_backend(header) != VG_OK || header->length < RPC_HEADER_LEN)
		return broken(client, error);
	free(client->answer);
	client->len = header->length;
	client->answer = malloc(client->len);
	if (client->answer == NULL)
		return vg_fail(error, "out of memory");
	memcpy(client->answer, head, sizeof(head));
	return receive_all(client, client->answer + sizeof(head), client->len - sizeof(head), error);
}

/* The body of the answer, checked against the table, in `reply`, until the next call. `refused`: libvirtd answered with an error. */
static int
call(struct client *client, const char *name, const struct xdr_out *arguments, struct xdr_span *reply, bool *refused, struct vg_error *error)
{
	const struct rpc_proc *proc = rpc_proc_by_name(name);
	struct rpc_header header = { .length = (uint32_t)(RPC_HEADER_LEN + arguments->len), .program = proc->program, .version = RPC_VERSION,
		.procedure = (int32_t)proc->number, .type = RPC_CALL, .serial = ++client->serial, .status = RPC_STATUS_OK };
	uint8_t head[RPC_HEADER_LEN];
	struct rpc_error told;

	if (arguments->failed)
		return vg_fail(error, "a name of libvirtd's is too long");
	rpc_header_put(head, &header);
	if (send_all(client, head, sizeof(head), error) < 0 || send_all(client, arguments->buf, arguments->len, error) < 0)
		return -1;
	do {	/* what is not the answer is an event or a ping, which nobody asked for */
		if (receive_message(client, &header, error) < 0)
			return -1;
	} while (header.type != RPC_REPLY || header.serial != client->serial);
	*reply = (struct xdr_span){ client->answer + RPC_HEADER_LEN, client->len - RPC_HEADER_LEN };
	*refused = header.status != RPC_STATUS_OK;
	if (xdr_check(*refused ? rpc_error_fields : proc->ret, reply->data, reply->len) != VG_OK)
		return broken(client, error);
	if (*refused) {
		rpc_get_error(reply->data, reply->len, &told);
		(void)vg_fail(error, "libvirtd at '%.100s': %.300s", client->socket, told.message);
	}
	return 0;
}

/* ---- the guests ---- */

static int
open_connection(struct client *client, const char *uri, struct vg_error *error)
{
	const struct timeval wait = { .tv_sec = WAIT_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint8_t buf[600];
	struct xdr_span reply;
	struct xdr_out out;
	bool refused;

	if (strlen(client->socket) >= sizeof(address.sun_path))
		return vg_fail(error, "'%.200s' is too long for a socket", client->socket);
	memcpy(address.sun_path, client->socket, strlen(client->socket) + 1);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return vg_fail(error, "libvirtd at '%.200s': %s", client->socket, strerror(errno));
	xdr_out_init(&out, buf, sizeof(buf));
	if (call(client, "auth_list", &out, &reply, &refused, error) < 0 || refused)
		return -1;
	xdr_out_init(&out, buf, sizeof(buf));
	xdr_put_optional_string(&out, uri);
	xdr_put_u32(&out, CONNECT_RO);
	return call(client, "connect_open", &out, &reply, &refused, error) < 0 || refused ? -1 : 0;
}

/* One that is gone by now is none any more. */
static int
tell_guest(struct client *client, const struct xdr_object *guest, struct xdr_span encoded, libvirt_guest_cb *each, void *arg, struct vg_error *error)
{
	char *name = strndup(guest->name.len == 0 ? "" : (const char *)guest->name.data, guest->name.len);
	uint8_t *buf = malloc(encoded.len + 4);
	struct xdr_span reply, span, xml;
	struct xdr_out out;
	bool refused;
	int r = -1;

	if (name == NULL || buf == NULL) {
		(void)vg_fail(error, "out of memory");
		goto out;
	}
	xdr_out_init(&out, buf, encoded.len + 4);
	xdr_put_raw(&out, encoded.data, encoded.len);
	xdr_put_u32(&out, DOMAIN_XML_INACTIVE);
	r = call(client, "domain_get_xml_desc", &out, &reply, &refused, error);
	if (r == 0 && !refused && xdr_find(rpc_proc_by_name("domain_get_xml_desc")->ret, reply.data, reply.len, "xml", &span) && xdr_span_string(span, &xml))
		each(name, (const char *)xml.data, xml.len, arg);
	else if (r == 0)
		each(name, NULL, 0, arg);
out:
	free(buf);
	free(name);
	return r;
}

static int
list_guests(struct client *client, uint8_t **list, size_t *len, struct vg_error *error)
{
	struct xdr_span reply;
	struct xdr_out out;
	uint8_t buf[8];
	bool refused;

	xdr_out_init(&out, buf, sizeof(buf));
	xdr_put_i32(&out, 1);		/* need_results */
	xdr_put_u32(&out, 0);
	if (call(client, "connect_list_all_domains", &out, &reply, &refused, error) < 0 || refused)
		return -1;
	*list = malloc(reply.len + 1);
	if (*list == NULL)
		return vg_fail(error, "out of memory");
	memcpy(*list, reply.data, reply.len);
	*len = reply.len;
	return 0;
}

int
libvirt_guests(const char *socket, const char *uri, libvirt_guest_cb *each, void *arg, struct vg_error *error)
{
	struct client client = { .socket = socket, .fd = -1 };
	struct xdr_items items;
	struct xdr_object guest;
	struct xdr_span item;
	uint8_t *list = NULL;
	size_t len = 0;
	int r = -1;

	if (open_connection(&client, uri, error) < 0 || list_guests(&client, &list, &len, error) < 0)
		goto out;
	r = xdr_items(rpc_proc_by_name("connect_list_all_domains")->ret, list, len, "domains", &items) ? 0 : broken(&client, error);
	while (r == 0 && xdr_items_next(&items, &item))
		r = xdr_get_object(VG_CLASS_domain, item, &guest) ? tell_guest(&client, &guest, item, each, arg, error) : broken(&client, error);
out:
	if (client.fd >= 0)
		(void)close(client.fd);
	free(client.answer);
	free(list);
	return r;
}
