/*
 * sink_net.c: UNIX datagrams, TCP and TLS.
 */
#include "gateway/audit/sink_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* ---- TLS ---- */

static int
tls_fail(struct vg_error *error, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return vg_fail(error, "%s: %s", what, reason != NULL ? reason : "TLS failed");
}

/* RFC 5425: the collector is always authenticated, by its name. */
int
sink_net_prepare(struct sink_net *net, const struct sink_target *target, const struct settings *settings,
    struct vg_error *error)
{
	const char *ca = settings->audit_sink_ca_file != NULL ? settings->audit_sink_ca_file : settings->ca_file;
	const char *cert = settings->audit_sink_cert_file, *key = settings->audit_sink_key_file;

	net->target = target;
	net->fd = -1;
	if (target->kind->transport != SINK_TLS)
		return 0;
	net->context = SSL_CTX_new(TLS_client_method());
	if (net->context == NULL || SSL_CTX_set_min_proto_version(net->context, TLS1_2_VERSION) != 1)
		return tls_fail(error, "audit_sinks");
	SSL_CTX_set_verify(net->context, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(net->context, ca, NULL) != 1) {
		(void)tls_fail(error, ca);
		return vg_hint(error, "audit_sink_ca_file names the CA certificates that the collector of syslog+tls chains to");
	}
	if (cert != NULL && SSL_CTX_use_certificate_chain_file(net->context, cert) != 1)
		return tls_fail(error, cert);
	if (cert != NULL && key != NULL && SSL_CTX_use_PrivateKey_file(net->context, key, SSL_FILETYPE_PEM) != 1)
		return tls_fail(error, key);
	return 0;
}

/* After a call of OpenSSL that did not go through: waits for what it wants. 0 when it may be tried again. */
static int
tls_wait(struct sink_net *net, int result, const char *what, struct vg_error *error)
{
	int why = SSL_get_error(net->ssl, result), happened;
	long verified = SSL_get_verify_result(net->ssl);

	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
		if (verified != X509_V_OK)
			return vg_fail(error, "%s: its certificate: %s", what, X509_verify_cert_error_string(verified));
		net->error = why == SSL_ERROR_SYSCALL && errno != 0 ? errno : ECONNABORTED;
		if (why == SSL_ERROR_SYSCALL)
			return vg_fail(error, "%s: %s", what, errno != 0 ? strerror(errno) : "closed the connection");
		return tls_fail(error, what);
	}
	happened = net->wait(net->fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, SINK_SEND_MS, net->arg);
	if (happened > 0)
		return 0;
	return vg_fail(error, "%s: %s", what, happened == 0 ? "does not answer" : "stopped");
}

static int
tls_open(struct sink_net *net, struct vg_error *error)
{
	const char *host = net->target->host;
	unsigned char address[16];
	X509_VERIFY_PARAM *param;
	int result;

	net->ssl = SSL_new(net->context);
	if (net->ssl == NULL || SSL_set_fd(net->ssl, net->fd) != 1)
		return tls_fail(error, host);
	param = SSL_get0_param(net->ssl);
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		result = X509_VERIFY_PARAM_set1_ip_asc(param, host);
	else
		result = SSL_set1_host(net->ssl, host) == 1 && SSL_set_tlsext_host_name(net->ssl, host) == 1;
	if (result != 1)
		return tls_fail(error, host);
	while ((result = SSL_connect(net->ssl)) != 1)
		if (tls_wait(net, result, host, error) == -1)
			return -1;
	return 0;
}

/* ---- opening ---- */

static int
open_unix(struct sink_net *net, struct vg_error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, net->target->path, sizeof(address.sun_path));
	net->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (net->fd == -1 || connect(net->fd, (const struct sockaddr *)&address, sizeof(address)) == -1)
		return vg_fail(error, "%s: %s", net->target->path, strerror(errno));
	return 0;
}

static int
open_netlink(struct sink_net *net, struct vg_error *error)
{
	net->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);
	return net->fd != -1 ? 0 : vg_fail(error, "Linux audit: %s", strerror(errno));
}

