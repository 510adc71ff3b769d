/*
 * loop.c: libwebsockets knows libuv's loop, we have libevent's: libuv's own descriptor is watched by ours, and a timer stands for its timers.
 */
#include "web/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <uv.h>

#include "gateway/auth/tls_context.h"
#include "gateway/core/log.h"
#include "web/guard.h"

#define MAX_WAIT_MS	1000
#define HEADERS_MAX	8192	/* of one request, all together */
#define BUFFER_SIZE	(64 * 1024)
#define TIMEOUT_SECONDS	10	/* a request, or a handshake, must be there */
#define KEEP_SECONDS	60	/* an idle connection */

/* HTTP/2's settings from 1 on (RFC 9113, 6.5.2), 0 says that they follow. libwebsockets' own table for headers would take 128 KiB of each connection. */
#define HTTP2_SETTINGS	{ 1, 4096 /* table */, 0 /* push */, 24 /* streams */, 0 /* window: opened as it is wanted */, 16384 /* frame */, 4096 /* headers */ }

struct web_loop {
	struct web *web;
	uv_loop_t uv;
	struct event *readable, *timer;
	struct lws_context *context;
	struct lws_vhost *vhost;
};

static const struct lws_retry_bo watch = { .secs_since_valid_ping = 20, .secs_since_valid_hangup = 50 };

static void
run(evutil_socket_t fd, short what, void *arg)
{
	struct web_loop *loop = arg;
	struct timeval wait;
	int ms;

	(void)fd;
	(void)what;
	/* The second turn tells epoll what the first one changed. */
	(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
	(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
	ms = uv_backend_timeout(&loop->uv);
	if (ms < 0 || ms > MAX_WAIT_MS)
		ms = MAX_WAIT_MS;
	wait = (struct timeval){ ms / 1000, (ms % 1000) * 1000 };
	(void)event_add(loop->timer, &wait);
}

void
web_loop_kick(struct web *web)
{
	event_active(web->loop->readable, EV_READ, 0);
}

static void
on_log(int level, const char *line)
{
	int len = (int)strcspn(line, "\n");

	if ((level & LLL_ERR) != 0)
		log_warn("libwebsockets: %.*s", len, line);
	else
		log_debug("libwebsockets: %.*s", len, line);
}

/* ---- TLS: libwebsockets' context is only where a handshake begins; certificates are those of web->tls ---- */

/* In the place of libwebsockets' own, which looks for a virtual host by its context. Called whether the client gives a name or not. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	struct web *web = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name != NULL && web_is_embed_host(web, name))
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (SSL_set_SSL_CTX(ssl, web->tls) != NULL && guard_watch(ssl) == 0)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int
set_tls(struct web *web, SSL_CTX *ctx, struct vg_error *error)
{
	if (tls_context_protocol(ctx, false, error) < 0)
		return -1;
	/* libwebsockets asks for decrypted bytes that wait, not for whole records that do: none may be read beyond the one at hand. */
	SSL_CTX_set_read_ahead(ctx, 0);
	if (SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name) != 1 || SSL_CTX_set_tlsext_servername_arg(ctx, web) != 1)
		return vg_fail(error, "OpenSSL lacks what virtgate needs");
	return 0;
}

/* ---- protocols ---- */

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct vg_error error;

	if (reason != LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS)
		return http_callback(wsi, reason, user, in, len);
	if (set_tls(lws_context_user(lws_get_context(wsi)), user, &error) == 0)
		return 0;
	log_error("%s", error.what);
	return -1;
}

/* The first is that of plain requests; `binary` is what a console's WebSocket asks for. Filled in once: sizes are other files'. */
static struct lws_protocols protocols[3] = { { .name = "http", .callback = callback }, { .name = "binary", .callback = console_callback } };

int
web_loop_start(struct web *web, struct vg_error *error)
{
	struct web_loop *loop = web->loop = calloc(1, sizeof(*loop));
	void *foreign[1];
	/* A WebSocket without a subprotocol is a console as well: noVNC's own page asks for none. */
	static const struct lws_protocol_vhost_options by_default = { .name = "default", .value = "1" };
	static const struct lws_protocol_vhost_options options = { .name = "binary", .options = &by_default, .value = "" };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER, .protocols = protocols, .user = web, .foreign_loops = foreign, .gid = -1, .uid = -1,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX |
		    LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.max_http_header_data = HEADERS_MAX, .pt_serv_buf_size = BUFFER_SIZE, .timeout_secs = TIMEOUT_SECONDS,
		.keepalive_timeout = KEEP_SECONDS, .retry_and_idle_policy = &watch, .vhost_name = "web", .count_threads = 1,
		.pvo = &options, .headers = http_fixed_headers, .server_string = "virtgate", .alpn = "h2,http/1.1",
		.http2_settings = HTTP2_SETTINGS,
	};

	if (loop == NULL || uv_loop_init(&loop->uv) != 0)
		return vg_fail(error, "out of memory");
	if (guard_start(error) < 0)
		return -1;
	loop->web = web;
	foreign[0] = &loop->uv;
	protocols[0].per_session_data_size = http_user_size;
	protocols[1].per_session_data_size = console_user_size;
	protocols[1].rx_buffer_size = BUFFER_SIZE;
	protocols[1].tx_packet_size = console_max_write;
	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_NOTICE, on_log);
	loop->context = lws_create_context(&info);
	loop->vhost = loop->context == NULL ? NULL : lws_create_vhost(loop->context, &info);
	loop->timer = evtimer_new(web->base, run, loop);
	loop->readable = event_new(web->base, uv_backend_fd(&loop->uv), EV_READ | EV_PERSIST, run, loop);
	if (loop->vhost == NULL || loop->timer == NULL || loop->readable == NULL || event_add(loop->readable, NULL) < 0)
		return vg_fail(error, "libwebsockets cannot be started; its module for libuv is needed (libwebsockets-evlib-uv)");
	web_loop_kick(web);
	return 0;
}

void
web_loop_stop(struct web *web)
{
	if (web->loop == NULL)
		return;
	if (web->loop->readable != NULL)
		event_free(web->loop->readable);
	if (web->loop->timer != NULL)
		event_free(web->loop->timer);
	/* The process ends: what libwebsockets holds goes with it. */
}

void
web_loop_adopt(struct web *web, int fd, unsigned *crowd)
{
	lws_sock_file_fd_type descriptor = { .sockfd = fd };
	struct lws *wsi;
	int one = 1;

	/* libwebsockets sets it on sockets that it accepted itself. An answer is several writes: without it each waits for the other end's delayed ACK, 40 ms. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* On failure it closes the descriptor itself. */
	wsi = lws_adopt_descriptor_vhost(web->loop->vhost, LWS_ADOPT_HTTP | LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL, descriptor, NULL, NULL);
	if (wsi != NULL && crowd != NULL) {
		lws_set_opaque_user_data(wsi, crowd);
		(*crowd)++;
	}
	web_loop_kick(web);
}
