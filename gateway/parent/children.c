/*
 * children.c: the rooms as processes: fork, join with links, notice their end, start again.
 *
 * state        what happens                 next
 * ENDED        child_start                  STARTING
 * STARTING     LINK_READY                   READY
 *              ends, or is not ready in time  WAITING (ENDED while stopping)
 * READY        ends                         WAITING (ENDED while stopping)
 * WAITING      its time has come            STARTING
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/parent/parent.h"

#define START_LIMIT_MS	30000
#define FIRST_DELAY_MS	100
#define LAST_DELAY_MS	5000
#define SOUND_MS	10000		/* ready for so long, a child's falls are forgotten */

static const char *
name_of(const struct child *child)
{
	static char name[32];

	return process_name(child->kind, child->index, name, sizeof(name));
}

static void
end_now(const struct child *child)
{
	if (child->pid > 0 && !child->reaped)
		(void)kill(child->pid, SIGKILL);
}

static bool
stopping(const struct parent *parent)
{
	return parent->state > PARENT_RUNNING;
}

/* The one place where a child's state changes; `delay_ms` arms its timer. */
static void
set_state(struct child *child, enum child_state state, int delay_ms)
{
	struct timeval delay = { delay_ms / 1000, (delay_ms % 1000) * 1000 };

	child->state = state;
	(void)event_del(child->timer);
	if ((state == CHILD_STARTING || state == CHILD_WAITING) && event_add(child->timer, &delay) < 0)
		log_fatal("out of memory");
	if (state == CHILD_READY)
		child->ready_since = parent_now();
	else if (state == CHILD_STARTING)
		child->ready_since = 0;
}

/* ---- links between the rooms ---- */

static bool
talk_to_each_other(enum process_kind a, enum process_kind b)
{
	if (a == PROCESS_READER || b == PROCESS_READER)
		return a == PROCESS_GATE || b == PROCESS_GATE;
	if (a == PROCESS_SINK || b == PROCESS_SINK)
		return false;
	return a != b && (a == PROCESS_AUDIT || b == PROCESS_AUDIT || a == PROCESS_GATE || b == PROCESS_GATE);
}

static int
send_peer(struct child *to, enum process_kind kind, unsigned index, int fd)
{
	struct link_peer peer = { (uint32_t)kind, index };

	return link_send(to->link, LINK_PEER, &peer, sizeof(peer), &fd, 1);
}

static int
join(struct child *a, struct child *b)
{
	int fds[2], status;

	if (link_pair(fds) < 0)
		return -1;
	status = send_peer(a, b->kind, b->index, fds[0]);
	if (status == 0)
		status = send_peer(b, a->kind, a->index, fds[1]);
	close(fds[0]);
	close(fds[1]);
	return status;
}

static int
join_parent(struct child *audit)
{
	int fds[2];

	if (link_pair(fds) < 0)
		return -1;
	if (send_peer(audit, PROCESS_PARENT, 0, fds[1]) < 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	close(fds[1]);
	audit_client_connect(audit->parent->audit, fds[0]);
	return 0;
}

/* A link that cannot be made leaves its two ends without each other: that one falls and is tried again. */
static int
join_all(struct child *child)
{
	struct parent *parent = child->parent;

	if (child->kind == PROCESS_AUDIT && join_parent(child) < 0)
		return -1;
	for (unsigned i = 0; i < parent->num_children; i++) {
		struct child *other = &parent->children[i];

		/* EPIPE: the other has just ended; it is joined again when it is back. */
		if (other->link != NULL && talk_to_each_other(child->kind, other->kind) && join(child, other) < 0 &&
		    errno != EPIPE)
			return -1;
	}
	return 0;
}

/* ---- messages ---- */

static void
on_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	struct child *child = arg;
	char text[sizeof(child->last_words)];
	uint32_t uid;

	(void)link;
	for (size_t i = 0; i < num_fds; i++)
		close(fds[i]);
	(void)snprintf(text, sizeof(text), "%.*s", (int)(len < sizeof(text) ? len : sizeof(text) - 1), (const char *)body);
	switch (type) {
	case LINK_READY:
		if (child->state != CHILD_STARTING)
			return;
		log_info("%s is ready (process %d)", name_of(child), (int)child->pid);
		set_state(child, CHILD_READY, 0);
		parent_advance(child->parent);
		return;
	case LINK_FAILED:
		if (child->reloading) {
			reload_answer(child, text);
		} else {
			log_error("%s: %s", name_of(child), text);
			memcpy(child->last_words, text, sizeof(text));
		}
		return;
	case LINK_RELOADED:
		reload_answer(child, len > 0 ? text : NULL);
		return;
	case LINK_ASK_RELOAD:
		if (child->kind == PROCESS_GATE && len == sizeof(uid)) {
			memcpy(&uid, body, sizeof(uid));
			reload_start(child->parent, (struct asker){ "control", uid });
			return;
		}
		/* fall through */
	default:
		log_error("%s sent a message of type %d, which is not for the parent; ending it", name_of(child), (int)type);
		end_now(child);
		return;
	}
}

