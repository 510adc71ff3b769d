/*
 * landlock.c: what a room may do with files and the network, asked from the kernel. It has what it was given by descriptor;
 * beside that:
 *
 *	audit	reads the system's files, and writes below audit_dir, and the root of its keys in state_dir
 *	reader	reads the system's files and the trail, and writes its index below state_dir
 *	sink	reads the system's files and the trail, and writes its position below state_dir/sinks
 *	gate	reads the system's files
 *	front, web	read files (SASL's and Kerberos' may be anywhere), and write below /var/tmp (Kerberos' replay cache)
 *
 * None starts a program, none listens, none but the front (LDAP behind SASL) and sinks (collectors) connects by TCP. UNIX sockets are reached by
 * the permissions on their paths. A kernel without Landlock, or with an older one, enforces what it knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/core/log.h"
#include "gateway/core/sandbox.h"

/* Newer than the headers of the oldest system that this builds on. */
#define FS_REFER	(UINT64_C(1) << 13)	/* version 2 */
#define FS_TRUNCATE	(UINT64_C(1) << 14)	/* version 3 */
#define NET_BIND_TCP	(UINT64_C(1) << 0)	/* version 4 */
#define NET_CONNECT_TCP	(UINT64_C(1) << 1)
#define SCOPE_ABSTRACT	(UINT64_C(1) << 0)	/* version 6: abstract UNIX sockets, and signals, of others */
#define SCOPE_SIGNAL	(UINT64_C(1) << 1)

#define FS_READ		((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_CHANGE	((uint64_t)LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define FS_STORE	((uint64_t)LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
    LANDLOCK_ACCESS_FS_MAKE_REG | FS_TRUNCATE)
#define FS_OF_FILES	((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

/* struct landlock_ruleset_attr as of version 6; older kernels take it when what they do not know is zero. */
struct ruleset {
	uint64_t fs, net, scoped;
};

static struct ruleset
known_to(int version)
{
	struct ruleset handled = { .fs = FS_READ | FS_CHANGE | LANDLOCK_ACCESS_FS_EXECUTE };

	if (version >= 2)
		handled.fs |= FS_REFER;
	if (version >= 3)
		handled.fs |= FS_TRUNCATE;
	if (version >= 4)
		handled.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= 6)
		handled.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return handled;
}

/* Below `path`, and it itself. A path that is not there needs no permission. */
static int
permit(int ruleset, const char *path, uint64_t access, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access & handled };
	struct stat st;
	int status;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -1;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	status = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	return status;
}

static int
permit_for(int ruleset, enum process_kind kind, const struct settings *settings, uint64_t handled)
{
	static const char *const system_paths[] = { "/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run",
	    "/var/lib/sss" };
	char path[SETTINGS_MAX_PATH];

	if (permit(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE, handled) < 0)
		return -1;
	if (kind == PROCESS_FRONT || kind == PROCESS_WEB) {
		const char *replays = getenv("KRB5RCACHEDIR");

		if (permit(ruleset, replays != NULL ? replays : "/var/tmp", FS_STORE, handled) < 0)
			return -1;
		return permit(ruleset, "/", FS_READ, handled);
	}
	for (size_t i = 0; i < sizeof(system_paths) / sizeof(system_paths[0]); i++) {
		if (permit(ruleset, system_paths[i], FS_READ, handled) < 0)
			return -1;
	}
	if (kind == PROCESS_READER) {
		if (settings_index_dir(settings, path, sizeof(path)) < 0 || permit(ruleset, path, FS_READ | FS_STORE, handled) < 0)
			return -1;
		return permit(ruleset, settings->audit_dir, FS_READ, handled);
	}
	if (kind == PROCESS_SINK) {
		if (snprintf(path, sizeof(path), "%s/" SETTINGS_SINKS_DIR, settings->state_dir) >= (int)sizeof(path)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		return permit(ruleset, settings->audit_dir, FS_READ, handled) < 0 ? -1 :
		    permit(ruleset, path, FS_READ | FS_STORE, handled);
	}
	if (kind != PROCESS_AUDIT)
		return 0;
	if (snprintf(path, sizeof(path), "%s/" SETTINGS_ROOT_FILE, settings->state_dir) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return permit(ruleset, settings->audit_dir, FS_READ | FS_STORE, handled) < 0 ? -1 :
	    permit(ruleset, path, FS_OF_FILES, handled);
}

int
sandbox_confine(enum process_kind kind, const struct settings *settings, struct vg_error *error)
{
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset handled = known_to(version);
	int fd, status = -1;

	if (SANDBOX_SANITIZED)
		return 0;
	if (version <= 0) {
		log_info("this kernel has no Landlock: files are guarded by their permissions alone");
		return 0;
	}
	if (kind == PROCESS_FRONT || kind == PROCESS_WEB || kind == PROCESS_SINK)
		handled.net &= ~NET_CONNECT_TCP;
	fd = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (fd >= 0 && permit_for(fd, kind, settings, handled.fs) == 0)
		status = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	if (status < 0)
		(void)vg_fail(error, "cannot be confined by Landlock: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}
