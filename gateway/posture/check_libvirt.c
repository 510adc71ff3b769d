/*
 * check_libvirt.c: ways to libvirt that do not lead through the gateway. Keys and defaults: libvirt's src/remote/libvirtd.conf.in.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/posture/checks.h"

#define LIBVIRT_TCP_PORT 16509	/* src/remote/remote_driver.h */
#define LIBVIRT_TLS_PORT 16514
#define MAX_ACCOUNTS (4u * 1024u * 1024u)

static bool
is_libvirt(const char *comm)
{
	return strcmp(comm, "libvirtd") == 0 || strcmp(comm, "virtproxyd") == 0;
}

static bool
is_port(const struct posture_host *host, unsigned port)
{
	return host->settings != NULL && ((host->settings->listen_tls && strtoul(host->settings->tls_port, NULL, 10) == port) ||
	    (host->settings->listen_tcp && strtoul(host->settings->tcp_port, NULL, 10) == port));
}

/* Is it libvirt's, on the network or at all? Systemd holds the socket until the first client comes. */
static bool
is_libvirts(const struct posture_host *host, const struct posture_socket *held)
{
	if (is_libvirt(held->owner))
		return true;
	return strcmp(held->owner, "systemd") == 0 && (held->port == LIBVIRT_TCP_PORT || held->port == LIBVIRT_TLS_PORT) &&
	    !is_port(host, held->port);
}

void
check_libvirt_network(const struct posture_host *host, struct posture_result *result)
{
	for (size_t i = 0; i < host->num_sockets; i++) {
		const struct posture_socket *held = &host->sockets[i];

		if (is_libvirts(host, held)) {
			posture_say(result, held->loopback ? POSTURE_WARN : POSTURE_FAIL, held->loopback ? "libvirt listens on a port of this host" :
			    "libvirt listens on the network beside the gateway");
			posture_name(result, "%s %s port %u", held->owner, held->address, held->port);
		} else if (held->owner[0] == '\0' && (held->port == LIBVIRT_TCP_PORT || held->port == LIBVIRT_TLS_PORT) && !is_port(host, held->port)) {
			posture_say(result, POSTURE_WARN, "something listens on a port of libvirt; as root it could be seen what");
			posture_name(result, "%s port %u", held->address, held->port);
		}
	}
	if (!host->owners_seen && result->level == POSTURE_PASS)
		posture_say(result, POSTURE_PASS, "nothing listens on libvirt's ports beside the gateway (other ports: only root sees whose they are)");
}

void
check_libvirt_listen(const struct posture_host *host, struct posture_result *result)
{
	const struct posture_conf *const files[] = { &host->libvirtd, &host->virtproxyd };

	for (size_t i = 0; i < 2; i++) {
		/* listen_tls is 1 unless said otherwise, but counts only for a daemon with --listen, which listen_tcp does not need to be. */
		if (posture_conf_number(files[i], "listen_tcp", 0) != 0) {
			posture_say(result, POSTURE_WARN, "listen_tcp is set");
			posture_name(result, "%s", files[i]->path);
		} else if (posture_conf_find(files[i], "listen_tls") != NULL && posture_conf_number(files[i], "listen_tls", 1) != 0) {
			posture_say(result, POSTURE_WARN, "listen_tls is set");
			posture_name(result, "%s", files[i]->path);
		}
	}
}

static bool
libvirt_listens(const struct posture_host *host)
{
	for (size_t i = 0; i < host->num_sockets; i++)
		if (is_libvirts(host, &host->sockets[i]))
			return true;
	return false;
}

void
check_libvirt_auth(const struct posture_host *host, struct posture_result *result)
{
	static const char *const network[] = { "auth_tcp" };
	struct stat st;

	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++) {
		const struct posture_conf *const files[] = { &host->libvirtd, &host->virtproxyd };

		for (size_t file = 0; file < 2; file++) {
			if (strcmp(posture_conf_text(files[file], network[i], ""), "none") != 0)
				continue;
			posture_say(result, libvirt_listens(host) ? POSTURE_FAIL : POSTURE_WARN, "%s = \"none\": a port for everybody, without a password%s",
			    network[i], libvirt_listens(host) ? "" : ", once it is opened");
			posture_name(result, "%s", files[file]->path);
		}
	}
	/* With "none" the mode of the socket is all that is asked. */
	if (strcmp(posture_conf_text(&host->libvirtd, "auth_unix_rw", "polkit"), "none") != 0)
		return;
	if (posture_stat(host, "/run/libvirt/libvirt-sock", &st) == 0 && (st.st_mode & S_IWOTH) != 0) {
		posture_say(result, POSTURE_FAIL, "auth_unix_rw = \"none\", and the socket is open to every user of this host");
		posture_name(result, "/run/libvirt/libvirt-sock");
	} else if (strtoul(posture_conf_text(&host->libvirtd, "unix_sock_rw_perms", "0770"), NULL, 8) & S_IWOTH) {
		posture_say(result, POSTURE_FAIL, "auth_unix_rw = \"none\" and unix_sock_rw_perms open libvirt to every user of this host");
	}
}

