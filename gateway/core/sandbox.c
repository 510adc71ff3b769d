#include "gateway/core/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int
sandbox_find_user(const struct settings *settings, struct sandbox_user *user, struct vg_error *error)
{
	const struct passwd *pw;
	const struct group *gr;

	*user = (struct sandbox_user){ .uid = geteuid(), .gid = getegid() };
	if (user->uid != 0)
		return 0;
	pw = getpwnam(settings->user);
	if (pw == NULL) {
		(void)vg_fail(error, "%s: user '%s' does not exist on this host", settings->file, settings->user);
		return vg_hint(error, "adduser --system --group --no-create-home %s, or set `user`", settings->user);
	}
	user->uid = pw->pw_uid;
	gr = getgrnam(settings->group);
	if (gr == NULL) {
		(void)vg_fail(error, "%s: group '%s' does not exist on this host", settings->file, settings->group);
		return vg_hint(error, "set `group` to the group that may use %s", settings->backend_socket);
	}
	user->gid = gr->gr_gid;
	if (strlen(settings->user) >= sizeof(user->name))
		return vg_fail(error, "%s: the name of user '%s' is too long", settings->file, settings->user);
	memcpy(user->name, settings->user, strlen(settings->user) + 1);
	user->drop = true;
	return 0;
}

/* What a set-uid program could still be given; matters only while we are root. */
static int
drop_bounding_set(struct vg_error *error)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return vg_fail(error, "cannot drop capability %lu: %s", cap, strerror(errno));
	}
	return 0;
}

/* All others go; it would do nothing for any of them. */
static int
keep_audit_write(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	data[0].effective = data[0].permitted = 1u << CAP_AUDIT_WRITE;
	return (int)syscall(SYS_capset, &head, data);
}

static int
become(const struct sandbox_user *user, struct vg_error *error)
{
	if (drop_bounding_set(error) < 0)
		return -1;
	if (initgroups(user->name, user->gid) < 0)
		return vg_fail(error, "cannot take the groups of user '%s': %s", user->name, strerror(errno));
	if (user->audit_write && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return vg_fail(error, "cannot keep a capability: %s", strerror(errno));
	if (setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
		return vg_fail(error, "cannot become user '%s': %s", user->name, strerror(errno));
	if (user->audit_write && keep_audit_write() < 0)
		return vg_fail(error, "audit_sinks: linux-audit needs CAP_AUDIT_WRITE: %s; under systemd a drop-in gives it: "
		    "CapabilityBoundingSet=CAP_AUDIT_WRITE", strerror(errno));
	if (user->uid != 0 && setuid(0) == 0)
		return vg_fail(error, "became user '%s', but could become root again", user->name);
	return 0;
}

int
sandbox_enter(const struct sandbox_user *user, struct vg_error *error)
{
	static const struct rlimit none = { 0, 0 };

	if (user->drop && become(user, error) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return vg_fail(error, "cannot set no_new_privs: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return vg_fail(error, "cannot forbid core dumps: %s", strerror(errno));
	if (!SANDBOX_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return vg_fail(error, "cannot become undumpable: %s", strerror(errno));
	return 0;
}
