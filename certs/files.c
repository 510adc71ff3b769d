/* files.c: see files.h. */
#include "certs/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const file_names[PKI_NUM_FILES] = {
	[PKI_CA_CERT] = "CA/cacert.pem",
	[PKI_CA_KEY] = "CA/private/cakey.pem",
	[PKI_CRL] = "CA/cacrl.pem",
	[PKI_INDEX] = "CA/issued.jsonl",
	[PKI_LOCK] = "CA/private/.virtgate-pki.lock",
	[PKI_SERVER_CERT] = "libvirt/servercert.pem",
	[PKI_SERVER_KEY] = "libvirt/private/serverkey.pem",
	[PKI_CLIENT_CERT] = "libvirt/clientcert.pem",
	[PKI_CLIENT_KEY] = "libvirt/private/clientkey.pem",
	[PKI_CLIENTS] = "clients",
};

int
path_join(char path[PKI_PATH_MAX], const char *dir, const char *name, struct vg_error *error)
{
	int n = snprintf(path, PKI_PATH_MAX, "%s/%s", dir, name);

	if (n < 0 || n >= PKI_PATH_MAX)
		return vg_fail(error, "the path of '%s' below '%.200s' is too long", name, dir);
	return 0;
}

int
pki_tree_init(struct pki_tree *tree, const char *dir, struct vg_error *error)
{
	size_t i;

	if (dir == NULL)
		dir = PKI_DEFAULT_DIR;
	if (dir[0] == '\0')
		return vg_fail(error, "the directory of the PKI is empty text");
	for (i = 0; i < PKI_NUM_FILES; i++)
		if (path_join(tree->path[i], dir, file_names[i], error) < 0)
			return -1;
	return 0;
}

static int
make_one_dir(const char *dir, mode_t mode, struct vg_error *error)
{
	struct stat st;

	if (mkdir(dir, mode) == 0) {
		/* mkdir cut the mode by the umask; a directory that was there keeps what its owner gave it. */
		if (chmod(dir, mode) < 0)
			return vg_fail(error, "%s: cannot set its mode: %s", dir, strerror(errno));
		return 0;
	}
	if (errno != EEXIST) {
		vg_fail(error, "%s: cannot make the directory: %s", dir, strerror(errno));
		return errno == EACCES ? vg_hint(error, "run it as root, or give another place with --dir") : -1;
	}
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return vg_fail(error, "%s is not a directory", dir);
	return 0;
}

int
make_dir(const char *dir, mode_t mode, struct vg_error *error)
{
	char path[PKI_PATH_MAX];
	size_t len = strlen(dir), i;

	if (len == 0 || len >= sizeof(path))
		return vg_fail(error, "the path '%.200s' is empty or too long", dir);
	memcpy(path, dir, len + 1);
	for (i = 1; i < len; i++) {
		if (path[i] != '/' || path[i - 1] == '/')
			continue;
		path[i] = '\0';
		if (make_one_dir(path, 0755, error) < 0)
			return -1;
		path[i] = '/';
	}
	return make_one_dir(path, mode, error);
}

