#include "gateway/posture/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CONF (1024u * 1024u)

void *
posture_grow(void *array, size_t num, size_t item)
{
	if ((num & (num - 1)) != 0)
		return array;
	return reallocarray(array, num == 0 ? 1 : num * 2, item);
}

const char *
posture_path(const struct posture_host *host, const char *path, char out[POSTURE_PATH_SIZE])
{
	int len = snprintf(out, POSTURE_PATH_SIZE, "%s%s", host->root, path);

	if (len < 0 || len >= POSTURE_PATH_SIZE) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	return out;
}

char *
posture_read(const struct posture_host *host, const char *path, size_t max, size_t *len)
{
	char full[POSTURE_PATH_SIZE], *text = NULL;
	size_t size = 0, used = 0;
	int fd, saved;

	if (posture_path(host, path, full) == NULL)
		return NULL;
	/* A FIFO in the place of a file must not hold us up. */
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return NULL;
	for (;;) {
		ssize_t got;

		if (used + 1 >= size) {
			char *larger;

			size = size == 0 ? 4096 : size * 2;
			larger = size > max * 2 + 4096 ? NULL : realloc(text, size);
			if (larger == NULL) {
				errno = EFBIG;
				break;
			}
			text = larger;
		}
		got = read(fd, text + used, size - used - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		if (got == 0) {
			text[used] = '\0';
			*len = used;
			(void)close(fd);
			return text;
		}
		used += (size_t)got;
		if (used > max) {
			errno = EFBIG;
			break;
		}
	}
	saved = errno;
	(void)close(fd);
	free(text);
	errno = saved;
	return NULL;
}

int
posture_stat(const struct posture_host *host, const char *path, struct stat *st)
{
	char full[POSTURE_PATH_SIZE];

	return posture_path(host, path, full) == NULL ? -1 : stat(full, st);
}

int
posture_line(const struct posture_host *host, const char *path, char *line, size_t size)
{
	size_t len;
	char *text = posture_read(host, path, 65536, &len);

	if (text == NULL)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(line, size, "%s", text);
	free(text);
	return 0;
}

/* The defaults count when a file is missing, but not when libvirt is. */
static void
read_conf(struct posture_host *host, struct posture_conf *conf, const char *path)
{
	struct stat st;
	size_t len;
	char *text = posture_read(host, path, MAX_CONF, &len);

	conf->path = path;
	conf->state = CONF_UNSEEN;
	if (text == NULL && errno == ENOENT && posture_stat(host, "/etc/libvirt", &st) == 0)
		conf->state = CONF_ABSENT;
	else if (text == NULL && errno == ENOENT)
		(void)snprintf(conf->unseen, sizeof(conf->unseen), "there is no /etc/libvirt");
	else if (text == NULL)
		(void)snprintf(conf->unseen, sizeof(conf->unseen), "%s: %s", path, strerror(errno));
	else if (strlen(text) != len)
		(void)snprintf(conf->unseen, sizeof(conf->unseen), "%s holds a NUL byte", path);
	else
		(void)posture_conf_parse(conf, text);
	free(text);
}

static void
read_settings(struct posture_host *host, const char *config)
{
	char full[POSTURE_PATH_SIZE];
	struct vg_error error = { 0 };

	if (posture_path(host, config, full) == NULL)
		(void)vg_fail(&error, "%s: %s", config, strerror(errno));
	else
		host->settings = settings_load(full, &error);
	if (host->settings == NULL)
		(void)snprintf(host->settings_unseen, sizeof(host->settings_unseen), "%.250s", error.what);
}

int
posture_host_open(struct posture_host *host, const char *root, const char *config, struct vg_error *error)
{
	struct stat st;

	*host = (struct posture_host){ .now = time(NULL) };
	if (root[0] != '\0' && (stat(root, &st) < 0 || !S_ISDIR(st.st_mode)))
		return vg_fail(error, "%s: %s", root, errno != 0 ? strerror(errno) : "not a directory");
	if (strlen(root) >= sizeof(host->root))
		return vg_fail(error, "%s: %s", root, strerror(ENAMETOOLONG));
	(void)snprintf(host->root, sizeof(host->root), "%s", strcmp(root, "/") == 0 ? "" : root);
	read_settings(host, config);
	/* Where the daemons are separate, virtqemud does what libvirtd did. */
	read_conf(host, &host->libvirtd, "/etc/libvirt/libvirtd.conf");
	if (host->libvirtd.state == CONF_ABSENT)
		read_conf(host, &host->libvirtd, "/etc/libvirt/virtqemud.conf");
	read_conf(host, &host->virtproxyd, "/etc/libvirt/virtproxyd.conf");
	read_conf(host, &host->qemu, "/etc/libvirt/qemu.conf");
	if (posture_read_proc(host) < 0 || posture_read_guests(host) < 0) {
		posture_host_close(host);
		return vg_fail(error, "out of memory");
	}
	return 0;
}

void
posture_host_close(struct posture_host *host)
{
	for (size_t i = 0; i < host->num_guests; i++) {
		free(host->guests[i].name);
		xmlFreeDoc(host->guests[i].doc);
	}
	free(host->guests);
	free(host->processes);
	free(host->sockets);
	posture_conf_clear(&host->libvirtd);
	posture_conf_clear(&host->virtproxyd);
	posture_conf_clear(&host->qemu);
	settings_destroy(host->settings);
	*host = (struct posture_host){ 0 };
}

const struct posture_process *
posture_process(const struct posture_host *host, const char *comm)
{
	for (size_t i = 0; i < host->num_processes; i++)
		if (strcmp(host->processes[i].comm, comm) == 0)
			return &host->processes[i];
	return NULL;
}