/* The kernel's answer to one message. */
static int
confirm_netlink(struct sink_net *net, struct vg_error *error)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr answer;
		char more[512];
	} reply;
	int happened = net->wait(net->fd, POLLIN, SINK_SEND_MS, net->arg);

	if (happened <= 0)
		return vg_fail(error, "Linux audit: %s", happened == 0 ? "does not answer" : "stopped");
	if (recv(net->fd, &reply, sizeof(reply), MSG_DONTWAIT) < (ssize_t)(sizeof(reply.head) + sizeof(reply.answer.error)) ||
	    reply.head.nlmsg_type != NLMSG_ERROR)
		return vg_fail(error, "Linux audit: an answer that is none");
	if (reply.answer.error == 0)
		return 0;
	(void)vg_fail(error, "Linux audit: %s", strerror(-reply.answer.error));
	return reply.answer.error == -EPERM ? vg_hint(error, "it takes CAP_AUDIT_WRITE, which root has") : -1;
}

static int
connect_to(struct sink_net *net, const struct addrinfo *address)
{
	socklen_t len = sizeof(int);
	int failed = 0;

	net->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (net->fd == -1)
		return -1;
	if (connect(net->fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -1;
	if (net->wait(net->fd, POLLOUT, SINK_CONNECT_MS, net->arg) <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &failed, &len) == -1 || failed == 0)
		return failed == 0 ? 0 : -1;
	errno = failed;
	return -1;
}

static int
open_stream(struct sink_net *net, struct vg_error *error)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *addresses = NULL;
	int status = getaddrinfo(net->target->host, net->target->port, &hints, &addresses), saved = 0;

	if (status != 0)
		return vg_fail(error, "%s: %s", net->target->host, gai_strerror(status));
	for (const struct addrinfo *address = addresses; address != NULL; address = address->ai_next) {
		if (connect_to(net, address) == 0)
			break;
		saved = errno;
		if (net->fd != -1)
			close(net->fd);
		net->fd = -1;
	}
	freeaddrinfo(addresses);
	if (net->fd == -1)
		return vg_fail(error, "%s port %s: %s", net->target->host, net->target->port, strerror(saved));
	return net->target->kind->transport == SINK_TLS ? tls_open(net, error) : 0;
}

int
sink_net_open(struct sink_net *net, struct vg_error *error)
{
	enum sink_transport transport = net->target->kind->transport;
	int result;

	net->error = 0;
	net->written = 0;
	net->num_pieces = 0;
	result = transport == SINK_UNIX ? open_unix(net, error) : transport == SINK_NETLINK ? open_netlink(net, error) :
	    open_stream(net, error);

	if (result == -1)
		sink_net_close(net);
	return result;
}

void
sink_net_close(struct sink_net *net)
{
	if (net->ssl != NULL) {
		(void)SSL_shutdown(net->ssl);
		SSL_free(net->ssl);
		net->ssl = NULL;
		ERR_clear_error();
	}
	if (net->fd != -1)
		close(net->fd);
	net->fd = -1;
}

/* ---- sending ---- */

bool
sink_net_stands(struct sink_net *net)
{
	struct pollfd poller = { net->fd, POLLIN | POLLRDHUP, 0 };
	char byte;
	int got;

	if (net->fd == -1 || sink_is_datagram(net->target->kind->transport))
		return net->fd != -1;
	if (poll(&poller, 1, 0) <= 0)
		return true;
	if ((poller.revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0)
		return false;
	if (net->ssl == NULL)
		return recv(net->fd, &byte, 1, MSG_DONTWAIT) > 0;	/* what a collector says is no business of ours */
	got = SSL_read(net->ssl, &byte, 1);	/* tickets of TLS 1.3 arrive behind the handshake */
	return got > 0 || SSL_get_error(net->ssl, got) == SSL_ERROR_WANT_READ;
}

static int
send_some(struct sink_net *net, const char *data, size_t len, size_t *put, struct vg_error *error)
{
	const char *what = net->target->kind->transport == SINK_NETLINK ? "Linux audit" :
	    net->target->kind->transport == SINK_UNIX ? net->target->path : net->target->host;
	int result, happened;
	ssize_t sent;

	*put = 0;
	if (net->ssl != NULL) {
		result = SSL_write_ex(net->ssl, data, len, put);
		return result == 1 ? 0 : tls_wait(net, result, what, error);
	}
	sent = send(net->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent >= 0) {
		*put = (size_t)sent;
		net->written += (uint64_t)sent;
		return 0;
	}
	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN && errno != ENOBUFS) {
		net->error = errno;
		return vg_fail(error, "%s: %s", what, strerror(errno));
	}
	happened = net->wait(net->fd, POLLOUT, SINK_SEND_MS, net->arg);
	if (happened > 0)
		return 0;
	return vg_fail(error, "%s: %s", what, happened == 0 ? "takes nothing" : "stopped");
}

