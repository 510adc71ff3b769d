#include "tests/unit/lost_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096u

static struct {
	const char *dir, *shadow;
	unsigned faults;
} disk;

void
lost_disk_begin(const char *dir, const char *shadow, unsigned faults)
{
	disk.dir = dir;
	disk.shadow = shadow;
	disk.faults = faults;
}

void
lost_disk_end(void)
{
	memset(&disk, 0, sizeof(disk));
}

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* ---- files in memory ---- */

struct content {
	char *data;
	size_t len;
	bool there;
};

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_fdatasync(int fd);
int __real_fsync(int fd);

static struct content
load(const char *dir, const char *prefix, const char *name)
{
	struct content content = { NULL, 0, false };
	char path[PATH_MAX];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s%s", dir, prefix, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return content;
	must(fstat(fd, &st) == 0, path);
	content.there = true;
	content.len = (size_t)st.st_size;
	content.data = malloc(content.len + 1);
	must(content.data != NULL && pread(fd, content.data, content.len, 0) == (ssize_t)content.len, path);
	close(fd);
	return content;
}

/* At once: the process may be killed in the middle. */
static void
store(const char *dir, const char *prefix, const char *name, const void *data, size_t len)
{
	char path[PATH_MAX], aside[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s%s", dir, prefix, name);
	(void)snprintf(aside, sizeof(aside), "%s/aside", dir);
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd != -1 && (len == 0 || __real_write(fd, data, len) == (ssize_t)len), aside);
	close(fd);
	must(rename(aside, path) == 0, path);
}

static void
drop(const char *dir, const char *prefix, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s%s", dir, prefix, name);
	(void)unlink(path);
}

/* ---- the calls ---- */

/* The name of a file of the trail, "" for its directory; false: another file. */
static bool
name_of(int fd, char name[NAME_MAX + 1])
{
	char link[64], path[PATH_MAX];
	size_t len = disk.dir != NULL ? strlen(disk.dir) : 0;
	ssize_t got;

	if (len == 0)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, sizeof(path) - 1);
	if (got < (ssize_t)len || memcmp(path, disk.dir, len) != 0 || (path[len] != '/' && (size_t)got != len))
		return false;
	path[got] = '\0';
	(void)snprintf(name, NAME_MAX + 1, "%.255s", (size_t)got == len ? "" : path + len + 1);
	return true;
}

static bool
fails(int fd, int error)
{
	char name[NAME_MAX + 1];

	if (disk.faults == 0 || random() % disk.faults != 0 || !name_of(fd, name))
		return false;
	errno = error;
	return true;
}

ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	if (fails(fd, random() % 2 == 0 ? ENOSPC : EIO))
		return -1;
	if (len > 1 && fails(fd, 0))
		len = 1 + (size_t)random() % (len - 1);		/* less than was asked for */
	return __real_write(fd, data, len);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
ssize_t
__wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
	return fails(fd, EIO) ? -1 : __real_pwrite(fd, data, len, at);
}

static void
sync_names(void)
{
	DIR *stream = opendir(disk.dir);
	struct dirent *entry;

	must(stream != NULL, disk.dir);
	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.')
			store(disk.shadow, "n.", entry->d_name, "", 0);
	closedir(stream);
	stream = opendir(disk.shadow);
	must(stream != NULL, disk.shadow);
	while ((entry = readdir(stream)) != NULL) {
		char path[PATH_MAX];

		if (strncmp(entry->d_name, "n.", 2) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", disk.dir, entry->d_name + 2);
		if (access(path, F_OK) == -1)
			drop(disk.shadow, "n.", entry->d_name + 2);
	}
	closedir(stream);
}

/* Really syncing would only be slow: the machine goes on. An error says that what was written since is lost, or not. */
static int
sync_file(int fd)
{
	char name[NAME_MAX + 1];
	struct content now;

	if (!name_of(fd, name))
		return __real_fdatasync(fd);
	if (fails(fd, EIO))
		return -1;
	if (name[0] == '\0') {
		sync_names();
		return 0;
	}
	now = load(disk.dir, "", name);
	if (now.there)
		store(disk.shadow, "c.", name, now.data, now.len);
	free(now.data);
	return 0;
}

int __wrap_fdatasync(int fd);
int
__wrap_fdatasync(int fd)
{
	return sync_file(fd);
}

int __wrap_fsync(int fd);
int
__wrap_fsync(int fd)
{
	return sync_file(fd);
}

/* ---- the crash ---- */

static bool
coin(void)
{
	return random() % 2 == 0;
}

/* `now` goes on where `synced` ends: how much of that is there, and as what? */
static void
lose_tail(const struct content *synced, struct content *now)
{
	size_t more = now->len - synced->len, kept = more > 0 ? (size_t)random() % (more + 1) : 0;

	switch (random() % 5) {
	case 0:
		now->len = synced->len;
		break;
	case 1:
		now->len = synced->len + kept;
		break;
	case 2:			/* the length was written, the blocks were not */
		memset(now->data + synced->len, 0, more);
		break;
	case 3:
		for (size_t i = synced->len + kept; i < now->len; i++)
			now->data[i] = (char)random();
		break;
	default:
		break;
	}
}

/* Each block is the old or the new one. */
static void
lose_blocks(const struct content *synced, struct content *now)
{
	size_t both = synced->len < now->len ? synced->len : now->len;

	for (size_t at = 0; at < both; at += BLOCK)
		if (coin())
			memcpy(now->data + at, synced->data + at, both - at < BLOCK ? both - at : BLOCK);
}

static void
crash_file(const char *dir, const char *shadow, const char *name)
{
	struct content now = load(dir, "", name), synced = load(shadow, "c.", name), named = load(shadow, "n.", name);
	struct content *left = &now;

	if (now.there && !named.there && coin()) {
		left = NULL;					/* its name was never synced */
	} else if (!now.there) {
		left = named.there && coin() ? &synced : NULL;	/* … or its removal was not */
	} else if (synced.len <= now.len && (synced.len == 0 || memcmp(synced.data, now.data, synced.len) == 0)) {
		lose_tail(&synced, &now);
	} else if (now.len < synced.len && memcmp(synced.data, now.data, now.len) == 0) {
		left = coin() ? &synced : &now;			/* it was cut */
	} else {
		lose_blocks(&synced, &now);
	}
	if (left != NULL) {
		store(dir, "", name, left->data, left->len);
		store(shadow, "c.", name, left->data, left->len);
		store(shadow, "n.", name, "", 0);
	} else {
		drop(dir, "", name);
		drop(shadow, "c.", name);
		drop(shadow, "n.", name);
	}
	free(now.data);
	free(synced.data);
	free(named.data);
}

void
lost_disk_crash(const char *dir, const char *shadow)
{
	char names[512][NAME_MAX + 1];
	unsigned num = 0;

	for (int from = 0; from < 2; from++) {
		DIR *stream = opendir(from == 0 ? dir : shadow);
		struct dirent *entry;

		must(stream != NULL, dir);
		while ((entry = readdir(stream)) != NULL) {
			const char *name = entry->d_name + (from == 1 ? 2 : 0);
			bool seen = false;

			if (entry->d_name[0] == '.' || (from == 1 && strncmp(entry->d_name, "n.", 2) != 0))
				continue;
			for (unsigned i = 0; i < num; i++)
				seen = seen || strcmp(names[i], name) == 0;
			must(num < 512, "names");
			if (!seen)
				(void)snprintf(names[num++], sizeof(names[0]), "%s", name);
		}
		closedir(stream);
	}
	for (unsigned i = 0; i < num; i++)
		crash_file(dir, shadow, names[i]);
}
