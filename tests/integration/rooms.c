/*
 * rooms.c: stand-ins for front, gate and audit, so that the parent can be tried alone: the daemon is linked with these
 * instead of the real ones. What a room does is in the file that ROOMS_FILE names, one word a line, read again at
 * each start: "gate:fail", "front:refuse", "audit:deaf" (ignores LINK_STOP), "gate:mute" (never ready), "gate:ask"
 * (asks for a reload once), "gate:probe" (tries what it should not be able to do). Each room appends what it sees to ROOMS_LOG.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/core/audit_wire.h"
#include "gateway/core/log.h"
#include "gateway/core/process.h"
#include "gateway/front/front.h"

/* Opened before privileges are dropped, in places of files that these rooms are not given. */
#define LOG	FILE_CERT
#define WORDS	FILE_CRL

struct room {
	int present;			/* files that the parent gave */
	struct process *process;
	struct event_base *base;
	struct link *parent;
	char name[32];
};

__attribute__((format(printf, 2, 3))) static void
note(const struct room *room, const char *format, ...)
{
	char line[1024];
	va_list args;
	int len;

	len = snprintf(line, sizeof(line), "%s %d ", room->name, (int)getpid());
	va_start(args, format);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len - 1, format, args);
	va_end(args);
	line[len++] = '\n';
	if (write(room->process->files[LOG], line, (size_t)len) != len)
		log_fatal("ROOMS_LOG: %s", strerror(errno));
}

static int
does(const struct room *room, const char *what)
{
	char *text = process_read_file(room->process->files[WORDS], NULL);
	char wanted[64];
	int found;

	(void)snprintf(wanted, sizeof(wanted), "%s:%s\n", process_kind_name(room->process->kind), what);
	found = text != NULL && strstr(text, wanted) != NULL;
	free(text);
	return found;
}

struct peer {
	struct room *room;
	uint64_t records;
};

static void
on_peer_closed(struct link *link, void *arg)
{
	free(arg);
	link_destroy(link);
}

/* The audit room takes every record of its peers, notes it, and says that it is durable. */
static void
on_peer_message(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds,
    void *arg)
{
	struct peer *peer = arg;
	struct audit_ack ack = { .answer = AUDIT_DURABLE };
	char text[900];
	size_t used = 0;

	(void)fds;
	(void)num_fds;
	if (type != LINK_RECORD || len == 0 || body[0] != AUDIT_WIRE_RECORD)
		return;
	for (; used < len && used < sizeof(text) - 1; used++)
		text[used] = (char)(body[used] >= ' ' && body[used] <= '~' ? body[used] : '.');
	text[used] = '\0';
	note(peer->room, "record %s", text);
	ack.upto = ++peer->records;
	(void)link_send(link, LINK_ACK, &ack, sizeof(ack), NULL, 0);
}

static void
on_parent(struct link *link, enum link_type type, const uint8_t *body, size_t len, const int *fds, size_t num_fds, void *arg)
{
	struct room *room = arg;
	struct link_peer peer;
	struct peer *other;
	int files[PROCESS_NUM_FILES], present = 0;

	switch (type) {
	case LINK_PEER:
		memcpy(&peer, body, sizeof(peer));
		note(room, "peer %s/%u", process_kind_name((enum process_kind)peer.kind), peer.index);
		other = calloc(1, sizeof(*other));
		if (other == NULL)
			log_fatal("out of memory");
		other->room = room;
		if (link_create(room->base, fds[0], on_peer_message, on_peer_closed, other) == NULL)
			log_fatal("no peer");
		return;
	case LINK_RELOAD:
		if (process_reload_files(body, len, fds, num_fds, files) < 0)
			log_fatal("a reload that does not add up");
		for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
			present |= (files[i] >= 0) << i;
			if (files[i] >= 0)
				close(files[i]);
		}
		note(room, "reload %d", present);
		if (does(room, "refuse"))
			(void)link_send(link, LINK_RELOADED, "no such thing", 13, NULL, 0);
		else
			(void)link_send(link, LINK_RELOADED, NULL, 0, NULL, 0);
		return;
	case LINK_STOP:
		note(room, "stop");
		if (!does(room, "deaf"))
			_exit(0);
		return;
	default:
		log_fatal("message of type %d", (int)type);
	}
}

