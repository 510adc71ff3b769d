#include "tests/bench/viewer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "proto/rfb.h"

#define MAX_PUT		125u	/* whose length is in the second byte of a frame */
#define MAX_HEAD	4096u

const uint8_t server_init[27] = { WIDTH >> 8, WIDTH & 255, HEIGHT >> 8, HEIGHT & 255, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 3,
	'w', 'e', 'b' };

void
die(const char *format, ...)
{
	va_list args;

	fputs("viewer: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

double
now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- bytes ---- */

bool
send_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const uint8_t *)data + at, len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static void
put_raw(struct viewer *viewer, const void *data, size_t len)
{
	size_t n;

	if (viewer->ssl != NULL ? SSL_write_ex(viewer->ssl, data, len, &n) != 1 : !send_all(viewer->fd, data, len))
		die("the connection ended while writing");
}

static void
get_raw(struct viewer *viewer, void *data, size_t len)
{
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		ssize_t got = viewer->ssl == NULL ? recv(viewer->fd, (uint8_t *)data + at, len - at, 0) : 0;

		n = (size_t)got;
		if (viewer->ssl != NULL ? SSL_read_ex(viewer->ssl, (uint8_t *)data + at, len - at, &n) != 1 : got <= 0)
			die("the connection ended while reading");
	}
}

/* A binary message, masked as a browser's must be (RFC 6455, 5.3). */
void
viewer_put(struct viewer *viewer, const void *data, size_t len)
{
	static const uint8_t mask[4] = { 0x12, 0x34, 0x56, 0x78 };
	uint8_t frame[6 + MAX_PUT] = { 0x82, (uint8_t)(0x80 | len) };

	if (!viewer->framed) {
		put_raw(viewer, data, len);
		return;
	}
	if (len > MAX_PUT)
		die("a message of %zu bytes", len);
	memcpy(frame + 2, mask, sizeof(mask));
	for (size_t i = 0; i < len; i++)
		frame[6 + i] = ((const uint8_t *)data)[i] ^ mask[i % 4];
	put_raw(viewer, frame, 6 + len);
}

/* Where the next frame with payload begins. What is no data ends the program: nobody is silent for so long that he is pinged. */
static void
get_frame_head(struct viewer *viewer)
{
	uint8_t head[2], more[8];
	size_t size;

	while (viewer->left == 0) {
		get_raw(viewer, head, sizeof(head));
		if ((head[0] & 0x0f) > 2)
			die("a frame of type %d", head[0] & 0x0f);
		viewer->left = head[1];
		size = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0;
		if (size == 0)
			continue;
		get_raw(viewer, more, size);
		viewer->left = 0;
		for (size_t i = 0; i < size; i++)
			viewer->left = viewer->left << 8 | more[i];
	}
}

void
viewer_get(struct viewer *viewer, void *data, size_t len)
{
	if (!viewer->framed)
		get_raw(viewer, data, len);
	for (size_t at = 0; viewer->framed && at < len;) {
		size_t n = len - at;

		get_frame_head(viewer);
		if (n > viewer->left)
			n = (size_t)viewer->left;
		get_raw(viewer, (uint8_t *)data + at, n);
		viewer->left -= n;
		at += n;
	}
}

static void
expect(struct viewer *viewer, const void *wanted, size_t len, const char *what)
{
	uint8_t got[64];

	viewer_get(viewer, got, len);
	if (memcmp(got, wanted, len) != 0)
		die("unexpected %s", what);
}

/* ---- TLS ---- */

static SSL_CTX *
tls_context(const char *directory)
{
	static SSL_CTX *context;
	char path[512];

	if (context != NULL)
		return context;
	context = SSL_CTX_new(TLS_client_method());
	(void)snprintf(path, sizeof(path), "%s/clientcert.pem", directory);
	if (context == NULL || SSL_CTX_use_certificate_chain_file(context, path) != 1)
		die("%s: no certificate", path);
	(void)snprintf(path, sizeof(path), "%s/clientkey.pem", directory);
	if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		die("%s: no key", path);
	return context;
}

