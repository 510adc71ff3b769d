/* check.c: everything that a start could stumble over, tried in one go and told in one list. */
#include "gateway/parent/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/core/sandbox.h"
#include "gateway/front/front.h"
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
	size_t len;
	char *text = process_read_file(fd, &len);

	if (text == NULL) {
		(void)vg_fail(&error, "%s cannot be read: %s", settings->policy_file, strerror(errno));
		on_error(&error, report);
		return;
	}
	policy_destroy(policy_parse(text, len, settings->policy_file, on_error, report));
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

static void
check_sasl(const struct settings *settings, struct report *report)
{
	struct vg_error error = { .what = "", .hint = "" };
	char path[4096];

	if (!settings->listen_tcp && settings->auth_tls != AUTH_SASL)
		return;
	(void)snprintf(path, sizeof(path), "%s/libvirt.conf", settings->sasl_conf_dir);
	if (access(path, R_OK) == 0)
		return;
	(void)vg_fail(&error, "%s: sasl_conf_dir: %s cannot be read: %s", settings->file, path, strerror(errno));
	(void)vg_hint(&error, "it needs a line `mech_list: scram-sha-256`; users are made by saslpasswd2 -a libvirt NAME");
	on_error(&error, report);
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
	check_sasl(settings, &report);
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
