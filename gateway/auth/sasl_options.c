/* sasl_options.c: read once, before threads are started, and never changed: cyrus-sasl keeps what it was given. */
#include "gateway/auth/sasl_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 64
#define MAX_LINE 4096

static struct {
	char *name, *value;
} options[MAX_OPTIONS];
static size_t num_options;

/* Without blanks at both ends. */
static char *
trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

static int
take_line(char *line, const char *path, unsigned number, struct vg_error *error)
{
	char *name = trim(line), *colon = strchr(name, ':');

	if (name[0] == '\0' || name[0] == '#')
		return 0;
	if (colon == NULL) {
		vg_fail(error, "%s:%u: expected \"option: value\"", path, number);
		return vg_hint(error, "for example: mech_list: scram-sha-256");
	}
	if (num_options == MAX_OPTIONS)
		return vg_fail(error, "%s:%u: more than %d options", path, number, MAX_OPTIONS);
	*colon = '\0';
	options[num_options].name = strdup(trim(name));
	options[num_options].value = strdup(trim(colon + 1));
	if (options[num_options].name == NULL || options[num_options].value == NULL)
		return vg_fail(error, "out of memory");
	num_options++;
	return 0;
}

int
sasl_options_load(const char *dir, const char *name, struct vg_error *error)
{
	char path[4096], line[MAX_LINE];
	unsigned number = 0;
	FILE *file;
	int status = 0;

	if (num_options > 0)
		return 0;		/* a reload: as they were, like cyrus-sasl's own */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	if (file == NULL && errno == ENOENT)
		return 0;
	if (file == NULL) {
		vg_fail(error, "%s cannot be read: %s", path, strerror(errno));
		return vg_hint(error, "it holds the SASL options for viewers; without the file those of libvirt.conf count");
	}
	while (status == 0 && fgets(line, sizeof(line), file) != NULL)
		status = take_line(line, path, ++number, error);
	(void)fclose(file);
	return status;
}

static const char *
find(const char *name, size_t prefix_len, const char *option)
{
	for (size_t i = 0; i < num_options; i++) {
		const char *known = options[i].name;

		if (strncmp(known, name, prefix_len) == 0 && strcmp(known + prefix_len, option) == 0)
			return options[i].value;
	}
	return NULL;
}

const char *
sasl_options_find(const char *plugin, const char *option)
{
	char name[128];
	const char *value = NULL;
	int len;

	if (plugin != NULL) {
		len = snprintf(name, sizeof(name), "%s_", plugin);
		value = len > 0 && (size_t)len < sizeof(name) ? find(name, (size_t)len, option) : NULL;
	}
	return value != NULL ? value : find("", 0, option);
}
