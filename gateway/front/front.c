/* front.c: the process: its start, its links, its listeners, its reload. What happens on a connection is client.c's. */
#include "gateway/front/front.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/front/internal.h"
#include "gateway/auth/failures.h"
#include "gateway/auth/sasl.h"
#include "gateway/auth/tls_context.h"
#include "gateway/auth/worker.h"

/* A new client may take the place of a silent one that old, not of a younger one. */
#define EVICT_AGE 1.0
/* Full: new clients wait that long, or until one leaves. */
static const struct timeval retry_time = { 0, 200000 };

struct config *
config_hold(struct config *config)
{
	config->refs++;
	return config;
}

void
config_release(struct config *config)
{
	if (config == NULL || --config->refs > 0)
		return;
	SSL_CTX_free(config->tls);
	settings_destroy(config->settings);
	free(config);
}

/* Takes `settings` when it answers with a config. */
static struct config *
config_create(struct settings *settings, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL) {
		vg_fail(error, "out of memory");
		return NULL;
	}
	if (settings_use_tls(settings)) {
		config->tls = tls_context_create(settings, files, error);
		if (config->tls == NULL) {
			free(config);
			return NULL;
		}
	}
	config->refs = 1;
	config->settings = settings;
	return config;
}

/* What works but will refuse people: said aloud, not a reason not to run. */
static void
warn_of_dates(const struct config *config)
{
	struct vg_error error;

	if (config->tls != NULL && tls_context_check_dates(config->tls, config->settings, &error) < 0)
		log_warn("%s (%s)", error.what, error.hint);
}

/* ---- clients ---- */

void
front_client_left(struct front *front)
{
	/* Clients leave also when all is taken down, or before it was built. */
	if (front->accepting != NULL)
		accepting_resume(front->accepting);
}

/* This front's part of max_anonymous_clients. */
static unsigned
anonymous_limit(const struct settings *settings)
{
	long fronts = settings->front_processes > 0 ? settings->front_processes : sysconf(_SC_NPROCESSORS_ONLN);

	if (fronts < 1)
		fronts = 1;
	return (unsigned)((settings->max_anonymous_clients + fronts - 1) / fronts);
}

/* Makes room for one more that has not authenticated; false when it has to wait. */
static bool
make_room(struct front *front)
{
	struct client *oldest = TAILQ_FIRST(&front->anonymous);
	struct timeval wait = { 0, 0 };
	struct timespec now;
	double age;

	/* The gate counts sessions over all fronts; this only bounds one front's memory. */
	if (front->num_authenticated >= (unsigned)front->config->settings->max_clients) {
		accepting_pause(front->accepting, &retry_time);
		return false;
	}
	if (oldest == NULL || front->num_anonymous < anonymous_limit(front->config->settings))
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	age = (double)(now.tv_sec - oldest->accepted.tv_sec) + (double)(now.tv_nsec - oldest->accepted.tv_nsec) / 1e9;
	if (age >= EVICT_AGE) {
		client_close(oldest, CLOSE_EVICTED, NULL);
		return true;
	}
	wait.tv_usec = (suseconds_t)((EVICT_AGE - age) * 1e6) + 1000;
	wait.tv_sec = wait.tv_usec / 1000000;
	wait.tv_usec %= 1000000;
	accepting_pause(front->accepting, &wait);
	return false;
}

static void
on_accept(const struct listener *listener, void *arg)
{
	struct front *front = arg;
	struct sockaddr_storage address;
	int fd;

	if (!make_room(front))
		return;
	fd = accepting_take(front->accepting, listener, &address);
	if (fd >= 0 && client_create(front, listener->kind, fd, (struct sockaddr *)&address) == NULL)
		log_error("no memory for a new client");
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct front *front = arg;
	struct client *client, *next;

	(void)fd;
	(void)what;
	for (client = TAILQ_FIRST(&front->closed); client != NULL; client = next) {
		next = TAILQ_NEXT(client, next);
		if (!client->held)
			client_free(client);
	}
}

/* Accepted sockets inherit these: no call per client. */
static void
set_listener_options(int fd)
{
	static const int on = 1, idle = 60, interval = 15, count = 4;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static int
start_listeners(struct front *front)
{
	for (unsigned i = 0; i < front->process->num_listeners; i++)
		if (front->process->listeners[i].kind != LISTENER_UNIX)
			set_listener_options(front->process->listeners[i].fd);
	front->accepting = accepting_create(front->base, front->process, on_accept, front);
	return front->accepting == NULL ? -1 : 0;
}

/* ---- links ---- */

static void
on_gate_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	(void)link;
	(void)body;
	(void)len;
	(void)arg;
	/* The gate only takes. */
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
	log_error("gate sent a message of type %d", (int)type);
}

static void
on_gate_closed(struct link *link, void *arg)
{
	struct front *front = arg;

	log_warn("the gate is gone; new clients wait for the next one");
	link_destroy(link);
	if (front->gate == link)
		front->gate = NULL;
}

