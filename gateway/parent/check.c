/* check.c: everything that a start could stumble over, tried in one go and told in one list. */
#include "gateway/parent/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/core/sandbox.h"
#include "gateway/front/front.h"
#include "gateway/gate/own_rules.h"
#include "gateway/parent/parent.h"
#include "gateway/policy/policy.h"

struct report {
	unsigned errors, warnings;
};

static void
tell(const char *kind, const char *what, const char *hint)
{
	(void)printf("%s: %s\n", kind, what);
	if (hint[0] != '\0')
		(void)printf("  hint: %s\n", hint);
}

static void
on_error(const struct vg_error *error, void *arg)
{
	struct report *report = arg;

	report->errors++;
	tell("error", error->what, error->hint);
}

static void
on_warning(const struct vg_error *error, struct report *report)
{
	report->warnings++;
	tell("warning", error->what, error->hint);
}

static void
check_policy(const struct settings *settings, int fd, struct report *report)
{
	struct vg_error error = { .what = "", .hint = "" };
	struct admission_rules *rules = NULL;
	struct policy *policy;
	size_t len;
	char *text = process_read_file(fd, &len);

	if (text == NULL) {
		(void)vg_fail(&error, "%s cannot be read: %s", settings->policy_file, strerror(errno));
		on_error(&error, report);
		return;
	}
	policy = policy_parse(text, len, settings->policy_file, on_error, report);
	if (policy != NULL && (rules = own_rules_compile(policy, settings->policy_file, &error)) == NULL)
		on_error(&error, report);
	admission_rules_destroy(rules);
	policy_destroy(policy);
	free(text);
}

/* A directory that is missing will be made, if there is one above it. */
static void
check_directory(const struct settings *settings, const char *key, const char *path, struct report *report)
{
	struct vg_error error = { .what = "", .hint = "" };
	char above[4096];
	char *slash;
	struct stat st;

	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return;
		(void)vg_fail(&error, "%s: %s: %s is not a directory", settings->file, key, path);
		on_error(&error, report);
		return;
	}
	(void)snprintf(above, sizeof(above), "%s", path);
	slash = strrchr(above, '/');
	slash[slash == above] = '\0';
	if (access(above, W_OK | X_OK) == 0)
		return;
	(void)vg_fail(&error, "%s: %s: %s is missing and cannot be made in %s: %s", settings->file, key, path, above,
	    strerror(errno));
	on_error(&error, report);
}

static void
check_backend(const struct settings *settings, const char *key, const char *path, struct report *report)
{
	struct vg_error error = { .what = "", .hint = "" };
	struct stat st;

	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		return;
	(void)vg_fail(&error, "%s: %s: no socket at %s", settings->file, key, path);
	(void)vg_hint(&error, "sessions fail until libvirtd listens there (systemctl start libvirtd)");
	on_warning(&error, report);
}

/* ---- SASL: what the fronts find there as the user that they run as ---- */

/* Value of a line "KEY: VALUE" into `value`; false when there is none. */
static bool
sasl_option(const char *text, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " \t");
			(void)snprintf(value, size, "%.*s", (int)strcspn(line, "\r\n"), line);
			return true;
		}
	}
	return false;
}

static bool
user_may_read(const struct sandbox_user *user, const char *path)
{
	gid_t groups[64];
	int num = 64;
	struct stat st;

	if (!user->drop || user->uid == 0)
		return access(path, R_OK) == 0;
	if (stat(path, &st) < 0)
		return false;
	if (st.st_uid == user->uid)
		return (st.st_mode & S_IRUSR) != 0;
	if (getgrouplist(user->name, user->gid, groups, &num) < 0)
		num = 64;
	for (int i = 0; i < num; i++) {
		if (groups[i] == st.st_gid)
			return (st.st_mode & S_IRGRP) != 0;
	}
	return (st.st_mode & S_IROTH) != 0;
}

/* SCRAM and PLAIN look names up in a database; GSSAPI and saslauthd have their own. */
static void
check_passwords(const char *text, const struct sandbox_user *user, struct report *report)
{
	struct vg_error error = { .what = "", .hint = "" };
	char mechs[256], method[64], path[1024];

	if (sasl_option(text, "mech_list", mechs, sizeof(mechs)) && strcasestr(mechs, "scram") == NULL &&
	    strcasestr(mechs, "plain") == NULL)
		return;
	if (sasl_option(text, "pwcheck_method", method, sizeof(method)) && strcasestr(method, "auxprop") == NULL)
		return;
	if (sasl_option(text, "auxprop_plugin", method, sizeof(method)) && strcasestr(method, "sasldb") == NULL)
		return;
	if (!sasl_option(text, "sasldb_path", path, sizeof(path)))
		(void)snprintf(path, sizeof(path), "/etc/sasldb2");
	if (access(path, F_OK) < 0) {
		(void)vg_fail(&error, "%s: there is no SASL user yet", path);
		(void)vg_hint(&error, "saslpasswd2 -a libvirt NAME makes one");
		on_warning(&error, report);
	} else if (!user_may_read(user, path)) {
		(void)vg_fail(&error, "%s: user '%s' may not read the SASL passwords", path, user->name);
		(void)vg_hint(&error, "chgrp sasl %s; chmod 640 %s; adduser %s sasl", path, path, user->name);
		on_error(&error, report);
	}
}

static void
check_sasl(const struct settings *settings, const struct sandbox_user *user, struct report *report)
{
	struct vg_error error = { .what = "", .hint = "" };
	char path[4096];
	char *text = NULL;
	int fd;

	if (!settings_use_sasl(settings))
		return;
	(void)snprintf(path, sizeof(path), "%s/libvirt.conf", settings->sasl_conf_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && user_may_read(user, path))
		text = process_read_file(fd, NULL);
	if (text != NULL) {
		check_passwords(text, user, report);
	} else {
		(void)vg_fail(&error, "%s: sasl_conf_dir: user '%s' cannot read %s", settings->file,
		    user->drop ? user->name : "of this process", path);
		(void)vg_hint(&error, "it needs a line `mech_list: scram-sha-256`; saslpasswd2 -a libvirt NAME makes users");
		on_warning(&error, report);
	}
	free(text);
	if (fd >= 0)
		close(fd);
}

int
check_config(const char *file)
{
	struct vg_error error = { .what = "", .hint = "" };
	struct settings *settings = settings_load(file, &error);
	struct report report = { 0, 0 };
	struct sandbox_user user;
	int files[PROCESS_NUM_FILES];

	if (settings == NULL) {
		on_error(&error, &report);
		return EXIT_FAILURE;
	}
	if (sandbox_find_user(settings, &user, &error) < 0)
		on_error(&error, &report);
	else
		check_sasl(settings, &user, &report);
	if (files_open(settings, files, &error) < 0) {
		on_error(&error, &report);
	} else {
		if (front_check(settings, files, &error) < 0)
			on_error(&error, &report);
		check_policy(settings, files[FILE_POLICY], &report);
		files_close(files);
	}
	check_directory(settings, "run_dir", settings->run_dir, &report);
	check_directory(settings, "state_dir", settings->state_dir, &report);
	check_directory(settings, "audit_dir", settings->audit_dir, &report);
	check_backend(settings, "backend_socket", settings->backend_socket, &report);
	check_backend(settings, "backend_socket_ro", settings->backend_socket_ro, &report);
	if (report.errors == 0)
		(void)printf("%s: good%s\n", file, report.warnings > 0 ? ", with warnings" : "");
	settings_destroy(settings);
	return report.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
