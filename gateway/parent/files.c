/* files.c: files and directories that the parent opens or makes, because its children may not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/core/sandbox.h"
#include "gateway/parent/parent.h"

/* Which room reads which file: the key is the fronts' alone, the policy the gate's. */
static const struct {
	bool front, gate, audit;
} readers[PROCESS_NUM_FILES] = {
	[FILE_SETTINGS] = { .front = true, .gate = true, .audit = true },
	[FILE_CERT] = { .front = true },
	[FILE_KEY] = { .front = true },
	[FILE_CA] = { .front = true },
	[FILE_CRL] = { .front = true },
	[FILE_POLICY] = { .gate = true },
};

void
files_for(enum process_kind kind, const int from[PROCESS_NUM_FILES], int to[PROCESS_NUM_FILES])
{
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		bool reads = ((kind == PROCESS_FRONT || kind == PROCESS_WEB) && readers[i].front) || (kind == PROCESS_GATE && readers[i].gate) ||
		    (kind == PROCESS_AUDIT && readers[i].audit);

		to[i] = reads ? from[i] : -1;
	}
}

void
files_close(int files[PROCESS_NUM_FILES])
{
	for (size_t i = 0; i < PROCESS_NUM_FILES; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = -1;
	}
}

/* Opens a regular file; a pipe or device would make a child wait. */
static int
open_one(const char *path, const char *key, const char *hint, const struct settings *settings, int *opened,
    struct vg_error *error)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		(void)vg_fail(error, "%s: %s: %s cannot be opened: %s", settings->file, key, path, strerror(errno));
		return errno == ENOENT ? vg_hint(error, "%s", hint) : -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return vg_fail(error, "%s: %s: %s is not a regular file", settings->file, key, path);
	}
	*opened = fd;
	return 0;
}

int
files_open(const struct settings *settings, int files[PROCESS_NUM_FILES], struct vg_error *error)
{
	const struct {
		enum process_file file;
		bool wanted;
		const char *path, *key, *hint;
	} rows[] = {
		{ FILE_SETTINGS, true, settings->file, "--config", "name the file with --config" },
		{ FILE_CERT, settings_use_tls(settings), settings->cert_file, "cert_file", "virtgate pki server HOST makes one" },
		{ FILE_KEY, settings_use_tls(settings), settings->key_file, "key_file", "virtgate pki server HOST makes one" },
		{ FILE_CA, settings_use_tls(settings), settings->ca_file, "ca_file", "virtgate pki init makes one" },
		{ FILE_CRL, settings_use_tls(settings) && settings->crl_file != NULL, settings->crl_file, "crl_file",
		    "virtgate pki init and virtgate pki revoke make one" },
		{ FILE_POLICY, true, settings->policy_file, "policy_file",
		    "start from the sample policy.json; virtgate policy check FILE explains mistakes" },
	};

	for (size_t i = 0; i < PROCESS_NUM_FILES; i++)
		files[i] = -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].wanted &&
		    open_one(rows[i].path, rows[i].key, rows[i].hint, settings, &files[rows[i].file], error) < 0) {
			files_close(files);
			return -1;
		}
	}
	return 0;
}

/* No link, and nobody's but ours: state_dir is of the user that the rooms run as, which one of them may have lost. */
static bool
is_own_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 &&
	    (st.st_mode & 077) == 0;
}

static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;

	if (fd < 0)
		return -1;
	status = fsync(fd);
	close(fd);
	return status;
}

/* The only file beside the trail that the audit process may write to: so it must be there before that is confined. */
static int
make_root_file(const struct settings *settings, struct vg_error *error)
{
	struct sandbox_user user;
	char path[4096];
	int fd, status = 0;

	if (sandbox_find_user(settings, &user, error) < 0)
		return -1;
	if (snprintf(path, sizeof(path), "%s/" SETTINGS_ROOT_FILE, settings->state_dir) >= (int)sizeof(path))
		return vg_fail(error, "%s: state_dir is too long", settings->file);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || (user.drop && fchown(fd, user.uid, user.gid) < 0))
		status = vg_fail(error, "%s: state_dir: %s cannot be made: %s", settings->file, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}

int
files_open_audit_key(const struct settings *settings, int *opened, struct vg_error *error)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/audit-key", settings->state_dir) >= (int)sizeof(path))
		return vg_fail(error, "%s: state_dir is too long", settings->file);
	if (make_root_file(settings, error) < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0)
		return vg_fail(error, "%s: state_dir: %s cannot be opened: %s", settings->file, path, strerror(errno));
	if (!is_own_file(fd)) {
		close(fd);
		(void)vg_fail(error, "%s: state_dir: %s is not a file that only %s can read", settings->file, path,
		    geteuid() == 0 ? "root" : "the gateway's user");
		return vg_hint(error, "it holds the key that signs the audit trail; others may have read it. Without it a new key is made");
	}
	if (sync_directory(settings->state_dir) < 0) {	/* it may be new: its name must be as durable as what it signs */
		close(fd);
		return vg_fail(error, "%s: state_dir: %s: %s", settings->file, settings->state_dir, strerror(errno));
	}
	*opened = fd;
	return 0;
}

/* Makes the last part of the path when it is missing; `user` may be NULL for one that stays ours. */
static int
make_directory(const char *path, mode_t mode, const struct sandbox_user *user, const char *key,
    const struct settings *settings, struct vg_error *error)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		if (user != NULL && user->drop && lchown(path, user->uid, user->gid) < 0)
			return vg_fail(error, "%s: %s: %s cannot be given to user '%s': %s", settings->file, key, path,
			    user->name, strerror(errno));
		return 0;
	}
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	if (errno == EEXIST)
		return vg_fail(error, "%s: %s: %s is not a directory", settings->file, key, path);
	(void)vg_fail(error, "%s: %s: %s cannot be made: %s", settings->file, key, path, strerror(errno));
	if (errno == ENOENT)
		return vg_hint(error, "make the directory above it first");
	return vg_hint(error, "started by an ordinary user, it must be in a directory of that user");
}

int
files_make_directories(const struct settings *settings, struct vg_error *error)
{
	struct sandbox_user user;
	char index[SETTINGS_MAX_PATH], sinks[4096];

	if (settings_index_dir(settings, index, sizeof(index)) < 0 ||
	    snprintf(sinks, sizeof(sinks), "%s/" SETTINGS_SINKS_DIR, settings->state_dir) >= (int)sizeof(sinks))
		return vg_fail(error, "%s: state_dir: the path is too long", settings->file);
	if (sandbox_find_user(settings, &user, error) < 0)
		return -1;
	/* What is in run_dir is made here, before privileges are dropped, so it need not be the user's. */
	if (make_directory(settings->run_dir, 0755, NULL, "run_dir", settings, error) < 0 ||
	    make_directory(settings->state_dir, 0700, &user, "state_dir", settings, error) < 0 ||
	    make_directory(index, 0700, &user, "state_dir", settings, error) < 0 ||
	    make_directory(settings->audit_dir, 0700, &user, "audit_dir", settings, error) < 0 ||
	    (settings->audit_sinks.num > 0 && make_directory(sinks, 0700, &user, "state_dir", settings, error) < 0))
		return -1;
	return 0;
}
