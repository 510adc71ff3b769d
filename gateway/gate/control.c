#include "gateway/gate/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/gate/console_ports.h"
#include "gateway/gate/sessions.h"

#define MAX_REQUEST 4096u
#define MAX_ADMINS 16		/* connections at a time */
#define IDLE_SECONDS 10

struct admin {
	LIST_ENTRY(admin) entry;
	struct control *control;
	int fd;
	uint32_t uid;
	struct event event, write_event;
	struct buf in, out;
};

struct control {
	struct gate *gate;
	int fd;
	struct event event;
	LIST_HEAD(, admin) admins;
	unsigned num_admins;
	uint32_t uid;			/* of the admin who asks at the moment */
};

static void
admin_destroy(struct admin *admin)
{
	LIST_REMOVE(admin, entry);
	admin->control->num_admins--;
	event_del(&admin->event);
	event_del(&admin->write_event);
	close(admin->fd);
	buf_free(&admin->in);
	buf_free(&admin->out);
	free(admin);
}

/* ---- verbs ---- */

static json_t *
list_sessions(struct gate *gate, const json_t *request)
{
	(void)request;
	return json_pack("{s:o, s:s}", "sessions", sessions_list(gate, NULL, NULL), "mode", sessions_mode(gate));
}

static json_t *
kill_sessions(struct gate *gate, const json_t *request)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	const char *user = json_string_value(json_object_get(request, "user"));

	if (id == NULL && user == NULL)
		return json_pack("{s:s}", "error", "session.kill needs \"id\" or \"user\"");
	return json_pack("{s:I}", "killed", sessions_kill(gate, id, user, NULL, gate->control->uid));
}

static json_t *
ask_reload(struct gate *gate, const json_t *request)
{
	(void)request;
	if (link_send(gate->parent, LINK_ASK_RELOAD, &gate->control->uid, sizeof(gate->control->uid), NULL, 0) < 0)
		return json_pack("{s:s}", "error", "the parent process does not answer");
	return json_pack("{s:b}", "asked", 1);
}

static json_t *
status(struct gate *gate, const json_t *request)
{
	(void)request;
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "policy", gate->settings->policy_file, "mode", sessions_mode(gate), "sessions",
	    (json_int_t)gate->num_sessions, "decisions", (json_int_t)gate->counters.decisions, "denials",
	    (json_int_t)gate->counters.denials, "would_denials", (json_int_t)gate->counters.would_denials, "refused_calls",
	    (json_int_t)gate->counters.refused_calls, "would_refuse_calls", (json_int_t)gate->counters.would_refuse_calls,
	    "outside_changes", (json_int_t)gate->counters.outside, "audit_healthy", (int)audit_client_healthy(gate->audit));
}

static const struct verb {
	const char *name;
	json_t *(*run)(struct gate *gate, const json_t *request);
} verbs[] = {
	{ "session.list", list_sessions },
	{ "session.kill", kill_sessions },
	{ "console.list", console_ports_list },
	{ "reload", ask_reload },
	{ "status", status },
};

static json_t *
run(struct gate *gate, const char *line, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	const char *verb = json_string_value(json_object_get(request, "verb"));
	json_t *answer = NULL;

	for (size_t i = 0; verb != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			answer = verbs[i].run(gate, request);
	if (answer == NULL)
		answer = json_pack("{s:s}", "error", verb == NULL ? "expected one JSON object with \"verb\" on a line" : "unknown verb");
	json_decref(request);
	return answer;
}

/* ---- connections ---- */

static void
flush(struct admin *admin)
{
	while (buf_len(&admin->out) > 0) {
		ssize_t n = send(admin->fd, buf_head(&admin->out), buf_len(&admin->out), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			event_add(&admin->write_event, NULL);
		if (n < 0)
			return;
		buf_drop(&admin->out, (size_t)n);
	}
}

static void
on_writable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

static void
answer_line(struct admin *admin, const char *line, size_t len)
{
	json_t *answer;
	char *text;

	admin->control->uid = admin->uid;
	answer = run(admin->control->gate, line, len);
	text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);

	if (text != NULL && buf_add(&admin->out, text, strlen(text)) == 0)
		(void)buf_add(&admin->out, "\n", 1);
	free(text);
	json_decref(answer);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct admin *admin = arg;
	uint8_t *room = buf_room(&admin->in, MAX_REQUEST);
	uint8_t *newline;
	ssize_t n;

	n = room == NULL || (what & EV_TIMEOUT) ? 0 : recv(fd, room, MAX_REQUEST, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		admin_destroy(admin);
		return;
	}
	buf_added(&admin->in, (size_t)n);
	while (buf_len(&admin->in) > 0 && (newline = memchr(buf_head(&admin->in), '\n', buf_len(&admin->in))) != NULL) {
		size_t len = (size_t)(newline - buf_head(&admin->in));

		answer_line(admin, (const char *)buf_head(&admin->in), len);
		buf_drop(&admin->in, len + 1);
	}
	if (buf_len(&admin->in) > MAX_REQUEST)
		admin_destroy(admin);
	else
		flush(admin);
}

static bool
is_admin(int fd, uint32_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || (peer.uid != 0 && peer.uid != geteuid()))
		return false;
	*uid = peer.uid;
	return true;
}

static void
on_connection(int fd, short what, void *arg)
{
	const struct timeval idle = { .tv_sec = IDLE_SECONDS };
	struct control *control = arg;
	struct admin *admin;
	uint32_t uid = 0;
	int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (peer < 0)
		return;
	admin = !is_admin(peer, &uid) || control->num_admins >= MAX_ADMINS ? NULL : calloc(1, sizeof(*admin));
	if (admin == NULL) {
		log_warn("control socket: a connection was refused");
		close(peer);
		return;
	}
	admin->control = control;
	admin->fd = peer;
	admin->uid = uid;
	LIST_INSERT_HEAD(&control->admins, admin, entry);
	control->num_admins++;
	event_assign(&admin->event, control->gate->base, peer, EV_READ | EV_PERSIST, on_readable, admin);
	event_assign(&admin->write_event, control->gate->base, peer, EV_WRITE, on_writable, admin);
	event_add(&admin->event, &idle);
}

struct control *
control_create(struct gate *gate, int fd)
{
	struct control *control = calloc(1, sizeof(*control));

	if (control == NULL)
		return NULL;
	control->gate = gate;
	control->fd = fd;
	LIST_INIT(&control->admins);
	event_assign(&control->event, gate->base, fd, EV_READ | EV_PERSIST, on_connection, control);
	event_add(&control->event, NULL);
	return control;
}

void
control_destroy(struct control *control)
{
	if (control == NULL)
		return;
	while (!LIST_EMPTY(&control->admins))
		admin_destroy(LIST_FIRST(&control->admins));
	event_del(&control->event);
	close(control->fd);
	free(control);
}
