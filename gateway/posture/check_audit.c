/*
 * check_audit.c: does the host itself write down what goes past the gateway's own trail? libvirt's audit_level: src/remote/libvirtd.conf.in;
 * files of the audit system: audit.rules(7), augenrules(8).
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/posture/checks.h"

#define MAX_RULES (1024u * 1024u)
#define RULES "/etc/audit/rules.d"

void
check_audit_daemon(const struct posture_host *host, struct posture_result *result)
{
	if (posture_process(host, "auditd") == NULL)
		posture_say(result, POSTURE_WARN, "auditd does not run: what root does past the gateway is not written down");
}

void
check_audit_level(const struct posture_host *host, struct posture_result *result)
{
	long level = posture_conf_number(&host->libvirtd, "audit_level", 1);

	if (level == 0)
		posture_say(result, POSTURE_FAIL, "audit_level = 0: libvirt tells the audit system nothing of guests and their devices");
}

/* realloc that leaves nothing behind when memory is out. */
static char *
grow(char *text, size_t size)
{
	char *larger = realloc(text, size);

	if (larger == NULL)
		free(text);
	return larger;
}

/* The rules that are loaded at boot, one after the other; NULL with errno when not all can be read. */
static char *
all_rules(const struct posture_host *host)
{
	char full[POSTURE_PATH_SIZE], path[512], *all = strdup("\n"), *more;
	struct dirent **names = NULL;
	int num = posture_path(host, RULES, full) == NULL ? -1 : scandir(full, &names, NULL, alphasort), saved = num < 0 && errno != ENOENT ? errno : 0;
	size_t len, used = 1;

	for (int i = -1; i < num && saved == 0 && all != NULL; i++) {
		size_t length = i < 0 ? 0 : strlen(names[i]->d_name);

		if (i >= 0 && (length < 6 || strcmp(names[i]->d_name + length - 6, ".rules") != 0 ||
		    snprintf(path, sizeof(path), RULES "/%s", names[i]->d_name) >= (int)sizeof(path)))
			continue;
		more = posture_read(host, i < 0 ? "/etc/audit/audit.rules" : path, MAX_RULES, &len);
		if (more == NULL) {
			saved = errno == ENOENT ? 0 : errno;
			continue;
		}
		all = grow(all, used + len + 2);
		if (all != NULL) {
			memcpy(all + used, more, len);
			used += len;
			all[used++] = '\n';
			all[used] = '\0';
		}
		free(more);
	}
	for (int i = 0; i < num; i++)
		free(names[i]);
	free(names);
	if (saved != 0) {
		free(all);
		errno = saved;
		return NULL;
	}
	return all;
}

/* Is there a rule, not a comment, for the path or a directory above it? */
static bool
is_watched(const char *rules, const char *path)
{
	static const char *const forms[] = { "-w ", "path=", "dir=" };

	for (const char *line = rules; line != NULL; line = strchr(line + 1, '\n')) {
		const char *end = line[0] == '\0' ? line : line + 1 + strcspn(line + 1, "\n");
		const char *text = line + 1 + strspn(line + 1, " \t");

		if (line[0] == '\0')
			break;
		if (text >= end || *text == '#')
			continue;
		for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
			const char *at = strstr(text, forms[i]);
			size_t len;

			if (at == NULL || at >= end)
				continue;
			at += strlen(forms[i]);
			len = strcspn(at, " \t\n");
			while (len > 1 && at[len - 1] == '/')
				len--;
			if (len > 0 && strncmp(at, path, len) == 0 && (path[len] == '\0' || path[len] == '/'))
				return true;
		}
	}
	return false;
}

void
check_audit_rules(const struct posture_host *host, struct posture_result *result)
{
	const struct settings *settings = host->settings;
	const char *paths[] = { settings->key_file, settings->policy_file, settings->audit_dir };
	char *rules = all_rules(host);

	if (rules == NULL) {
		posture_say(result, POSTURE_SKIP, "could not see: /etc/audit: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (is_watched(rules, paths[i]))
			continue;
		posture_say(result, POSTURE_WARN, "the audit system does not watch files of the gateway");
		posture_name(result, "%s", paths[i]);
	}
	free(rules);
}
