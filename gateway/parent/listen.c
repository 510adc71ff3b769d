/* listen.c: the listening sockets, and the files in run_dir that tell people of them. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "gateway/core/accepting.h"
#include "gateway/core/log.h"
#include "gateway/core/sandbox.h"
#include "gateway/parent/parent.h"

#define FREE_PORT_TRIES 16
#define RUN_BEFORE_MS 10000		/* that a start waits for what a killed gateway left behind */

static int
add_listener(struct parent *parent, enum listener_kind kind, int fd, struct vg_error *error)
{
	if (parent->num_listeners == PROCESS_MAX_LISTENERS) {
		close(fd);
		return vg_fail(error, "%s: listen_addr: more than %d addresses", parent->settings->file, PROCESS_MAX_LISTENERS);
	}
	parent->listeners[parent->num_listeners++] = (struct listener){ kind, fd };
	return 0;
}

/* A bound, listening socket or -1 with errno. */
static int
bind_one(const struct addrinfo *at)
{
	static const int on = 1;
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (at->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/*
 * All addresses on one port. 0, or -1 with errno and no listener added; `port` becomes the one in use. A host without
 * IPv6 listens on IPv4 alone, unless an address was asked for.
 */
static int
bind_all(struct parent *parent, enum listener_kind kind, char port[8], struct vg_error *error)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	const char *host = parent->settings->listen_addr;
	unsigned before = parent->num_listeners;
	struct addrinfo *list;
	int status = getaddrinfo(host, port, &hints, &list), saved = 0;

	if (status != 0) {
		errno = 0;
		return vg_fail(error, "%s: listen_addr: '%s': %s", parent->settings->file, host != NULL ? host : "*",
		    gai_strerror(status));
	}
	for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
		int fd;

		/* The second address gets the free port that the first was given. */
		if (at->ai_family == AF_INET6)
			((struct sockaddr_in6 *)(void *)at->ai_addr)->sin6_port = htons((uint16_t)atoi(port));
		else
			((struct sockaddr_in *)(void *)at->ai_addr)->sin_port = htons((uint16_t)atoi(port));
		fd = bind_one(at);
		if (fd < 0 && host == NULL && at->ai_family == AF_INET6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
			continue;
		if (fd < 0 || add_listener(parent, kind, fd, error) < 0) {
			saved = fd < 0 ? errno : 0;
			goto fail;
		}
		(void)snprintf(port, 8, "%u", accepting_port(fd));
	}
	freeaddrinfo(list);
	if (parent->num_listeners > before)
		return 0;
	errno = 0;
	return vg_fail(error, "%s: listen_addr: this host has no address to listen on", parent->settings->file);
fail:
	freeaddrinfo(list);
	while (parent->num_listeners > before)
		close(parent->listeners[--parent->num_listeners].fd);
	errno = saved;
	return -1;
}

static int
listen_tcp(struct parent *parent, enum listener_kind kind, const char *key, const char *port, struct vg_error *error)
{
	const char *host = parent->settings->listen_addr != NULL ? parent->settings->listen_addr : "*";
	char chosen[8];

	for (int i = 0; i < FREE_PORT_TRIES; i++) {
		(void)snprintf(chosen, sizeof(chosen), "%s", port);
		errno = 0;
		if (bind_all(parent, kind, chosen, error) == 0)
			return 0;
		if (errno == 0)
			return -1;
		/* A free port of one family may be taken in the other. */
		if (errno != EADDRINUSE || strcmp(port, "0") != 0)
			break;
	}
	(void)vg_fail(error, "%s: %s: cannot listen on %s port %s: %s", parent->settings->file, key, host, port,
	    strerror(errno));
	if (errno == EADDRINUSE)
		return vg_hint(error, "is libvirtd itself listening there? `ss -ltnp` tells who; set %s to another", key);
	if (errno == EACCES)
		return vg_hint(error, "ports below 1024 need root");
	return -1;
}

/* Those of vnc_ports that are free; the rest are somebody else's, perhaps a guest's own VNC server. */
static int
listen_guests(struct parent *parent, struct vg_error *error)
{
	unsigned first = 0;
	int num = settings_ports(parent->settings->vnc_ports, &first);
	char port[8];

	for (int i = 0; i < num; i++) {
		(void)snprintf(port, sizeof(port), "%u", first + (unsigned)i);
		errno = 0;
		if (bind_all(parent, LISTENER_VNC_GUEST, port, error) == 0)
			parent->guest_ports[parent->num_guest_ports++] = (uint16_t)(first + (unsigned)i);
		else if (errno != EADDRINUSE)
			return errno == 0 ? -1 : vg_fail(error, "%s: vnc_ports: cannot listen on port %s: %s", parent->settings->file, port,
			    strerror(errno));
	}
	if (num > 0 && parent->num_guest_ports == 0)
		return vg_fail(error, "%s: vnc_ports: none of %s is free", parent->settings->file, parent->settings->vnc_ports);
	return 0;
}

/* A socket that a former run left behind is removed; one that somebody answers on is not ours. */
static int
remove_stale(const char *path, const struct sockaddr_un *address, struct vg_error *error)
{
	struct stat st;
	int fd, status;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	status = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)address, sizeof(*address));
	if (fd >= 0)
		close(fd);
	if (status == 0 || (fd >= 0 && errno == EAGAIN))
		return vg_fail(error, "%s: another process listens there", path);
	(void)unlink(path);
	return 0;
}

