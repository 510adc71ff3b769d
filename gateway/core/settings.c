/*
 * settings.c: text to struct settings. libconfig parses; the table made from settings.def says what may be there; then
 * each value is checked by itself, and at last those that must agree with one another.
 */
#include "gateway/core/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libconfig.h>

#include "gateway/core/process.h"
#include "gateway/core/settings_check.h"
#include "gateway/core/settings_options.h"

#define ROW(key, type, ...) { #key, type, offsetof(struct settings, key), __VA_ARGS__ },
const struct option settings_options[] = {
#define SETTING_BOOL(key, value, help) ROW(key, OPTION_BOOL, value, 0, 1, NULL)
#define SETTING_INT(key, value, low, high, help) ROW(key, OPTION_INT, value, low, high, NULL)
#define SETTING_STRING(key, value, help) ROW(key, OPTION_STRING, 0, 0, 0, value)
#define SETTING_LIST(key, help) ROW(key, OPTION_LIST, 0, 0, 0, NULL)
#define SETTING_AUTH(key, value, help) ROW(key, OPTION_AUTH, value, 0, 0, NULL)
#include "gateway/core/settings.def"
#undef SETTING_BOOL
#undef SETTING_INT
#undef SETTING_STRING
#undef SETTING_LIST
#undef SETTING_AUTH
};
const size_t settings_num_options = sizeof(settings_options) / sizeof(settings_options[0]);

const char *
settings_key(size_t index)
{
	return index < settings_num_options ? settings_options[index].key : NULL;
}

const struct option *
settings_find_option(const char *key)
{
	for (size_t i = 0; i < settings_num_options; i++) {
		if (strcmp(settings_options[i].key, key) == 0)
			return &settings_options[i];
	}
	return NULL;
}

/* ---- one value ---- */

static const char *
type_found(const config_setting_t *value)
{
	switch (config_setting_type(value)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a point";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return "a list";
	default:
		return "a group";
	}
}

static int
wrong_type(const config_setting_t *value, const char *key, const char *file, const char *expected, struct vg_error *error)
{
	return vg_fail(error, "%s:%u: %s: expected %s, found %s", file, config_setting_source_line(value), key, expected,
	    type_found(value));
}

static int
read_number(const config_setting_t *value, const struct option *option, const char *file, int *number, struct vg_error *error)
{
	bool flag = option->type == OPTION_BOOL;
	long long read;

	if (config_setting_type(value) != CONFIG_TYPE_INT && config_setting_type(value) != CONFIG_TYPE_INT64) {
		(void)wrong_type(value, option->key, file, flag ? "0 or 1" : "a number", error);
		if (flag)
			return vg_hint(error, "write %s = 1", option->key);
		return vg_hint(error, "write %s = %d, without quotes", option->key, option->number);
	}
	read = config_setting_get_int64(value);
	if (read < option->low || read > option->high) {
		(void)vg_fail(error, "%s:%u: %s: %lld is out of range", file, config_setting_source_line(value), option->key,
		    read);
		return vg_hint(error, "expected %d to %d", option->low, option->high);
	}
	*number = (int)read;
	return 0;
}

/* A checked copy of a string, NULL with `error`. */
static char *
read_string(const config_setting_t *value, const char *key, const char *file, struct vg_error *error)
{
	unsigned line = config_setting_source_line(value);
	const char *text, *expected;
	char *copy;

	if (config_setting_type(value) != CONFIG_TYPE_STRING) {
		(void)wrong_type(value, key, file, "a string", error);
		if (config_setting_type(value) == CONFIG_TYPE_INT)
			(void)vg_hint(error, "write it in quotes: \"%d\"", config_setting_get_int(value));
		return NULL;
	}
	text = config_setting_get_string(value);
	if (text[0] == '\0') {
		(void)vg_fail(error, "%s:%u: %s: an empty string", file, line, key);
		(void)vg_hint(error, "leave the key out to have the default");
		return NULL;
	}
	expected = settings_check_value(key, text);
	if (expected != NULL) {
		(void)vg_fail(error, "%s:%u: %s: '%.200s' is not %s", file, line, key, text, expected);
		return NULL;
	}
	copy = strdup(text);
	if (copy == NULL)
		(void)vg_fail(error, "%s:%u: out of memory", file, line);
	return copy;
}