static void
start_tls(struct viewer *viewer, const char *address, const char *server_name, const char *protocol)
{
	const char *colon = strchr(address, ':');
	uint8_t alpn[16] = { (uint8_t)(protocol == NULL ? 0 : strlen(protocol)) };

	viewer->ssl = SSL_new(tls_context(colon == NULL ? "" : colon + 1));
	if (protocol != NULL)
		memcpy(alpn + 1, protocol, alpn[0]);
	if (viewer->ssl == NULL || SSL_set_fd(viewer->ssl, viewer->fd) != 1 || SSL_set_tlsext_host_name(viewer->ssl, server_name) != 1 ||
	    (protocol != NULL && SSL_set_alpn_protos(viewer->ssl, alpn, alpn[0] + 1u) != 0) || SSL_connect(viewer->ssl) != 1)
		die("TLS handshake failed");
}

static int
dial_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static int
dial_port(const char *address, unsigned from)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u | from) };
	struct sockaddr_in remote = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	remote.sin_port = htons((uint16_t)strtoul(address, NULL, 10));
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0 || connect(fd, (struct sockaddr *)&remote, sizeof(remote)) < 0)
		die("%s: %s", address, strerror(errno));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

struct viewer
tls_open(const char *address, const char *server_name, unsigned from, const char *protocol)
{
	struct viewer viewer = { .fd = dial_port(address, from) };

	start_tls(&viewer, address, server_name, protocol);
	return viewer;
}

/* ---- HTTP/1.1 ---- */

/* The head of an answer, up to its empty line, with a NUL. */
static void
get_head(struct viewer *viewer, char head[MAX_HEAD])
{
	size_t len = 0;

	do {
		if (len == MAX_HEAD - 1)
			die("an answer with a head of more than %u bytes", MAX_HEAD);
		get_raw(viewer, head + len++, 1);
		head[len] = '\0';
	} while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
}

/* What stands between `before` and the next of `ends`. */
static void
take_text(const char *text, const char *before, const char *ends, char *value, size_t size)
{
	const char *at = strstr(text, before);
	size_t len;

	at = at == NULL ? NULL : at + strlen(before);
	len = at == NULL ? 0 : strcspn(at, ends);
	if (len == 0 || len >= size)
		die("no %s in an answer: %s", before, text);
	memcpy(value, at, len);
	value[len] = '\0';
}

static void
ask(struct login *login, const char *path, const char *json, char head[MAX_HEAD], char *body, size_t size)
{
	char request[1024], length[16];
	size_t len;
	int n;

	n = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost:%u\r\nOrigin: https://localhost:%u\r\nCookie: %s\r\nX-Auth-Token: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", json == NULL ? "GET" : "POST", path, login->port, login->port, login->cookie,
	    login->token, json == NULL ? 0 : strlen(json), json == NULL ? "" : json);
	if (n < 0 || (size_t)n >= sizeof(request))
		die("a request that is too long");
	put_raw(&login->connection, request, (size_t)n);
	get_head(&login->connection, head);
	take_text(head, "content-length: ", "\r\n", length, sizeof(length));
	len = strtoul(length, NULL, 10);
	if (len >= size)
		die("an answer of %zu bytes to %s", len, path);
	get_raw(&login->connection, body, len);
	body[len] = '\0';
	if (strncmp(head, "HTTP/1.1 200", 12) != 0)
		die("%s: %.12s %s", path, head, body);
}

void
login_ask(struct login *login, const char *path, const char *json, char *answer, size_t size)
{
	char head[MAX_HEAD];

	ask(login, path, json, head, answer, size);
}