static void ended(struct child *child);

/* The process is ending too; when it does not by itself, it is made to. */
static void
on_closed(struct link *link, void *arg)
{
	struct child *child = arg;

	link_destroy(link);
	child->link = NULL;
	if (child->reaped)
		ended(child);
	else if (!stopping(child->parent))
		end_now(child);
}

/* ---- beginning and end ---- */

__attribute__((noreturn)) static void
run_child(const struct child *child, int parent_fd)
{
	static struct process process;
	struct parent *parent = child->parent;

	process = (struct process){ .kind = child->kind, .index = child->index, .settings = parent->settings,
	    .parent_fd = parent_fd, .lock = parent->lock };
	files_for(child->kind, parent->files, process.files);
	process.audit_key = child->kind == PROCESS_AUDIT ? parent->audit_key : -1;
	for (unsigned i = 0; i < parent->num_listeners; i++) {
		enum process_kind owner = parent->listeners[i].kind == LISTENER_CONTROL ? PROCESS_GATE :
		    parent->listeners[i].kind == LISTENER_WEB ? PROCESS_WEB : PROCESS_FRONT;

		if (owner == child->kind)
			process.listeners[process.num_listeners++] = parent->listeners[i];
	}
	memcpy(process.guest_ports, parent->guest_ports, sizeof(process.guest_ports));
	process.num_guest_ports = parent->num_guest_ports;
	switch (child->kind) {
	case PROCESS_FRONT:
		front_main(&process);
	case PROCESS_GATE:
		gate_main(&process);
	case PROCESS_AUDIT:
		audit_main(&process);
	case PROCESS_READER:
		reader_main(&process);
	case PROCESS_SINK:
		sink_main(&process);
#ifdef HAVE_WEB
	case PROCESS_WEB:
		web_main(&process);
#endif
	default:
		log_fatal("there is no such process");
	}
}

/* 0 when it runs. */
static int
fork_child(struct child *child)
{
	int fds[2];
	pid_t pid;

	if (link_pair(fds) < 0)
		return -1;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_child(child, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -1;
	}
	child->pid = pid;
	child->reaped = false;
	child->last_words[0] = '\0';
	child->link = link_create(child->parent->base, fds[0], on_message, on_closed, child);
	return child->link != NULL ? join_all(child) : -1;
}

