/*
 * fuzz_browser.c: what a browser sends, through TLS, libwebsockets and all of the web front but its process: requests, JSON, cookies, tickets, WebSockets.
 * Input: a byte, '1' or '2', the HTTP that is agreed on; then pieces parted by byte 1e, each sent by itself; one that is byte 1f alone is a new connection. Somebody is logged in: his cookie is 43
 * times 'A', his token too, and so is every ticket. The gate answers what a browser's first calls need, and "no" to the rest.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "gateway/auth/failures.h"
#include "gateway/auth/worker.h"
#include "gateway/core/log.h"
#include "tests/fuzz/fuzz.h"
#include "web/guests.h"
#include "web/session.h"

#define MAX_TURNS	500	/* of the loop, until a connection that was closed is forgotten */
#define MAX_GATES	64

static struct web web;
static struct { int fd; bool console; } gates[MAX_GATES];
static size_t num_gates;
static uint8_t uuid[VG_UUID_LEN] = { 0x11 };

/* ---- what main.c is otherwise ---- */

time_t
web_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int
web_token(char token[WEB_TOKEN_LEN + 1])
{
	memset(token, 'A', WEB_TOKEN_LEN);
	token[WEB_TOKEN_LEN] = '\0';
	return 0;
}

bool
web_same_token(const char *a, const char *b)
{
	return strlen(a) == WEB_TOKEN_LEN && strcmp(a, b) == 0;
}

