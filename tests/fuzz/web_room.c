/* web_room.c: the web front but for its process (main.c), and a gate that answers what a browser's first calls need, and "no" to the rest. */
#include "tests/fuzz/web_room.h"

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

#define MAX_GATES	64

struct web room_web;
struct buf room_typed;

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
web_hand_over(struct web *front, const struct vg_identity *identity, int *last_word)
{
	int pair[2];

	(void)front;
	FUZZ_ASSERT(identity->via == VG_VIA_WEB && (identity->proofs & VG_PROOF_SASL) != 0);
	FUZZ_ASSERT(identity->console == NULL || memcmp(identity->console_uuid, uuid, sizeof(uuid)) == 0);
	if (num_gates == MAX_GATES || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	if (last_word != NULL)
		*last_word = -1;	/* this gate says nothing at the end */
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

		if (gates[i].console && n > 0) {
			(void)!send(gates[i].fd, bytes, (size_t)n, MSG_NOSIGNAL);	/* a screen of what is typed */
			FUZZ_ASSERT(buf_add(&room_typed, bytes, (size_t)n) == 0);
		}
		for (ssize_t at = 0; !gates[i].console && at < n && rpc_header_get(bytes + at, (size_t)(n - at), &header) == VG_OK; at += header.length)
			if (header.type == RPC_CALL)
				answer(gates[i].fd, header);
		if (n == 0) {
			close(gates[i].fd);
			gates[i--] = gates[--num_gates];
		}
	}
}

void
room_turn(void)
{
	(void)event_base_loop(room_web.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
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

	room_web.base = event_base_new();
	room_web.settings = settings_parse("auth_web = \"none\"\nlog_level = 4\nlog_outputs = [ \"4:file:/dev/null\" ]\nlisten_web = 1\n"
	    "web_embed_origins = [ \"https://portal.example.com\" ]\nweb_embed_hosts = [ \"consoles.localhost\" ]\n", "fuzz", &error);
	room_web.tls = make_server();
	SSL_CTX_set_alpn_select_cb(room_web.tls, select_protocol, NULL);
	room_web.audit = audit_client_create(room_web.base);
	room_web.worker = worker_create(room_web.base);
	room_web.throttled = failures_create(300, 10);
	room_web.recorded = failures_create(FAILURES_WINDOW, FAILURES_MOST);
	FUZZ_ASSERT(room_web.settings != NULL && room_web.audit != NULL && room_web.worker != NULL && room_web.throttled != NULL && room_web.recorded != NULL);
	log_set_level(4);
	names_read(&room_web);
	FUZZ_ASSERT(web_loop_start(&room_web, &error) == 0);
}

/* Somebody is logged in; when the last input logged him out, again. */
void
room_enter(void)
{
	const struct rpc_handlers no_events = { 0 };
	struct vg_identity identity = { .proofs = VG_PROOF_SASL, .sasl_name = strdup("fuzz"), .via = VG_VIA_WEB, .address = "10.0.0.7" };
	struct web_session *session;

	if (room_web.base == NULL)
		start();
	buf_free(&room_typed);
	web_session_tick(&room_web);		/* frees those that are over */
	if (room_web.num_sessions > 0) {
		free(identity.sasl_name);
		return;
	}
	session = calloc(1, sizeof(*session));
	FUZZ_ASSERT(session != NULL);
	session->web = &room_web;
	(void)web_token(session->cookie);
	(void)web_token(session->csrf);
	session->identity = identity;
	session->since = session->used = web_now();
	session->rpc = rpc_client_create(room_web.base, web_hand_over(&room_web, &identity, NULL), &no_events);
	FUZZ_ASSERT(session->rpc != NULL);
	session->open = true;
	LIST_INIT(&session->consoles);
	LIST_INSERT_HEAD(&room_web.sessions, session, entry);
	room_web.num_sessions++;
	guests_start(session);
}

/* ---- each ---- */

SSL *
room_dial(bool http2)
{
	static SSL_CTX *ctx;
	int pair[2];
	SSL *ssl;

	if (ctx == NULL)
		ctx = SSL_CTX_new(TLS_client_method());
	FUZZ_ASSERT(ctx != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	web_loop_adopt(&room_web, pair[0], NULL);
	ssl = SSL_new(ctx);
	FUZZ_ASSERT(ssl != NULL && SSL_set_fd(ssl, pair[1]) == 1 && SSL_set_tlsext_host_name(ssl, "localhost") == 1 &&
	    SSL_set_alpn_protos(ssl, (const uint8_t *)(http2 ? "\2h2" : "\10http/1.1"), http2 ? 3 : 9) == 0);
	for (int i = 0; i < ROOM_MAX_TURNS && SSL_connect(ssl) != 1; i++)
		room_turn();
	FUZZ_ASSERT(SSL_is_init_finished(ssl));
	return ssl;
}

size_t
room_read(SSL *ssl, uint8_t *bytes, size_t size)
{
	size_t len = 0, n;

	while (len < size && SSL_read_ex(ssl, bytes + len, size - len, &n) == 1)
		len += n;
	return len;
}

void
room_hang_up(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_free(ssl);
	close(fd);
}

void
room_leave(void)
{
	for (int i = 0; i < ROOM_MAX_TURNS && room_web.num_clients > 0; i++)
		room_turn();
	FUZZ_ASSERT(room_web.num_clients == 0);
}