struct login
login_open(const char *address)
{
	struct login login = { .connection = tls_open(address, "localhost", 1, "http/1.1"), .port = (unsigned)strtoul(address, NULL, 10) };
	char head[MAX_HEAD], body[MAX_HEAD];

	ask(&login, "/api/v1/login", "{}", head, body, sizeof(body));
	take_text(head, "set-cookie: ", ";\r\n", login.cookie, sizeof(login.cookie));
	take_text(body, "\"csrf\":\"", "\"", login.token, sizeof(login.token));
	return login;
}

/* ---- a screen ---- */

static void
upgrade(struct viewer *viewer, const char *address, const char *path, const char *ticket)
{
	unsigned port = (unsigned)strtoul(address, NULL, 10);
	char text[MAX_HEAD];
	int len;

	len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost:%u\r\nOrigin: https://localhost:%u\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary%s%s\r\n\r\n",
	    path, port, port, ticket == NULL ? "" : ", ticket.", ticket == NULL ? "" : ticket);
	put_raw(viewer, text, (size_t)len);
	get_head(viewer, text);
	if (strncmp(text, "HTTP/1.1 101", 12) != 0)
		die("no WebSocket: %s", text);
	viewer->framed = true;
}

/* One log-in serves all consoles of this program, as that of a browser does. */
static struct viewer
open_browser(const char *address)
{
	static struct login login;
	struct viewer viewer;
	char answer[512], ticket[64];

	if (login.port == 0)
		login = login_open(address);
	login_ask(&login, "/api/v1/guests/" GUEST_UUID "/console", "{\"mode\": \"input\"}", answer, sizeof(answer));
	take_text(answer, "\"ticket\":\"", "\"", ticket, sizeof(ticket));
	viewer = tls_open(address, "localhost", 1, "http/1.1");
	upgrade(&viewer, address, "/console", ticket);
	return viewer;
}

/* Up to SecurityResult; TLS begins in between. */
static void
take_vencrypt(struct viewer *viewer, const char *address)
{
	static const uint8_t x509_none[] = { 0, 0, 1, 4 };
	uint8_t num, type[4];

	expect(viewer, "\1\x13", 2, "security types");
	viewer_put(viewer, "\x13", 1);
	expect(viewer, "\0\2", 2, "version of VeNCrypt");
	viewer_put(viewer, "\0\2", 2);
	expect(viewer, "\0", 1, "answer");
	viewer_get(viewer, &num, 1);
	for (unsigned i = 0; i < num; i++)
		viewer_get(viewer, type, sizeof(type));
	viewer_put(viewer, x509_none, 4);
	expect(viewer, "\1", 1, "answer");
	start_tls(viewer, address, GUEST_NAME ".bench", NULL);
}

struct viewer
viewer_open(const char *way, const char *address)
{
	static const uint8_t none[4] = { 0 };
	bool vencrypt = strcmp(way, "vencrypt") == 0;
	struct viewer viewer;

	if (strcmp(way, "unix") == 0) {
		viewer = (struct viewer){ .fd = dial_unix(address) };
	} else if (vencrypt) {
		viewer = (struct viewer){ .fd = dial_port(address, 1) };
	} else if (strcmp(way, "browser") == 0) {
		viewer = open_browser(address);
	} else {
		viewer = tls_open(address, "localhost", 1, NULL);
		if (strcmp(way, "wss") == 0)
			upgrade(&viewer, address, "/", NULL);
	}
	expect(&viewer, RFB_VERSION_TEXT, 12, "version");
	viewer_put(&viewer, RFB_VERSION_TEXT, 12);
	if (vencrypt) {
		take_vencrypt(&viewer, address);
	} else {
		expect(&viewer, "\1\1", 2, "security types");
		viewer_put(&viewer, "\1", 1);
	}
	expect(&viewer, none, 4, "SecurityResult");
	viewer_put(&viewer, "\1", 1);
	expect(&viewer, server_init, sizeof(server_init), "ServerInit");
	return viewer;
}