/* Does the comma-separated list hold anybody but the gateway and QEMU's own user? */
static void
note_members(struct posture_result *result, const char *gateway, const char *group, const char *members)
{
	while (*members != '\0') {
		size_t len = strcspn(members, ",");

		if (len > 0 && !(strlen(gateway) == len && strncmp(members, gateway, len) == 0) && !(len == 4 && strncmp(members, "root", 4) == 0)) {
			posture_say(result, POSTURE_FAIL, "group '%s' may use libvirt's socket, and the gateway is not its only member", group);
			posture_name(result, "%.*s", (int)len, members);
			posture_fix(result, "gpasswd -d '%.*s' '%s'", (int)len, members, group);
		}
		members += len + (members[len] == ',');
	}
}

/* Which group may use the socket: of the socket itself, else as libvirt's configuration says, else the distribution's. */
static int
socket_group(const struct posture_host *host, const char *groups, char *name, size_t size)
{
	const char *told = posture_conf_text(&host->libvirtd, "unix_sock_group", NULL);
	char *copy, *rest, *line;
	struct stat st;
	bool have = posture_stat(host, "/run/libvirt/libvirt-sock", &st) == 0;

	if (!have && told != NULL) {
		(void)snprintf(name, size, "%s", told);
		return 0;
	}
	(void)snprintf(name, size, "libvirt");
	if (!have)
		return 0;
	rest = copy = strdup(groups);
	if (copy == NULL)
		return -1;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *fields = line, *first = strsep(&fields, ":");
		unsigned long gid;

		(void)strsep(&fields, ":");
		if (fields == NULL)
			continue;
		gid = strtoul(fields, NULL, 10);
		if (gid == st.st_gid) {
			(void)snprintf(name, size, "%s", first);
			break;
		}
	}
	free(copy);
	return 0;
}

void
check_libvirt_group(const struct posture_host *host, struct posture_result *result)
{
	const char *gateway = host->settings == NULL ? "virtgate" : host->settings->user;
	size_t len;
	char group[64], *groups = posture_read(host, "/etc/group", MAX_ACCOUNTS, &len), *users = posture_read(host, "/etc/passwd", MAX_ACCOUNTS, &len);
	char *line, *rest = groups;
	unsigned long gid = 0;
	bool found = false;

	if (groups == NULL || users == NULL) {
		posture_say(result, POSTURE_SKIP, "could not see: /etc/group and /etc/passwd");
		goto out;
	}
	if (host->libvirtd.state == CONF_UNSEEN) {
		struct stat st;

		if (posture_stat(host, "/run/libvirt/libvirt-sock", &st) < 0) {
			posture_say(result, POSTURE_SKIP, "could not see: %s", host->libvirtd.unseen);
			goto out;
		}
	}
	if (socket_group(host, groups, group, sizeof(group)) < 0)
		goto out;
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *fields = line, *name = strsep(&fields, ":");

		(void)strsep(&fields, ":");
		if (fields == NULL || strcmp(name, group) != 0)
			continue;
		found = true;
		gid = strtoul(fields, &fields, 10);
		if (*fields == ':')
			note_members(result, gateway, group, fields + 1);
	}
	for (rest = users; found && gid != 0 && (line = strsep(&rest, "\n")) != NULL;) {
		char *fields = line, *name = strsep(&fields, ":");

		for (int i = 0; i < 2 && fields != NULL; i++)
			(void)strsep(&fields, ":");
		if (fields != NULL && strtoul(fields, NULL, 10) == gid)
			note_members(result, gateway, group, name);
	}
	if (!found)
		posture_say(result, POSTURE_PASS, "no group may use libvirt's socket ('%s' is not in /etc/group)", group);
out:
	free(groups);
	free(users);
}

void
check_libvirt_dn_list(const struct posture_host *host, struct posture_result *result)
{
	bool open = libvirt_listens(host);

	for (size_t i = 0; i < 2; i++) {
		const struct posture_conf *conf = i == 0 ? &host->libvirtd : &host->virtproxyd;

		if (posture_conf_number(conf, "tls_no_verify_certificate", 0) != 0) {
			posture_say(result, open ? POSTURE_FAIL : POSTURE_WARN, "tls_no_verify_certificate: clients need no certificate%s",
			    open ? "" : ", once the port is opened");
			posture_name(result, "%s", conf->path);
		}
	}
	if (!open)
		posture_say(result, POSTURE_PASS, "libvirt has no TLS port of its own");
	else if (posture_conf_find(&host->libvirtd, "tls_allowed_dn_list") == NULL && posture_conf_find(&host->virtproxyd, "tls_allowed_dn_list") == NULL)
		posture_say(result, POSTURE_WARN, "every certificate of the CA may manage libvirt, past the gateway");
}
