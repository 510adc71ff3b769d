/*
 * gate.c: the gate's main: links, policy, the beat of the clock. What a session does is in the other files.
 */
#include "gateway/gate/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "gateway/admission/admission.h"
#include "gateway/gate/own_rules.h"
#include "gateway/core/handover.h"
#include "gateway/core/log.h"
#include "gateway/gate/changes.h"
#include "gateway/gate/console.h"
#include "gateway/gate/console_ports.h"
#include "gateway/gate/control.h"
#include "gateway/gate/inventory.h"
#include "gateway/gate/outside.h"
#include "gateway/gate/rights.h"
#include "gateway/gate/roll.h"
#include "gateway/gate/settle.h"
#include "gateway/gate/trail.h"
#include "gateway/gate/user.h"

#define STEADY_BEGINS	(365 * 86400)

/* Links to the fronts; a front that was started again brings a new one. */
struct front {
	struct front *next;
	struct gate *gate;
	struct link *link;
	uint32_t index;
};

struct gate_fronts {
	struct front *first;
};

time_t
gate_now(struct gate *gate)
{
	struct timeval now;

	/* The loop's own clock: one reading a turn. */
	if (event_base_gettimeofday_cached(gate->base, &now) != 0)
		return time(NULL);
	return now.tv_sec;
}

time_t
gate_steady(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec + STEADY_BEGINS;
}

/* ---- policy ---- */

static void
on_problem(const struct vg_error *error, void *arg)
{
	struct vg_error *first = arg;

	log_error("%s%s%s", error->what, error->hint[0] == '\0' ? "" : "; ", error->hint);
	if (first->what[0] == '\0')
		*first = *error;
}

/* Nobody should find out by accident that nothing is refused. */
static void
tell_mode(const struct gate *gate)
{
	if (policy_only_watches(gate->policy))
		log_warn("%s: \"mode\" is permissive: THE GATEWAY ONLY WATCHES: what the policy denies is let through and recorded as would-deny",
		    gate->settings->policy_file);
}

/*
 * NULL with `error` when the file does not make a policy. `name` is for messages; `rules`: the policy's own, compiled; `kept`: the file, NULL when it is
 * too long for browsers.
 */
static struct policy *
read_policy(int fd, const char *name, struct admission_rules **rules, char **kept, struct vg_error *error)
{
	struct policy *policy;
	size_t len;
	char *text;

	error->what[0] = error->hint[0] = '\0';
	text = fd < 0 ? NULL : process_read_file(fd, &len);
	if (text == NULL) {
		vg_fail(error, "%s: cannot be read", name);
		return NULL;
	}
	policy = policy_parse(text, len, name, on_problem, error);
	if (policy == NULL && error->what[0] == '\0')
		vg_fail(error, "%s: not a policy", name);
	*rules = policy == NULL ? NULL : own_rules_compile(policy, name, error);
	if (policy != NULL && *rules == NULL) {
		log_error("%s%s%s", error->what, error->hint[0] == '\0' ? "" : "; ", error->hint);
		policy_destroy(policy);
		policy = NULL;
	}
	*kept = policy != NULL && len <= WEB_MAX_POLICY ? strndup(text, len) : NULL;
	free(text);
	return policy;
}

/* ---- fronts ---- */

static void
refuse_session(int fd, int last_word, enum close_reason reason)
{
	if (last_word >= 0) {
		handover_say_end(last_word, reason, NULL);
		close(last_word);
	}
	close(fd);
}

/* `last_word`: -1, or where it is told why it ends. */
static void
accept_session(struct gate *gate, const uint8_t *body, size_t len, int fd, int last_word)
{
	struct vg_identity identity;
	struct session *session;
	int size = END_READ_SIZE;

	if (handover_get(body, len, &identity) < 0) {
		log_error("a front handed over a client that does not decode");
		refuse_session(fd, last_word, CLOSE_CLIENT_PROTOCOL);
		return;
	}
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (gate->num_sessions >= (size_t)gate->settings->max_clients) {
		char who[256];

		log_warn("%s: refused, max_clients = %d is reached", identity_text(&identity, who, sizeof(who)), gate->settings->max_clients);
		identity_clear(&identity);
		refuse_session(fd, last_word, CLOSE_TOO_MANY);
		return;
	}
	session = session_create(gate, fd, last_word, &identity);
	if (session == NULL) {
		identity_clear(&identity);
		refuse_session(fd, last_word, CLOSE_NO_MEMORY);
	} else if (session->identity.console != NULL || session->identity.console_port != 0) {
		console_start(session);
	}
}

static void
on_front_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct front *front = arg;

	(void)link;
	if (type == LINK_SESSION && num_fds >= 1) {
		accept_session(front->gate, body, len, fds[0], num_fds > 1 ? fds[1] : -1);
		return;
	}
	log_error("front/%u sent an unexpected message", front->index);
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
}

