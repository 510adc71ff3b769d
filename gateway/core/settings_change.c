/*
 * settings_change.c: settings beside those that they take the place of: what a reload leaves as it was, and what is another.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/core/settings_options.h"

/* What only a start can change. */
static const char *const fixed[] = {
	"listen_tls", "listen_tcp", "listen_unix", "listen_vnc", "listen_web", "web_port", "listen_addr", "tls_port",
	"tcp_port", "vnc_port", "vnc_ports", "unix_socket", "audit_dir", "audit_segment_mib", "audit_keep_days",
	"audit_keep_mib", "audit_sinks", "audit_sink_ca_file", "audit_sink_cert_file", "audit_sink_key_file", "state_dir",
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
	void *at = settings_member(settings, option);
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

		if (keep(settings, old, settings_find_option(fixed[i])))
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

	for (size_t i = 0; i < settings_num_options; i++) {
		words(was, &settings_options[i], before);
		words(now, &settings_options[i], after);
		if (strcmp(before, after) != 0)
			each(settings_options[i].key, before, after, arg);
	}
}