static void
connect_gate(struct front *front, int fd)
{
	struct client *client, *next;

	link_destroy(front->gate);
	front->gate = link_create(front->base, fd, on_gate_message, on_gate_closed, front);
	if (front->gate == NULL) {
		log_error("no link to the gate: %s", strerror(errno));
		return;
	}
	for (client = TAILQ_FIRST(&front->anonymous); client != NULL; client = next) {
		next = TAILQ_NEXT(client, next);
		if (client->state == CLIENT_HANDOVER)
			client_hand_over(client);
	}
}

static void
connect_peer(struct front *front, const uint8_t *body, size_t len, const int *fds, size_t num_fds)
{
	struct link_peer peer = { PROCESS_NUM_KINDS, 0 };

	if (len == sizeof(peer))
		memcpy(&peer, body, sizeof(peer));
	if (num_fds == 1 && peer.kind == PROCESS_GATE)
		connect_gate(front, fds[0]);
	else if (num_fds == 1 && peer.kind == PROCESS_AUDIT)
		audit_client_connect(front->audit, fds[0]);
	else
		for (size_t i = 0; i < num_fds; i++)
			close(fds[i]);
}

/* Settings from the passed text; NULL with `error`. */
static struct settings *
read_settings(const struct front *front, int fd, struct vg_error *error)
{
	struct settings *settings;
	char kept[256];
	size_t len;
	char *text = fd >= 0 ? process_read_file(fd, &len) : NULL;

	if (text == NULL) {
		vg_fail(error, "%s: cannot be read: %s", front->config->settings->file,
		    strerror(fd >= 0 ? errno : ENOENT));
		return NULL;
	}
	settings = settings_parse(text, front->config->settings->file, error);
	free(text);
	if (settings != NULL)
		/* The parent tells which. */
		settings_keep(settings, front->config->settings, kept, sizeof(kept));
	return settings;
}

/* Who is in stays in, unless his certificate was withdrawn. */
static void
check_again(struct front *front)
{
	struct client *client, *next;

	for (client = TAILQ_FIRST(&front->authenticated); client != NULL; client = next) {
		next = TAILQ_NEXT(client, next);
		tls_login_check_again(client, front->config);
	}
}

/* Everything new is built first, then swapped: what does not load leaves the old in force. */
static int
reload(struct front *front, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	struct settings *settings = read_settings(front, files[FILE_SETTINGS], error);
	struct config *config;

	if (settings == NULL)
		return -1;
	config = config_create(settings, files, error);
	if (config == NULL) {
		settings_destroy(settings);
		return -1;
	}
	if (settings_use_sasl(settings) && sasl_library_start(settings->sasl_conf_dir, error) < 0) {
		config_release(config);
		return -1;
	}
	warn_of_dates(config);
	config_release(front->config);
	front->config = config;
	log_set_level(config->settings->log_level);
	check_again(front);
	return 0;
}

static void
on_reload(struct front *front, const uint8_t *body, size_t len, const int *fds, size_t num_fds)
{
	struct vg_error error = { .what = "" };
	char text[sizeof(error.what) + sizeof(error.hint) + 8] = "";
	int files[PROCESS_NUM_FILES];

	if (process_reload_files(body, len, fds, num_fds, files) < 0) {
		snprintf(text, sizeof(text), "the reload message is damaged");
	} else {
		if (reload(front, files, &error) < 0)
			snprintf(text, sizeof(text), "%s%s%s%s", error.what, error.hint[0] != '\0' ? " (" : "",
			    error.hint, error.hint[0] != '\0' ? ")" : "");
		process_close_files(files);
	}
	(void)link_send(front->parent, LINK_RELOADED, text, strlen(text), NULL, 0);
}

static void
on_parent_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds,
    size_t num_fds, void *arg)
{
	struct front *front = arg;

	(void)link;
	switch (type) {
	case LINK_PEER:
		connect_peer(front, body, len, fds, num_fds);
		break;
	case LINK_RELOAD:
		on_reload(front, body, len, fds, num_fds);
		break;
	case LINK_STOP:
		event_base_loopbreak(front->base);
		break;
	default:
		log_fatal("the parent sent a message of type %d", (int)type);
	}
}

static void
on_parent_closed(struct link *link, void *arg)
{
	(void)link;
	(void)arg;
	log_fatal("the parent is gone");
}

static void
close_clients(struct front *front)
{
	struct client *client;

	log_debug("closing %u clients", front->num_anonymous + front->num_authenticated);
	while ((client = TAILQ_FIRST(&front->anonymous)) != NULL)
		client_close(client, CLOSE_STOPPING, NULL);
	while ((client = TAILQ_FIRST(&front->authenticated)) != NULL)
		client_close(client, CLOSE_STOPPING, NULL);
}