int
pki_lock(const struct pki_tree *tree, struct vg_error *error)
{
	const char *path = tree->path[PKI_LOCK];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		vg_fail(error, "%s: cannot open the lock: %s", path, strerror(errno));
		return errno == ENOENT ? vg_hint(error, "is there a CA here? make one with: virtgate pki init") :
		    errno == EACCES ? vg_hint(error, "issuing needs the CA's private key: run it as root") : -1;
	}
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		vg_fail(error, "%s: cannot lock: %s", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
file_free(char *bytes, size_t len)
{
	if (bytes != NULL)
		OPENSSL_cleanse(bytes, len);
	free(bytes);
}

int
file_read(const char *path, char **bytes, size_t *len, struct vg_error *error)
{
	struct stat st;
	char *buf = NULL;
	size_t size, got = 0;
	int result = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*bytes = NULL;
	*len = 0;
	if (fd < 0)
		return vg_fail(error, "%s: cannot read: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 || st.st_size > PKI_FILE_MAX_BYTES) {
		vg_fail(error, "%s: not a file of at most %d bytes", path, PKI_FILE_MAX_BYTES);
		goto out;
	}
	size = (size_t)st.st_size;
	buf = malloc(size + 1);
	if (buf == NULL) {
		vg_fail(error, "%s: no memory to read it", path);
		goto out;
	}
	while (got < size) {
		ssize_t n = read(fd, buf + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			vg_fail(error, "%s: cannot read: %s", path, strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	buf[got] = '\0';
	*bytes = buf;
	*len = got;
	buf = NULL;
	result = 0;
out:
	file_free(buf, got);
	(void)close(fd);
	return result;
}

int
file_must_not_exist(const char *path, struct vg_error *error)
{
	struct stat st;

	if (lstat(path, &st) == 0) {
		vg_fail(error, "%s exists and is never overwritten", path);
		return vg_hint(error, "to replace it, move it away first: mv '%.90s' '%.90s.old'", path, path);
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return vg_fail(error, "%s: %s", path, strerror(errno));
	return 0;
}

static int
write_all(int fd, const char *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, bytes + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* "DIR/.NAME.RANDOM.tmp" for "DIR/NAME". */
static int
temp_name(char temp[PKI_PATH_MAX], const char *path, struct vg_error *error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	int dir_len = (int)(name - path);
	uint64_t nonce;
	int n;

	if (RAND_bytes((unsigned char *)&nonce, sizeof(nonce)) != 1)
		return vg_fail(error, "the system has no randomness");
	n = snprintf(temp, PKI_PATH_MAX, "%.*s.%s.%016" PRIx64 ".tmp", dir_len, path, name, nonce);
	if (n < 0 || n >= PKI_PATH_MAX)
		return vg_fail(error, "%.200s: the path is too long", path);
	return 0;
}

int
file_set_add(struct file_set *set, const char *path, const void *bytes, size_t len, mode_t mode, bool replace,
    struct vg_error *error)
{
	struct staged_file *file;
	bool failed;
	int fd;

	if (set->num == FILE_SET_MAX)
		return vg_fail(error, "%s: too many files for one step", path);
	file = &set->files[set->num];
	if (!replace && file_must_not_exist(path, error) < 0)
		return -1;
	if (strlen(path) >= sizeof(file->path) || temp_name(file->temp, path, error) < 0)
		return vg_fail(error, "%.200s: the path is too long", path);
	memcpy(file->path, path, strlen(path) + 1);
	file->replace = replace;
	file->published = false;
	fd = open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0) {
		vg_fail(error, "%s: cannot write: %s", path, strerror(errno));
		return errno == EACCES ? vg_hint(error, "run it as root, or choose a place with --dir or --out") : -1;
	}
	set->num++;
	/* The umask may have taken bits that others need to read a certificate; it can never have added any. */
	failed = fchmod(fd, mode) < 0 || write_all(fd, bytes, len) < 0 || fsync(fd) < 0;
	if (close(fd) < 0 || failed)
		return vg_fail(error, "%s: cannot write: %s", path, strerror(errno));
	return 0;
}

static int
rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system without RENAME_NOREPLACE: link() refuses an existing name as well. */
	if (link(from, to) < 0)
		return -1;
	return unlink(from);
}

static int
sync_dir_of(const char *path)
{
	char dir[PKI_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);
	int fd, result;

	if (len >= sizeof(dir))
		return -1;
	memcpy(dir, path, len);
	dir[len] = '\0';
	fd = open(slash == NULL ? "." : len == 0 ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = fsync(fd);
	(void)close(fd);
	return result;
}

int
file_set_publish(struct file_set *set, struct vg_error *error)
{
	size_t i;

	for (i = 0; i < set->num; i++) {
		struct staged_file *file = &set->files[i];
		int done = file->replace ? rename(file->temp, file->path) : rename_new(file->temp, file->path);

		if (done < 0 && errno == EEXIST) {
			(void)file_must_not_exist(file->path, error);
			goto undo;
		}
		if (done < 0) {
			vg_fail(error, "%s: cannot put the file in place: %s", file->path, strerror(errno));
			goto undo;
		}
		file->published = true;
		if (sync_dir_of(file->path) < 0) {
			vg_fail(error, "%s: cannot sync its directory: %s", file->path, strerror(errno));
			goto undo;
		}
	}
	return 0;
undo:
	for (i = 0; i < set->num; i++)
		if (set->files[i].published && !set->files[i].replace)
			(void)unlink(set->files[i].path);
	return -1;
}

void
file_set_clear(struct file_set *set)
{
	size_t i;

	for (i = 0; i < set->num; i++)
		if (!set->files[i].published)
			(void)unlink(set->files[i].temp);
	set->num = 0;
}