static int
read_list(const config_setting_t *value, const struct option *option, const char *file, struct settings_list *list,
    struct vg_error *error)
{
	int num;

	if (config_setting_type(value) != CONFIG_TYPE_ARRAY && config_setting_type(value) != CONFIG_TYPE_LIST) {
		(void)wrong_type(value, option->key, file, "a list of strings", error);
		return vg_hint(error, "write %s = [ \"first\", \"second\" ]", option->key);
	}
	num = config_setting_length(value);
	list->set = true;
	list->items = calloc(num > 0 ? (size_t)num : 1, sizeof(list->items[0]));
	if (list->items == NULL)
		return vg_fail(error, "%s: out of memory", file);
	for (int i = 0; i < num; i++) {
		char *item = read_string(config_setting_get_elem(value, (unsigned)i), option->key, file, error);

		if (item == NULL)
			return -1;
		list->items[list->num++] = item;
	}
	return 0;
}

static int
read_auth(const config_setting_t *value, const struct option *option, const char *file, enum auth_scheme *scheme,
    struct vg_error *error)
{
	const char *text = config_setting_get_string(value);

	if (text == NULL)
		return wrong_type(value, option->key, file, "\"none\" or \"sasl\"", error);
	if (strcmp(text, "sasl") == 0) {
		*scheme = AUTH_SASL;
	} else if (strcmp(text, "none") == 0) {
		*scheme = AUTH_NONE;
	} else {
		(void)vg_fail(error, "%s:%u: %s: '%.100s' is not \"none\" or \"sasl\"", file,
		    config_setting_source_line(value), option->key, text);
		return strcmp(text, "polkit") == 0 ? vg_hint(error, "polkit knows local users only; listen_unix has them") : -1;
	}
	return 0;
}

static int
read_value(const config_setting_t *value, const struct option *option, const char *file, struct settings *settings,
    struct vg_error *error)
{
	void *at = settings_member(settings, option);
	int number;
	char *text;

	switch (option->type) {
	case OPTION_BOOL:
		if (read_number(value, option, file, &number, error) < 0)
			return -1;
		*(bool *)at = number != 0;
		return 0;
	case OPTION_INT:
		return read_number(value, option, file, at, error);
	case OPTION_STRING:
		text = read_string(value, option->key, file, error);
		if (text == NULL)
			return -1;
		free(*(char **)at);
		*(char **)at = text;
		return 0;
	case OPTION_LIST:
		return read_list(value, option, file, at, error);
	case OPTION_AUTH:
		return read_auth(value, option, file, at, error);
	}
	return -1;
}

/* ---- the whole ---- */

static struct settings *
make_defaults(const char *file)
{
	struct settings *settings = calloc(1, sizeof(*settings));

	if (settings == NULL || (settings->file = strdup(file)) == NULL)
		goto fail;
	for (size_t i = 0; i < settings_num_options; i++) {
		const struct option *option = &settings_options[i];
		void *at = settings_member(settings, option);

		switch (option->type) {
		case OPTION_BOOL:
			*(bool *)at = option->number != 0;
			break;
		case OPTION_INT:
			*(int *)at = option->number;
			break;
		case OPTION_AUTH:
			*(enum auth_scheme *)at = (enum auth_scheme)option->number;
			break;
		case OPTION_STRING:
			if (option->text != NULL && (*(char **)at = strdup(option->text)) == NULL)
				goto fail;
			break;
		case OPTION_LIST:
			break;
		}
	}
	return settings;
fail:
	settings_destroy(settings);
	return NULL;
}

