/*
 * sasl_options.h: one more file of options for cyrus-sasl, which knows only one application in a process: vnc.conf. The same
 * form as its own: "option: value" a line, '#' before comments.
 */
#ifndef AUTH_SASL_OPTIONS_H
#define AUTH_SASL_OPTIONS_H

#include "virtgate/result.h"

/* Reads DIR/NAME; a file that is not there has no options. -1 with `error`: not readable, or a line that is none. */
int sasl_options_load(const char *dir, const char *name, struct vg_error *error);
/* The value of "plugin_option", else of "option"; NULL: neither is there. `plugin` may be NULL. Borrowed for good. */
const char *sasl_options_find(const char *plugin, const char *option);

#endif