static uint64_t
written(const struct sink_net *net)
{
	return net->ssl != NULL ? BIO_number_written(SSL_get_wbio(net->ssl)) : net->written;
}

/* Of more pieces than there is room for only the first are told of. */
static void
note_piece(struct sink_net *net, uint64_t given)
{
	if (net->num_pieces == SINK_MAX_PIECES)
		return;
	net->pieces[net->num_pieces].given = given;
	net->pieces[net->num_pieces++].written = written(net);
}

int
sink_net_send(struct sink_net *net, const void *data, size_t len, struct vg_error *error)
{
	const char *at = data, *end = at + len;
	bool whole = sink_is_datagram(net->target->kind->transport);
	size_t put;

	net->num_pieces = 0;
	while (at < end) {
		size_t left = (size_t)(end - at);

		if (send_some(net, at, whole || left < SINK_PIECE ? left : SINK_PIECE, &put, error) == -1)
			return -1;
		at += put;
		if (put > 0)
			note_piece(net, (uint64_t)(at - (const char *)data));
	}
	return 0;
}

/* Both directions are over. */
static bool
is_dead(struct sink_net *net)
{
	struct pollfd poller = { net->fd, 0, 0 };
	socklen_t len = sizeof(net->error);

	if (poll(&poller, 1, 0) <= 0 || (poller.revents & (POLLHUP | POLLERR)) == 0)
		return false;
	(void)getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &net->error, &len);
	return true;
}

size_t
sink_net_delivered(const struct sink_net *net)
{
	uint64_t given = 0, taken, behind;
	int left = 0;

	/* EPIPE: the collector had closed it before it refused what came later. */
	if (sink_is_datagram(net->target->kind->transport) || (net->error != 0 && net->error != EPIPE) || ioctl(net->fd, SIOCOUTQ, &left) == -1)
		return 0;
	taken = written(net) - (uint64_t)left;
	for (size_t i = 0; i < net->num_pieces; i++) {
		behind = net->pieces[i].written > taken ? net->pieces[i].written - taken : 0;
		if (behind == 0)
			given = net->pieces[i].given;
		else if (net->ssl == NULL && net->pieces[i].given - behind > given && net->pieces[i].given > behind)
			given = net->pieces[i].given - behind;	/* a part of it; of TLS only whole ones can be read */
	}
	return (size_t)given;
}

int
sink_net_confirm(struct sink_net *net, struct vg_error *error)
{
	int waits = 0, last = -1, left = 0;

	if (net->target->kind->transport == SINK_UNIX)
		return 0;
	if (net->target->kind->transport == SINK_NETLINK)
		return confirm_netlink(net, error);
	for (;;) {
		int happened;

		if (is_dead(net) || ioctl(net->fd, SIOCOUTQ, &left) == -1)
			return vg_fail(error, "%s: the connection broke", net->target->host);
		if (left == 0)
			return 0;
		/* There is no event for it; acknowledgements take a round trip. */
		happened = net->wait(-1, 0, waits < 20 ? 1 : 20, net->arg);
		waits = left != last ? 0 : waits + 1;
		last = left;
		if (happened == -1 || waits > SINK_SEND_MS / 20)
			return vg_fail(error, "%s: %s", net->target->host, happened == -1 ? "stopped" : "acknowledges nothing");
	}
}