static int
read_all(const config_t *config, const char *file, struct settings *settings, struct vg_error *error)
{
	const config_setting_t *root = config_root_setting(config);

	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *value = config_setting_get_elem(root, (unsigned)i);
		const char *key = config_setting_name(value);
		const struct option *option = settings_find_option(key);

		if (option == NULL)
			return settings_unknown_key(key, file, config_setting_source_line(value), error);
		if (read_value(value, option, file, settings, error) < 0)
			return -1;
	}
	return 0;
}

/* What a list holds that is not set. */
static int
complete_list(struct settings_list *list, const char *item)
{
	if (list->set)
		return 0;
	list->items = calloc(1, sizeof(char *));
	if (list->items == NULL || (list->items[0] = strdup(item)) == NULL)
		return -1;
	list->num = 1;
	return 0;
}

/* Defaults that depend on other values, and those of lists. */
static int
complete(struct settings *settings)
{
	static const char socket_name[] = "/virtgate-sock";
	size_t size;

	if (settings->unix_socket == NULL) {
		size = strlen(settings->run_dir) + sizeof(socket_name);
		settings->unix_socket = malloc(size);
		if (settings->unix_socket == NULL)
			return -1;
		(void)snprintf(settings->unix_socket, size, "%s%s", settings->run_dir, socket_name);
	}
	if (complete_list(&settings->allowed_uris, "qemu:///system") < 0 || complete_list(&settings->vnc_security, "vencrypt") < 0)
		return -1;
	for (size_t i = 0; i < settings->log_filters.num; i++) {
		int level = settings->log_filters.items[i][0] - '0';

		if (level < settings->log_level)
			settings->log_level = level;
	}
	return 0;
}

struct settings *
settings_parse(const char *text, const char *file, struct vg_error *error)
{
	struct settings *settings = make_defaults(file);
	config_t config;

	config_init(&config);
	if (settings == NULL) {
		(void)vg_fail(error, "%s: out of memory", file);
		goto out;
	}
	if (settings_check_text(text, file, error) < 0)
		goto fail;
	if (config_read_string(&config, text) != CONFIG_TRUE) {
		(void)vg_fail(error, "%s:%d: %s", file, config_error_line(&config), config_error_text(&config));
		(void)vg_hint(error, "expected KEY = VALUE; strings in double quotes, lists as [ \"a\", \"b\" ]");
		goto fail;
	}
	if (read_all(&config, file, settings, error) < 0)
		goto fail;
	if (complete(settings) < 0) {
		(void)vg_fail(error, "%s: out of memory", file);
		goto fail;
	}
	if (settings_check_together(&config, settings, error) == 0)
		goto out;
fail:
	settings_destroy(settings);
	settings = NULL;
out:
	config_destroy(&config);
	return settings;
}

struct settings *
settings_load(const char *file, struct vg_error *error)
{
	struct settings *settings = NULL;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = NULL;
	size_t len;

	if (fd < 0 || (text = process_read_file(fd, &len)) == NULL) {
		(void)vg_fail(error, "%s: cannot be read: %s", file, strerror(errno));
		if (errno == ENOENT)
			(void)vg_hint(error, "name the file with --config, or copy the sample virtgated.conf there");
	} else if (strlen(text) != len) {
		(void)vg_fail(error, "%s: not a text file: it holds a NUL byte", file);
	} else {
		settings = settings_parse(text, file, error);
	}
	free(text);
	if (fd >= 0)
		close(fd);
	return settings;
}

bool
settings_vnc_offers(const struct settings *settings, const char *type)
{
	const struct settings_list *list = &settings->vnc_security;

	for (size_t i = 0; i < list->num; i++)
		if (strcmp(list->items[i], type) == 0)
			return true;
	return false;
}

void
settings_destroy(struct settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < settings_num_options; i++) {
		void *at = settings_member(settings, &settings_options[i]);

		if (settings_options[i].type == OPTION_STRING) {
			free(*(char **)at);
		} else if (settings_options[i].type == OPTION_LIST) {
			struct settings_list *list = at;

			for (size_t j = 0; j < list->num; j++)
				free(list->items[j]);
			free(list->items);
		}
	}
	free(settings->file);
	free(settings);
}