static void
on_front_closed(struct link *link, void *arg)
{
	struct front *front = arg, **at = &front->gate->fronts->first;

	/* Its clients are gone with it: each session sees that on its own stream. */
	while (*at != front)
		at = &(*at)->next;
	*at = front->next;
	link_destroy(link);
	free(front);
}

static void
add_front(struct gate *gate, uint32_t index, int fd)
{
	struct front *front = calloc(1, sizeof(*front));

	if (front == NULL) {
		close(fd);
		return;
	}
	front->gate = gate;
	front->index = index;
	front->link = link_create(gate->base, fd, on_front_message, on_front_closed, front);
	if (front->link == NULL) {
		free(front);
		return;
	}
	front->next = gate->fronts->first;
	gate->fronts->first = front;
}

/* ---- parent ---- */

static void
on_peer(struct gate *gate, const uint8_t *body, size_t len, int fd)
{
	struct link_peer peer;

	if (len != sizeof(peer)) {
		close(fd);
		return;
	}
	memcpy(&peer, body, sizeof(peer));
	if (peer.kind == PROCESS_AUDIT)
		audit_client_connect(gate->audit, fd);
	else if (peer.kind == PROCESS_READER)
		trail_connect(gate->trail, fd);
	else if (peer.kind == PROCESS_FRONT || peer.kind == PROCESS_WEB)
		add_front(gate, peer.index, fd);
	else
		close(fd);
}

/* Both or neither: settings that were meant for a policy that is refused do not come alone. */
static int
take_files(struct gate *gate, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	struct settings *settings;
	struct policy *policy, *before;
	struct admission_rules *rules;
	char kept[256], *policy_text;
	size_t len;
	char *text = files[FILE_SETTINGS] < 0 ? NULL : process_read_file(files[FILE_SETTINGS], &len);

	if (text == NULL)
		return vg_fail(error, "%s: cannot be read", gate->settings->file);
	settings = settings_parse(text, gate->settings->file, error);
	free(text);
	if (settings == NULL)
		return -1;
	policy = read_policy(files[FILE_POLICY], settings->policy_file, &rules, &policy_text, error);
	if (policy == NULL) {
		settings_destroy(settings);
		return -1;
	}
	settings_keep(settings, gate->settings, kept, sizeof(kept));	/* the parent tells which */
	log_set_level(settings->log_level);
	settings_destroy(gate->settings);
	gate->settings = gate->process->settings = settings;
	before = gate->policy;
	gate->policy = policy;
	admission_rules_destroy(gate->rules);
	gate->rules = rules;
	free(gate->policy_text);
	gate->policy_text = policy_text;
	gate->num_policies++;
	changes_tell(gate->changes, before);
	tell_mode(gate);
	return 0;
}

static void
on_reload(struct gate *gate, const uint8_t *body, size_t len, const int *fds, size_t num_fds)
{
	struct vg_error error = { .what = "", .hint = "" };
	char answer[sizeof(error.what) + sizeof(error.hint) + 2] = "";
	int files[PROCESS_NUM_FILES];

	if (process_reload_files(body, len, fds, num_fds, files) < 0) {
		(void)snprintf(answer, sizeof(answer), "the gate did not understand the request");
	} else {
		if (take_files(gate, files, &error) == 0)
			rights_judge_all(gate);
		else
			(void)snprintf(answer, sizeof(answer), "%s%s%s", error.what, error.hint[0] == '\0' ? "" : "; ", error.hint);
		process_close_files(files);
	}
	(void)link_send(gate->parent, LINK_RELOADED, answer, strlen(answer), NULL, 0);
}

/* Ends what can be ended now; outcomes still awaited are recorded as unknown. */
static void
stop(struct gate *gate)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&gate->sessions)) != NULL) {
		session_close(session, CLOSE_STOPPING);
		if (session->state != SESSION_CLOSED)
			session_set_state(session, SESSION_CLOSED);
	}
	for (size_t i = 0; i < gate->num_inventories; i++)
		roll_stop(inventory_roll(gate->inventories[i]));
	event_base_loopexit(gate->base, &(struct timeval){ .tv_usec = 200000 });
}

static void
on_parent_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct gate *gate = arg;

	(void)link;
	if (type == LINK_PEER && num_fds == 1) {
		on_peer(gate, body, len, fds[0]);
		return;
	}
	if (type == LINK_RELOAD) {
		on_reload(gate, body, len, fds, num_fds);
		return;
	}
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
	if (type == LINK_STOP)
		stop(gate);
}

static void
on_parent_closed(struct link *link, void *arg)
{
	(void)link;
	(void)arg;
	_exit(1);
}

/* ---- the clock ---- */

static void
on_sweep(int fd, short what, void *arg)
{
	struct gate *gate = arg;
	struct session *session;

	(void)fd;
	(void)what;
	while ((session = TAILQ_FIRST(&gate->dead)) != NULL) {
		TAILQ_REMOVE(&gate->dead, session, entry);
		policy_view_destroy(session->view);
		identity_clear(&session->identity);
		free(session);
	}
}

