/*
 * audit_open.c: where the trail is, and a reader of it.
 */
#include "gateway/cli/audit_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/core/settings.h"

#define DEFAULT_DIR "/var/log/virtgate"

char *
audit_open_dir(const struct cli *cli, struct vg_error *error)
{
	const char *named = cli_option(cli, "dir", 0);
	struct settings *settings;
	char *dir;

	if (named == NULL && cli->config == NULL && access(CLI_DEFAULT_CONFIG, F_OK) == -1)
		named = DEFAULT_DIR;
	if (named != NULL) {
		dir = strdup(named);
	} else {
		settings = settings_load(cli->config != NULL ? cli->config : CLI_DEFAULT_CONFIG, error);
		if (settings == NULL)
			return NULL;
		dir = strdup(settings->audit_dir);
		settings_destroy(settings);
	}
	if (dir == NULL)
		vg_fail(error, "out of memory");
	return dir;
}

struct audit_reader *
audit_open(const char *dir, unsigned back, struct vg_error *error)
{
	unsigned first, last;

	if (audit_reader_range(dir, &first, &last, NULL, error) == -1) {
		vg_hint(error, errno == EACCES ? "the trail belongs to the gateway's user: ask as root" :
		    "--dir names the directory of the trail, --config the settings that have audit_dir");
		return NULL;
	}
	return audit_reader_open(dir, back > 0 && last > back ? last - back : 0, error);
}

int
audit_open_number(const struct cli *cli, const char *option, size_t otherwise, size_t *number, struct vg_error *error)
{
	const char *text = cli_option(cli, option, 0);
	char *end;
	unsigned long value;

	*number = otherwise;
	if (text == NULL)
		return 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value == 0 || value > 10000000)
		return vg_fail(error, "--%s: '%s' is no number from 1 to 10000000", option, text);
	*number = value;
	return 0;
}
