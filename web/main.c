/*
 * main.c: the web front as a process: its links to the other rooms, its listeners, reload and end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "gateway/auth/failures.h"
#include "gateway/auth/sasl.h"
#include "gateway/auth/tls_context.h"
#include "gateway/auth/worker.h"
#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "web/crowd.h"
#include "web/session.h"

/* Failed log-ins of one address or one name, before no more are tried. */
#define THROTTLE_WINDOW	300	/* seconds */
#define THROTTLE_MOST	10u

/* ---- small things ---- */

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
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t bytes[WEB_TOKEN_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -1;
	for (size_t i = 0; i < WEB_TOKEN_LEN; i++)	/* six bits each: 258 */
		token[i] = letters[bytes[i] & 63];
	token[WEB_TOKEN_LEN] = '\0';
	return 0;
}

bool
web_same_token(const char *a, const char *b)
{
	return strlen(a) == WEB_TOKEN_LEN && strlen(b) == WEB_TOKEN_LEN && CRYPTO_memcmp(a, b, WEB_TOKEN_LEN) == 0;
}

/* ---- the gate ---- */

int
web_hand_over(struct web *web, const struct vg_identity *identity, int *last_word)
{
	static uint8_t body[LINK_MAX_BODY];
	size_t len = handover_put(body, sizeof(body), identity);
	int stream[2], word[2] = { -1, -1 }, status = -1;

	if (web->gate == NULL || len == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream) < 0)
		return -1;
	if (last_word == NULL || link_pair(word) == 0)
		status = link_send(web->gate, LINK_SESSION, body, len, (int[]){ stream[1], word[1] }, last_word == NULL ? 1 : 2);
	close(stream[1]);
	if (word[1] >= 0)
		close(word[1]);
	if (status == 0) {
		if (last_word != NULL)
			*last_word = word[0];
		return stream[0];
	}
	close(stream[0]);
	if (word[0] >= 0)
		close(word[0]);
	return -1;
}

static void
on_gate_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	(void)link;
	(void)body;
	(void)len;
	(void)arg;
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
	log_error("the gate sent a message of type %d", (int)type);
}

static void
on_gate_closed(struct link *link, void *arg)
{
	struct web *web = arg;

	link_destroy(link);
	if (web->gate == link)
		web->gate = NULL;
}

static void
connect_peer(struct web *web, const uint8_t *body, size_t len, const int *fds, size_t num_fds)
{
	struct link_peer peer = { PROCESS_NUM_KINDS, 0 };

	if (len == sizeof(peer))
		memcpy(&peer, body, sizeof(peer));
	if (num_fds == 1 && peer.kind == PROCESS_GATE) {
		link_destroy(web->gate);
		web->gate = link_create(web->base, fds[0], on_gate_message, on_gate_closed, web);
	} else if (num_fds == 1 && peer.kind == PROCESS_AUDIT) {
		audit_client_connect(web->audit, fds[0]);
	} else {
		for (size_t i = 0; i < num_fds; i++)
			close(fds[i]);
	}
}

/* ---- settings ---- */

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, sizeof(ours) - 1, in, in_len) == OPENSSL_NPN_NEGOTIATED ?
	    SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* Passwords may be wanted and not possible: certificates still are. */
static int
start_sasl(const struct settings *settings, struct vg_error *error)
{
	const struct sasl_rules rules = { .encrypted = true, .external_ssf = 256 };
	struct sasl_session *session;

	if (settings->auth_web != AUTH_SASL)
		return 0;
	if (sasl_library_start(settings->sasl_conf_dir, error) < 0)
		return -1;
	session = sasl_session_create(&rules);
	if (session == NULL || !sasl_session_offers(session, "PLAIN", 5))
		log_warn("auth_web = \"sasl\", but cyrus-sasl does not offer PLAIN (mech_list of libvirt.conf, libsasl2-modules): browsers need a certificate");
	sasl_session_destroy(session);
	return 0;
}

/* Takes `settings` when it goes well. */
static int
use_settings(struct web *web, struct settings *settings, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	SSL_CTX *tls = start_sasl(settings, error) < 0 ? NULL : tls_context_create(settings, files, error);

	if (tls == NULL)
		return -1;
	SSL_CTX_set_alpn_select_cb(tls, select_alpn, NULL);
	SSL_CTX_free(web->tls);
	web->tls = tls;
	web->settings = settings;
	names_read(web);
	return 0;
}

static int
reload(struct web *web, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	struct settings *old = web->settings, *settings;
	char *text = files[FILE_SETTINGS] >= 0 ? process_read_file(files[FILE_SETTINGS], NULL) : NULL;
	char kept[256];

	if (text == NULL)
		return vg_fail(error, "%s cannot be read", old->file);
	settings = settings_parse(text, old->file, error);
	free(text);
	if (settings == NULL)
		return -1;
	settings_keep(settings, old, kept, sizeof(kept));
	if (use_settings(web, settings, files, error) < 0) {
		settings_destroy(settings);
		return -1;
	}
	log_set_level(settings->log_level);
	settings_destroy(old);
	/* Who logged in with a certificate may have lost it: it is asked for again. */
	web_session_end_certificates(web, "logged out: the gateway's settings were read again, log in with your certificate once more");
	return 0;
}