static void
on_tick(int fd, short what, void *arg)
{
	struct gate *gate = arg;
	struct session *session, *next;
	time_t now = gate_now(gate), steady = gate_steady();

	(void)fd;
	(void)what;
	for (session = TAILQ_FIRST(&gate->sessions); session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		session_tick(session, steady);
	}
	user_tick(gate, steady);
	rights_tick(gate, now);
	outside_tick(gate->outside, steady);
	trail_tick(gate->trail, steady);
	settle_tick(gate->settle, steady);
	for (size_t i = 0; i < gate->num_inventories; i++)
		roll_tick(inventory_roll(gate->inventories[i]), steady);
}

/* libvirtd's backlog was full when these dialed. */
static void
on_redial(int fd, short what, void *arg)
{
	struct gate *gate = arg;
	struct session *session, *next;

	(void)fd;
	(void)what;
	for (session = TAILQ_FIRST(&gate->sessions); session != NULL; session = next) {
		next = TAILQ_NEXT(session, entry);
		if (session->state == SESSION_INVENTORY)
			session_dial(session);
	}
}

static int
create_inventories(struct gate *gate)
{
	static char default_uri[] = "qemu:///system";
	static char *default_uris[] = { default_uri };
	const struct settings_list *set = &gate->settings->allowed_uris;
	char *const *uris = set->set ? set->items : default_uris;
	size_t num = set->set ? set->num : 1;

	for (size_t i = 0; i < num && i < GATE_MAX_URIS; i++) {
		gate->inventories[i] = inventory_create(gate, uris[i]);
		if (gate->inventories[i] == NULL)
			return -1;
		gate->num_inventories++;
	}
	return 0;
}

static void
fail(struct gate *gate, const char *what)
{
	/* The parent prints it for the admin; the link must have taken it before we go. */
	if (link_send(gate->parent, LINK_FAILED, what, strlen(what), NULL, 0) == 0)
		event_base_loop(gate->base, EVLOOP_NONBLOCK);
	log_fatal("%s", what);
}

void
gate_main(struct process *process)
{
	static struct gate_fronts fronts;
	static struct gate gate = { .fronts = &fronts };
	const struct timeval second = { .tv_sec = 1 };
	struct vg_error error;

	process_start(process);
	xmlInitParser();
	gate.process = process;
	gate.settings = process->settings;
	TAILQ_INIT(&gate.sessions);
	TAILQ_INIT(&gate.users);
	TAILQ_INIT(&gate.dead);
	gate.base = event_base_new();
	gate.audit = gate.base == NULL ? NULL : audit_client_create(gate.base);
	gate.parent = gate.audit == NULL ? NULL : link_create(gate.base, process->parent_fd, on_parent_message, on_parent_closed, &gate);
	if (gate.parent == NULL)
		log_fatal("cannot start: %s", strerror(errno));
	if (admission_start(&error) < 0)
		fail(&gate, error.what);
	gate.policy = read_policy(process->files[FILE_POLICY], gate.settings->policy_file, &gate.rules, &gate.policy_text, &error);
	if (gate.policy == NULL)
		fail(&gate, error.what);
	tell_mode(&gate);
	gate.judge_at = policy_next_change(gate.policy, gate_now(&gate));
	process_close_files(process->files);
	evtimer_assign(&gate.sweep, gate.base, on_sweep, &gate);
	evtimer_assign(&gate.redial, gate.base, on_redial, &gate);
	event_assign(&gate.tick, gate.base, -1, EV_PERSIST, on_tick, &gate);
	event_add(&gate.tick, &second);
	gate.console_ports = console_ports_create(&gate);
	gate.changes = changes_create(&gate);
	gate.outside = outside_create(&gate);
	gate.trail = trail_create(&gate);
	gate.settle = settle_create(&gate);
	if (gate.console_ports == NULL || gate.changes == NULL || gate.outside == NULL || gate.trail == NULL || gate.settle == NULL || create_inventories(&gate) < 0)
		fail(&gate, "out of memory");
	for (unsigned i = 0; i < process->num_listeners; i++)
		if (process->listeners[i].kind == LISTENER_CONTROL)
			gate.control = control_create(&gate, process->listeners[i].fd);
	(void)link_send(gate.parent, LINK_READY, NULL, 0, NULL, 0);
	event_base_dispatch(gate.base);

	settle_destroy(gate.settle);
	changes_destroy(gate.changes);
	admission_rules_destroy(gate.rules);
	free(gate.policy_text);
	admission_stop();
	control_destroy(gate.control);
	console_ports_destroy(gate.console_ports);
	for (size_t i = 0; i < gate.num_inventories; i++)
		inventory_destroy(gate.inventories[i]);
	outside_destroy(gate.outside);
	trail_destroy(gate.trail);
	exit(0);
}
