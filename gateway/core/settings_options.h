/*
 * settings_options.h: settings.def as a table, for the files that look at every setting. Private to settings*.c.
 */
#ifndef CORE_SETTINGS_OPTIONS_H
#define CORE_SETTINGS_OPTIONS_H

#include "gateway/core/settings.h"

enum option_type { OPTION_BOOL, OPTION_INT, OPTION_STRING, OPTION_LIST, OPTION_AUTH };

struct option {
	const char *key;
	enum option_type type;
	size_t offset;		/* in struct settings */
	int number;		/* default of bool, int and auth */
	int low, high;
	const char *text;	/* default of a string */
};

extern const struct option settings_options[];
extern const size_t settings_num_options;

/* NULL: there is no such key. */
const struct option *settings_find_option(const char *key);

static inline void *
settings_member(struct settings *settings, const struct option *option)
{
	return (char *)settings + option->offset;
}

/*
 * settings_together.c: values that must agree, and those that are never right. `config` is where they were read, for the lines. 0, or -1 with
 * `error`.
 */
struct config_t;
int settings_check_together(const struct config_t *config, const struct settings *settings, struct vg_error *error);

#endif