static int
listen_unix(struct parent *parent, enum listener_kind kind, const char *path, mode_t mode, const struct sandbox_user *owner,
    struct vg_error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t before;
	int fd, status;

	memcpy(address.sun_path, path, strlen(path) + 1);
	if (remove_stale(path, &address, error) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vg_fail(error, "%s: no socket: %s", path, strerror(errno));
	before = umask(~mode & 0777);
	status = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	(void)umask(before);
	if (status < 0 || listen(fd, SOMAXCONN) < 0 ||
	    (owner != NULL && owner->drop && lchown(path, owner->uid, owner->gid) < 0)) {
		(void)vg_fail(error, "%s: cannot listen there: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return add_listener(parent, kind, fd, error);
}

/* ---- files in run_dir ---- */

static void
path_in(const struct settings *settings, const char *name, char path[512])
{
	(void)snprintf(path, 512, "%s/%s", settings->run_dir, name);
}

/* Under another name first, so that a reader sees all or nothing. */
static int
write_whole(const struct settings *settings, const char *name, const char *text, struct vg_error *error)
{
	char path[512], fresh[520];
	size_t len = strlen(text);
	int fd;

	path_in(settings, name, path);
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || rename(fresh, path) < 0) {
		(void)vg_fail(error, "%s cannot be written: %s", path, strerror(errno));
		(void)unlink(fresh);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int
write_ports(const struct parent *parent, struct vg_error *error)
{
	static const char *const names[] = { [LISTENER_TLS] = "tls", [LISTENER_TCP] = "tcp", [LISTENER_VNC] = "vnc", [LISTENER_WEB] = "web",
		[LISTENER_CONTROL] = NULL };
	json_t *guests = json_array();
	json_t *ports = json_object();
	char *text;
	int status;

	for (unsigned i = 0; i < parent->num_listeners; i++) {
		const struct listener *listener = &parent->listeners[i];

		if (names[listener->kind] != NULL)
			(void)json_object_set_new(ports, names[listener->kind], json_integer((json_int_t)accepting_port(listener->fd)));
	}
	for (unsigned i = 0; i < parent->num_guest_ports; i++)
		(void)json_array_append_new(guests, json_integer(parent->guest_ports[i]));
	if (parent->num_guest_ports > 0)
		(void)json_object_set(ports, "vnc_guests", guests);
	json_decref(guests);
	text = json_dumps(ports, JSON_SORT_KEYS);
	json_decref(ports);
	if (text == NULL)
		return vg_fail(error, "ports.json: out of memory");
	status = write_whole(parent->settings, "ports.json", text, error);
	free(text);
	return status;
}

/*
 * Beside the parent's own lock its children hold another, of the open file that they share. When a parent is killed alone they end, the audit process
 * after what it was given is durable: until then ports, sockets and the trail are theirs.
 */
static int
wait_for_run_before(const struct parent *parent, const char *path, struct vg_error *error)
{
	static const struct timespec often = { 0, 5000000 };
	int64_t began = parent_now();
	bool waits = false;

	while (flock(parent->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return vg_fail(error, "%s cannot be locked: %s", path, strerror(errno));
		if (parent_now() - began >= RUN_BEFORE_MS) {
			(void)vg_fail(error, "%s: the gateway that ran here before was killed, and processes of it have not ended after %d s", parent->settings->run_dir,
			    RUN_BEFORE_MS / 1000);
			return vg_hint(error, "`fuser -v %s` names them; the audit process writes what it was given before it ends: is the disk of audit_dir well?", path);
		}
		if (!waits)
			log_warn("the gateway that ran here before was killed; waiting for its processes, which hold %s, to end", path);
		waits = true;
		(void)nanosleep(&often, NULL);
	}
	if (waits)
		log_info("they ended after %lld ms", (long long)(parent_now() - began));
	return 0;
}

/* A record lock goes with the process that took it, and children do not inherit it. */
static int
take_lock(struct parent *parent, struct vg_error *error)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[512];

	path_in(parent->settings, "virtgated.lock", path);
	parent->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (parent->lock < 0)
		return vg_fail(error, "%s cannot be opened: %s", path, strerror(errno));
	if (fcntl(parent->lock, F_SETLK, &lock) == 0)
		return wait_for_run_before(parent, path, error);
	if (fcntl(parent->lock, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
		(void)vg_fail(error, "%s: another virtgated (process %d) runs with this run_dir", parent->settings->run_dir,
		    (int)lock.l_pid);
		return vg_hint(error, "stop it, or set another run_dir");
	}
	return vg_fail(error, "%s cannot be locked: %s", path, strerror(errno));
}

int
listen_open(struct parent *parent, struct vg_error *error)
{
	const struct settings *settings = parent->settings;
	struct sandbox_user user;
	char path[512], pid[16];

	if (sandbox_find_user(settings, &user, error) < 0 || take_lock(parent, error) < 0)
		return -1;
	if (settings->listen_tls && listen_tcp(parent, LISTENER_TLS, "tls_port", settings->tls_port, error) < 0)
		return -1;
	if (settings->listen_tcp && listen_tcp(parent, LISTENER_TCP, "tcp_port", settings->tcp_port, error) < 0)
		return -1;
	if (settings->listen_vnc && listen_tcp(parent, LISTENER_VNC, "vnc_port", settings->vnc_port, error) < 0)
		return -1;
	if (settings->listen_vnc && listen_guests(parent, error) < 0)
		return -1;
	if (settings->listen_web && listen_tcp(parent, LISTENER_WEB, "web_port", settings->web_port, error) < 0)
		return -1;
	if (settings->listen_unix && listen_unix(parent, LISTENER_UNIX, settings->unix_socket, 0666, NULL, error) < 0)
		return -1;
	path_in(settings, "control.sock", path);
	if (listen_unix(parent, LISTENER_CONTROL, path, 0600, &user, error) < 0)
		return -1;
	(void)snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (write_ports(parent, error) < 0 || write_whole(settings, "virtgated.pid", pid, error) < 0)
		return -1;
	return 0;
}

void
listen_close(struct parent *parent)
{
	static const char *const names[] = { "control.sock", "ports.json", "virtgated.pid" };
	char path[512];

	/* Without any listener nothing was written: what is there may be another's. */
	if (parent->num_listeners > 0) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			path_in(parent->settings, names[i], path);
			(void)unlink(path);
		}
	}
	while (parent->num_listeners > 0) {
		const struct listener *listener = &parent->listeners[--parent->num_listeners];

		if (listener->kind == LISTENER_UNIX)
			(void)unlink(parent->settings->unix_socket);
		close(listener->fd);
	}
	if (parent->lock >= 0)
		close(parent->lock);
	parent->lock = -1;
}