static void
on_parent_closed(struct link *link, void *arg)
{
	(void)link;
	(void)arg;
	_exit(0);
}

static void
note_process(const struct room *room)
{
	const struct process *process = room->process;
	int open_fds = 0;

	for (int fd = 0; fd < 1024; fd++)
		open_fds += fcntl(fd, F_GETFD) >= 0;
	note(room, "start files %d listeners %u fds %d uid %u dumpable %d nnp %d", room->present, process->num_listeners, open_fds,
	    (unsigned)geteuid(), prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

/* ---- what a room that fell into the wrong hands could do: 1 it could, 0 it was refused ---- */

static int
can_write(const char *directory)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/probe-%d", directory, (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		close(fd);
		(void)unlink(path);
	}
	return fd >= 0;
}

static int
can_run_programs(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/true", "true", NULL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int
can_listen(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int done = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* A refusal by the kernel, not by the port where nobody listens. */
static int
can_connect(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int done = fd >= 0 && (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == ECONNREFUSED);

	if (fd >= 0)
		close(fd);
	return done;
}

static void
probe(const struct room *room)
{
	const struct settings *settings = room->process->settings;

	char index[SETTINGS_MAX_PATH];

	if (settings_index_dir(settings, index, sizeof(index)) < 0)
		log_fatal("a path that is too long");
	note(room, "probe write-audit %d write-state %d write-index %d run %d listen %d connect %d signal %d become-root %d",
	    can_write(settings->audit_dir), can_write(settings->state_dir), can_write(index), can_run_programs(), can_listen(), can_connect(),
	    kill(getppid(), 0) == 0, setuid(0) == 0);
}

static int
open_for(const char *name, int flags)
{
	const char *path = getenv(name);
	int fd = path != NULL ? open(path, flags | O_CLOEXEC) : -1;

	if (fd < 0)
		log_fatal("%s: %s", name, path != NULL ? strerror(errno) : "not set");
	return fd;
}

__attribute__((noreturn)) static void
room_main(struct process *process)
{
	static const uint32_t nobody = 65534;
	static struct room room;

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		room.present |= (process->files[i] >= 0) << i;
	process->files[LOG] = open_for("ROOMS_LOG", O_WRONLY | O_APPEND);
	process->files[WORDS] = open_for("ROOMS_FILE", O_RDONLY);
	process_start(process);
	room.process = process;
	(void)process_name(process->kind, process->index, room.name, sizeof(room.name));
	note_process(&room);
	room.base = event_base_new();
	room.parent = link_create(room.base, process->parent_fd, on_parent, on_parent_closed, &room);
	if (room.parent == NULL)
		log_fatal("no link");
	if (does(&room, "probe"))
		probe(&room);
	if (does(&room, "fail")) {
		(void)link_send(room.parent, LINK_FAILED, "the reason of the room", 22, NULL, 0);
		_exit(1);
	}
	if (!does(&room, "mute"))
		(void)link_send(room.parent, LINK_READY, NULL, 0, NULL, 0);
	if (does(&room, "ask"))
		(void)link_send(room.parent, LINK_ASK_RELOAD, &nobody, sizeof(nobody), NULL, 0);
	(void)event_base_dispatch(room.base);
	_exit(0);
}

void
front_main(struct process *process)
{
	room_main(process);
}

void
gate_main(struct process *process)
{
	room_main(process);
}

void
audit_main(struct process *process)
{
	room_main(process);
}

void
reader_main(struct process *process)
{
	room_main(process);
}

void
sink_main(struct process *process)
{
	room_main(process);
}

void
web_main(struct process *process)
{
	room_main(process);
}

int
front_check(const struct settings *settings, const int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	(void)settings;
	return files[FILE_SETTINGS] >= 0 ? 0 : vg_fail(error, "no settings");
}
