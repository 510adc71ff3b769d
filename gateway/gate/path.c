/*
 * path.c: paths on the host that a client may name. libvirtd opens them with its own rights, so each must lie where the settings
 * say, and nothing on the way may lead elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/core/settings.h"
#include "gateway/gate/argument.h"

/* Absolute, every component a plain name: what is compared is what libvirtd will walk. */
static bool
is_plain(const char *path)
{
	const char *at = path;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return false;
	for (const char *byte = path; *byte != '\0'; byte++)
		if ((unsigned char)*byte < 0x20 || *byte == 0x7f)
			return false;
	while (*at == '/') {
		size_t len = strcspn(at + 1, "/");

		if (len == 0 || len > NAME_MAX || (len == 1 && at[1] == '.') || (len == 2 && at[1] == '.' && at[2] == '.'))
			return false;
		at += 1 + len;
	}
	return true;
}

/* What follows of `path` behind `dir` and a slash; NULL when it is not below it. */
static const char *
below(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	return len > 1 && strncmp(dir, path, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

/* Whoever can write to a directory can put a link there after we looked. Those of the settings are the business of who wrote them. */
static bool
is_open_to_all(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || (st.st_mode & S_IWOTH) != 0;
}

/* Walks the directories of `rest` from `fd`, which is taken. Returns the last one's descriptor and in `name` the last component; -1 with errno. */
static int
walk(int fd, const char *rest, char name[NAME_MAX + 1])
{
	for (;;) {
		size_t len = strcspn(rest, "/");
		int next;

		memcpy(name, rest, len);
		name[len] = '\0';
		if (rest[len] == '\0')
			return fd;
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(fd);
		if (next < 0)
			return -1;
		fd = next;
		if (is_open_to_all(fd)) {
			(void)close(fd);
			errno = EPERM;
			return -1;
		}
		rest += len + 1;
	}
}

static int
look(const char *dir, const char *rest, const char *path, bool *exists, struct vg_error *error)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	fd = fd < 0 ? -1 : walk(fd, rest, name);
	if (fd < 0)
		return vg_fail(error, "'%s' cannot be looked at in '%s': %s", path, dir, errno == ELOOP || errno == ENOTDIR ?
		    "a component is not a directory" : errno == EPERM ? "everybody can write to a component" : strerror(errno));
	*exists = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*exists && errno != ENOENT)
		r = vg_fail(error, "'%s' cannot be looked at: %s", path, strerror(errno));
	else if (*exists && !S_ISREG(st.st_mode))
		r = vg_fail(error, "'%s' is not a regular file", path);
	else if (*exists && st.st_nlink > 1)
		r = vg_fail(error, "'%s' is a file that has another name elsewhere", path);
	(void)close(fd);
	return r;
}

int
path_check(const struct settings_list *dirs, const char *path, bool *exists, struct vg_error *error)
{
	const char *rest;

	if (!is_plain(path))
		return vg_fail(error, "'%.200s' is not an absolute path of plain names", path);
	for (size_t i = 0; i < dirs->num; i++) {
		rest = below(dirs->items[i], path);
		if (rest != NULL)
			return look(dirs->items[i], rest, path, exists, error);
	}
	return vg_fail(error, dirs->num == 0 ? "no directory for such files is set (save_dirs), so not '%.200s' either" :
	    "'%.200s' is in none of the directories for such files (save_dirs)", path);
}

int
path_check_directory(const struct settings_list *dirs, const char *path, const char *name, struct vg_error *error)
{
	int fd, r = 0;
	struct stat st;

	if (!is_plain(path))
		return vg_fail(error, "'%.200s' is not an absolute path of plain names", path);
	for (size_t i = 0; i < dirs->num; i++) {
		const char *rest = below(dirs->items[i], path);

		if (rest == NULL || strcmp(rest, name) != 0 || strchr(name, '/') != NULL)
			continue;
		fd = open(dirs->items[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT))
			r = vg_fail(error, "'%.200s' cannot be looked at: %s", path, strerror(errno));
		else if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
			r = vg_fail(error, "'%.200s' is not a directory", path);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	(void)vg_fail(error, "'%.200s' is not the directory of the pool's name in one of those for pools (pool_dirs)", path);
	return dirs->num == 0 ? -1 : vg_hint(error, "'%.150s/%.100s'", dirs->items[0], name);
}
