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

enum option_type { OPTION_BOOL, OPTION_INT, OPTION_STRING, OPTION_LIST, OPTION_AUTH };

struct option {
	const char *key;
	enum option_type type;
	size_t offset;		/* in struct settings */
	int number;		/* default of bool, int and auth */
	int low, high;
	const char *text;	/* default of a string */
};

#define ROW(key, type, ...) { #key, type, offsetof(struct settings, key), __VA_ARGS__ },
static const struct option options[] = {
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
#define NUM_OPTIONS (sizeof(options) / sizeof(options[0]))

static void *
member(struct settings *settings, const struct option *option)
{
	return (char *)settings + option->offset;
}

const char *
settings_key(size_t index)
{
	return index < NUM_OPTIONS ? options[index].key : NULL;
}

static const struct option *
find_option(const char *key)
{
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		if (strcmp(options[i].key, key) == 0)
			return &options[i];
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
	void *at = member(settings, option);
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
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		const struct option *option = &options[i];
		void *at = member(settings, option);

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
		const struct option *option = find_option(key);

		if (option == NULL)
			return settings_unknown_key(key, file, config_setting_source_line(value), error);
		if (read_value(value, option, file, settings, error) < 0)
			return -1;
	}
	return 0;
}

static unsigned
line_of(const config_t *config, const char *key)
{
	const config_setting_t *value = config_lookup(config, key);

	return value != NULL ? config_setting_source_line(value) : 0;
}

/* "FILE:LINE", or "FILE" for a key that is not there and has its default. */
static const char *
place(const config_t *config, const char *file, const char *key, char *buf, size_t size)
{
	unsigned line = line_of(config, key);

	if (line == 0)
		(void)snprintf(buf, size, "%s", file);
	else
		(void)snprintf(buf, size, "%s:%u", file, line);
	return buf;
}