/* So that a leak checker sees what was forgotten, and nothing else. Clients that a blocked worker holds stay. */
static void
free_all(struct front *front)
{
	on_reap(-1, 0, front);
	accepting_destroy(front->accepting);
	front->accepting = NULL;
	event_free(front->reap);
	link_destroy(front->gate);
	audit_client_destroy(front->audit);
	failures_destroy(front->failures);
	link_destroy(front->parent);
	config_release(front->config);
}

/* ---- start ---- */

__attribute__((noreturn))
static void
fail_start(struct front *front, const struct vg_error *error)
{
	char text[sizeof(error->what) + sizeof(error->hint) + 8];

	snprintf(text, sizeof(text), "%s%s%s%s", error->what, error->hint[0] != '\0' ? " (" : "", error->hint,
	    error->hint[0] != '\0' ? ")" : "");
	(void)link_send(front->parent, LINK_FAILED, text, strlen(text), NULL, 0);
	log_fatal("%s", text);
}

/* Small allocations come and go with each message: they stay in the process instead of being mapped anew. */
static void
tune_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

void
front_main(struct process *process)
{
	struct front front = { .process = process };
	struct vg_error error = { .what = "out of memory" };

	process_start(process);
	tune_memory();
	TAILQ_INIT(&front.anonymous);
	TAILQ_INIT(&front.authenticated);
	TAILQ_INIT(&front.closed);
	front.base = event_base_new();
	if (front.base == NULL)
		log_fatal("no event loop");
	front.parent = link_create(front.base, process->parent_fd, on_parent_message, on_parent_closed, &front);
	if (front.parent == NULL)
		log_fatal("no link to the parent: %s", strerror(errno));
	front.config = config_create(process->settings, process->files, &error);
	if (front.config == NULL)
		fail_start(&front, &error);
	warn_of_dates(front.config);
	process_close_files(process->files);
	if (settings_use_sasl(process->settings) && sasl_library_start(process->settings->sasl_conf_dir, &error) < 0)
		fail_start(&front, &error);
	front.audit = audit_client_create(front.base);
	front.worker = worker_create(front.base);
	front.failures = failures_create(FAILURES_WINDOW, FAILURES_MOST);
	front.reap = evtimer_new(front.base, on_reap, &front);
	if (front.audit == NULL || front.worker == NULL || front.failures == NULL ||
	    front.reap == NULL || start_listeners(&front) < 0)
		fail_start(&front, &error);
	if (link_send(front.parent, LINK_READY, NULL, 0, NULL, 0) < 0)
		log_fatal("cannot tell the parent: %s", strerror(errno));
	event_base_dispatch(front.base);
	close_clients(&front);
	free_all(&front);
	exit(0);
}

/* Does SASL give a mechanism for each way in that asks for it? */
static int
check_sasl(const struct settings *settings, struct vg_error *error)
{
	const struct {
		bool wanted;
		struct sasl_rules rules;
		const char *file, *way, *hint;
	} rows[] = {
		{ settings->listen_tls && settings->auth_tls == AUTH_SASL, { .encrypted = true, .external_ssf = 256 }, "libvirt.conf",
		    "over TLS", "scram-sha-256" },
		{ settings->listen_tcp, { .min_ssf = (unsigned)settings->tcp_min_ssf }, "libvirt.conf", "over plain TCP",
		    "gssapi (only it gives a security layer)" },
		{ settings->listen_vnc && settings->auth_vnc == AUTH_SASL && settings_vnc_offers(settings, "vencrypt"),
		    { .encrypted = true, .external_ssf = 256, .vnc = true }, "vnc.conf", "to viewers", "scram-sha-256, plain" },
		{ settings->listen_vnc && settings_vnc_offers(settings, "sasl"), { .min_ssf = (unsigned)settings->tcp_min_ssf, .vnc = true },
		    "vnc.conf", "to viewers without TLS", "gssapi (only it gives a security layer)" },
	};

	if (sasl_library_start(settings->sasl_conf_dir, error) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sasl_session *session = rows[i].wanted ? sasl_session_create(&rows[i].rules) : NULL;
		bool some = session != NULL && sasl_session_mechs(session)[0] != '\0';

		sasl_session_destroy(session);
		if (!rows[i].wanted || some)
			continue;
		vg_fail(error, "%s/%s: no SASL mechanism that may be offered %s", settings->sasl_conf_dir, rows[i].file, rows[i].way);
		return vg_hint(error, "install the module and name it in mech_list: %s", rows[i].hint);
	}
	return 0;
}

int
front_check(const struct settings *settings, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	SSL_CTX *tls;
	int ret = 0;

	if (settings_use_tls(settings)) {
		tls = tls_context_create(settings, files, error);
		if (tls == NULL)
			return -1;
		ret = tls_context_check_dates(tls, settings, error);
		SSL_CTX_free(tls);
	}
	if (ret == 0 && settings_use_sasl(settings))
		ret = check_sasl(settings, error);
	return ret;
}
