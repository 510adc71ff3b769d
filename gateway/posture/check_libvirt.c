/*
 * check_libvirt.c: ways to libvirt that do not lead through the gateway. Keys and defaults: libvirt's src/remote/libvirtd.conf.in.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/posture/checks.h"

#define LIBVIRT_TCP_PORT 16509	/* src/remote/remote_driver.h */
#define LIBVIRT_TLS_PORT 16514
#define POLKIT_GROUP "libvirt"	/* src/remote/libvirtd.rules, as Debian and Fedora install it */
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
		/* listen_tls is 1 unless said otherwise; both count only for a daemon that is started with --listen. */
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
	const struct posture_conf *const files[] = { &host->libvirtd, &host->virtproxyd };
	bool open = libvirt_listens(host);
	struct stat st;

	/* auth_tls is "none" by default: there the certificate counts (see libvirt-dn-list). */
	for (size_t i = 0; i < 2; i++) {
		if (strcmp(posture_conf_text(files[i], "auth_tcp", "sasl"), "none") != 0)
			continue;
		posture_say(result, open ? POSTURE_FAIL : POSTURE_WARN, "auth_tcp = \"none\": a port for everybody, without a password%s", open ? "" :
		    ", once it is opened");
		posture_name(result, "%s", files[i]->path);
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

/* The name of a group by its number; "" when it is not there. */
static void
group_name(const char *groups, unsigned long gid, char *name, size_t size)
{
	name[0] = '\0';
	for (const char *line = groups; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		const char *colon = strchr(line, ':'), *number = colon == NULL ? NULL : strchr(colon + 1, ':');

		if (number == NULL || strtoul(number + 1, NULL, 10) != gid)
			continue;
		(void)snprintf(name, size, "%.*s", (int)(colon - line), line);
		return;
	}
}

/* Everybody whose group it is: those that /etc/group lists, and those of /etc/passwd whose first group it is. */
static void
note_group(struct posture_result *result, const char *groups, const char *users, const char *gateway, const char *group)
{
	unsigned long gid = 0;
	size_t len = strlen(group);

	for (const char *line = groups; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		char *end, members[4096];
		const char *number;

		if (strncmp(line, group, len) != 0 || line[len] != ':' || (number = strchr(line + len + 1, ':')) == NULL)
			continue;
		gid = strtoul(number + 1, &end, 10);
		if (*end != ':')
			return;
		(void)snprintf(members, sizeof(members), "%.*s", (int)strcspn(end + 1, "\n"), end + 1);
		note_members(result, gateway, group, members);
	}
	for (const char *line = users; gid != 0 && line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		const char *field = line;
		char name[256];

		for (int i = 0; i < 3 && field != NULL; i++)
			field = strchr(field, ':') == NULL ? NULL : strchr(field, ':') + 1;
		if (field == NULL || strtoul(field, NULL, 10) != gid)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, ":"), line);
		note_members(result, gateway, group, name);
	}
}

/*
 * Two groups may count: that of the socket, when it has the right to write; and with polkit, which then is asked for everybody, the group
 * that the distribution's rules name.
 */
void
check_libvirt_group(const struct posture_host *host, struct posture_result *result)
{
	const char *gateway = host->settings == NULL ? "virtgate" : host->settings->user;
	const char *told = posture_conf_text(&host->libvirtd, "unix_sock_group", "libvirt");
	bool polkit = strcmp(posture_conf_text(&host->libvirtd, "auth_unix_rw", "polkit"), "polkit") == 0;
	size_t len;
	char group[64], *groups = posture_read(host, "/etc/group", MAX_ACCOUNTS, &len), *users = posture_read(host, "/etc/passwd", MAX_ACCOUNTS, &len);
	struct stat st;
	bool there = posture_stat(host, "/run/libvirt/libvirt-sock", &st) == 0;

	if (groups == NULL || users == NULL) {
		posture_say(result, POSTURE_SKIP, "could not see: /etc/group and /etc/passwd");
		goto out;
	}
	if (host->libvirtd.state == CONF_UNSEEN && !there) {
		posture_say(result, POSTURE_SKIP, "could not see: %s", host->libvirtd.unseen);
		goto out;
	}
	(void)snprintf(group, sizeof(group), "%s", told);
	if (there)
		group_name(groups, st.st_gid, group, sizeof(group));
	if (!there || ((st.st_mode & S_IWGRP) != 0 && st.st_gid != 0))
		note_group(result, groups, users, gateway, group);
	if (polkit && strcmp(group, POLKIT_GROUP) != 0)
		note_group(result, groups, users, gateway, POLKIT_GROUP);
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