static int
check_ports_differ(const config_t *config, const struct settings *settings, struct vg_error *error)
{
	const struct { bool listens; const char *key, *port; } ports[] = {
		{ settings->listen_tls, "tls_port", settings->tls_port }, { settings->listen_tcp, "tcp_port", settings->tcp_port },
		{ settings->listen_vnc, "vnc_port", settings->vnc_port }, { settings->listen_web, "web_port", settings->web_port },
	};
	char at[512];

	for (size_t i = 1; i < sizeof(ports) / sizeof(ports[0]); i++) {
		for (size_t j = 0; j < i; j++) {
			if (ports[i].listens && ports[j].listens && strcmp(ports[i].port, "0") != 0 && strcmp(ports[i].port, ports[j].port) == 0)
				return vg_fail(error, "%s: %s and %s are both %s", place(config, settings->file, ports[i].key, at, sizeof(at)),
				    ports[j].key, ports[i].key, ports[i].port);
		}
	}
	return 0;
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

static int
check_vnc(const config_t *config, const struct settings *settings, struct vg_error *error)
{
	const struct settings_list *list = &settings->vnc_security;
	char at[512];

	(void)place(config, settings->file, "vnc_security", at, sizeof(at));
	for (size_t i = 0; i < list->num; i++) {
		if (strcmp(list->items[i], "vencrypt") == 0 || strcmp(list->items[i], "sasl") == 0)
			continue;
		(void)vg_fail(error, "%s: vnc_security: '%.100s' is not offered to viewers", at, list->items[i]);
		return vg_hint(error, "\"vencrypt\" and \"sasl\" are known");
	}
	if (list->num == 0) {
		(void)vg_fail(error, "%s: vnc_security is empty: no viewer could log in", at);
		return vg_hint(error, "leave the key out for [ \"vencrypt\" ], or set listen_vnc = 0");
	}
	if (settings_vnc_offers(settings, "sasl") && settings->auth_vnc != AUTH_SASL) {
		(void)vg_fail(error, "%s: vnc_security offers sasl, but auth_vnc = \"none\"", at);
		return vg_hint(error, "set auth_vnc = \"sasl\"");
	}
	return 0;
}

/* Values that must agree, and those that are never right. */
static int
check_together(const config_t *config, const struct settings *settings, struct vg_error *error)
{
	const char *file = settings->file;
	char at[512];

	if (settings->tls_no_verify_certificate) {
		(void)vg_fail(error, "%s: tls_no_verify_certificate = 1 would let anybody in",
		    place(config, file, "tls_no_verify_certificate", at, sizeof(at)));
		return vg_hint(error, "client certificates are always verified; leave the key out");
	}
	if (settings->auth_tcp != AUTH_SASL) {
		(void)vg_fail(error, "%s: auth_tcp = \"none\" would let anybody in",
		    place(config, file, "auth_tcp", at, sizeof(at)));
		return vg_hint(error, "plain TCP is always authenticated: auth_tcp = \"sasl\"");
	}
	if (!settings->listen_tls && !settings->listen_tcp && !settings->listen_unix && !settings->listen_vnc &&
	    !settings->listen_web) {
		(void)vg_fail(error, "%s: nothing to listen on", place(config, file, "listen_tls", at, sizeof(at)));
		return vg_hint(error, "one of listen_tls, listen_tcp, listen_unix, listen_vnc, listen_web must be 1");
	}
	if (check_ports_differ(config, settings, error) < 0 || check_vnc(config, settings, error) < 0)
		return -1;
	if (settings->audit_sinks.num > SETTINGS_MAX_SINKS)
		return vg_fail(error, "%s: audit_sinks has %zu sinks, at most %d are possible",
		    place(config, file, "audit_sinks", at, sizeof(at)), settings->audit_sinks.num, SETTINGS_MAX_SINKS);
	if ((settings->audit_sink_cert_file == NULL) != (settings->audit_sink_key_file == NULL)) {
		const char *key = settings->audit_sink_cert_file != NULL ? "audit_sink_cert_file" : "audit_sink_key_file";

		(void)vg_fail(error, "%s: %s is set alone", place(config, file, key, at, sizeof(at)), key);
		return vg_hint(error, "audit_sink_cert_file and audit_sink_key_file belong together");
	}
	if (settings->allowed_uris.num == 0) {
		(void)vg_fail(error, "%s: allowed_uris is empty: no client could open anything",
		    place(config, file, "allowed_uris", at, sizeof(at)));
		return vg_hint(error, "leave the key out for [ \"qemu:///system\" ]");
	}
	if (strcmp(settings->unix_socket, settings->backend_socket) == 0 ||
	    strcmp(settings->unix_socket, settings->backend_socket_ro) == 0) {
		return vg_fail(error, "%s: unix_socket is libvirtd's own socket",
		    place(config, file, "unix_socket", at, sizeof(at)));
	}
	if (strlen(settings->run_dir) + sizeof("/virtgate-sock") > SETTINGS_MAX_SOCKET) {
		return vg_fail(error, "%s: run_dir is too long for a socket in it; at most %zu bytes",
		    place(config, file, "run_dir", at, sizeof(at)), SETTINGS_MAX_SOCKET - sizeof("/virtgate-sock"));
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
	if (check_together(&config, settings, error) == 0)
		goto out;
fail:
	settings_destroy(settings);
	settings = NULL;
out:
	config_destroy(&config);
	return settings;
}

/* ---- reload ---- */

static const char *const fixed[] = {
	"listen_tls", "listen_tcp", "listen_unix", "listen_vnc", "listen_web", "web_port", "listen_addr", "tls_port", "tcp_port", "vnc_port", "vnc_ports", "unix_socket", "audit_dir", "audit_segment_mib", "audit_keep_days", "audit_keep_mib", "audit_sinks", "audit_sink_ca_file", "audit_sink_cert_file",
	"audit_sink_key_file", "state_dir",
	"run_dir", "user", "group", "front_processes", "log_outputs",
};

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_list(const struct settings_list *a, const struct settings_list *b)
{
	if (a->set != b->set || a->num != b->num)
		return false;
	for (size_t i = 0; i < a->num; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return true;
}

/* Makes one value what it was; true when it differed. A list is only told of: what was made of it is not asked again. */
static bool
keep(struct settings *settings, const struct settings *old, const struct option *option)
{
	void *at = member(settings, option);
	const void *was = (const char *)old + option->offset;
	char *copy = NULL;

	if (option->type == OPTION_BOOL && *(bool *)at != *(const bool *)was) {
		*(bool *)at = *(const bool *)was;
		return true;
	}
	if (option->type == OPTION_INT && *(int *)at != *(const int *)was) {
		*(int *)at = *(const int *)was;
		return true;
	}
	if (option->type == OPTION_LIST)
		return !same_list(at, was);
	if (option->type != OPTION_STRING || same_text(*(char **)at, *(char *const *)was))
		return false;
	if (*(char *const *)was != NULL && (copy = strdup(*(char *const *)was)) == NULL)
		return true;
	free(*(char **)at);
	*(char **)at = copy;
	return true;
}

void
settings_keep(struct settings *settings, const struct settings *old, char *changed, size_t size)
{
	changed[0] = '\0';
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		size_t len = strlen(changed);

		if (keep(settings, old, find_option(fixed[i])))
			(void)snprintf(changed + len, size - len, "%s%s", len > 0 ? ", " : "", fixed[i]);
	}
}

static void
list_words(const struct settings_list *list, char *text, size_t size)
{
	size_t len = list->set ? (size_t)snprintf(text, size, "[") : 0;

	for (size_t i = 0; i < list->num && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s\"%s\"", i > 0 ? ", " : "", list->items[i]);
	if (list->set && len < size)
		(void)snprintf(text + len, size - len, "]");
}

static void
words(const struct settings *settings, const struct option *option, char text[SETTINGS_MAX_WORDS])
{
	const void *at = (const char *)settings + option->offset;

	text[0] = '\0';
	switch (option->type) {
	case OPTION_BOOL:
		(void)snprintf(text, SETTINGS_MAX_WORDS, "%d", *(const bool *)at);
		break;
	case OPTION_INT:
		(void)snprintf(text, SETTINGS_MAX_WORDS, "%d", *(const int *)at);
		break;
	case OPTION_STRING:
		(void)snprintf(text, SETTINGS_MAX_WORDS, "%s", *(char *const *)at == NULL ? "" : *(char *const *)at);
		break;
	case OPTION_LIST:
		list_words(at, text, SETTINGS_MAX_WORDS);
		break;
	case OPTION_AUTH:
		(void)snprintf(text, SETTINGS_MAX_WORDS, "%s", *(const enum auth_scheme *)at == AUTH_SASL ? "sasl" : "none");
		break;
	}
}

void
settings_each_change(const struct settings *was, const struct settings *now, settings_change_cb *each, void *arg)
{
	char before[SETTINGS_MAX_WORDS], after[SETTINGS_MAX_WORDS];

	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		words(was, &options[i], before);
		words(now, &options[i], after);
		if (strcmp(before, after) != 0)
			each(options[i].key, before, after, arg);
	}
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

void
settings_destroy(struct settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		void *at = member(settings, &options[i]);

		if (options[i].type == OPTION_STRING) {
			free(*(char **)at);
		} else if (options[i].type == OPTION_LIST) {
			struct settings_list *list = at;

			for (size_t j = 0; j < list->num; j++)
				free(list->items[j]);
			free(list->items);
		}
	}
	free(settings->file);
	free(settings);
}