void
child_start(struct child *child)
{
	set_state(child, CHILD_STARTING, START_LIMIT_MS);
	if (fork_child(child) == 0)
		return;
	log_error("%s cannot be started: %s", name_of(child), strerror(errno));
	if (child->pid > 0)
		end_now(child);
	else
		set_state(child, CHILD_WAITING, LAST_DELAY_MS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	if (child->state == CHILD_WAITING) {
		child_start(child);
		return;
	}
	log_error("%s is not ready after %d s; ending it", name_of(child), START_LIMIT_MS / 1000);
	(void)snprintf(child->last_words, sizeof(child->last_words), "not ready after %d s", START_LIMIT_MS / 1000);
	end_now(child);
}

static void
describe_end(const struct child *child, char *text, size_t size)
{
	int status = child->exit_status;

	if (WIFSIGNALED(status))
		(void)snprintf(text, size, "%s (process %d) was ended by signal %d (%s)", name_of(child), (int)child->pid,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(text, size, "%s (process %d) ended with status %d%s%s", name_of(child), (int)child->pid,
		    WEXITSTATUS(status), child->last_words[0] != '\0' ? ": " : "", child->last_words);
}

/* At once the first time, then later and later. */
static int
restart_delay(struct child *child)
{
	int delay = FIRST_DELAY_MS;

	if (child->ready_since != 0 && parent_now() - child->ready_since >= SOUND_MS)
		child->falls = 0;
	if (child->falls++ == 0)
		return 0;
	for (unsigned i = 2; i < child->falls && delay < LAST_DELAY_MS; i++)
		delay *= 2;
	return delay < LAST_DELAY_MS ? delay : LAST_DELAY_MS;
}

static void
record_fall(struct parent *parent, const char *text)
{
	json_t *record = audit_record_event(AUDIT_CRASH);

	if (record != NULL)
		audit_add_result(record, "error", 0, text);
	(void)audit_submit(parent->audit, record, AUDIT_KEEP, NULL, NULL);
}

/* The process was waited for and all that it had sent was read. */
static void
ended(struct child *child)
{
	struct parent *parent = child->parent;
	char text[1536];

	describe_end(child, text, sizeof(text));
	child->pid = 0;
	if (child->reloading)
		reload_answer(child, NULL);
	if (stopping(parent)) {
		set_state(child, CHILD_ENDED, 0);
		parent_advance(parent);
		return;
	}
	log_error("%s", text);
	if (parent->state == PARENT_STARTING) {
		set_state(child, CHILD_ENDED, 0);
		parent_cannot_start(parent, child->last_words[0] != '\0' ? child->last_words : text);
		return;
	}
	record_fall(parent, text);
	set_state(child, CHILD_WAITING, restart_delay(child));
}

void
children_reap(struct parent *parent)
{
	for (unsigned i = 0; i < parent->num_children; i++) {
		struct child *child = &parent->children[i];

		if (child->pid == 0 || child->reaped || waitpid(child->pid, &child->exit_status, WNOHANG) != child->pid)
			continue;
		child->reaped = true;
		if (child->link == NULL)
			ended(child);
	}
}

/* ---- all of them ---- */

static int
add_children(struct parent *parent, enum process_kind kind, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct child *child = &parent->children[parent->num_children++];

		child->parent = parent;
		child->kind = kind;
		child->index = i;
		child->timer = evtimer_new(parent->base, on_timer, child);
		if (child->timer == NULL)
			return -1;
	}
	return 0;
}

int
children_prepare(struct parent *parent, struct vg_error *error)
{
	int fronts = parent->settings->front_processes;

	if (fronts == 0)
		fronts = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (fronts < 1)
		fronts = 1;
	if (fronts > PARENT_MAX_FRONTS)
		fronts = PARENT_MAX_FRONTS;
	parent->num_fronts = (unsigned)fronts;
	if (add_children(parent, PROCESS_AUDIT, 1) < 0 || add_children(parent, PROCESS_GATE, 1) < 0 || add_children(parent, PROCESS_READER, 1) < 0 ||
	    add_children(parent, PROCESS_FRONT, parent->num_fronts) < 0 || add_children(parent, PROCESS_WEB, parent->settings->listen_web) < 0 ||
	    add_children(parent, PROCESS_SINK, (unsigned)parent->settings->audit_sinks.num) < 0)
		return vg_fail(error, "out of memory");
	return 0;
}

void
children_stop(struct parent *parent, enum process_kind kind, bool now)
{
	for (unsigned i = 0; i < parent->num_children; i++) {
		struct child *child = &parent->children[i];

		if (child->kind != kind)
			continue;
		if (child->pid == 0)
			set_state(child, CHILD_ENDED, 0);
		else if (now || child->link == NULL || link_send(child->link, LINK_STOP, NULL, 0, NULL, 0) < 0)
			end_now(child);
	}
}

bool
children_alive(const struct parent *parent, enum process_kind kind)
{
	for (unsigned i = 0; i < parent->num_children; i++) {
		if (parent->children[i].kind == kind && parent->children[i].pid > 0)
			return true;
	}
	return false;
}

bool
children_ready(const struct parent *parent)
{
	for (unsigned i = 0; i < parent->num_children; i++) {
		if (parent->children[i].state != CHILD_READY)
			return false;
	}
	return true;
}

void
children_destroy(struct parent *parent)
{
	for (unsigned i = 0; i < parent->num_children; i++) {
		struct child *child = &parent->children[i];

		link_destroy(child->link);
		if (child->timer != NULL)
			event_free(child->timer);
	}
}