static void
on_reload(struct web *web, const uint8_t *body, size_t len, const int *fds, size_t num_fds)
{
	struct vg_error error = { .what = "", .hint = "" };
	char text[sizeof(error.what) + sizeof(error.hint) + 8] = "";
	int files[PROCESS_NUM_FILES];

	if (process_reload_files(body, len, fds, num_fds, files) < 0) {
		(void)snprintf(text, sizeof(text), "the reload message is damaged");
	} else {
		if (reload(web, files, &error) < 0)
			(void)snprintf(text, sizeof(text), "%s%s%s", error.what, error.hint[0] == '\0' ? "" : "; ", error.hint);
		process_close_files(files);
	}
	(void)link_send(web->parent, LINK_RELOADED, text, strlen(text), NULL, 0);
}

static void
on_parent_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct web *web = arg;

	(void)link;
	if (type == LINK_PEER) {
		connect_peer(web, body, len, fds, num_fds);
		return;
	}
	if (type == LINK_RELOAD) {
		on_reload(web, body, len, fds, num_fds);
		return;
	}
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
	if (type == LINK_STOP) {
		web_session_end_everybody(web, "logged out: the gateway stops");
		(void)event_base_loopexit(web->base, &(struct timeval){ .tv_usec = 100000 });
	}
}

static void
on_parent_closed(struct link *link, void *arg)
{
	(void)link;
	(void)arg;
	_exit(1);
}

/* ---- listeners and time ---- */

/* Once a minute for each address: who opens thousands does not fill log and trail as well. */
static void
tell_crowd(struct web *web, const struct sockaddr_storage *address, const char *full, unsigned num)
{
	struct vg_identity identity = { .via = VG_VIA_WEB };
	char origin[FAILURES_ORIGIN_LEN], text[256], more[48] = "", who[128];
	unsigned untold;
	json_t *record;

	identity_set_address(&identity, (const struct sockaddr *)address);
	if (!failures_count(web->crowds, "crowd", failures_origin(identity.address, origin), false, web_now(), &untold))
		return;
	if (untold > 0)
		(void)snprintf(more, sizeof(more), " (and %u more since the last time)", untold);
	(void)snprintf(text, sizeof(text), "a connection was closed%s: there are %u, the most that %s lets there be", more, num, full);
	log_warn("%s: %s", identity_text(&identity, who, sizeof(who)), text);
	record = audit_record_event(AUDIT_CROWD);
	if (record == NULL)
		return;
	audit_add_identity(record, &identity, NULL);
	audit_add_result(record, "denied", RPC_ERR_SYSTEM, text);
	(void)audit_submit(web->audit, record, AUDIT_KEEP, NULL, NULL);
}

static void
on_accept(const struct listener *listener, void *arg)
{
	struct web *web = arg;
	struct sockaddr_storage address;
	unsigned *crowd;
	int fd = accepting_take(web->accepting, listener, &address);

	if (fd < 0)
		return;
	crowd = crowd_of(&address);
	if (web->num_clients >= (unsigned)web->settings->max_clients)
		tell_crowd(web, &address, "max_clients", web->num_clients);
	else if (*crowd >= (unsigned)web->settings->max_web_connections_per_address)
		tell_crowd(web, &address, "max_web_connections_per_address", *crowd);
	else {
		web_loop_adopt(web, fd, crowd);
		return;
	}
	close(fd);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	web_session_tick(arg);
}

__attribute__((noreturn)) static void
fail(struct web *web, const struct vg_error *error)
{
	char text[sizeof(error->what) + sizeof(error->hint) + 4];

	(void)snprintf(text, sizeof(text), "%s%s%s", error->what, error->hint[0] == '\0' ? "" : "; ", error->hint);
	if (link_send(web->parent, LINK_FAILED, text, strlen(text), NULL, 0) == 0)
		(void)event_base_loop(web->base, EVLOOP_NONBLOCK);
	log_fatal("%s", text);
}

void
web_main(struct process *process)
{
	static struct web web;
	static const struct timeval second = { 1, 0 };
	struct vg_error error = { .what = "out of memory", .hint = "" };

	process_start(process);
	web.process = process;
	LIST_INIT(&web.sessions);
	web.base = event_base_new();
	web.parent = web.base == NULL ? NULL : link_create(web.base, process->parent_fd, on_parent_message, on_parent_closed, &web);
	if (web.parent == NULL)
		log_fatal("cannot start: %s", strerror(errno));
	if (use_settings(&web, process->settings, process->files, &error) < 0)
		fail(&web, &error);
	process_close_files(process->files);
	web.audit = audit_client_create(web.base);
	web.worker = worker_create(web.base);
	web.throttled = failures_create(THROTTLE_WINDOW, THROTTLE_MOST);
	web.recorded = failures_create(FAILURES_WINDOW, FAILURES_MOST);
	web.crowds = failures_create(FAILURES_WINDOW, 1);
	web.tick = event_new(web.base, -1, EV_PERSIST, on_tick, &web);
	if (web.audit == NULL || web.worker == NULL || web.throttled == NULL || web.recorded == NULL || web.crowds == NULL ||
	    web.tick == NULL || event_add(web.tick, &second) < 0 || web_loop_start(&web, &error) < 0 ||
	    (web.accepting = accepting_create(web.base, process, on_accept, &web)) == NULL)
		fail(&web, &error);
	if (link_send(web.parent, LINK_READY, NULL, 0, NULL, 0) < 0)
		log_fatal("cannot tell the parent: %s", strerror(errno));
	(void)event_base_dispatch(web.base);
	web_loop_stop(&web);
	exit(0);
}
