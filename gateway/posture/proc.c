/*
 * proc.c: processes and listening sockets, from /proc/PID/{comm,status,cmdline,fd} and /proc/net/tcp{,6} (proc(5)). Everybody may read
 * all of it but the descriptors of other people's processes.
 */
#include "gateway/posture/host.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TABLE (16u * 1024u * 1024u)
#define TCP_LISTEN 0x0A

/* "\nKEY:\t" and behind it. */
static const char *
status_field(const char *status, const char *key)
{
	char wanted[32];
	const char *at;

	(void)snprintf(wanted, sizeof(wanted), "\n%s:", key);
	at = strstr(status, wanted);
	return at == NULL ? "" : at + strlen(wanted);
}

static int
add_process(struct posture_host *host, long pid)
{
	struct posture_process *processes, *process;
	char path[64], *text;
	unsigned real = 0, effective = 0;
	size_t len;

	processes = posture_grow(host->processes, host->num_processes, sizeof(*processes));
	if (processes == NULL)
		return -1;
	host->processes = processes;
	process = &processes[host->num_processes];
	*process = (struct posture_process){ .pid = pid };
	(void)snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	if (posture_line(host, path, process->comm, sizeof(process->comm)) < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	text = posture_read(host, path, 65536, &len);
	if (text == NULL)
		return 0;
	if (sscanf(status_field(text, "Uid"), "%u %u", &real, &effective) == 2)
		process->uid = effective;
	process->capabilities = strtoull(status_field(text, "CapEff"), NULL, 16);
	process->seccomp = strtol(status_field(text, "Seccomp"), NULL, 10);
	process->no_new_privileges = strtol(status_field(text, "NoNewPrivs"), NULL, 10) == 1;
	free(text);
	host->num_processes++;
	if (strncmp(process->comm, "qemu", 4) != 0)
		return 0;
	/* libvirt starts QEMU with -name guest=…; comm alone would take a QEMU that somebody runs by hand, which is none of ours. */
	(void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	text = posture_read(host, path, 1024 * 1024, &len);
	for (size_t at = 0; text != NULL && at < len; at += strlen(text + at) + 1)
		if (strncmp(text + at, "guest=", 6) == 0)
			process->is_qemu = true;
	free(text);
	return 0;
}

/* Who holds which of the listening sockets. -1 with errno: not to be seen. */
static int
note_sockets(struct posture_host *host, const struct posture_process *process)
{
	char path[64], full[POSTURE_PATH_SIZE];
	const struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", process->pid);
	dir = posture_path(host, path, full) == NULL ? NULL : opendir(full);
	if (dir == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((entry = readdir(dir)) != NULL) {
		char link[POSTURE_PATH_SIZE + sizeof(entry->d_name) + 1], target[64];
		unsigned long inode;
		ssize_t len;

		(void)snprintf(link, sizeof(link), "%s/%s", full, entry->d_name);
		len = readlink(link, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < host->num_sockets; i++) {
			struct posture_socket *held = &host->sockets[i];

			if (held->inode == inode && (held->owner[0] == '\0' || strcmp(held->owner, "systemd") == 0))
				(void)snprintf(held->owner, sizeof(held->owner), "%s", process->comm);
		}
	}
	(void)closedir(dir);
	return 0;
}

/* The kernel prints addresses as words in the order of bytes of the host. */
static void
set_address(struct posture_socket *held, const char *hex, int family)
{
	uint32_t words[4] = { 0 };
	size_t num = family == AF_INET ? 1 : 4;

	for (size_t i = 0; i < num; i++) {
		char word[9];

		(void)snprintf(word, sizeof(word), "%.8s", hex + i * 8);
		words[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	(void)inet_ntop(family, words, held->address, sizeof(held->address));
	held->any = words[0] == 0 && words[1] == 0 && words[2] == 0 && words[3] == 0;
	held->loopback = family == AF_INET ? (ntohl(words[0]) >> 24) == 127 :
	    words[0] == 0 && words[1] == 0 && words[2] == 0 && ntohl(words[3]) == 1;
	if (family == AF_INET6 && words[0] == 0 && words[1] == 0 && ntohl(words[2]) == 0xffff)
		held->loopback = (ntohl(words[3]) >> 24) == 127;
}

static int
read_sockets(struct posture_host *host, const char *path, int family)
{
	size_t len;
	char *text = posture_read(host, path, MAX_TABLE, &len), *line, *rest = text;

	if (text == NULL) {
		if (errno != ENOENT || family == AF_INET)
			(void)snprintf(host->proc_unseen, sizeof(host->proc_unseen), "%s: %s", path, strerror(errno));
		return 0;
	}
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct posture_socket *sockets, *held;
		char hex[33];
		unsigned port, state;
		unsigned long inode;

		if (sscanf(line, " %*u: %32[0-9A-F]:%4X %*s %2X %*s %*s %*s %*u %*u %lu", hex, &port, &state, &inode) != 4 || state != TCP_LISTEN ||
		    strlen(hex) != (family == AF_INET ? 8 : 32))
			continue;
		sockets = posture_grow(host->sockets, host->num_sockets, sizeof(*sockets));
		if (sockets == NULL) {
			free(text);
			return -1;
		}
		host->sockets = sockets;
		held = &sockets[host->num_sockets++];
		*held = (struct posture_socket){ .port = port, .inode = inode };
		set_address(held, hex, family);
	}
	free(text);
	return 0;
}

int
posture_read_proc(struct posture_host *host)
{
	char full[POSTURE_PATH_SIZE];
	const struct dirent *entry;
	DIR *dir;

	if (read_sockets(host, "/proc/net/tcp", AF_INET) < 0 || read_sockets(host, "/proc/net/tcp6", AF_INET6) < 0)
		return -1;
	dir = posture_path(host, "/proc", full) == NULL ? NULL : opendir(full);
	if (dir == NULL) {
		(void)snprintf(host->proc_unseen, sizeof(host->proc_unseen), "/proc: %s", strerror(errno));
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]) && add_process(host, strtol(entry->d_name, NULL, 10)) < 0) {
			(void)closedir(dir);
			return -1;
		}
	}
	(void)closedir(dir);
	host->owners_seen = true;
	for (size_t i = 0; i < host->num_processes; i++)
		if (note_sockets(host, &host->processes[i]) < 0)
			host->owners_seen = false;
	return 0;
}