int
web_hand_over(struct web *front, const struct vg_identity *identity)
{
	int pair[2];

	(void)front;
	FUZZ_ASSERT(identity->via == VG_VIA_WEB && (identity->proofs & VG_PROOF_SASL) != 0);
	FUZZ_ASSERT(identity->console == NULL || memcmp(identity->console_uuid, uuid, sizeof(uuid)) == 0);
	if (num_gates == MAX_GATES || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	gates[num_gates].fd = pair[1];
	gates[num_gates++].console = identity->console != NULL;
	return pair[0];
}

/* ---- the gate ---- */

static size_t
put_domain(struct xdr_out *out)
{
	xdr_put_string(out, "web-1");
	xdr_put_raw(out, uuid, sizeof(uuid));
	xdr_put_i32(out, 1);
	return out->len;
}

static void
answer(int fd, struct rpc_header header)
{
	const struct rpc_error no = { .code = RPC_ERR_ACCESS_DENIED, .origin = RPC_ORIGIN_RPC, .message = "access denied: 'domain:start' on domain 'web-1' (decision 01M8)" };
	const struct rpc_proc *proc = rpc_header_proc(&header);
	uint8_t message[4096], *json;
	struct xdr_out out;
	size_t len;

	header.type = RPC_REPLY;
	if (header.program == RPC_PROGRAM_VIRTGATE) {
		static const char text[] = "{ \"may\": [ { \"domain:read\": true, \"domain:start\": true } ], \"name\": \"fuzz\" }";

		json = virtgate_put(&header, text, sizeof(text) - 1, &len);
		(void)!send(fd, json, len, MSG_NOSIGNAL);
		free(json);
		return;
	}
	xdr_out_init(&out, message + RPC_HEADER_LEN, sizeof(message) - RPC_HEADER_LEN);
	if (proc != NULL && strcmp(proc->name, "domain_lookup_by_uuid") == 0) {
		(void)put_domain(&out);
	} else if (proc != NULL && strcmp(proc->name, "connect_list_all_domains") == 0) {
		xdr_put_u32(&out, 1);
		(void)put_domain(&out);
		xdr_put_u32(&out, 1);
	} else {
		len = rpc_put_error(message, sizeof(message), &header, &no);
		(void)!send(fd, message, len, MSG_NOSIGNAL);
		return;
	}
	header.length = (uint32_t)(RPC_HEADER_LEN + out.len);
	rpc_header_put(message, &header);
	(void)!send(fd, message, header.length, MSG_NOSIGNAL);
}

static void
serve_gates(void)
{
	static uint8_t bytes[65536];
	struct rpc_header header;

	for (size_t i = 0; i < num_gates; i++) {
		ssize_t n = recv(gates[i].fd, bytes, sizeof(bytes), 0);

		if (gates[i].console && n > 0)
			(void)!send(gates[i].fd, bytes, (size_t)n, MSG_NOSIGNAL);	/* a screen of what is typed */
		for (ssize_t at = 0; !gates[i].console && at < n && rpc_header_get(bytes + at, (size_t)(n - at), &header) == VG_OK; at += header.length)
			if (header.type == RPC_CALL)
				answer(gates[i].fd, header);
		if (n == 0) {
			close(gates[i].fd);
			gates[i--] = gates[--num_gates];
		}
	}
}

static void
turn(void)
{
	(void)event_base_loop(web.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	serve_gates();
}

/* ---- once ---- */

static SSL_CTX *
make_server(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");

	FUZZ_ASSERT(ctx != NULL && key != NULL && cert != NULL && names != NULL);
	X509_set_pubkey(cert, key);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_add_ext(cert, names, -1);
	FUZZ_ASSERT(X509_sign(cert, key, EVP_sha256()) > 0 && SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
	X509_EXTENSION_free(names);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

static int
select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	(void)ssl;
	(void)in_len;
	(void)arg;
	*out = in + 1;
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void
start(void)
{
	struct vg_error error;

	web.base = event_base_new();
	web.settings = settings_parse("auth_web = \"none\"\nlog_level = 4\nlog_outputs = [ \"4:file:/dev/null\" ]\nlisten_web = 1\n"
	    "web_embed_origins = [ \"https://portal.example.com\" ]\nweb_embed_hosts = [ \"consoles.localhost\" ]\n", "fuzz", &error);
	web.tls = make_server();
	SSL_CTX_set_alpn_select_cb(web.tls, select_protocol, NULL);
	web.audit = audit_client_create(web.base);
	web.worker = worker_create(web.base);
	web.throttled = failures_create(300, 10);
	web.recorded = failures_create(FAILURES_WINDOW, FAILURES_MOST);
	FUZZ_ASSERT(web.settings != NULL && web.audit != NULL && web.worker != NULL && web.throttled != NULL && web.recorded != NULL);
	log_set_level(4);
	names_read(&web);
	FUZZ_ASSERT(web_loop_start(&web, &error) == 0);
}

/* Somebody is logged in; when the last input logged him out, again. */
static void
log_in(void)
{
	const struct rpc_handlers no_events = { 0 };
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = strdup("fuzz"), .via = VG_VIA_WEB, .address = "10.0.0.7" };
	struct web_session *session;

	web_session_tick(&web);		/* frees those that are over */
	if (web.num_sessions > 0) {
		free(identity.sasl_name);
		return;
	}
	session = calloc(1, sizeof(*session));
	FUZZ_ASSERT(session != NULL);
	session->web = &web;
	(void)web_token(session->cookie);
	(void)web_token(session->csrf);
	session->identity = identity;
	session->since = session->used = web_now();
	session->rpc = rpc_client_create(web.base, web_hand_over(&web, &identity), &no_events);
	FUZZ_ASSERT(session->rpc != NULL);
	session->open = true;
	LIST_INIT(&session->consoles);
	LIST_INSERT_HEAD(&web.sessions, session, entry);
	web.num_sessions++;
	guests_start(session);
}

/* ---- each ---- */

static SSL *
dial(bool http2)
{
	static SSL_CTX *ctx;
	int pair[2];
	SSL *ssl;

	if (ctx == NULL)
		ctx = SSL_CTX_new(TLS_client_method());
	FUZZ_ASSERT(ctx != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	web_loop_adopt(&web, pair[0], NULL);
	ssl = SSL_new(ctx);
	FUZZ_ASSERT(ssl != NULL && SSL_set_fd(ssl, pair[1]) == 1 && SSL_set_tlsext_host_name(ssl, "localhost") == 1 &&
	    SSL_set_alpn_protos(ssl, (const uint8_t *)(http2 ? "\2h2" : "\10http/1.1"), http2 ? 3 : 9) == 0);
	for (int i = 0; i < MAX_TURNS && SSL_connect(ssl) != 1; i++)
		turn();
	FUZZ_ASSERT(SSL_is_init_finished(ssl));
	return ssl;
}

static void
drain(SSL *ssl)
{
	static uint8_t bytes[65536];
	size_t n;

	while (SSL_read_ex(ssl, bytes, sizeof(bytes), &n) == 1)
		;
}

static void
hang_up(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_free(ssl);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool http2 = size > 0 && data[0] == '2';
	unsigned before;
	size_t n;
	SSL *ssl;

	if (web.base == NULL)
		start();
	log_in();
	before = web.num_clients;
	ssl = dial(http2);
	for (data++, size = size == 0 ? 0 : size - 1; size > 0;) {
		const uint8_t *end = memchr(data, 0x1e, size);
		size_t len = end == NULL ? size : (size_t)(end - data);

		if (len == 1 && data[0] == 0x1f) {
			hang_up(ssl);
			ssl = dial(http2);
		} else if (len > 0)
			(void)SSL_write_ex(ssl, data, len < 60000 ? len : 60000, &n);
		for (int i = 0; i < 4; i++)
			turn();
		drain(ssl);
		size -= end == NULL ? len : len + 1;
		data += end == NULL ? len : len + 1;
	}
	hang_up(ssl);
	for (int i = 0; i < MAX_TURNS && web.num_clients > before; i++)
		turn();
	FUZZ_ASSERT(web.num_clients <= before);
	return 0;
}
